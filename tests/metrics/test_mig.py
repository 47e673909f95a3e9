import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from bench.metrics import mig
from bench.metrics.mig import equal_width_bins, information_matrix
from bench.registry import METRICS
from helpers.factors import grid
from helpers.rng import rng

SIZES = (3, 4, 6, 8)


def noisy_code(n: int = 1500, key: int = 3) -> tuple[np.ndarray, np.ndarray]:
    factors = grid(SIZES)[rng(key).integers(np.prod(SIZES), size=n)]
    return factors @ rng(key).normal(size=(4, 6)) + rng(key).normal(size=(n, 6)), factors


def brute_force(codes: np.ndarray, factors: np.ndarray, n_bins: int) -> tuple[np.ndarray, float]:
    """disentanglement_lib's steps, one pair at a time."""
    labels = [np.digitize(c, np.histogram(c, n_bins)[1][:-1]) for c in codes.T]
    information = np.array([[mutual_info_score(v, z) for v in factors.T] for z in labels])
    entropy = np.array([mutual_info_score(v, v) for v in factors.T])
    ordered = np.sort(information, axis=0)[::-1]
    return information, float(((ordered[0] - ordered[1]) / entropy).mean())


def test_is_registered_with_the_columns_it_returns():
    entry = METRICS.get("mig")
    codes, factors = noisy_code()
    result = mig(codes, factors, rng=rng())
    assert entry.value is mig
    assert set(entry.info.scores) <= set(result)
    json.dumps(result, allow_nan=False)


def test_importing_the_metrics_stays_cheap():
    code = "import sys, bench.metrics; print(sorted({'sklearn', 'scipy', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_perfect_code_scores_one():
    factors = grid(SIZES)
    result = mig(factors, factors, rng=rng())
    assert result["mig"] == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(np.diag(result["mutual_information"]), np.log(SIZES), atol=1e-12)


def test_noise_scores_nothing():
    factors = grid(SIZES)[rng(1).integers(np.prod(SIZES), size=10_000)]
    assert mig(rng(2).normal(size=(10_000, 6)), factors, rng=rng())["mig"] < 0.003


def test_every_factor_twice_scores_zero():
    factors = grid(SIZES)
    assert mig(np.hstack([factors, factors]), factors, rng=rng())["mig"] == 0


def test_one_code_for_two_factors_costs_nothing():
    # The known blind spot: MIG asks for one code per factor, not for one factor per code.
    factors = grid((3, 6))
    code = factors[:, :1] * 6 + factors[:, 1:]
    assert mig(code, factors, rng=rng())["mig"] == pytest.approx(1, abs=1e-12)


def test_twenty_bins_cap_the_score_at_the_sizes_of_dsprites():
    # Codes 0..n-1: 40 values fall in pairs into 20 bins; of 32 values 24 share a bin with another.
    expected = (1 + 1 + np.log(20) / np.log(40) + 2 * (1 - 0.75 * np.log(2) / np.log(32))) / 5
    assert expected == pytest.approx(0.90242, abs=5e-6)
    values = [np.repeat(np.arange(n), 5)[:, None] for n in (3, 6, 40, 32, 32)]
    each = [mig(v, v, rng=rng())["mig"] for v in values]
    assert np.mean(each) == pytest.approx(expected, abs=1e-12)
    # Negative control: another number of bins has another cap.
    nineteen = [mig(v, v, n_bins=19, rng=rng())["mig"] for v in values]
    assert abs(np.mean(nineteen) - expected) > 0.005


@pytest.mark.parametrize("n_bins", [2, 7, 20])
def test_equals_brute_force(n_bins):
    codes, factors = noisy_code()
    information, score = brute_force(codes, factors, n_bins)
    result = mig(codes, factors, n_bins=n_bins, rng=rng())
    np.testing.assert_allclose(result["mutual_information"], information, atol=1e-12)
    assert result["mig"] == pytest.approx(score, abs=1e-12)
    assert 0.001 < score < 0.9


def test_reshaping_where_a_transpose_is_meant_destroys_the_score():
    factors = grid(SIZES)
    scrambled = factors.T.reshape(factors.shape)
    assert mig(scrambled, factors, rng=rng())["mig"] < 0.6


def test_rotation_lowers_the_score():
    factors = grid(SIZES)
    centred = factors / factors.std(axis=0)
    turn = np.linalg.qr(rng(5).normal(size=(4, 4)))[0]
    assert mig(centred @ turn, factors, rng=rng())["mig"] < 0.5


