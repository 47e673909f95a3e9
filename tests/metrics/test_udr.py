import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.linear_model import Lasso

from bench.metrics import udr
from bench.metrics.udr import pair_score
from bench.registry import METRICS
from helpers.rng import rng


def white(n: int = 1000, d: int = 4, key: int = 1) -> np.ndarray:
    x = rng(key).normal(size=(n, d))
    return np.linalg.qr(x - x.mean(axis=0))[0] * np.sqrt(n)


BASE = white()
ALIVE = np.ones(4)


def test_is_no_metric_of_a_single_run():
    assert "udr" not in METRICS


def test_pair_score_by_hand():
    assert pair_score(np.eye(3) * 0.9) == pytest.approx(0.9)
    # Columns: 1/1, 0.25/1; rows: 1/1.5, 0.25/0.5.
    assert pair_score(np.array([[1.0, 0.5], [0.0, 0.5]])) == pytest.approx(((1 + 0.25) / 2 + (1 / 1.5 + 0.5) / 2) / 2)
    assert pair_score(np.zeros((2, 3))) == pair_score(np.zeros((0, 3))) == 0


def test_identical_models_reach_one_less_alpha():
    result = udr([BASE] * 5, [ALIVE] * 5, rng=rng())
    np.testing.assert_allclose(result["udr"], 0.9, atol=1e-9)
    assert result["n_informative"] == [4] * 5
    json.dumps(result, allow_nan=False)
    np.testing.assert_allclose(udr([BASE] * 3, [ALIVE] * 3, alpha=0.3, rng=rng())["udr"], 0.7, atol=1e-9)
    spearman = udr([BASE] * 5, [ALIVE] * 5, relation="spearman", rng=rng())["udr"]
    assert 0.85 < min(spearman) <= max(spearman) < 1


@pytest.mark.parametrize("relation", ["lasso", "spearman"])
def test_order_sign_scale_and_unused_codes_do_not_matter(relation):
    plain = udr([BASE, BASE, BASE], [ALIVE] * 3, relation=relation, rng=rng())["udr"]
    turned = -3.0 * BASE[:, ::-1]
    noise = rng(2).normal(size=(1000, 3)) * 0.01
    wide = np.hstack([noise[:, :1], BASE, noise[:, 1:]])
    nats = np.array([0.001, 1, 1, 1, 1, 0.0, 0.01])
    result = udr([BASE, turned, wide], [ALIVE, ALIVE, nats], relation=relation, rng=rng())
    np.testing.assert_allclose(result["udr"], plain, atol=1e-9)
    assert result["n_informative"] == [4, 4, 4]
    # Not so where they count as informative.
    counted = udr([BASE, wide], [ALIVE, np.ones(7)], relation=relation, rng=rng())["udr"]
    assert counted[0] < plain[0] - 0.1


@pytest.mark.parametrize("relation", ["lasso", "spearman"])
def test_rotated_models_disagree_and_the_odd_one_out_is_found(relation):
    turns = [np.linalg.qr(rng(k).normal(size=(4, 4)))[0] for k in range(5)]
    rotated = udr([BASE @ t for t in turns], [ALIVE] * 5, relation=relation, rng=rng())["udr"]
    assert max(rotated) < 0.5
    mixed = udr([BASE, BASE, BASE, BASE, BASE @ turns[0]], [ALIVE] * 5, relation=relation, rng=rng())["udr"]
    assert np.argmin(mixed) == 4
    assert min(mixed[:4]) > 0.85


def test_monotone_warps_are_seen_by_lasso_alone():
    warped = [BASE, np.exp(BASE), BASE**3]
    plain = udr([BASE] * 3, [ALIVE] * 3, relation="spearman", rng=rng())["udr"]
    np.testing.assert_allclose(udr(warped, [ALIVE] * 3, relation="spearman", rng=rng())["udr"], plain, atol=1e-9)
    assert max(udr(warped, [ALIVE] * 3, rng=rng())["udr"]) < 0.89


