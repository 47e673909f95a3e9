import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.preprocessing import MultiLabelBinarizer

from bench.metrics import modularity
from bench.metrics.mig import equal_width_bins
from bench.metrics.modularity import explicitness_of_factors, modularity_of_codes, one_against_rest
from helpers.factors import grid, standardised
from helpers.rng import rng

SIZES = (3, 4, 5)


FACTORS = np.tile(grid(SIZES), (15, 1))
PERFECT = standardised(FACTORS)


def test_modularity_by_hand():
    information = np.array([[2.0, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0], [0.5, 1, 0.5]])
    np.testing.assert_allclose(modularity_of_codes(information), [1, 0.5, 0, 0, 0.75], atol=1e-15)
    assert modularity_of_codes(information[:, :1]) is None
    # Negative control: without the squares the last code would score 0.5.
    assert modularity_of_codes(np.sqrt(information))[4] == pytest.approx(0.5)


def test_equals_disentanglement_libs_steps():
    codes = FACTORS @ rng(1).normal(size=(3, 4)) + rng(2).normal(size=(len(FACTORS), 4))
    result = modularity(codes, FACTORS, n_train=600, n_test=300, rng=rng())
    rows = rng().permutation(len(codes))
    train, test = rows[:600], rows[600:]
    bins = equal_width_bins(codes[train], 20)
    mi = np.array([[mutual_info_score(v, z) for v in FACTORS[train].T] for z in bins.T])
    template = np.zeros_like(mi)
    template[np.arange(4), mi.argmax(axis=1)] = mi.max(axis=1)
    expected = 1 - ((mi - template) ** 2).sum(axis=1) / (mi.max(axis=1) ** 2 * 2)
    np.testing.assert_allclose(result["modularity_per_latent"], expected, atol=1e-9)
    x = (codes - codes[train].mean(axis=0)) / codes[train].std(axis=0)
    areas = []
    for column in FACTORS.T:
        model = LogisticRegression().fit(x[train], column[train])
        truth = MultiLabelBinarizer().fit_transform(column[test][:, None])
        areas.append(roc_auc_score(truth, model.predict_proba(x[test])))
    np.testing.assert_allclose(result["explicitness_per_factor"], areas, atol=1e-9)


def test_area_is_scikit_learns_ties_included():
    truth = rng(1).integers(4, size=200)
    p = np.round(rng(2).random((200, 4)), 1)
    expected = np.mean([roc_auc_score(truth == k, p[:, k]) for k in range(4)])
    assert one_against_rest(p, truth, np.arange(4)) == pytest.approx(expected, abs=1e-12)
    some = truth < 3
    expected = np.mean([roc_auc_score(truth[some] == k, p[some, k]) for k in range(3)])
    assert one_against_rest(p[some], truth[some], np.arange(4)) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(one_against_rest(p, np.zeros(200, dtype=int), np.arange(4)))


def test_perfect_code():
    result = modularity(PERFECT, FACTORS, rng=rng())
    assert result["modularity"] > 0.998
    # The middle of three values on a line can't be told from its ends by a line: ranks of softmax can.
    assert result["explicitness"] > 0.99
    json.dumps(result, allow_nan=False)


def test_duplicates_are_not_seen_and_merged_factors_are():
    assert modularity(np.hstack([PERFECT, PERFECT]), FACTORS, rng=rng())["modularity"] > 0.998
    merged = np.stack([FACTORS[:, 0] * 4 + FACTORS[:, 1], FACTORS[:, 2]], axis=1).astype(float)
    result = modularity(merged, FACTORS, rng=rng())
    assert result["modularity_per_latent"][0] < 0.8
    assert result["modularity_per_latent"][1] > 0.99


def test_rotation_lowers_modularity_not_explicitness():
    turn = np.linalg.qr(rng(5).normal(size=(3, 3)))[0]
    plain, result = modularity(PERFECT, FACTORS, rng=rng()), modularity(PERFECT @ turn, FACTORS, rng=rng())
    assert result["modularity"] < 0.95
    assert result["explicitness"] == pytest.approx(plain["explicitness"], abs=0.005)


