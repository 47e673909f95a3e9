import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import LinearSVC

from bench.metrics import sap
from bench.metrics.sap import fit_machines, one_code_accuracy, squared_correlation
from helpers.factors import grid, standardised
from helpers.rng import rng

SIZES = (3, 4, 6, 8)


FACTORS = np.tile(grid(SIZES), (3, 1))
PERFECT = standardised(FACTORS)


def liblinear(x: np.ndarray, y: np.ndarray) -> LinearSVC:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LinearSVC(C=0.01, class_weight="balanced", dual=True, tol=1e-9, max_iter=100_000, random_state=0).fit(
            x[:, None], y
        )


@pytest.mark.parametrize(
    ("n_classes", "scale", "shift"), [(2, 1.0, 0.0), (3, 1.0, 0.0), (7, 2.0, 1.5), (12, 0.2, -3.0)]
)
def test_machines_are_liblinears_optimum(n_classes, scale, shift):
    y = (n_classes * rng(1).random(400) ** 1.5).astype(int)  # classes of unequal size
    x = scale * (y - y.mean() + rng(2).normal(size=400)) + shift
    w, b = fit_machines(x, y, 0.01)
    model = liblinear(x, y)
    rows = slice(1, None) if y.max() == 1 else slice(None)
    np.testing.assert_allclose(w[rows], model.coef_[:, 0], atol=2e-4, rtol=1e-3)
    np.testing.assert_allclose(b[rows], model.intercept_, atol=2e-4, rtol=1e-3)


def test_accuracy_is_that_of_liblinear():
    for k in range(4):
        x = PERFECT[:, k] + 0.3 * rng(k).normal(size=len(PERFECT))
        expected = liblinear(x[::2], FACTORS[::2, k]).score(x[1::2, None], FACTORS[1::2, k])
        got = one_code_accuracy(x[::2], FACTORS[::2, k], x[1::2], FACTORS[1::2, k], 0.01)
        assert got == pytest.approx(expected, abs=2e-3)


def test_squared_correlation_is_numpys():
    codes = FACTORS @ rng(1).normal(size=(4, 3)) + rng(2).normal(size=(len(FACTORS), 3))
    expected = np.corrcoef(codes.T, FACTORS.T)[:3, 3:] ** 2
    np.testing.assert_allclose(squared_correlation(codes, FACTORS), expected, atol=1e-12)


def test_perfect_code():
    result = sap(PERFECT, FACTORS, rng=rng())
    # Up to the correlation that sampling rows of a grid leaves between factors.
    assert result["sap_continuous"] == pytest.approx(1, abs=0.02)
    # One-against-rest lines on one number single out the ends and lose the middle classes.
    assert 0.2 < result["sap"] < 0.8
    json.dumps(result, allow_nan=False)


def test_two_values_can_reach_the_gap_above_chance():
    factors = np.tile(grid((2, 2)), (300, 1))
    result = sap(factors * 2.0 - 1, factors, rng=rng())
    assert result["sap"] == pytest.approx(0.5, abs=0.06)
    assert result["accuracy"][0][0] == 1


def test_every_factor_twice_scores_nothing():
    result = sap(np.hstack([PERFECT, PERFECT]), FACTORS, rng=rng())
    assert (result["sap"], result["sap_continuous"]) == (0, 0)
    # The discrete form takes a rescaled copy for a different code, the continuous one doesn't.
    scaled = sap(np.hstack([PERFECT, 0.02 * PERFECT]), FACTORS, rng=rng())
    assert scaled["sap"] > 0
    assert scaled["sap_continuous"] == pytest.approx(0, abs=1e-12)


def test_noise_scores_little_and_rotation_less_than_perfect():
    noise = sap(rng(1).normal(size=(len(FACTORS), 5)), FACTORS, rng=rng())
    assert noise["sap"] < 0.06
    assert noise["sap_continuous"] < 0.02
    turn = np.linalg.qr(rng(5).normal(size=(4, 4)))[0]
    assert sap(PERFECT @ turn, FACTORS, rng=rng())["sap_continuous"] < 0.6


def test_permuted_values_lower_the_continuous_form_and_another_direction_does_not():
    turned = FACTORS.max(axis=0) - FACTORS
    assert sap(PERFECT, turned, rng=rng())["sap_continuous"] == sap(PERFECT, FACTORS, rng=rng())["sap_continuous"]
    shuffled = rng(3).permutation(8)[FACTORS[:, 3:]]
    assert sap(PERFECT, shuffled, rng=rng())["sap_continuous"] < 0.7


