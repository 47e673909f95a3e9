"""The error of scores that are estimated from a sample, by what half of its rows would change.

If n rows give a score with variance ``s / n``, the score of a random half has twice the variance and shares the rest
with the whole: it differs by noise of variance ``s / n``, that of the score itself (the delete-half jackknife; Shao and
Wu, A General Theory for Jackknife Variance Estimation, Annals of Statistics 1989). A bias that falls with the root of
n, as of maxima and entropies of what is noise alone, grows by ``sqrt(2) - 1`` of itself; one that falls faster by more.
One half costs half as much as the score. Each factor gets a half of its own, to see more than one draw of the noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from bench.metric import Ints

Part = TypeVar("Part")


def draw_halves(classes: Ints, rng: np.random.Generator) -> list[Ints]:
    """Draw half of the rows for every factor, half of each of its values, the odd row included.

    Parameters
    ----------
    classes : ndarray of shape (N, F), int64
        Factor classes. A column of one value has half of all rows.
    rng : numpy.random.Generator

    Returns
    -------
    list of ndarray of int64
        Row numbers per factor, ascending; more than half of all rows where values have few.
    """
    halves = []
    for column in classes.T:
        order = rng.permutation(len(column))
        order = order[np.argsort(column[order], kind="stable")]
        _, counts = np.unique(column, return_counts=True)
        place = np.arange(len(column)) - np.repeat(np.cumsum(counts) - counts, counts)
        halves.append(np.sort(order[place % 2 == 0]))
    return halves


def error_of_halves(
    score: Callable[[Sequence[Part]], float | None], whole: Sequence[Part], half: Sequence[Part], share: float
) -> float:
    """Estimate the error of a score that is put together from parts, one or more per factor.

    Parameters
    ----------
    score : callable
        The score of such parts, None where it has no value.
    whole, half : sequence
        The parts as they follow from all rows and from the halves.
    share : float
        The largest share of the rows that a half has; see `largest_share`.

    Returns
    -------
    float
        The larger of two: the noise, which is the root of the summed squares of the changes where one part comes from
        its half, and the bias, which is the change where all do over ``sqrt(2) - 1``. Halves of more than half of the
        rows change less, and are scaled accordingly. Infinite if no row was left out or a score has no value.
    """
    value = score(whole)
    mixed = [half, *([*whole[:k], part, *whole[k + 1 :]] for k, part in enumerate(half))]
    changed = [score(parts) for parts in mixed]
    if share >= 1 or value is None or any(other is None for other in changed):
        return math.inf
    together, *singly = (other - value for other in changed if other is not None)
    noise = math.hypot(*singly) * math.sqrt(share / (1 - share))
    return max(noise, abs(together) / (1 / math.sqrt(share) - 1))


def largest_share(halves: Sequence[Ints], n_rows: int) -> float:
    """Rows of the largest half over all rows, at least 0.5."""
    return max(0.5, *(len(rows) / n_rows for rows in halves))


def at_least_one_row(error: float, n_rows: int) -> float:
    """An error of a score in [0, 1], at least ``1 / n_rows``: what is as rare as that may be in no row."""
    return max(error, 1 / n_rows)
