"""The reference cases: two mixings with orthogonal columns as controls, three without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.analytic.model import Floats, LinearGaussian


@dataclass(frozen=True)
class Case:
    """A model and the decoder that it is meant for.

    Attributes
    ----------
    model : LinearGaussian
    decoder : {"oracle", "learned"}
        Whether the decoder is fixed at the truth or trained.
    """

    model: LinearGaussian
    decoder: Literal["oracle", "learned"]


def case(name: str) -> Case:
    """Build a reference case.

    Parameters
    ----------
    name : {"S0", "S1", "S2", "L0", "L1"}
        S0: identity, k = 2. S1: two unit columns with a cosine of 0.8. S2: four unit columns with cosines of 0.6 in
        d = 8. L0: orthogonal columns of norms 1.5 and 0.8 in d = 5. L1: the same norms with a cosine of 0.5. σ² is
        0.1, and 0.05 in S2.

    Raises
    ------
    ValueError
        For another name.
    """
    if name not in CASES:
        raise ValueError(f"no case {name!r}; there are {', '.join(CASES)}")
    return CASES[name]()


def pair(cosine: float, snr: float) -> LinearGaussian:
    """Two columns of unit norm with this cosine and ``G_ii = snr``: the family of S0 and S1."""
    return LinearGaussian(_columns(2, (1.0, 1.0), cosine), 1 / snr)


def _columns(d: int, norms: tuple[float, float], cosine: float) -> Floats:
    mixing = np.zeros((d, 2))
    mixing[:2] = norms * np.array([[1.0, cosine], [0.0, np.sqrt(1 - cosine**2)]])
    return mixing


def _equicorrelated(d: int, k: int, cosine: float) -> Floats:
    """The symmetric root of the matrix of cosines, which has two eigenvalues, over zeros."""
    common, rest = np.sqrt(1 + (k - 1) * cosine), np.sqrt(1 - cosine)
    mixing = np.zeros((d, k))
    mixing[:k] = rest * np.eye(k) + (common - rest) / k
    return mixing


#: Constructors of the reference cases.
CASES: dict[str, Callable[[], Case]] = {
    "S0": lambda: Case(pair(0.0, 10.0), "oracle"),
    "S1": lambda: Case(pair(0.8, 10.0), "oracle"),
    "S2": lambda: Case(LinearGaussian(_equicorrelated(8, 4, 0.6), 0.05), "oracle"),
    "L0": lambda: Case(LinearGaussian(_columns(5, (1.5, 0.8), 0.0), 0.1), "learned"),
    "L1": lambda: Case(LinearGaussian(_columns(5, (1.5, 0.8), 0.5), 0.1), "learned"),
}