def test_reshaping_where_a_transpose_is_meant_destroys_the_score():
    scrambled = PERFECT.T.reshape(PERFECT.shape)
    assert sap(scrambled, FACTORS, rng=rng())["sap_continuous"] < 0.5


def test_constant_latents_change_nothing_where_a_live_one_is_second():
    codes = np.hstack([PERFECT + rng(1).normal(size=PERFECT.shape), np.full((len(PERFECT), 2), 0.7)])
    result = sap(codes, FACTORS, rng=rng())
    assert result["n_active"] == 4
    assert np.max(result["squared_correlation"][4:]) == 0
    assert result["sap_continuous"] == sap(codes[:, :4], FACTORS, rng=rng())["sap_continuous"]


def test_all_latents_constant_scores_zero():
    result = sap(np.ones((len(FACTORS), 3)), FACTORS, rng=rng())
    assert (result["sap"], result["sap_continuous"], result["n_active"]) == (0, 0, 0)


def test_factor_with_one_value_is_left_out():
    plain, result = sap(PERFECT, FACTORS, rng=rng()), sap(PERFECT, np.insert(FACTORS, 1, 7, axis=1), rng=rng())
    assert result["sap"] == plain["sap"]
    assert result["factors_left_out"] == [1]
    assert result["sap_per_factor"][1] is None


def test_small_tables_are_split_in_three():
    result = sap(PERFECT[:9], FACTORS[:9], rng=rng())
    assert (result["n_train"], result["n_test"]) == (6, 3)
    large = sap(PERFECT, FACTORS, n_train=500, n_test=200, rng=rng())
    assert (large["n_train"], large["n_test"]) == (500, 200)
    assert large == sap(PERFECT, FACTORS, n_train=500, n_test=200, rng=rng())


@pytest.mark.parametrize(
    ("codes", "factors", "options", "message"),
    [
        (np.full((4, 2), np.nan), grid((2, 2)), {}, "NaN"),
        (np.arange(4.0), grid((2, 2)), {}, "shape"),
        (np.arange(4.0)[:, None], grid((2, 2)), {}, "two codes"),
        (np.ones((2, 2)), np.eye(2, dtype=int), {}, "3 rows"),
        (np.ones((4, 2)), np.zeros((4, 2), dtype=int), {}, "at least two values"),
        (np.ones((4, 2)), grid((2, 2)), {"c": 0.0}, "c must"),
        (np.ones((4, 2)), grid((2, 2)), {"n_test": 0}, "n_test"),
    ],
)
def test_refuses(codes, factors, options, message):
    with pytest.raises(ValueError, match=message):
        sap(codes, factors, rng=rng(), **options)


@settings(deadline=None, max_examples=25)
@given(
    key=st.integers(0, 2**32), n=st.integers(12, 60), n_classes=st.integers(2, 5), scale=st.sampled_from([1e-3, 1, 50])
)
def test_machines_are_at_a_minimum(key, n, n_classes, scale):
    draw = rng(key)
    x = draw.normal(size=n) * scale
    y = np.concatenate([np.arange(n_classes), draw.integers(n_classes, size=n - n_classes)])
    w, b = fit_machines(x, y, 0.01)
    counts = np.bincount(y)
    for k in range(n_classes):
        sign = np.where(y == k, 1.0, -1.0)
        weight = np.where(y == k, n / (n_classes * counts[k]), 1.0)
        if n_classes == 2:
            weight = n / (2 * counts[y])
        slack = np.maximum(0, 1 - sign * (w[k] * x + b[k])) * weight * sign * 0.02
        np.testing.assert_allclose([w[k] - slack @ x, b[k] - slack.sum()], 0, atol=1e-7 * (1 + scale))


@settings(deadline=None, max_examples=15)
@given(key=st.integers(0, 2**32), scale=st.sampled_from([-3.0, 0.1, 40.0]))
def test_continuous_form_is_bounded_and_ignores_order_sign_and_scale(key, scale):
    draw = rng(key)
    codes, factors = draw.normal(size=(60, 3)), draw.integers(3, size=(60, 2))
    plain = sap(codes, factors, rng=rng())
    changed = sap(codes[:, ::-1] * scale, factors, rng=rng())
    assert 0 <= plain["sap"] <= 1
    assert changed["sap_continuous"] == pytest.approx(plain["sap_continuous"], abs=1e-12)