def test_constant_latents_change_nothing():
    codes, factors = noisy_code()
    padded = np.hstack([codes, np.full((len(codes), 3), 7.25)])
    plain, result = mig(codes, factors, rng=rng()), mig(padded, factors, rng=rng())
    assert result["mig"] == plain["mig"]
    assert (plain["n_active"], result["n_active"]) == (6, 6)
    assert np.max(result["mutual_information"][6:]) == 0


def test_all_latents_constant_scores_zero():
    result = mig(np.ones((len(grid(SIZES)), 3)), grid(SIZES), rng=rng())
    assert (result["mig"], result["n_active"]) == (0, 0)


def test_factor_with_one_value_is_left_out_and_named():
    codes, factors = noisy_code()
    padded = np.insert(factors, 1, 5, axis=1)
    plain, result = mig(codes, factors, rng=rng()), mig(codes, padded, rng=rng())
    assert result["mig"] == plain["mig"]
    assert result["factors_left_out"] == [1]
    assert result["mig_per_factor"][1] is None
    assert result["mutual_information"][0][1] is None
    assert [v for v in result["mig_per_factor"] if v is not None] == plain["mig_per_factor"]


def test_single_latent_is_compared_with_nothing():
    factors = grid((3, 5))
    result = mig(factors[:, :1], factors, rng=rng())
    assert result["mig"] == pytest.approx(0.5, abs=1e-12)


def test_samples_rows_only_when_there_are_more():
    codes, factors = noisy_code()
    whole = mig(codes, factors, rng=rng(0))
    assert whole["mig"] == mig(codes, factors, rng=rng(1))["mig"]
    assert whole["n_samples"] == 1500
    part = mig(codes, factors, n_samples=500, rng=rng(0))
    assert part["n_samples"] == 500
    assert part == mig(codes, factors, n_samples=500, rng=rng(0))
    assert part["mig"] != mig(codes, factors, n_samples=500, rng=rng(1))["mig"]


def test_bins_are_those_of_numpy_and_the_maximum_is_in_the_last():
    column = rng(4).normal(size=(500, 1))
    expected = np.digitize(column[:, 0], np.histogram(column[:, 0], 20)[1][:-1]) - 1
    bins = equal_width_bins(column, 20)[:, 0]
    np.testing.assert_array_equal(bins, expected)
    assert bins[column[:, 0].argmax()] == 19
    assert np.unique(equal_width_bins(np.full((9, 1), -3.5), 20)).size == 1


def test_entropy_of_an_uneven_factor():
    factors = np.array([[0], [0], [0], [9]])
    _, entropy = information_matrix(np.zeros((4, 1), dtype=np.int64), factors)
    assert entropy[0] == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25), abs=1e-15)


@pytest.mark.parametrize(
    ("codes", "factors", "options", "message"),
    [
        (np.full((4, 2), np.nan), grid((2, 2)), {}, "NaN"),
        (np.arange(4.0), grid((2, 2)), {}, "shape"),
        (np.ones((4, 2)), np.zeros((4, 2), dtype=int), {}, "at least two values"),
        (np.ones((4, 2)), np.zeros((4, 0), dtype=int), {}, "at least two values"),
        (np.ones((1, 2)), np.zeros((1, 2), dtype=int), {}, "at least two values"),
        (np.ones((4, 2)), grid((2, 2)), {"n_bins": 1}, "n_bins"),
        (np.ones((4, 2)), grid((2, 2)), {"n_samples": 1}, "n_samples"),
    ],
)
def test_refuses(codes, factors, options, message):
    with pytest.raises(ValueError, match=message):
        mig(codes, factors, rng=rng(), **options)


@settings(deadline=None, max_examples=30)
@given(key=st.integers(0, 2**32), n=st.integers(5, 80), n_codes=st.integers(1, 4), size=st.integers(2, 6))
def test_is_bounded_and_ignores_the_order_and_scale_of_latents_and_the_names_of_classes(key, n, n_codes, size):
    draw = rng(key)
    codes = draw.normal(size=(n, n_codes))
    factors = draw.integers(size, size=(n, 2))
    factors[:2, 0] = (0, 1)
    score = mig(codes, factors, rng=rng())["mig"]
    assert 0 <= score <= 1
    renamed = draw.permutation(size)[factors] * 3 - 7
    changed = codes[:, draw.permutation(n_codes)] * 4.0
    assert mig(changed, renamed, rng=rng())["mig"] == pytest.approx(score, abs=1e-12)
