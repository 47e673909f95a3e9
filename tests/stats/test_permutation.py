from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.stats import holm, mann_whitney, permutation_paired, permutation_unpaired
from helpers.rng import rng

SMALL = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=6)


@settings(deadline=None, max_examples=50)
@given(SMALL)
def test_sign_flips_written_out(x: list[float]) -> None:
    sums = [
        abs(sum(s * v for s, v in zip(signs, x, strict=True))) for signs in itertools.product([1, -1], repeat=len(x))
    ]
    found = permutation_paired(x, rng=rng())
    assert (found.exact, found.n_arrangements) == (True, 2 ** len(x))
    assert found.p == np.mean([total >= abs(sum(x)) for total in sums])


@settings(deadline=None, max_examples=50)
@given(SMALL, SMALL)
def test_regroupings_written_out(a: list[float], b: list[float]) -> None:
    z, n = [*a, *b], len(a)
    gaps = []
    for chosen in itertools.combinations(range(len(z)), n):
        inside = sum(z[i] for i in chosen)
        gaps.append(abs(inside / n - (sum(z) - inside) / len(b)))
    found = permutation_unpaired(a, b, rng=rng())
    observed = abs(np.mean(a) - np.mean(b))
    assert found.exact
    assert found.n_arrangements == math.comb(len(z), n)
    assert found.p == pytest.approx(np.mean([gap >= observed - 1e-9 for gap in gaps]))


