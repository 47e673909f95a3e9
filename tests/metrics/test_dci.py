import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import dci
from bench.metrics.dci import disentanglement_score
from bench.registry import METRICS
from helpers.rng import rng

SIZES = (3, 4, 2, 5, 3)


def sample(n: int, sizes: tuple[int, ...] = SIZES, key: int = 1) -> np.ndarray:
    draw = rng(key)
    return np.stack([draw.integers(size, size=n) for size in sizes], axis=1)


FACTORS = sample(900)
PERFECT = FACTORS.astype(np.float64)


def test_is_registered_with_the_columns_it_returns():
    entry = METRICS.get("dci")
    result = dci(PERFECT, FACTORS, rng=rng())
    assert entry.value is dci
    assert set(entry.info.scores) <= set(result)
    json.dumps(result, allow_nan=False)


def test_perfect_code_scores_one():
    result = dci(PERFECT[:, [1, 0, 4, 2, 3]], FACTORS, rng=rng())
    for name in ("dci_disentanglement", "dci_completeness", "dci_informativeness"):
        assert result[name] == pytest.approx(1, abs=0.005)
    assert np.argmax(result["importance"], axis=0).tolist() == [1, 0, 3, 4, 2]
    assert (result["n_train"], result["n_test"], result["predictor"]) == (600, 300, "hist_gbt")


def test_noise_scores_near_zero_and_chance():
    factors = sample(3000, (3, 4, 2))
    result = dci(rng(2).normal(size=(3000, 6)), factors, rng=rng())
    assert result["dci_disentanglement"] < 0.03
    assert result["dci_completeness"] < 0.03
    np.testing.assert_allclose(result["informativeness_per_factor"], [1 / 3, 1 / 4, 1 / 2], atol=0.06)
    np.testing.assert_allclose(result["chance_per_factor"], [1 / 3, 1 / 4, 1 / 2], atol=0.06)


def test_every_factor_twice_shares_the_importance():
    # Two equal codes with half the importance each: completeness 1 - log 2 / log 10.
    factors = sample(900, (3, 4, 5, 6, 8))
    result = dci(np.hstack([factors, factors]), factors, rng=rng())
    assert result["dci_disentanglement"] == pytest.approx(1, abs=0.005)
    assert result["dci_completeness"] == pytest.approx(1 - np.log(2) / np.log(10), abs=0.02)


def test_mirrored_duplicate_shares_the_importance_too():
    # The gains of a code and its negative differ by rounding; that must not decide between them.
    noisy = PERFECT[:, :2] + rng(3).normal(scale=0.3, size=(900, 2))
    result = dci(np.hstack([noisy, -noisy]), FACTORS[:, :2], rng=rng())
    share = np.array(result["importance"])[[0, 2], 0]
    assert share[0] / share.sum() == pytest.approx(0.5, abs=0.15)


def test_two_factors_in_one_code_cost_disentanglement_only():
    merged = PERFECT[:, :1] * 4 + PERFECT[:, 1:2]
    result = dci(np.hstack([merged, PERFECT[:, 2:]]), FACTORS, rng=rng())
    assert result["dci_completeness"] == pytest.approx(1, abs=0.02)
    # One code of weight 2/5 holds two factors: 1 - log 2 / log 5 there.
    expected = 3 / 5 + 2 / 5 * (1 - np.log(2) / np.log(5))
    assert result["dci_disentanglement"] == pytest.approx(expected, abs=0.02)


def test_rotation_lowers_both():
    centred = (PERFECT - PERFECT.mean(axis=0)) / PERFECT.std(axis=0)
    result = dci(centred @ np.linalg.qr(rng(4).normal(size=(5, 5)))[0], FACTORS, rng=rng())
    assert result["dci_disentanglement"] < 0.6
    assert result["dci_completeness"] < 0.6


def test_factors_the_code_does_not_hold_show_in_informativeness():
    result = dci(np.hstack([PERFECT[:, :3], np.zeros((900, 2))]), FACTORS, rng=rng())
    assert result["informativeness_per_factor"][:3] == [1, 1, 1]
    assert max(result["informativeness_per_factor"][3:]) < 0.5
    # Columns of factors that can't be predicted still sum to 1 and are spread over the coded three.
    np.testing.assert_allclose(np.sum(result["importance"], axis=0), 1, atol=1e-12)
    assert result["dci_disentanglement"] < 0.8


def test_constant_latents_get_no_importance():
    plain = dci(PERFECT, FACTORS, rng=rng())
    result = dci(np.hstack([np.full((900, 2), 3.5), PERFECT]), FACTORS, rng=rng())
    assert np.max(result["importance"][:2]) == 0
    assert result["n_active"] == 5
    assert result["dci_disentanglement"] == pytest.approx(plain["dci_disentanglement"], abs=0.002)


def test_all_latents_constant_scores_zero_at_chance():
    # Without the factor of two values, whose classes happen to be tied in the training rows.
    result = dci(np.ones((900, 3)), FACTORS[:, [0, 1, 3, 4]], rng=rng())
    assert result["dci_disentanglement"] == pytest.approx(0, abs=1e-12)
    assert result["dci_completeness"] == pytest.approx(0, abs=1e-12)
    assert result["informativeness_per_factor"] == result["chance_per_factor"]
    assert result["n_active"] == 0


def test_factor_with_one_value_is_left_out_and_named():
    plain = dci(PERFECT, FACTORS, rng=rng())
    result = dci(PERFECT, np.insert(FACTORS, 3, 8, axis=1), rng=rng())
    assert result["factors_left_out"] == [3]
    assert result["informativeness_per_factor"][3] is None
    assert result["dci_disentanglement"] == plain["dci_disentanglement"]
    assert result["dci_informativeness"] == plain["dci_informativeness"]


