"""Ranks over several tasks."""

from __future__ import annotations

import numpy as np
import pytest

from bench.stats import MIN_SEEDS, TOO_FEW, mean_ranks
from helpers.rng import rng


def task(**means):
    return {method: {seed: mean + 0.001 * seed for seed in range(MIN_SEEDS)} for method, mean in means.items()}


def test_clear_orders_are_averaged_without_spread():
    found = mean_ranks([task(a=3, b=2, c=1), task(a=1, b=2, c=0)], higher_is_better=True, rng=rng())
    assert found.ranks.tolist() == [[1, 2, 3], [2, 1, 3]]
    assert found.mean.tolist() == found.low.tolist() == found.high.tolist() == [1.5, 1.5, 3]
    assert (found.n_seeds, found.note) == (MIN_SEEDS, "")
    assert mean_ranks([task(a=3, b=2)], higher_is_better=False, rng=rng()).mean.tolist() == [2, 1]


def test_noise_widens_the_interval_and_ties_share_a_rank():
    noisy = {name: dict(enumerate(rng(seed).normal(size=10))) for seed, name in enumerate("abc")}
    found = mean_ranks([noisy, noisy], higher_is_better=True, rng=rng())
    assert (found.low < found.mean).any()
    assert (found.high > found.mean).any()
    assert found.mean.sum() == pytest.approx(6)
    assert mean_ranks([task(a=1, b=1)], higher_is_better=True, rng=rng()).mean.tolist() == [1.5, 1.5]


def test_more_tasks_tell_more():
    many = [{n: dict(enumerate(rng(10 * t + i).normal(size=5))) for i, n in enumerate("ab")} for t in range(40)]
    one, all_ = (mean_ranks(tasks, higher_is_better=True, rng=rng()) for tasks in (many[:1], many))
    assert (all_.high - all_.low).max() < (one.high - one.low).max()


def test_only_common_seeds_count_and_few_are_marked():
    a, b = {0: 1.0, 1: 1.0, 7: -99.0}, {0: 0.0, 1: 0.5}
    found = mean_ranks([{"a": a, "b": b}], higher_is_better=True, rng=rng())
    assert found.mean.tolist() == [1, 2]
    assert (found.n_seeds, found.note) == (2, TOO_FEW)


@pytest.mark.parametrize(
    "tasks",
    [[], [task(a=1)], [task(a=1, b=2), task(a=1, c=2)], [{"a": {0: 1.0}, "b": {1: 1.0}}], [task(a=1, b=np.nan)]],
)
def test_what_can_not_be_ranked_is_refused(tasks):
    with pytest.raises(ValueError):  # noqa: PT011  (each has its own message)
        mean_ranks(tasks, higher_is_better=True, rng=rng())
