"""The dataset contract.

A dataset is one file in ``datasets/``: a subclass of `Dataset` under ``@register_dataset``. Its ``Options`` (a frozen
dataclass) are at once the command line's ``name[option=value]``, the TOML table and a part of every run's identity.
"""

from __future__ import annotations

import functools
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.info import DatasetInfo
from bench.registry import DATASETS
from bench.rows import RowOptions, correlated_columns, draw_correlated, is_held_out
from bench.seeds import stream
from bench.selectors import QUOTING, Selection
from bench.settings import validate_dataclass

Index = NDArray[np.int64]


Images = NDArray[np.uint8] | NDArray[np.float32]


Likelihood = Literal["bernoulli", "gaussian", "gaussian_unit"]


@dataclass(frozen=True)
class NoOptions:
    """Options of a dataset that has none."""


class Dataset(ABC):
    """Images, and the factors that made them where they are known.

    Attributes
    ----------
    factor_names : tuple of str
        Empty when the factors aren't known: factor metrics are then "not applicable".
    factor_sizes : tuple of int
        Number of values of each factor, in the order of `factor_names`. The images are the full grid in C order
        (last factor fastest) unless `factors` and `index` are overridden.
    label_names : tuple of str
        Names of the classes of `labels`: class k is called ``label_names[k]``. Empty where they have none.
    image_shape : tuple of int
        ``(channels, height, width)``.
    image_max : int
        The `uint8` value that stands for 1.0: 1 for binary images, 255 for grey or colour ones; 1 for vectors.
    likelihood : {"bernoulli", "gaussian", "gaussian_unit"}
        What the reconstruction term is on these data. "gaussian_unit" says that they are no images but vectors of real
        numbers, of `image_shape` (1, 1, d), in units of the noise's standard deviation.
    licence, citation : str
        Of the data.
    remarks : tuple of str
        What a user should know of how the data were taken, one sentence each without a full stop. Runs record them.
    paths : tuple of str
        Options that name files of the user's. They aren't part of a run's identity, the checksum of the data is.
    named_by : str
        The one of `paths` after whose file tables and studies call the data, where every user has other ones.
    small : mapping
        Options with which the contract checks load it: they make it small.
    """

    Options: ClassVar[type] = NoOptions
    factor_names: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()
    label_names: tuple[str, ...] = ()
    image_shape: tuple[int, int, int]
    image_max: int = 255
    likelihood: Likelihood = "bernoulli"
    licence: str = "unknown"
    citation: str = ""
    remarks: tuple[str, ...] = ()
    paths: ClassVar[tuple[str, ...]] = ()
    named_by: ClassVar[str] = ""
    small: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, options: Any) -> None:
        self.options = options

    @property
    def _called(self) -> str:
        """What error messages call it."""
        return f"dataset '{next((item.name for item in DATASETS if item.value is type(self)), type(self).__name__)}'"

    def __len__(self) -> int:
        return int(np.prod(self.factor_sizes, dtype=np.int64))

    @abstractmethod
    def images(self, index: Index) -> Images:
        """Images of the given rows.

        Parameters
        ----------
        index : ndarray of shape (n,), int64
            Rows, each in ``[0, len(self))``.

        Returns
        -------
        ndarray of shape (n, channels, height, width), uint8
            Values in ``[0, image_max]``; for vectors float32 and any value.
        """

    def packed(self) -> NDArray[np.uint8] | None:
        """All images as bits (``numpy.packbits`` order), shape (N, pixels / 8), or None where that makes no sense."""
        return None

    def factors(self, index: Index) -> NDArray[np.int64]:
        """Factor classes of the given rows, shape (n, n_factors)."""
        if not self.factor_sizes:
            return np.zeros((len(index), 0), dtype=np.int64)
        return np.stack(np.unravel_index(index, self.factor_sizes), axis=1).astype(np.int64)

    def labels(self, index: Index) -> NDArray[np.int64] | None:
        """Class of the given rows, shape (n,), from 0; None where images have none.

        A class isn't a factor: it is for data whose factors aren't known, such as digits.
        """
        return None

    def sources(self, index: Index) -> NDArray[np.float64] | None:
        """Factors of the given rows as reals of unit variance, shape (n, n_factors), where `factors` cut them."""
        return None

    def posterior(self, index: Index) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Mean (n, n_factors) and covariance (n, n_factors, n_factors) of `sources` given the data, if Gaussian."""
        return None

    def known_decoder(self) -> NDArray[np.float64] | None:
        """The linear map from codes to data, shape (d, n_latents), if it is given instead of trained."""
        return None

    def index(self, factors: NDArray[np.int64]) -> Index:
        """Rows of the given factor classes, shape (n,); the inverse of `factors`."""
        rows: Index = np.ravel_multi_index(tuple(factors.T), self.factor_sizes).astype(np.int64)
        return rows

    def training_rows(self) -> Index | None:
        """Rows that are trained on, ascending, often ones repeated; None: every row once. See `bench.rows`.

        Raises
        ------
        BenchError
            Unknown factors, or a split that leaves nothing to train on.
        """
        return self._rows_by_use[0]

    def held_out_rows(self) -> Index | None:
        """Rows that are never trained on, ascending, on which scores are taken; None: no split is set.

        Raises
        ------
        BenchError
            As `training_rows`, or if no image is held out.
        """
        return self._rows_by_use[1]

    @property
    def n_train(self) -> int:
        """Number of images that an epoch of the training has."""
        rows = self.training_rows()
        return len(self) if rows is None else len(rows)

    @functools.cached_property
    def _rows_by_use(self) -> tuple[Index | None, Index | None]:
        options = self.options
        if not isinstance(options, RowOptions) or not (options.split or options.correlated):
            return None, None
        rows, held = np.arange(len(self), dtype=np.int64), None
        if options.split:
            out = is_held_out(rows, options.split)
            rows, held = rows[~out], rows[out]
            for some, what in ((rows, "to train on"), (held, "held out")):
                if len(some) < 2:
                    raise BenchError(
                        f"{self._called}: split={options.split} of {len(self)} images leaves {len(some)} {what}"
                    )
        if options.correlated:
            try:
                a, b, strength = correlated_columns(options.correlated, self.factor_names, self.factor_sizes)
            except ValueError as error:
                raise BenchError(f"{self._called}: {error}") from None
            classes, sizes = self.factors(rows), self.factor_sizes
            rows = rows[draw_correlated(classes[:, a], classes[:, b], (sizes[a], sizes[b]), strength)]
        return rows, held

    def fingerprint(self) -> str:
        """SHA-256 (hex) that identifies the data; part of a run's identity."""
        digest = hashlib.sha256(json.dumps([self.image_shape, self.image_max, self.factor_sizes]).encode())
        for start in range(0, len(self), 4096):
            digest.update(self.images(np.arange(start, min(start + 4096, len(self)))).tobytes())
        return digest.hexdigest()

    def query_indices(self) -> Index:
        """Rows shown in reconstructions and traversals, the same for every method and seed; three by default."""
        return np.linspace(0, len(self) - 1, 5).astype(np.int64)[1:4]