def test_one_factor_or_one_latent_leaves_the_entropy_without_a_base():
    one_factor = dci(PERFECT, FACTORS[:, :1], rng=rng())
    assert one_factor["dci_disentanglement"] is None
    assert one_factor["dci_completeness"] == pytest.approx(1, abs=0.005)
    one_latent = dci(PERFECT[:, :1], FACTORS[:, :2], rng=rng())
    assert one_latent["dci_completeness"] is None
    assert one_latent["dci_disentanglement"] == pytest.approx(0, abs=1e-6)
    json.dumps([one_factor, one_latent], allow_nan=False)


def test_class_absent_from_training_counts_as_wrong():
    # One class of four has a single row: it is tested on or trained on, never both.
    factors = sample(120, (3, 2), key=6)
    factors[0, 0] = 99
    for key in range(20):
        result = dci(factors, factors, rng=rng(key))
        if result["informativeness_per_factor"][0] < 1:
            assert result["informativeness_per_factor"][0] == pytest.approx(1 - 1 / result["n_test"])
            return
    pytest.fail("the single row was never in the test set")


def test_sizes_are_those_asked_for_where_there_are_enough_rows():
    result = dci(PERFECT, FACTORS, n_train=300, n_test=200, rng=rng())
    assert (result["n_train"], result["n_test"]) == (300, 200)
    short = dci(PERFECT[:100], FACTORS[:100], n_train=300, n_test=200, rng=rng())
    assert (short["n_train"], short["n_test"]) == (67, 33)


def test_same_key_same_value():
    codes = PERFECT + rng(7).normal(size=PERFECT.shape)
    first = dci(codes[:300], FACTORS[:300], rng=rng(0))
    assert first == dci(codes[:300], FACTORS[:300], rng=rng(0))
    assert first["importance"] != dci(codes[:300], FACTORS[:300], rng=rng(1))["importance"]


def test_order_of_latents_does_not_matter():
    codes = PERFECT[:, :3] + rng(8).normal(scale=0.5, size=(900, 3))
    order = [2, 0, 1]
    plain, turned = dci(codes, FACTORS[:, :3], rng=rng()), dci(codes[:, order], FACTORS[:, :3], rng=rng())
    np.testing.assert_allclose(turned["importance"], np.array(plain["importance"])[order], atol=0.02)


def test_monotone_warps_do_not_matter():
    codes = PERFECT[:, :3] + rng(9).normal(scale=0.5, size=(900, 3))
    plain = dci(codes, FACTORS[:, :3], rng=rng())
    warped = dci(np.exp(codes) * [1, 100, 0.01], FACTORS[:, :3], rng=rng())
    np.testing.assert_array_equal(warped["importance"], plain["importance"])


def test_histogram_trees_agree_with_scikit_learn():
    factors = sample(2400, (3, 4), key=10)
    codes = np.hstack([factors, np.zeros((2400, 3))]) + rng(11).normal(scale=0.6, size=(2400, 5))
    codes[:, 2] += 0.5 * codes[:, 1]
    fast, exact = (dci(codes, factors, predictor=name, rng=rng()) for name in ("hist_gbt", "sklearn_gbt"))
    assert exact["predictor"] == "sklearn_gbt"
    for name in ("dci_disentanglement", "dci_completeness", "dci_informativeness"):
        assert fast[name] == pytest.approx(exact[name], abs=0.03)
    # The problem is one where being wrong would show.
    assert 0.2 < exact["dci_disentanglement"] < 0.9


def test_score_of_known_matrices():
    assert disentanglement_score(np.eye(4))[0] == pytest.approx(1, abs=1e-8)
    assert disentanglement_score(np.ones((3, 4)))[0] == pytest.approx(0, abs=1e-12)
    assert disentanglement_score(np.zeros((3, 4)))[0] == 0
    # Rows (1, 0) and (1/2, 1/2) with weights 1/4 and 3/4.
    score, rows = disentanglement_score(np.array([[1.0, 0.0], [1.5, 1.5]]))
    np.testing.assert_allclose(rows, [1, 0], atol=1e-8)
    assert score == pytest.approx(0.25, abs=1e-8)
    # Negative control: rows and columns aren't interchangeable.
    assert disentanglement_score(np.array([[1.0, 0.0], [1.5, 1.5]]).T)[0] != pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("codes", "factors", "options", "message"),
    [
        (np.full((4, 2), np.nan), np.eye(4, dtype=int), {}, "NaN"),
        (np.arange(4.0), np.eye(4, dtype=int), {}, "shape"),
        (np.eye(2), np.eye(2, dtype=int), {}, "at least 3 rows"),
        (np.eye(4), np.ones((4, 3), dtype=int), {}, "at least two values"),
        (np.eye(4), np.eye(4, dtype=int), {"predictor": "forest"}, "hist_gbt"),
        (np.eye(4), np.eye(4, dtype=int), {"n_train": 0}, "n_train"),
    ],
)
def test_refuses(codes, factors, options, message):
    with pytest.raises(ValueError, match=message):
        dci(codes, factors, rng=rng(), **options)


@settings(deadline=None, max_examples=15)
@given(
    matrix=st.lists(
        st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), min_size=3, max_size=3), min_size=1, max_size=5
    )
)
def test_score_is_bounded_and_ignores_order(matrix):
    importance = np.array(matrix)
    score, rows = disentanglement_score(importance)
    assert 0 <= score <= 1
    assert ((rows >= 0) & (rows <= 1)).all()
    assert disentanglement_score(importance[::-1, ::-1])[0] == pytest.approx(score, abs=1e-12)
