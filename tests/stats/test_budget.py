"""What a search of k settings finds on average: against all sets of k, one by one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from bench.stats import expected_best, selection_weights


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_the_expected_best_is_the_mean_over_all_sets(n):
    values = np.sort(np.random.default_rng(n).normal(size=n))
    best, found = expected_best(values)
    for k in range(1, n + 1):
        assert best[k - 1] == pytest.approx(np.mean([max(some) for some in combinations(values, k)]))
    np.testing.assert_allclose(found, 1.0)
    assert best[0] == pytest.approx(values.mean())
    assert best[-1] == values[-1]


def test_the_expected_maximum_of_the_first_n_numbers_is_known_in_closed_form():
    n = 20
    best, _ = expected_best(np.arange(1, n + 1))
    np.testing.assert_allclose(best, [k * (n + 1) / (k + 1) for k in range(1, n + 1)])


def test_settings_that_are_of_no_use_take_their_part_of_the_budget():
    useful, useless, k = [3.0, 1.0, 2.0], 4, 2
    best, found = expected_best(useful, useless)
    # Chosen by place, not by value: 2.0 before 1.0 before 3.0.
    places = [None] * useless + [0, 1, 2]
    sets = [[place for place in some if place is not None] for some in combinations(places, k)]
    chosen = [useful[max(some)] for some in sets if some]
    assert best[k - 1] == pytest.approx(np.mean(chosen))
    assert found[k - 1] == pytest.approx(len(chosen) / len(sets))
    assert len(best) == len(found) == 7
    assert found[-1] == 1.0


def test_where_nothing_is_of_use_nothing_is_found():
    best, found = expected_best([], 3)
    assert np.isnan(best).all()
    assert not found.any()


def test_weights_are_probabilities_and_k_lies_between_1_and_n():
    for k in (1, 7, 16):
        assert selection_weights(16, k).sum() == pytest.approx(1)
    for k in (0, 17):
        with pytest.raises(ValueError, match=r"between 1 and n = 16"):
            selection_weights(16, k)
