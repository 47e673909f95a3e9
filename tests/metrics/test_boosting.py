import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import GradientBoostingClassifier

from bench.metrics._boosting import _BinSums, fit_boosted, quantile_edges, to_bins
from helpers.rng import rng


class FirstOfEqual:
    """Stands in for a generator: all codes draw the same number, so the first of equal ones wins."""

    def random(self, shape):
        return np.zeros(shape)


def coarse_problem(n_classes: int, n: int = 500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of few distinct values, which bins represent exactly."""
    draw = rng(1)
    target = draw.integers(n_classes, size=n)
    codes = np.round(np.stack([target, target % 2, 0 * target], axis=1) + draw.normal(size=(n, 3)), 1)
    codes = np.clip(codes, -2, 4)
    return codes, to_bins(codes, quantile_edges(codes, 64)), target


@pytest.mark.parametrize("n_classes", [2, 4])
def test_equals_scikit_learn_where_bins_are_exact(n_classes):
    codes, bins, target = coarse_problem(n_classes)
    assert len(np.unique(codes)) <= 64
    exact = GradientBoostingClassifier(random_state=0, n_estimators=30).fit(codes, target)
    ours = fit_boosted(bins, target, rng=rng(), n_rounds=30)
    np.testing.assert_allclose(ours.importances, exact.feature_importances_, atol=0.004)
    assert (ours.predict(bins) == exact.predict(codes)).mean() > 0.99


def test_first_round_equals_scikit_learn_to_rounding():
    # Without ties everything is determined: splits, Newton steps, prior.
    codes, bins, target = coarse_problem(3)
    exact = GradientBoostingClassifier(random_state=0, n_estimators=1, max_depth=2).fit(codes, target)
    ours = fit_boosted(bins, target, rng=rng(), n_rounds=1, depth=2)
    np.testing.assert_allclose(ours.importances, exact.feature_importances_, atol=1e-6)
    for k in range(3):
        tree = exact.estimators_[0, k].tree_
        leaves = tree.value[tree.children_left == -1, 0, 0]
        np.testing.assert_allclose(np.sort(ours.values[0, :, k]), np.sort(0.1 * leaves), atol=1e-6)


def test_stump_of_two_classes_by_hand():
    # Rows 0 0 0 1 | 1 1 at prior 1/2: residuals -1/2 x 3, +1/2 x 3, curvature 1/4 each.
    bins = np.array([[0, 0, 0, 0, 1, 1]], dtype=np.uint8)
    target = np.array([0, 0, 0, 1, 1, 1])
    model = fit_boosted(bins, target, rng=rng(), n_rounds=1, depth=1, learning_rate=1.0)
    np.testing.assert_allclose(model.values[0, :, 0], [-1 / 1, 1 / 0.5], atol=1e-6)
    assert model.prior[0] == 0
    assert model.predict(np.array([[0, 1]], dtype=np.uint8)).tolist() == [0, 1]
    # Another learning rate is another step.
    slower = fit_boosted(bins, target, rng=rng(), n_rounds=1, depth=1, learning_rate=0.5)
    np.testing.assert_allclose(slower.values, model.values / 2)


def test_two_codes_that_predict_only_together():
    # Exclusive or: every first split gains exactly 0, and must be made all the same.
    corners = np.tile([[0, 0, 1, 1], [0, 1, 0, 1]], 25).astype(np.uint8)
    target = (corners[0] ^ corners[1]).astype(np.int64)
    model = fit_boosted(corners, target, rng=rng())
    assert (model.predict(corners) == target).all()


def test_equal_codes_share_by_lot_and_not_by_position():
    draw = rng(2)
    target = draw.integers(3, size=600)
    code = target + draw.normal(scale=0.4, size=600)
    codes = np.stack([code, code], axis=1)
    bins = to_bins(codes, quantile_edges(codes, 64))
    # The first rounds weigh most, so one fit is off by 0.06 (standard deviation).
    shared = [fit_boosted(bins, target, rng=rng(key)).importances[0] for key in range(6)]
    assert np.mean(shared) == pytest.approx(0.5, abs=0.07)
    # Negative control: without the lot the first takes everything.
    assert fit_boosted(bins, target, rng=FirstOfEqual()).importances.tolist() == [1, 0]


def test_sums_are_exact_and_do_not_depend_on_the_order_of_rows():
    draw = rng(3)
    bins = draw.integers(9, size=(2, 3000)).astype(np.uint8)
    residual = draw.uniform(-1, 1, size=(3000, 2))
    sums = _BinSums(bins)
    count, total = sums.unpack(sums.cumulate(sums.pack(residual)))
    for d in range(2):
        for b in range(9):
            inside = bins[d] <= b
            assert (count[d, b] == inside.sum()).all()
            np.testing.assert_allclose(total[d, b], residual[inside].sum(axis=0), atol=3000 / sums.scale)
    order = draw.permutation(3000)
    shuffled = _BinSums(bins[:, order])
    _, again = shuffled.unpack(shuffled.cumulate(shuffled.pack(residual[order])))
    np.testing.assert_array_equal(again, total)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_largest_residuals_do_not_overflow_the_packing(sign):
    bins = np.zeros((1, 16_383), dtype=np.uint8)
    sums = _BinSums(bins)
    count, total = sums.unpack(sums.cumulate(sums.pack(np.full((16_383, 1), sign))))
    assert (count.item(), total.item()) == (16_383, sign * 16_383)


def test_code_without_information_gets_none():
    target = np.repeat([0, 1, 2], 20)
    bins = np.stack([np.zeros(60), target]).astype(np.uint8)
    model = fit_boosted(bins, target, rng=rng())
    assert model.importances.tolist() == [0, 1]
    constant = fit_boosted(bins[:1], target, rng=rng())
    assert constant.importances.tolist() == [0]


def test_edges():
    few = np.array([[3.0], [1.0], [3.0], [2.0]])
    assert quantile_edges(few, 64)[0].tolist() == [1.5, 2.5]
    assert to_bins(few, quantile_edges(few, 64)).tolist() == [[2, 0, 2, 1]]
    assert quantile_edges(np.ones((5, 1)), 64)[0].size == 0
    many = rng(4).normal(size=(6400, 1))
    counts = np.bincount(to_bins(many, quantile_edges(many, 64))[0])
    assert counts.tolist() == [100] * 64
    neighbours = np.array([[1.0], [np.nextafter(1.0, 2.0)]])
    assert to_bins(neighbours, quantile_edges(neighbours, 64)).tolist() == [[0, 1]]


def test_refuses():
    with pytest.raises(ValueError, match="n_bins"):
        quantile_edges(np.ones((5, 1)), 257)
    with pytest.raises(ValueError, match="two classes"):
        fit_boosted(np.zeros((1, 4), dtype=np.uint8), np.zeros(4, dtype=np.int64), rng=rng())


@settings(deadline=None, max_examples=15)
@given(key=st.integers(0, 2**32), n=st.integers(3, 60), n_classes=st.integers(2, 5))
def test_any_small_sample_gives_finite_trees_and_known_classes(key, n, n_classes):
    draw = rng(key)
    codes = np.round(draw.normal(size=(n, 2)), 1)
    target = draw.integers(n_classes, size=n) * 10 - 7
    target[:2] = (-7, 3)
    bins = to_bins(codes, quantile_edges(codes, 64))
    model = fit_boosted(bins, target, rng=draw, n_rounds=20)
    assert np.isfinite(model.values).all()
    assert model.importances.sum() == pytest.approx(1) or (model.importances == 0).all()
    assert set(model.predict(bins)) <= set(target)
