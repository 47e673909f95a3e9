"""Codes made elsewhere, with what belongs to their rows; those of a file are read here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Dataset, load_dataset, quoting_hint
from bench.errors import BenchError, did_you_mean
from bench.factors import factor_classes
from bench.files import sha256
from bench.npz import GIB, read_arrays
from bench.selectors import parse_selection

#: Arrays that `read_codes` knows.
ARRAYS = ("codes", "logvar", "factors", "labels", "index", "factor_names")
#: Those that metrics are given.
GIVEN = ("codes", "logvar", "factors", "labels")
#: What a file's arrays may take in memory unless the user allows more, GiB.
MAX_MEMORY = 2.0


@dataclass(frozen=True)
class Representation:
    """Codes of some images, with what belongs to the same rows.

    Attributes
    ----------
    name : str
        Heading in the tables.
    inputs : dict of str to ndarray
        See `bench.metric.Input`.
    factor_names : tuple of str
        In the order of the columns of ``inputs["factors"]``; empty where there are none.
    reasons : dict of str to str
        Why an input is missing.
    source : dict
        Where the codes come from, for the record.
    warning : str
        What looks wrong with them, in one line; empty if nothing does.
    note : str
        What was found out about them rather than given, in one line.
    rows : ndarray of shape (N,), int64, optional
        Which image of the dataset each row belongs to; None without a dataset.
    """

    name: str
    inputs: dict[str, NDArray[Any]]
    factor_names: tuple[str, ...] = ()
    reasons: dict[str, str] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    warning: str = ""
    note: str = ""
    rows: NDArray[np.int64] | None = None


def choose_dataset(text: str) -> Dataset:
    """Load ``name`` or ``name[option=value]``.

    Raises
    ------
    BenchError
        Unknown names or options, several values of an option, missing files.
    """
    chosen = parse_selection(text)
    several = [option for option, values in chosen.values.items() if len(values) > 1]
    try:
        if several:
            raise BenchError(f"--dataset '{text}': give one value of '{several[0]}': codes belong to one dataset")
        return load_dataset(chosen.name, {option: values[0] for option, values in chosen.values.items()})
    except BenchError as error:
        raise BenchError(f"{error}{quoting_hint(chosen, [chosen.name])}") from None


def read_codes(path: Path, dataset: Dataset | None = None, *, max_memory: float = MAX_MEMORY) -> Representation:
    """Read codes from an ``.npz`` or ``.npy`` file.

    Parameters
    ----------
    path : Path
        Arrays ``codes`` (N, D); optionally ``logvar`` (N, D), and either ``factors`` (N, F) with ``factor_names`` (F,)
        and ``labels`` (N,), classes of the images, or ``index`` (N,), rows of `dataset`. A file of one table, whatever
        its name, holds codes alone.
    dataset : Dataset, optional
        Gives factors and labels. Without ``index``, row n of the codes is image n of it.
    max_memory : float
        GiB that the arrays may take; what the file says of itself is checked before anything is read.

    Raises
    ------
    BenchError
        No such file, not such a file, damaged, too large, Python objects in it, arrays that don't fit each other.
    """
    where = f"codes '{path}'"
    names_in_file: list[str] = []

    def choose(names: Sequence[str]) -> Sequence[str]:
        names_in_file.extend(names)
        return names if len(names) == 1 else _known(names, where)

    max_bytes, way_out = round(max_memory * GIB), "--max-memory allows more"
    arrays = read_arrays(path, choose, max_bytes=max_bytes, where=where, way_out=way_out)
    (first, *others) = names_in_file
    if not others and first not in ARRAYS and arrays[first].ndim == 2:
        arrays = {"codes": arrays[first]}
    elif not first:
        raise BenchError(f"{where}: codes must have shape (n_samples, n_latents), not {arrays[first].shape}")
    _known(list(arrays), where)
    inputs: dict[str, NDArray[Any]] = {name: arrays[name] for name in GIVEN if name in arrays}
    _check_codes(inputs, where)
    names = _factor_names(arrays.get("factor_names"), where)
    rows = None
    if dataset is not None:
        for name in {"factors", "labels"} & set(arrays):
            raise BenchError(f"{where}: '{name}' and --dataset both say what the images show; give one of them")
        rows = _rows(where, arrays.get("index"), dataset, len(inputs["codes"]))
        names = dataset.factor_names
        if names:
            inputs["factors"] = dataset.factors(rows)
        if (labels := dataset.labels(rows)) is not None:
            inputs["labels"] = labels
    elif "index" in arrays:
        raise BenchError(f"{where}: 'index' counts rows of a dataset; say which with --dataset")
    names = _check_factors(inputs, names, where)
    reasons = {
        "logvar": "the file has no 'logvar'",
        "factors": "the dataset has no factors" if dataset is not None else "the file has no 'factors'",
        "labels": "the dataset has no class labels" if dataset is not None else "the file has no 'labels'",
        "images": "codes alone are measured",
    }
    source = {"file": path.name, "sha256": sha256(path)}
    return Representation(path.stem, inputs, names, reasons, source, rows=rows)


def represent(arrays: Mapping[str, NDArray[Any]], factor_names: Sequence[str] = ()) -> Representation:
    """Codes that are in memory already, as they would be read from a file.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        ``codes`` (N, D), optionally ``logvar`` (N, D), ``factors`` (N, F) and ``labels`` (N,).
    factor_names : sequence of str

    Raises
    ------
    BenchError
        Arrays that don't fit each other, or that hold no numbers.
    """
    inputs = dict(arrays)
    _check_codes(inputs, "score")
    if "factors" in inputs and len(inputs["factors"]) != len(inputs["codes"]):
        raise BenchError(f"score: {len(inputs['factors']):,} rows of factors for {len(inputs['codes']):,} codes")
    names = _check_factors(inputs, tuple(factor_names), "score")
    reasons = {key: f"no {key} are given" for key in ("logvar", "factors", "labels", "images")}
    return Representation("codes", inputs, names, reasons)


def _check_factors(inputs: Mapping[str, NDArray[Any]], names: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Refuse what can't be factors; gives their names."""
    if "factors" not in inputs or inputs["factors"].ndim != 2:
        return names
    n_factors = inputs["factors"].shape[1]
    if names and len(names) != n_factors:
        raise BenchError(f"{where}: {len(names)} factor_names for {n_factors} factors")
    try:
        factor_classes(inputs["factors"], names)
    except ValueError as error:
        raise BenchError(f"{where}: {error}") from None
    return names or tuple(f"factor {k}" for k in range(n_factors))