@pytest.mark.parametrize("seed", range(4))
def test_agree_with_scipys_permutation_test(seed: int) -> None:
    a, b = rng(seed).exponential(size=6), rng(seed + 50).exponential(size=5) + 0.7
    paired = stats.permutation_test((a,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert permutation_paired(a, rng=rng()).p == pytest.approx(paired.pvalue)

    def gap(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return np.abs(x.mean(axis=axis) - y.mean(axis=axis))

    unpaired = stats.permutation_test((a, b), gap, alternative="greater", n_resamples=np.inf)
    assert permutation_unpaired(a, b, rng=rng()).p == pytest.approx(unpaired.pvalue)


@settings(deadline=None, max_examples=50)
@given(st.permutations(range(9)), st.integers(1, 8))
def test_mann_whitney_agrees_with_scipys_exact_one_without_ties(values: list[int], n: int) -> None:
    a, b = values[:n], values[n:]
    found, expected = mann_whitney(a, b, rng=rng()), stats.mannwhitneyu(a, b, method="exact")
    assert found.statistic == expected.statistic
    assert found.p == pytest.approx(expected.pvalue)


def test_mann_whitney_is_exact_with_ties() -> None:
    # Ranks 1.5, 1.5, 3.5, 3.5: of the six regroupings two are as far apart as the observed one.
    found = mann_whitney([0.0, 0.0], [1.0, 1.0], rng=rng())
    assert (found.statistic, found.p) == (0.0, pytest.approx(2 / 6))
    mixed = mann_whitney([1.0, 2.0, 2.0], [2.0, 3.0, 4.0], rng=rng())
    assert mixed.statistic == stats.mannwhitneyu([1.0, 2.0, 2.0], [2.0, 3.0, 4.0]).statistic == 1.0


def test_smallest_p_with_the_least_number_of_seeds() -> None:
    found = [mann_whitney(range(n), range(10, 10 + n), rng=rng()).p for n in (3, 4, 5)]
    assert found == pytest.approx([0.1, 2 / 70, 2 / 252])
    assert permutation_paired([1.0, 1.1, 1.2, 1.3, 1.4], rng=rng()).p == 2 / 32


def test_drawn_arrangements_approach_the_exact_p() -> None:
    x, a, b = rng(1).normal(0.5, 1, 10), rng(2).normal(0.8, 1, 8), rng(3).normal(0, 1, 7)
    for exact, drawn in (
        (permutation_paired(x, rng=rng()), permutation_paired(x, rng=rng(4), max_exact=0)),
        (permutation_unpaired(a, b, rng=rng()), permutation_unpaired(a, b, rng=rng(4), max_exact=0)),
        (mann_whitney(a, b, rng=rng()), mann_whitney(a, b, rng=rng(4), max_exact=0)),
    ):
        assert exact.exact
        assert not drawn.exact
        assert drawn.statistic == exact.statistic
        assert drawn.n_arrangements == 9999
        assert drawn.p == pytest.approx(exact.p, abs=4 * math.sqrt(exact.p / 9999))


def test_drawn_p_is_never_zero_and_follows_its_generator() -> None:
    x = np.arange(1.0, 40.0)
    assert permutation_paired(x, rng=rng()).p == 1 / 10_000
    y = rng(1).normal(0.2, 1, 30)
    assert permutation_paired(y, rng=rng(2)) == permutation_paired(y, rng=rng(2))
    assert permutation_paired(y, rng=rng(2)) != permutation_paired(y, rng=rng(3))


def test_sums_that_differ_by_rounding_count_as_equal() -> None:
    # 0.1 + 0.2 - 0.3 isn't 0 in floating point; all eight sums are as far as 0 or farther.
    assert permutation_paired([0.1, 0.2, -0.3], rng=rng()).p == 1.0
    scaled = [
        permutation_paired(np.array([1.0, 2.0, 3.0, -1.0, 4.0]) * f, rng=rng()).p for f in (1.0, 0.1, 1 / 3, 1e-9)
    ]
    assert len(set(scaled)) == 1


def test_no_difference_at_all() -> None:
    assert permutation_paired([0.0] * 6, rng=rng()).p == 1.0
    assert permutation_unpaired([0.1] * 4, [0.1] * 5, rng=rng()).p == 1.0
    assert mann_whitney([0.1] * 4, [0.1] * 5, rng=rng()).p == 1.0


@settings(deadline=None, max_examples=40)
@given(SMALL, SMALL, st.integers(-9, 9), st.sampled_from([0.1, 3.0, 1e6]))
def test_invariances(a: list[float], b: list[float], shift: int, factor: float) -> None:
    x, y = np.array(a), np.array(b)
    for test in (permutation_unpaired, mann_whitney):
        p = test(x, y, rng=rng()).p
        assert test(y, x, rng=rng()).p == pytest.approx(p)
        assert test(x + shift, y + shift, rng=rng()).p == pytest.approx(p)
        assert test(factor * x, factor * y, rng=rng()).p == pytest.approx(p)
    assert permutation_paired(-x, rng=rng()).p == permutation_paired(x, rng=rng()).p
    assert mann_whitney(np.exp(x), np.exp(y), rng=rng()).p == mann_whitney(x, y, rng=rng()).p


def test_an_unpaired_test_of_paired_data_misses_what_the_paired_one_finds() -> None:
    seed_effect = rng(1).normal(0, 1.0, 8)
    a, b = seed_effect + rng(2).normal(0.3, 0.1, 8), seed_effect
    assert permutation_paired(a - b, rng=rng()).p <= 0.01
    assert permutation_unpaired(a, b, rng=rng()).p > 0.2


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.04; the last mustn't fall below the third.
    np.testing.assert_allclose(holm([[0.04, 0.01], [0.03, 0.02]]), [[0.06, 0.04], [0.06, 0.06]])
    np.testing.assert_allclose(holm([0.5, 0.9, 0.6]), [1.0, 1.0, 1.0])
    assert holm([]).shape == (0,)


def test_holm_leaves_out_what_could_not_be_tested() -> None:
    np.testing.assert_allclose(holm([math.nan, 0.02, math.nan, 0.03]), [math.nan, 0.04, math.nan, 0.04])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_as_its_step_down_rule(p: list[float], level: float) -> None:
    rejected = set()
    for step, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[i] * (len(p) - step) > level:
            break
        rejected.add(i)
    assert {i for i, value in enumerate(holm(p)) if value <= level} == rejected


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_plain_p_and_bonferronis(p: list[float]) -> None:
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, len(p) * np.array(p))).all()
    np.testing.assert_array_equal(holm(p[::-1]), adjusted[::-1])


@pytest.mark.parametrize("p", [[-0.1], [1.1]])
def test_holm_of_something_else(p: list[float]) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        holm(p)


def test_type_one_error_of_one_test_and_of_a_family() -> None:
    # 400 studies of 3 methods x 4 metrics without any difference, 9 seeds, skewed values that depend on each other.
    single, any_plain, any_holm = 0, 0, 0
    for study in range(400):
        generator = rng(study)
        common = generator.exponential(size=(9, 1, 1))
        values = common + generator.exponential(size=(9, 4, 4))
        gaps = values[:, 1:] - values[:, :1]
        p = np.array([[permutation_paired(gaps[:, i, j], rng=generator).p for j in range(4)] for i in range(3)])
        single += p[0, 0] <= 0.05
        any_plain += (p <= 0.05).any()
        any_holm += (holm(p) <= 0.05).any()
    # Three standard errors of 0.05 in 400 are 0.033.
    assert 0.02 <= single / 400 <= 0.083
    assert any_holm / 400 <= 0.083
    assert any_plain / 400 > 0.25  # what the correction is for


def test_type_one_error_of_unpaired_tests() -> None:
    p = np.array(
        [
            [test(rng(k).exponential(size=6), rng(k + 5000).exponential(size=5), rng=rng(k)).p for k in range(400)]
            for test in (permutation_unpaired, mann_whitney)
        ]
    )
    share = (p <= 0.05).mean(axis=1)
    assert (share <= 0.083).all()
    assert (share >= 0.015).all()


@pytest.mark.parametrize(
    "call", [lambda: permutation_paired([], rng=rng()), lambda: mann_whitney([], [1.0], rng=rng())]
)
def test_nothing_to_test(call: object) -> None:
    with pytest.raises(ValueError, match="nothing to test"):
        call()  # type: ignore[operator]
