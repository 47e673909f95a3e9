import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, mutual_info_score

from bench.metrics import infomec
from bench.metrics.infomec import above_chance, entropies, explicitness, shares
from helpers.factors import grid, standardised
from helpers.rng import rng

SIZES = (3, 4, 5)


FACTORS = np.tile(grid(SIZES), (15, 1))
STANDARD = standardised(FACTORS)
#: A little noise, because the estimator is for continuous codes.
PERFECT = STANDARD + 0.01 * rng(99).normal(size=FACTORS.shape)


def test_perfect_code_scores_one():
    result = infomec(PERFECT[:, [2, 0, 1]], FACTORS, rng=rng())
    assert result["infom"] > 0.98
    assert result["infoc"] > 0.98
    assert result["infoe"] > 0.98
    assert np.argmax(result["nmi"], axis=1).tolist() == [2, 0, 1]
    json.dumps(result, allow_nan=False)


def test_shares_by_hand():
    np.testing.assert_allclose(shares(np.array([[2.0, 1, 1], [0, 3, 0]])), [0.5, 1])
    assert np.isnan(shares(np.zeros((1, 3)))).all()
    assert np.isnan(shares(np.zeros((2, 0)))).all()
    assert above_chance(np.array([0.5, 1.0]), 2) == pytest.approx(0.5)
    assert above_chance(np.array([1.0]), 1) is None
    assert above_chance(np.array([np.nan, 1.0]), 3) is None


def test_information_is_scikit_learns_over_the_factors_entropy():
    codes = STANDARD @ rng(1).normal(size=(3, 2)) + rng(2).normal(size=(900, 2))
    result = infomec(codes, FACTORS, rng=rng())
    for k in range(3):
        scaled = (codes - codes.mean(axis=0)) / codes.std(axis=0)
        expected = mutual_info_classif(scaled, FACTORS[:, k], discrete_features=False, n_neighbors=10, random_state=0)
        expected /= mutual_info_score(FACTORS[:, k], FACTORS[:, k])
        np.testing.assert_allclose(np.array(result["nmi"])[:, k], expected, atol=1e-6)
    np.testing.assert_allclose(entropies(FACTORS), np.log(SIZES))


def test_compat_equals_the_authors_steps():
    codes = np.hstack([STANDARD @ rng(1).normal(size=(3, 3)), 0.001 * STANDARD[:, :1]]) + 0.01 * rng(2).normal(
        size=(900, 4)
    )
    result = infomec(codes, FACTORS, compat=True, rng=rng())
    extent = np.ptp(codes, axis=0)
    pruned = np.array(result["nmi"])[extent > extent.max() / 20].T  # factors by codes, as theirs
    assert pruned.shape == (3, 3)
    infom = (np.mean(pruned.max(axis=0) / pruned.sum(axis=0)) - 1 / 3) / (1 - 1 / 3)
    infoc = (np.mean(pruned.max(axis=1) / pruned.sum(axis=1)) - 1 / 3) / (1 - 1 / 3)
    assert (result["infom"], result["infoc"]) == (pytest.approx(infom), pytest.approx(infoc))
    # The read-out has all codes, also the pruned one.
    every, _ = explicitness((codes - codes.mean(axis=0)) / codes.std(axis=0), FACTORS)
    assert result["infoe"] == pytest.approx(every.mean(), abs=1e-6)


def test_explicitness_is_an_unpenalised_balanced_regression_against_the_empty_one():
    codes = STANDARD + rng(3).normal(size=STANDARD.shape)
    keep = rng(4).random(900) < np.where(FACTORS[:, 2] == 0, 0.3, 1.0)  # uneven classes
    x, y = codes[keep], FACTORS[keep]
    score, converged = explicitness(x, y)
    assert converged
    for k in range(3):
        options = {"C": np.inf, "class_weight": "balanced"}
        model = LogisticRegression(**options).fit(x, y[:, k])
        empty = LogisticRegression(**options).fit(np.zeros_like(x), y[:, k])
        chance = log_loss(y[:, k], empty.predict_proba(np.zeros_like(x)))
        assert chance == pytest.approx(np.log(SIZES[k]), abs=1e-6)
        assert score[k] == pytest.approx(1 - log_loss(y[:, k], model.predict_proba(x)) / chance, abs=1e-6)


def test_duplicates_cost_compactness_alone():
    result = infomec(np.hstack([PERFECT, PERFECT]), FACTORS, rng=rng())
    assert result["infom"] > 0.98
    assert result["infoc"] == pytest.approx((0.5 - 1 / 6) / (1 - 1 / 6), abs=0.02)
    assert result["infoe"] > 0.98


def test_merged_factors_cost_modularity_alone():
    merged = np.stack([FACTORS[:, 0] * 4 + FACTORS[:, 1], FACTORS[:, 2]], axis=1) + 0.01 * rng(10).normal(size=(900, 2))
    result = infomec(merged, FACTORS, rng=rng())
    assert result["infom"] < 0.75
    assert result["infoc"] > 0.95


def test_rotation_costs_modularity_and_compactness_and_not_explicitness():
    turn = np.linalg.qr(rng(5).normal(size=(3, 3)))[0]
    result = infomec(PERFECT @ turn, FACTORS, rng=rng())
    assert result["infom"] < 0.7
    assert result["infoc"] < 0.7
    assert result["infoe"] > 0.98