def _known(names: Sequence[str], where: str) -> Sequence[str]:
    for name in names:
        if name not in ARRAYS:
            raise BenchError(
                f"{where}: unknown array {name!r}{did_you_mean(name, ARRAYS)}; there may be: {', '.join(ARRAYS)}"
            )
    if "codes" not in names:
        raise BenchError(f"{where}: there is no array 'codes' of shape (n_samples, n_latents)")
    return names


def _check_codes(inputs: dict[str, NDArray[Any]], where: str) -> None:
    codes = inputs["codes"]
    if codes.ndim != 2:
        raise BenchError(f"{where}: 'codes' must have shape (n_samples, n_latents), not {codes.shape}")
    for name in ("codes", "logvar"):
        # NumPy would make numbers of strings that look like some.
        if name in inputs and inputs[name].dtype.kind not in "fiub":
            raise BenchError(f"{where}: {name!r} must be real numbers, they are {inputs[name].dtype}")
    labels = inputs.get("labels")
    if labels is not None and (labels.shape != codes.shape[:1] or labels.dtype.kind not in "biu"):
        needs = f"whole numbers of shape ({len(codes)},), one a row of the codes"
        raise BenchError(f"{where}: 'labels' must be {needs}, they are {labels.dtype} of shape {labels.shape}")
    logvar = inputs.get("logvar", codes)
    if logvar.shape != codes.shape:
        raise BenchError(f"{where}: 'logvar' must have the shape of the codes, {codes.shape}, not {logvar.shape}")
    if (bad := int((~np.isfinite(logvar)).any(axis=1).sum())) and logvar is not codes:
        raise BenchError(f"{where}: 'logvar' is NaN or infinite in {bad:,} of {len(logvar):,} rows")


def _factor_names(names: NDArray[Any] | None, where: str) -> tuple[str, ...]:
    if names is None:
        return ()
    if names.dtype.kind not in "US" or names.ndim != 1:
        raise BenchError(f"{where}: 'factor_names' must be strings, one a factor, they are {names.dtype} {names.shape}")
    return tuple(
        name.decode(errors="backslashreplace") if isinstance(name, bytes) else str(name) for name in names.tolist()
    )


def _rows(where: str, index: NDArray[Any] | None, dataset: Dataset, n: int) -> NDArray[np.int64]:
    if index is None:
        if n != len(dataset):
            raise BenchError(
                f"{where}: {n:,} rows, but the dataset has {len(dataset):,} images; an array 'index' must say "
                "which image each row belongs to"
            )
        return np.arange(n, dtype=np.int64)
    if index.shape != (n,) or not np.issubdtype(index.dtype, np.integer):
        raise BenchError(f"{where}: 'index' must be {n:,} whole numbers, it is {index.dtype} {index.shape}")
    if len(index) and (index.min() < 0 or index.max() >= len(dataset)):
        raise BenchError(
            f"{where}: 'index' runs from {index.min():,} to {index.max():,}, but the dataset has images 0 to "
            f"{len(dataset) - 1:,}"
        )
    return index.astype(np.int64)
