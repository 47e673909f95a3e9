import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from bench.metrics import beta_vae_score
from bench.metrics._votes import Slices
from bench.metrics.beta_vae_score import _points, fit_logistic
from helpers.factors import grid, standardised
from helpers.rng import rng

SIZES = (3, 4, 5, 4, 3)
FEW = {"n_train": 1000, "n_test": 500, "batch_size": 32}


FACTORS = grid(SIZES)
PERFECT = standardised(FACTORS)


def test_perfect_code_scores_one():
    result = beta_vae_score(PERFECT[:, [2, 0, 1, 4, 3]], FACTORS, **FEW, rng=rng())
    assert result["beta_vae_score"] > 0.995
    assert min(result["accuracy_per_factor"]) > 0.98
    assert result["chance"] == 0.2
    json.dumps(result, allow_nan=False)


def test_noise_scores_chance():
    draw = rng(3)
    noise, factors = draw.normal(size=(30_000, 6)), draw.integers(4, size=(30_000, 5))
    assert beta_vae_score(noise, factors, **FEW, rng=rng())["beta_vae_score"] == pytest.approx(0.2, abs=0.06)


def test_points_are_those_of_a_simulator_of_the_paper():
    # On a full grid, drawing rows is drawing factors: two batches of factors, one column copied.
    k, draw = 2, rng(4)
    first, second = (np.stack([draw.integers(n, size=40_000) for n in SIZES], axis=1) for _ in range(2))
    second[:, k] = first[:, k]
    codes = PERFECT @ rng(5).normal(size=(5, 4))
    a, b = (np.ravel_multi_index(tuple(v.T), SIZES) for v in (first, second))
    expected = np.abs(codes[a] - codes[b]).mean(axis=0)
    points, labels = _points(codes, [Slices(FACTORS[:, k])], 1250, 32, rng(6))
    assert (labels == 0).all()
    np.testing.assert_allclose(points.mean(axis=0), expected, rtol=0.02)
    # Negative control: pairs that share another factor, or none, are apart by another distance.
    other, _ = _points(codes, [Slices(FACTORS[:, 0])], 1250, 32, rng(6))
    assert np.abs(other.mean(axis=0) / expected - 1).max() > 0.05


def test_distance_of_a_code_to_its_pair_is_zero_where_the_factor_is_shared():
    points, labels = _points(PERFECT, [Slices(column) for column in FACTORS.T], 500, 16, rng())
    assert (points[np.arange(500), labels] == 0).all()
    assert np.bincount(labels, minlength=5).min() > 60
    assert (np.sort(points, axis=1)[:, 1] > 0).all()


def test_rotation_and_duplicates_are_not_seen():
    turn = np.linalg.qr(rng(5).normal(size=(5, 5)))[0]
    assert beta_vae_score(PERFECT @ turn, FACTORS, **FEW, rng=rng())["beta_vae_score"] > 0.85
    doubled = np.hstack([PERFECT, PERFECT])
    assert beta_vae_score(doubled, FACTORS, **FEW, rng=rng())["beta_vae_score"] > 0.99


def test_one_missing_factor_costs_less_than_its_share():
    # Nothing being fixed among the other four gives it away.
    assert beta_vae_score(PERFECT[:, :4], FACTORS, **FEW, rng=rng())["beta_vae_score"] > 0.9
    assert beta_vae_score(PERFECT[:, :3], FACTORS, **FEW, rng=rng())["beta_vae_score"] == pytest.approx(0.8, abs=0.08)


def test_scale_matters_unless_standardised():
    turn = np.linalg.qr(rng(5).normal(size=(5, 5)))[0]
    plain = beta_vae_score(PERFECT @ turn, FACTORS, **FEW, rng=rng())["beta_vae_score"]
    small = beta_vae_score(PERFECT @ turn * 0.01, FACTORS, **FEW, rng=rng())["beta_vae_score"]
    assert small < plain - 0.05
    options = {**FEW, "standardise": True}
    large = beta_vae_score(PERFECT @ turn, FACTORS, **options, rng=rng())["beta_vae_score"]
    again = beta_vae_score(PERFECT @ turn / 128, FACTORS, **options, rng=rng())["beta_vae_score"]
    assert again == pytest.approx(large, abs=0.003)