def test_noise_codes_are_not_active_except_for_the_authors():
    codes = np.hstack([PERFECT, rng(6).normal(size=PERFECT.shape)])
    result, plain = infomec(codes, FACTORS, rng=rng()), infomec(PERFECT, FACTORS, rng=rng())
    assert (result["active"], result["n_active"]) == ([0, 1, 2], 3)
    assert result["infom"] == pytest.approx(plain["infom"], abs=0.01)
    theirs = infomec(codes, FACTORS, compat=True, rng=rng())
    assert theirs["n_active"] == 6
    assert theirs["infom"] is None or theirs["infom"] < 0.95


def test_noise_alone_scores_nothing():
    result = infomec(rng(7).normal(size=PERFECT.shape), FACTORS, rng=rng())
    assert (result["infom"], result["infoc"], result["n_active"]) == (0, 0, 0)
    assert 0 <= result["infoe"] < 0.02


def test_code_without_information_makes_the_authors_score_undefined():
    # Values in the order of the rows of a balanced grid, far more even than chance: the estimate is clipped to 0.
    even = np.tile(np.arange(15.0), 60)[:, None] + np.repeat(np.arange(60), 15)[:, None] / 60
    factors = np.stack([np.repeat(np.arange(60) % 3, 15), np.repeat(np.arange(60) % 2, 15)], axis=1)
    codes = np.hstack([factors + 0.01 * rng(8).normal(size=(900, 2)), even])
    theirs = infomec(codes, factors, compat=True, rng=rng())
    assert max(theirs["nmi"][2]) == 0
    assert theirs["infom"] is None
    assert theirs["infom_per_latent"][2] is None
    assert infomec(codes, factors, rng=rng())["infom"] > 0.95
    json.dumps(theirs, allow_nan=False)


def test_single_active_code_is_compact_and_undefined_for_the_authors():
    codes = np.hstack([PERFECT[:, :1], np.full((900, 2), 0.1)])
    result = infomec(codes, FACTORS, rng=rng())
    assert (result["n_active"], result["infoc"]) == (1, 1)
    assert infomec(codes, FACTORS, compat=True, rng=rng())["infoc"] is None
    alone = infomec(PERFECT[:, :1], FACTORS, rng=rng())
    assert (alone["infom"], alone["infoc"]) == (pytest.approx(result["infom"], abs=0.01), 1)


def test_scale_of_a_code_matters_to_the_authors_alone():
    codes = PERFECT * [100.0, 1.0, 1.0]
    assert infomec(codes, FACTORS, rng=rng())["n_active"] == 3
    assert infomec(codes, FACTORS, compat=True, rng=rng())["n_active"] == 1


def test_constant_latents_and_collapse():
    padded = infomec(np.hstack([PERFECT, np.full((900, 2), 0.1)]), FACTORS, rng=rng())
    assert padded["infom"] == pytest.approx(infomec(PERFECT, FACTORS, rng=rng())["infom"], abs=0.01)
    assert np.max(padded["nmi"][3:]) == 0
    for compat in (False, True):
        dead = infomec(np.full((900, 3), 0.1), FACTORS, compat=compat, rng=rng())
        assert dead["n_active"] == 0
        assert dead["infom"] == dead["infoc"] == (None if compat else 0)
        assert dead["infoe"] == pytest.approx(0, abs=1e-9)


def test_wrong_rows_and_reshaped_codes_score_less():
    assert infomec(PERFECT, FACTORS[rng(9).permutation(900)], rng=rng())["infoe"] < 0.05
    assert infomec(PERFECT.T.reshape(PERFECT.shape), FACTORS, rng=rng())["infoe"] < 0.5


def test_awkward_factors_and_rows():
    result = infomec(PERFECT, np.insert(FACTORS, 1, 7, axis=1), rng=rng())
    assert result["factors_left_out"] == [1]
    assert result["infoe_per_factor"][1] is None
    assert infomec(PERFECT[:, :1], FACTORS[:, :1], rng=rng())["infom"] is None
    assert infomec(PERFECT, FACTORS, n_samples=300, rng=rng())["n_samples"] == 300
    same = [infomec(PERFECT, FACTORS, rng=rng(3)) for _ in range(2)]
    assert same[0] == same[1]


@pytest.mark.parametrize(
    ("codes", "factors", "options", "message"),
    [
        (np.full((4, 2), np.nan), grid((2, 2)), {}, "NaN"),
        (np.arange(4.0), grid((2, 2)), {}, "shape"),
        (np.eye(3), np.eye(3, dtype=int), {}, "4 rows"),
        (np.eye(4), np.zeros((4, 2), dtype=int), {}, "at least two values"),
        (np.eye(4), np.arange(4)[:, None], {}, "two rows share"),
        (np.eye(4), grid((2, 2)), {"n_neighbours": 0}, "n_neighbours"),
    ],
)
def test_refuses(codes, factors, options, message):
    with pytest.raises(ValueError, match=message):
        infomec(codes, factors, rng=rng(), **options)


@settings(deadline=None, max_examples=6)
@given(key=st.integers(0, 2**32), scale=st.sampled_from([2.0**-7, 4.0, 64.0]))
def test_is_bounded_and_ignores_scale(key, scale):
    draws = rng(key)
    factors = draws.integers(3, size=(60, 2))
    codes = factors + draws.normal(size=(60, 2))
    plain, changed = infomec(codes, factors, rng=rng()), infomec(codes * scale, factors, rng=rng())
    for column in ("infom", "infoc"):
        assert 0 <= plain[column] <= 1
        assert changed[column] == pytest.approx(plain[column], abs=1e-6)
    assert changed["infoe"] == pytest.approx(plain["infoe"], abs=1e-3)