def test_matrices_are_scikit_learns_and_scipys():
    other = BASE @ rng(3).normal(size=(4, 3)) + 0.3 * rng(4).normal(size=(1000, 3))
    scaled = (other - other.mean(axis=0)) / other.std(axis=0)
    expected = np.abs(Lasso(alpha=0.1).fit(BASE, scaled).coef_).T
    result = udr([BASE, other], [ALIVE, np.ones(3)], rng=rng())
    assert result["pairs"][0][1] == pytest.approx(pair_score(expected), abs=1e-6)
    # From and to aren't the same for a regression, and a model's score is from the pairs that lead to it.
    assert result["pairs"][1][0] != pytest.approx(result["pairs"][0][1], abs=1e-3)
    assert result["udr"] == [result["pairs"][1][0], result["pairs"][0][1]]
    ranked = np.array([[abs(spearmanr(a, b).statistic) for b in other.T] for a in BASE.T])
    both = udr([BASE, other], [ALIVE, np.ones(3)], relation="spearman", rng=rng())
    assert both["pairs"][0][1] == pytest.approx(pair_score(ranked), abs=1e-9)
    assert both["pairs"][0][0] is None


def test_reshaping_where_a_transpose_is_meant_destroys_agreement():
    assert udr([BASE, BASE.T.reshape(BASE.shape)], [ALIVE] * 2, relation="spearman", rng=rng())["udr"][0] < 0.3


def test_collapsed_and_awkward_models():
    dead = udr([BASE, BASE, np.zeros((1000, 4))], [ALIVE, ALIVE, np.zeros(4)], rng=rng())
    assert dead["udr"][2] == 0
    assert dead["n_informative"] == [4, 4, 0]
    constant = udr([BASE, np.insert(BASE[:, :3], 3, 0.1, axis=1)], [ALIVE] * 2, rng=rng())
    assert np.isfinite(constant["udr"]).all()
    single = udr([BASE[:, :1], BASE[:, :1]], [[1.0], [1.0]], rng=rng())
    np.testing.assert_allclose(single["udr"], 0.9, atol=1e-9)
    fewer = udr([BASE, BASE], [ALIVE] * 2, n_samples=100, rng=rng())
    assert fewer["n_samples"] == 100
    assert fewer == udr([BASE, BASE], [ALIVE] * 2, n_samples=100, rng=rng())


@pytest.mark.parametrize(
    ("codes", "kl", "options", "message"),
    [
        ([BASE], [ALIVE], {}, "at least two"),
        ([BASE, BASE * np.nan], [ALIVE] * 2, {}, "NaN"),
        ([BASE, BASE[:, 0]], [ALIVE] * 2, {}, "shape"),
        ([BASE, BASE[1:]], [ALIVE] * 2, {}, "same images"),
        ([BASE[:2], BASE[:2]], [ALIVE] * 2, {}, "3 images"),
        ([BASE, BASE], [ALIVE], {}, "KLs of 1"),
        ([BASE, BASE], [ALIVE, np.ones(3)], {}, "model 1"),
        ([BASE, BASE], [ALIVE] * 2, {"relation": "pearson"}, "relation"),
        ([BASE, BASE], [ALIVE] * 2, {"alpha": -1.0}, "alpha"),
    ],
)
def test_refuses(codes, kl, options, message):
    with pytest.raises(ValueError, match=message):
        udr(codes, kl, rng=rng(), **options)


@settings(deadline=None, max_examples=15)
@given(key=st.integers(0, 2**32), relation=st.sampled_from(["lasso", "spearman"]))
def test_is_bounded(key, relation):
    models = [rng(key + m).normal(size=(30, m + 1)) for m in range(3)]
    result = udr(models, [np.ones(m + 1) for m in range(3)], relation=relation, rng=rng())
    assert all(0 <= value <= 1 for value in result["udr"])
