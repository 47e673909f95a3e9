"""Which images are trained on and which are held out: options that every data set of images has.

A share of the images is held out by a hash of their row, so that scores can be taken on images never trained on. Two
factors are correlated by which images are trained on and how often; evaluation stays on the full grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.errors import did_you_mean
from bench.neutral import neutral
from bench.seeds import stream

Rows = NDArray[np.int64]
OptionsT = TypeVar("OptionsT")

#: Added to a row before it is hashed: the stream of the split. Another number holds out other images.
SPLIT_KEY = 0x5EED_0F_5911_7000
#: Strengths of a correlation: beyond them its square leaves what a float64 holds, long after it stops to matter.
STRENGTHS = (1e-9, 1e9)


@dataclass(frozen=True, kw_only=True)
class RowOptions:
    """Which rows are trained on; a subclass that has a ``__post_init__`` calls this one's.

    Attributes
    ----------
    split : float
        Share of the images that is held out, 0: none. Whether an image is depends on its row and the share alone, and
        what a smaller share holds out a larger one does too. Images of different rows may be alike: dSprites' first
        and last orientation are the same image.
    correlated : str
        ``"factor_a:factor_b:strength"``, such as ``"pos_x:pos_y:0.2"``: images are trained on in proportion to
        ``exp(-(u - v)² / (2 strength²))``, with u and v the two factors' classes divided by the last class, so from 0
        to 1. The lower the strength the closer the two are tied; "" or "none": all images alike. See `draw_correlated`.
    """

    split: float = neutral(0.0)
    correlated: str = neutral("")

    def __post_init__(self) -> None:
        if not 0 <= self.split < 1:
            raise ValueError(f"split={self.split!r}: needs the share of images to hold out, above 0 and below 1")
        object.__setattr__(self, "split", float(self.split))
        object.__setattr__(self, "correlated", _spelt(self.correlated))


def _spelt(text: str) -> str:
    """The correlation in its one spelling; a `ValueError` says what is wrong in one line."""
    if not text.strip() or text.strip() == "none":
        return ""
    first, second, strength = parse_correlated(text)
    return f"{first}:{second}:{f'{strength:g}' if float(f'{strength:g}') == strength else repr(strength)}"


def parse_correlated(text: str) -> tuple[str, str, float]:
    """Both factors and the strength of what `RowOptions.correlated` holds.

    Raises
    ------
    ValueError
        In one line, if it isn't two different names and a number above 0.

    Examples
    --------
    >>> parse_correlated("pos_x:pos_y:0.2")
    ('pos_x', 'pos_y', 0.2)
    """
    where = f"correlated={text!r}"
    parts = [part.strip() for part in text.split(":")]
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"{where}: needs two factors and a strength, such as pos_x:pos_y:0.2")
    try:
        strength = float(parts[2])
    except ValueError:
        strength = math.nan
    if not 0 < strength < math.inf:
        raise ValueError(f"{where}: the strength {parts[2]!r} must be a number above 0")
    low, high = STRENGTHS
    if not low <= strength <= high:
        raise ValueError(f"{where}: the strength {parts[2]!r} must lie from {low:g} to {high:g}")
    if parts[0] == parts[1]:
        raise ValueError(f"{where}: factor {parts[0]!r} can't be correlated with itself")
    return parts[0], parts[1], strength


def without_rows(options: OptionsT) -> OptionsT:
    """The same options with all images trained on alike: the images don't depend on which of them are."""
    return replace(options, split=0.0, correlated="") if isinstance(options, RowOptions) else options


def row_settings(options: Any) -> set[str]:
    """Names of the options that decide which rows are trained on, and nothing about the images."""
    return {"split", "correlated"} if isinstance(options, RowOptions) else set()


def is_held_out(rows: Rows, share: float) -> NDArray[np.bool_]:
    """Whether each of these rows is held out.

    Parameters
    ----------
    rows : ndarray of shape (n,), int64
    share : float
        From 0 to 1.

    Returns
    -------
    ndarray of shape (n,), bool
        A function of the row and the share alone: neither the number of images nor their order matters.

    References
    ----------
    The hash is the finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA
    2014), a bijection of 64-bit integers.
    """
    z = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(SPLIT_KEY)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    # The upper 53 bits are a float64 in [0, 1) without rounding.
    held: NDArray[np.bool_] = (z >> np.uint64(11)).astype(np.float64) * 2.0**-53 < share
    return held


def correlated_columns(text: str, names: Sequence[str], sizes: Sequence[int]) -> tuple[int, int, float]:
    """Places of the two factors among those of a data set, and the strength.

    Raises
    ------
    ValueError
        In one line, if there is no such factor, or nothing of it varies.
    """
    *factors, strength = parse_correlated(text)
    places = []
    for name in factors:
        if name not in names:
            known = ", ".join(names) if names else "none, its factors aren't known"
            raise ValueError(f"correlated={text}: unknown factor '{name}'{did_you_mean(name, names)}; it has: {known}")
        places.append(list(names).index(name))
        if sizes[places[-1]] < 2:
            raise ValueError(f"correlated={text}: factor '{name}' has one class only, nothing can go with it")
    return places[0], places[1], strength


def draw_correlated(
    first: NDArray[np.int64], second: NDArray[np.int64], sizes: tuple[int, int], strength: float
) -> Rows:
    """Places of the images to train on, so that two factors correlate: some often, some never.

    An image's weight is ``exp(-(u - v)² / (2 strength²))`` with ``u = first / (sizes[0] - 1)`` and
    ``v = second / (sizes[1] - 1)``. As many are drawn as there are images, by systematic sampling: ordered by the two
    classes, and at random within equal ones, each image comes as often as it is expected to, rounded down or up, and
    so does every pair of classes. The draw is fixed: the same for every method and seed.

    Parameters
    ----------
    first, second : ndarray of shape (n,), int64
        Classes of the two factors.
    sizes : tuple of int
        Number of classes of each, at least 2.
    strength : float
        Above 0, in units of the factors' ranges; 0.2 ties them closely, above 1 hardly.

    Returns
    -------
    ndarray of shape (n,), int64
        Ascending, with repeats.

    References
    ----------
    Träuble et al.: On Disentangled Representations Learned from Correlated Data, ICML 2021 (arXiv 2006.07886), whose
    ``exp(-(a - α b)² / (2 σ²))`` with ``α = a_max / b_max`` this is in units of a's range. There the images of a batch
    are drawn with these probabilities anew; here they are a fixed multiset, so that an epoch is one.
    """
    n = len(first)
    rng = stream(0, "correlated")
    order = rng.permutation(n)
    order = order[np.argsort((first * sizes[1] + second)[order], kind="stable")]
    apart = first[order] / (sizes[0] - 1) - second[order] / (sizes[1] - 1)
    # Relative to the closest pair there is: a tiny strength must not make all weights zero.
    exponent = (apart**2 - (apart**2).min()) / (2 * strength**2)
    ends = np.cumsum(np.exp(-exponent))
    points = (np.arange(n) + rng.random()) * (ends[-1] / n)
    chosen = np.minimum(np.searchsorted(ends, points, side="right"), n - 1)
    return np.sort(order[chosen])