def test_unused_codes_dominate_the_score_and_not_the_active_variant():
    noise = rng(1).normal(size=PERFECT.shape)
    constant = np.full(PERFECT.shape, 0.3)
    padded = modularity(np.hstack([PERFECT, constant]), FACTORS, rng=rng())
    plain = modularity(PERFECT, FACTORS, rng=rng())
    assert padded["modularity"] == pytest.approx(plain["modularity"] / 2, abs=1e-12)
    assert padded["modularity_active"] == pytest.approx(plain["modularity"], abs=1e-12)
    assert padded["explicitness"] == pytest.approx(plain["explicitness"], abs=1e-6)
    assert (padded["n_active"], padded["n_informative"]) == (3, 3)
    alone = modularity(noise, FACTORS, rng=rng())
    assert alone["modularity"] > 0.3
    assert alone["modularity_active"] is alone["explicitness_active"] is None
    assert alone["explicitness"] == pytest.approx(0.5, abs=0.07)


def test_information_by_rounding_counts_as_none():
    # What a constant code has on 10,000 random rows: some 1e-17 nats, with one factor more than with the others.
    assert modularity_of_codes(np.array([[0.0, 3e-17, 1e-16], [0.0, 2e-3, 1e-3]])).tolist() == [0, 0.875]


def test_all_latents_constant():
    result = modularity(np.full((len(FACTORS), 3), 0.1), FACTORS, rng=rng())
    assert (result["modularity"], result["explicitness"], result["n_active"]) == (0, 0.5, 0)


def test_constant_code_that_changes_among_the_test_rows_only_is_left_out():
    codes = np.hstack([PERFECT, np.zeros((len(PERFECT), 1))])
    train, test = np.arange(600), np.arange(600, 900)
    codes[700, 3] = 5.0
    area, _, _ = explicitness_of_factors(codes, FACTORS, train, test)
    plain, _, _ = explicitness_of_factors(PERFECT, FACTORS, train, test)
    np.testing.assert_allclose(area, plain, atol=1e-6)


def test_reshaping_where_a_transpose_is_meant_destroys_the_score():
    codes = PERFECT.T.reshape(PERFECT.shape)
    assert modularity(codes, FACTORS, rng=rng())["explicitness"] < 0.8


def test_awkward_factors():
    plain, result = modularity(PERFECT, FACTORS, rng=rng()), modularity(PERFECT, np.insert(FACTORS, 1, 7, 1), rng=rng())
    assert result["modularity"] == plain["modularity"]
    assert (result["factors_left_out"], result["explicitness_per_factor"][1]) == ([1], None)
    single = modularity(PERFECT[:, :1], FACTORS[:, :1], rng=rng())
    assert single["modularity"] is None
    assert single["explicitness"] > 0.9
    few = modularity(np.arange(3.0)[:, None], np.array([[0], [1], [1]]), rng=rng(1))
    assert (few["n_train"], few["n_test"], few["explicitness"]) == (2, 1, None)


@pytest.mark.parametrize(
    ("codes", "factors", "options", "message"),
    [
        (np.full((4, 2), np.nan), grid((2, 2)), {}, "NaN"),
        (np.arange(4.0), grid((2, 2)), {}, "shape"),
        (np.ones((2, 2)), np.eye(2, dtype=int), {}, "3 rows"),
        (np.ones((4, 2)), np.zeros((4, 2), dtype=int), {}, "at least two values"),
        (np.ones((4, 2)), grid((2, 2)), {"n_bins": 1}, "n_bins"),
    ],
)
def test_refuses(codes, factors, options, message):
    with pytest.raises(ValueError, match=message):
        modularity(codes, factors, rng=rng(), **options)


@settings(deadline=None, max_examples=8)
@given(key=st.integers(0, 2**32), scale=st.sampled_from([0.25, 2.0, 16.0]))
def test_is_bounded_and_ignores_order_and_scale(key, scale):
    draw = rng(key)
    codes, factors = draw.normal(size=(60, 3)), draw.integers(3, size=(60, 2))
    plain = modularity(codes, factors, rng=rng())
    changed = modularity(codes[:, ::-1] * scale, factors, rng=rng())
    assert 0 <= plain["modularity"] <= 1
    assert changed["modularity"] == pytest.approx(plain["modularity"], abs=1e-12)
    assert changed["explicitness"] == pytest.approx(plain["explicitness"], abs=2e-3)
