"""Ranks of methods over several tasks, and how they move when the seeds are drawn again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from bench.stats.intervals import MIN_SEEDS, N_RESAMPLES, TOO_FEW, check_level, finite_vector, quantiles


@dataclass(frozen=True)
class MeanRanks:
    """Mean over tasks of methods' ranks.

    Attributes
    ----------
    methods : tuple of str
        M methods, in the order given.
    ranks : ndarray of float64, shape (T, M)
        On each task, 1 the best; methods that tie share the mean rank.
    mean, low, high : ndarray of float64, shape (M,)
        Mean over tasks, and its interval.
    n_seeds : int
        Fewest that a task has.
    note : str
        "too few seeds to compare" below `bench.stats.MIN_SEEDS`, else empty.
    """

    methods: tuple[str, ...]
    ranks: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n_seeds: int
    note: str


def mean_ranks(
    tasks: Sequence[Mapping[str, Mapping[int, float]]],
    *,
    higher_is_better: bool,
    rng: np.random.Generator,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
) -> MeanRanks:
    """Rank methods by their means on each task, and average the ranks.

    The interval is the bootstrap's over seeds, drawn on each task by itself and for all methods alike. It says how
    sure the ranks on these tasks are, not what other tasks would show: a handful of tasks is no sample.

    Parameters
    ----------
    tasks : sequence of mappings
        Each from method to seed to value, with the same methods, two at least. Only seeds that all methods of a task
        have are used.
    higher_is_better : bool
        Direction.
    rng : numpy.random.Generator
        Draws the seeds.
    confidence : float, in (0, 1)
        Level of the intervals.
    n_resamples : int
        Number of draws.

    Raises
    ------
    ValueError
        No task, fewer than two methods, other methods on another task, no common seed, or values that aren't finite.

    Examples
    --------
    >>> tasks = [{"a": {0: 1.0, 1: 2.0}, "b": {0: 0.0, 1: 0.5}}] * 2
    >>> mean_ranks(tasks, higher_is_better=True, rng=np.random.default_rng(0)).mean.tolist()
    [1.0, 2.0]

    References
    ----------
    Mean ranks over data sets: Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7 (2006).
    The intervals are this suite's.
    """
    check_level(confidence)
    methods = tuple(tasks[0]) if tasks else ()
    if len(methods) < 2 or any(set(task) != set(methods) for task in tasks):
        raise ValueError("ranks need at least one task, and the same two or more methods on each")
    observed, resampled, sizes = [], [], []
    for task in tasks:
        seeds = sorted(set.intersection(*(set(values) for values in task.values())))
        if not seeds:
            raise ValueError("the methods of a task have no seed in common")
        table = np.array([finite_vector([task[method][seed] for seed in seeds]) for method in methods])
        signed = -table if higher_is_better else table
        draws = rng.integers(0, len(seeds), (n_resamples, len(seeds)))
        observed.append(rankdata(signed.mean(axis=1)))
        resampled.append(rankdata(np.stack([row[draws].mean(axis=1) for row in signed]), axis=0))
        sizes.append(len(seeds))
    ranks, drawn = np.array(observed), np.mean(resampled, axis=0)
    bounds = np.array([quantiles(row, confidence) for row in drawn])
    note = TOO_FEW if min(sizes) < MIN_SEEDS else ""
    return MeanRanks(methods, ranks, ranks.mean(axis=0), bounds[:, 0], bounds[:, 1], min(sizes), note)
