"""Linear-Gaussian data with known factors and a known posterior: ``x = A s + noise``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.analytic import posterior
from bench.analytic.cases import case
from bench.analytic.model import Floats, LinearGaussian
from bench.analytic.posterior import EDGE, Law, unknown
from bench.dataset import Dataset, Images, Index, register_dataset
from bench.errors import BenchError
from bench.seeds import stream


def draw(model: LinearGaussian, n: int, law: Law = "gaussian", *, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw factors and data.

    Parameters
    ----------
    model : LinearGaussian
    n : int
        How many.
    law : {"gaussian", "laplace", "uniform"}
        Of every factor.
    rng : numpy.random.Generator
        The factors are drawn before the noise.

    Returns
    -------
    x : ndarray of shape (n, d), float64
    s : ndarray of shape (n, k), float64
        Independent, zero mean, unit variance.

    Raises
    ------
    ValueError
        For another law.
    """
    shape = (n, model.n_factors)
    if law == "gaussian":
        s = rng.normal(size=shape)
    elif law == "laplace":
        s = rng.laplace(scale=np.sqrt(0.5), size=shape)
    elif law == "uniform":
        s = rng.uniform(-EDGE, EDGE, size=shape)
    else:
        raise unknown(law)
    noise = np.sqrt(model.noise_variance) * rng.normal(size=(n, model.n_dimensions))
    return s @ model.mixing.T + noise, s


def classes(s: Floats, law: Law, n_classes: int = 20) -> NDArray[np.int64]:
    """Equally probable classes of every factor, for metrics that need classes.

    Parameters
    ----------
    s : ndarray, any shape
    law : {"gaussian", "laplace", "uniform"}
    n_classes : int
        Cut at the law's quantiles, so that they don't depend on the sample.

    Returns
    -------
    ndarray of the shape of `s`, int64
        From 0 to ``n_classes - 1``, ascending with s.
    """
    from scipy.special import ndtr  # not needed for drawing, and slow to import

    if law == "gaussian":
        below = ndtr(s)
    elif law == "laplace":
        tail = 0.5 * np.exp(-np.sqrt(2.0) * np.abs(s))
        below = np.where(s < 0, tail, 1 - tail)
    elif law == "uniform":
        below = (s / EDGE + 1) / 2
    else:
        raise unknown(law)
    return np.asarray(np.clip(np.floor(n_classes * below), 0, n_classes - 1).astype(np.int64))


def exactly(values: Floats) -> Floats:
    """Shift and mix the columns, (n, m), as little as needed for zero means and a covariance of I, to rounding.

    What closed forms say of second moments then holds on the sample. Columns that are independent draws of unit
    variance change by some ``1 / sqrt(n)``.
    """
    centred = values - values.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(values))
    return np.asarray(centred @ (axes / np.sqrt(variances)) @ axes.T)


def parse_mixing(text: str) -> Floats:
    """Matrix of a text with rows at semicolons, numbers at blanks: ``"1 0.8; 0 0.6"``.

    Raises
    ------
    ValueError
        For anything else.
    """
    try:
        rows = [[float(number) for number in row.split()] for row in text.split(";")]
    except ValueError:
        rows = []
    if not rows or not rows[0] or len({len(row) for row in rows}) != 1:
        raise ValueError(f"mixing='{text}': write the rows of A as '1 0.8; 0 0.6'")
    return np.array(rows)