def sample_rows(dataset: Dataset, n: int) -> Index:
    """Rows of the evaluation sample: fixed, the same for every method and seed; all rows if there are at most n.

    Where a split is set they are held-out ones, else any.
    """
    held = dataset.held_out_rows()
    return stream(0, "evaluation").permutation(len(dataset) if held is None else held)[:n]


def sample_training_rows(dataset: Dataset, n: int) -> Index:
    """Rows of a fixed sample of the images as they are trained on, as `sample_rows`."""
    rows = dataset.training_rows()
    return stream(0, "evaluation:training").permutation(len(dataset) if rows is None else rows)[:n]


def register_dataset(
    name: str,
    *,
    version: int = 1,
    label: str | None = None,
    groups: tuple[str, ...] = (),
    order: float = DatasetInfo.order,
    **unknown: Any,
) -> Callable[[type[Dataset]], type[Dataset]]:
    """Register a `Dataset` subclass.

    Parameters
    ----------
    name : str
        Name in specs and on the command line.
    version : int
        Raised by every change that alters the images, the factors or their order.
    label : str, optional
        Name in tables and figures; `name` by default.
    groups : tuple of str
        Names that select it together with others.
    order : float
        Place in lists.
    **unknown
        Refused, with the nearest keyword that there is.

    Raises
    ------
    BenchError
        In one line, if a keyword is unknown or a value impossible.

    Examples
    --------
    >>> import numpy as np
    >>> @register_dataset("bars")
    ... class Bars(Dataset):
    ...     factor_names, factor_sizes, image_shape, image_max = ("row",), (8,), (1, 8, 8), 1
    ...
    ...     def images(self, index):
    ...         rows = self.factors(index)[:, 0]
    ...         return np.repeat((np.arange(8) == rows[:, None])[:, None, :, None], 8, axis=3).astype(np.uint8)
    >>> bars = load_dataset("bars", {})
    >>> len(bars), bars.images(np.array([2]))[0, 0, :, 0]
    (8, array([0, 0, 1, 0, 0, 0, 0, 0], dtype=uint8))
    """
    return DATASETS.register(name, version=version, label=label or name, groups=groups, order=order, **unknown)


def resolve_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Check a dataset's options and fill in the defaults.

    Parameters
    ----------
    name : str
        A registered dataset.
    options : dict
        What the user set.

    Returns
    -------
    dict
        Every option with its value, JSON-ready, but for those at their neutral value; see `bench.neutral`.

    Raises
    ------
    BenchError
        Unknown dataset, unknown option, or an impossible value.
    """
    entry = DATASETS.get(name)
    return validate_dataclass(entry.value.Options, options, where=f"dataset '{name}'", what="option")


def has_row_options(name: str) -> bool:
    """Whether a data set has the options of `bench.rows.RowOptions`; not known of a plug-in that isn't loaded."""
    return name in DATASETS and issubclass(DATASETS.get(name).value.Options, RowOptions)


def quoting_hint(selection: Selection, names: Iterable[str]) -> str:
    """What to add to an error about data sets where the selection may be a file's name that commas cut into pieces.

    A piece reads as another value of the path, or with an equals sign as an option that there isn't.
    """
    for cls in (DATASETS.get(name).value for name in names):
        known = {item.name for item in fields(cls.Options)}
        given = [selection.values[key] for key in cls.paths if key in selection.values]
        if given and (any(len(values) > 1 for values in given) or not selection.values.keys() <= known):
            return f"; {QUOTING}"
    return ""


def load_dataset(name: str, options: dict[str, Any]) -> Dataset:
    """Load a dataset, once per process (the last two are kept).

    Raises
    ------
    BenchError
        Unknown names, impossible options, missing or damaged files.
    """
    return _load(name, json.dumps(resolve_options(name, options), sort_keys=True))


@functools.lru_cache(maxsize=2)
def _load(name: str, options: str) -> Dataset:
    value = DATASETS.get(name).value
    dataset: Dataset = value(value.Options(**_tuples(json.loads(options))))
    dataset.training_rows()  # which refuses what can't be: unknown factors, a split that leaves nothing
    return dataset


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