def test_wrong_factors_for_the_codes_score_less():
    shuffled = FACTORS[rng(7).permutation(len(FACTORS))]
    assert beta_vae_score(PERFECT, shuffled, **FEW, rng=rng())["beta_vae_score"] < 0.5


def test_reshaping_where_a_transpose_is_meant_destroys_the_score():
    assert beta_vae_score(PERFECT.T.reshape(PERFECT.shape), FACTORS, **FEW, rng=rng())["beta_vae_score"] < 0.9


def test_constant_latents_and_one_value_factors_change_nothing():
    plain = beta_vae_score(PERFECT, FACTORS, **FEW, rng=rng())
    padded = np.hstack([PERFECT, np.full((len(PERFECT), 2), 0.1)])
    result = beta_vae_score(padded, np.insert(FACTORS, 1, 5, axis=1), **FEW, rng=rng())
    assert result["beta_vae_score"] == pytest.approx(plain["beta_vae_score"], abs=1e-9)
    assert (result["n_active"], result["factors_left_out"]) == (5, [1])
    assert result["accuracy_per_factor"][1] is None


def test_all_latents_constant_score_chance():
    for standardise in (False, True):
        result = beta_vae_score(np.full((len(FACTORS), 3), 2.5), FACTORS, **FEW, standardise=standardise, rng=rng())
        assert result["beta_vae_score"] == pytest.approx(0.2, abs=0.06)
        assert result["n_active"] == 0


def test_single_latent_and_few_rows_have_a_value():
    assert 0 <= beta_vae_score(PERFECT[:, :1], FACTORS, **FEW, rng=rng())["beta_vae_score"] <= 1
    assert 0 <= beta_vae_score(np.eye(4), grid((2, 2)), **FEW, rng=rng())["beta_vae_score"] <= 1


def test_regression_is_scikit_learns_and_tells_when_it_stopped_early():
    x, y = rng(1).normal(size=(60, 3)), rng(2).integers(3, size=60)
    model, converged = fit_logistic(x, y)
    np.testing.assert_array_equal(model.coef_, LogisticRegression().fit(x, y).coef_)
    assert converged
    assert not fit_logistic(x, y, max_iter=1)[1]
    with pytest.warns(ConvergenceWarning):
        LogisticRegression(max_iter=1).fit(x, y)


@pytest.mark.parametrize(
    ("codes", "factors", "options", "message"),
    [
        (np.full((4, 2), np.nan), grid((2, 2)), {}, "NaN"),
        (np.arange(4.0), grid((2, 2)), {}, "shape"),
        (np.eye(4), np.zeros((4, 2), dtype=int), {}, "2 factors"),
        (np.eye(4), np.arange(4)[:, None], {}, "2 factors"),
        (np.eye(4), grid((2, 2)), {"n_train": 1}, "same factor"),
        (np.eye(4), grid((2, 2)), {"batch_size": 0}, "batch_size"),
    ],
)
def test_refuses(codes, factors, options, message):
    with pytest.raises(ValueError, match=message):
        beta_vae_score(codes, factors, rng=rng(), **options)


@settings(deadline=None, max_examples=10)
@given(key=st.integers(0, 2**32))
def test_is_bounded_and_ignores_sign_and_shift(key):
    draw = rng(key)
    codes, factors = draw.normal(size=(60, 3)), draw.integers(3, size=(60, 2))
    few = {"n_train": 200, "n_test": 100, "batch_size": 8}
    plain = beta_vae_score(codes, factors, **few, rng=rng())
    changed = beta_vae_score(-codes, factors, **few, rng=rng())
    assert 0 <= plain["beta_vae_score"] <= 1
    assert changed == plain