@dataclass(frozen=True)
class LinearGaussianOptions:
    """Options of `LinearGaussianData`; what is left to the case is filled in.

    There is no split and no correlation (`bench.rows`): the closed forms hold for all data, of independent factors.

    Attributes
    ----------
    case : {"S0", "S1", "S2", "L0", "L1"}
        See `bench.analytic.cases.case`.
    mixing : str
        Another A than the case's, as in `parse_mixing`.
    noise_variance : float
        Another σ²; 0: the case's.
    law : {"gaussian", "laplace", "uniform"}
        Of the factors.
    decoder : {"case", "oracle", "learned"}
        Whether the decoder is A, or trained.
    n : int
        How many data.
    draw : int
        Which draw of them.
    """

    case: Literal["S0", "S1", "S2", "L0", "L1"] = "S1"
    mixing: str = ""
    noise_variance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    law: Law = "gaussian"
    decoder: Literal["case", "oracle", "learned"] = "case"
    n: Annotated[int, Field(ge=100)] = 20_000
    draw: Annotated[int, Field(ge=0)] = 0

    def __post_init__(self) -> None:
        known = case(self.case)
        if self.mixing:
            # One spelling, so that it is one run.
            rows = [
                " ".join(f"{number:g}" if float(f"{number:g}") == number else repr(float(number)) for number in row)
                for row in parse_mixing(self.mixing)
            ]
            object.__setattr__(self, "mixing", "; ".join(rows))
        object.__setattr__(self, "noise_variance", float(self.noise_variance or known.model.noise_variance))
        numbers = sum(self.model().mixing.shape)
        if self.n <= numbers:
            raise ValueError(f"n={self.n}: rows of {numbers} numbers, factors included, must be more than {numbers}")
        if self.decoder == "case":
            object.__setattr__(self, "decoder", known.decoder)

    def model(self) -> LinearGaussian:
        """What the data follow, in units of σ: A / σ with noise of unit variance. Every formula of β is the same."""
        mixing = parse_mixing(self.mixing) if self.mixing else case(self.case).model.mixing
        return LinearGaussian(mixing / np.sqrt(self.noise_variance), 1.0)


@register_dataset("linear_gaussian")
class LinearGaussianData(Dataset):
    """Vectors ``x = A s + noise`` of independent factors s: the posterior, and what a β-VAE ends at, are known exactly.

    Data are in units of the noise's standard deviation, and the decoder's is 1 too, so that β is that of the closed
    forms in `bench.analytic`. First and second moments of the sample are exactly those of the model (`exactly`); for
    those of a part of the rows see to it that all are evaluated. The classes of a factor are 20, equally probable.
    """

    Options = LinearGaussianOptions
    likelihood = "gaussian_unit"
    image_max = 1
    licence = "Apache-2.0 (drawn by this file)"
    citation = "A closed-form test bed: see bench/analytic/__init__.py"

    def __init__(self, options: LinearGaussianOptions) -> None:
        super().__init__(options)
        self.model = options.model()
        d, k = self.model.mixing.shape
        self.image_shape = (1, 1, d)
        self.factor_names = tuple(f"s{number}" for number in range(k))
        self.factor_sizes = (20,) * k
        x, s = draw(self.model, options.n, options.law, rng=stream(options.draw, f"linear_gaussian:{options.law}"))
        white = exactly(np.concatenate([s, x - s @ self.model.mixing.T], axis=1))
        self._s = white[:, :k]
        self._x = (self._s @ self.model.mixing.T + white[:, k:]).astype(np.float32)

    def __len__(self) -> int:
        return len(self._x)

    def images(self, index: Index) -> Images:
        """Vectors of the given rows, shape (n, 1, 1, d), float32."""
        rows: Images = self._x[index][:, None, None, :]
        return rows

    def sources(self, index: Index) -> Floats:
        """Factors of the given rows, shape (n, k), float64."""
        rows: Floats = self._s[index]
        return rows

    def factors(self, index: Index) -> NDArray[np.int64]:
        """Classes of the factors of the given rows, shape (n, k)."""
        return classes(self._s[index], self.options.law)

    def posterior(self, index: Index) -> tuple[Floats, Floats] | None:
        """Mean and covariance of the factors given the data, if the factors are Gaussian."""
        if self.options.law != "gaussian":
            return None
        found = posterior.posterior(self.model, self._x[index].astype(np.float64))
        return found.mean, found.covariance

    def known_decoder(self) -> Floats | None:
        """A in units of σ, unless the decoder is to be trained."""
        return self.model.mixing if self.options.decoder == "oracle" else None

    def index(self, factors: NDArray[np.int64]) -> Index:
        """Refuse: what is drawn at random has no row for every class."""
        raise BenchError("dataset 'linear_gaussian': rows can't be looked up by their factors")
