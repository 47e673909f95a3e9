import math

import numpy as np
import pytest

from bench.metrics import downstream
from bench.metrics._predictors import NAMES, predict
from helpers.rng import rng

QUICK = {"n_labels": 200, "n_few": 20, "n_test": 300}


def sample(n: int = 1500, key: int = 0) -> tuple[np.ndarray, np.ndarray]:
    factors = rng(key).integers((2, 3), size=(n, 2))
    return factors.astype(float), factors


@pytest.mark.parametrize("predictor", NAMES)
class TestPredictors:
    def test_a_perfect_code_is_learnt(self, predictor):
        codes, factors = sample()
        found = downstream(codes, factors, predictor=predictor, **QUICK, rng=rng())
        assert (found["downstream_accuracy"], found["predictor"]) == (1.0, predictor)
        assert found["downstream_efficiency"] == pytest.approx(1, abs=0.05)

    def test_noise_is_at_chance(self, predictor):
        _, factors = sample()
        found = downstream(rng(1).normal(size=(1500, 3)), factors, predictor=predictor, **QUICK, rng=rng())
        # Halves and thirds are guessed half and a third of the time, however.
        assert found["downstream_accuracy"] == pytest.approx((1 / 2 + 1 / 3) / 2, abs=3 * 0.02)

    def test_labels_of_one_value_are_the_prediction(self, predictor):
        answers = predict(predictor, np.ones((3, 2)), np.array([7, 7, 7]), rng(2).normal(size=(5, 2)), rng())
        assert answers.tolist() == [7] * 5

    def test_constant_codes_name_the_commonest_value(self, predictor):
        factors = np.array([[0, 1]] * 200 + [[1, 0]] * 100 + [[1, 1]] * 700)[rng(3).permutation(1000)]
        found = downstream(np.full((1000, 2), 0.1), factors, predictor=predictor, **QUICK, rng=rng())
        assert found["accuracy_per_factor"] == pytest.approx([0.8, 0.9], abs=0.06)
        assert found["accuracy_per_factor"] == found["chance_per_factor"]


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_accuracy_of_two_gaussians_is_that_of_the_best_line(noise):
    from scipy.stats import norm

    factors = rng(4).integers(2, size=(12_000, 1))
    codes = factors + noise * rng(5).normal(size=(12_000, 1))
    found = downstream(codes, factors, n_labels=2000, n_test=4000, rng=rng())
    assert found["downstream_accuracy"] == pytest.approx(norm.cdf(0.5 / noise), abs=3 * 0.008)


def test_errors_cover_other_rows_most_of_the_time():
    from scipy.stats import norm

    off = []
    for key in range(30):
        factors = rng(key).integers(2, size=(900, 1))
        codes = factors + rng(100 + key).normal(size=(900, 1))
        found = downstream(codes, factors, n_labels=300, n_few=50, n_test=300, rng=rng())
        assert found["n_draws"] == 2
        off.append((found["downstream_accuracy"] - norm.cdf(0.5)) / found["downstream_accuracy_error"])
    assert 0.55 < np.mean(np.abs(off) < 1) < 0.95


def test_one_draw_takes_its_error_from_two_halves():
    factors = rng(6).integers(3, size=(900, 2))
    codes = factors + 0.7 * rng(7).normal(size=(900, 2))
    found = downstream(codes, factors, n_labels=10_000, rng=rng())
    assert (found["n_draws"], found["n_train"], found["n_test"]) == (1, 600, 300)
    p = found["downstream_accuracy"]
    assert 0 < found["downstream_accuracy_error"] < 3 * math.sqrt(p * (1 - p) / 300)


def test_fewer_labels_than_asked_for_are_said():
    codes, factors = sample(90)
    found = downstream(codes, factors, rng=rng())
    assert found["n_train"] == 60
    note = "fitted to 60 labels instead of 10000: the table has no more"
    assert note in found["marks"]["downstream_accuracy"]
    assert note in found["marks"]["downstream_efficiency"]
    assert found["downstream_efficiency"] is None  # 100 labels aren't few of 60
    assert "downstream_efficiency_error" not in found


def test_rows_enough_for_the_labels_are_enough():
    codes, factors = sample(1000)
    found = downstream(codes, factors, n_labels=100, n_few=10, rng=rng())
    assert (found["n_train"], found["n_draws"], found["n_draws_few"]) == (100, 5, 5)
    assert not any("instead" in note for note in found.get("marks", {}).get("downstream_accuracy", []))


def test_efficiency_is_the_ratio_of_the_two_accuracies():
    factors = rng(8).integers(5, size=(1500, 2))
    codes = factors + 0.5 * rng(9).normal(size=(1500, 2))
    found = downstream(codes, factors, **QUICK, rng=rng())
    few, many = np.mean(found["accuracy_few_per_factor"]), np.mean(found["accuracy_per_factor"])
    assert found["downstream_efficiency"] == pytest.approx(few / many, abs=1e-12)
    assert 0.5 < few / many < 1
    alone = downstream(codes, factors, **(QUICK | {"n_labels": 20, "n_few": 1}), rng=rng())["downstream_accuracy"]
    assert alone == pytest.approx(few, abs=0.06)


def test_logistic_regression_does_not_depend_on_scale_shift_or_rotation_much():
    factors = rng(10).integers(3, size=(1500, 2))
    codes = factors + 0.4 * rng(11).normal(size=(1500, 2))
    plain = downstream(codes, factors, **QUICK, rng=rng())["downstream_accuracy"]
    moved = downstream(1e-6 * codes + 5, factors, **QUICK, rng=rng())["downstream_accuracy"]
    turned = downstream(codes @ [[0.6, -0.8], [0.8, 0.6]], factors, **QUICK, rng=rng())["downstream_accuracy"]
    assert moved == pytest.approx(plain, abs=1e-3)
    assert turned == pytest.approx(plain, abs=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_labels": 0}, "n_labels"),
        ({"n_few": 0}, "n_few"),
        ({"n_test": 0}, "n_test"),
        ({"predictor": "svm"}, "'hist_gbt'"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        downstream(*sample(30), **options, rng=rng())
