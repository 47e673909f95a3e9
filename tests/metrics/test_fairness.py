import numpy as np
import pytest

from bench.metrics import fairness
from bench.metrics.fairness import crossed_parts, total_variation
from helpers.factors import grid
from helpers.rng import rng

LARGE = {"n_train": 1000, "n_test": 4000}


def fifths(column: np.ndarray) -> np.ndarray:
    """Equal shares of every value, where they follow each other."""
    return np.arange(len(column)) % 5


def crossed_variation(guess: np.ndarray, sensitive: np.ndarray, fold: np.ndarray) -> float:
    return float(crossed_parts(guess, sensitive, fold).sum()) / len(guess)


class TestTotalVariation:
    def test_by_hand(self):
        # Of value 0 all are predicted 0, of value 1 half: overall 3/4 and 1/4, so each is 1/4 away.
        assert total_variation(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])) == pytest.approx(0.25, abs=1e-15)

    def test_values_weigh_by_their_frequency(self):
        # Shares of prediction 1: 1 of value 0 (a fifth of the rows), 0 of value 1; overall 1/5.
        guess, sensitive = np.array([1, 0, 0, 0, 0]), np.array([0, 1, 1, 1, 1])
        assert total_variation(guess, sensitive) == pytest.approx(0.2 * 0.8 + 0.8 * 0.2, abs=1e-15)

    @pytest.mark.parametrize("n", [2, 5])
    def test_of_the_sensitive_factor_itself_is_what_isnt_its_share(self, n):
        column = np.repeat(np.arange(n), 10)
        assert total_variation(column, column) == pytest.approx(1 - 1 / n, abs=1e-15)
        assert crossed_variation(column, column, fifths(column)) == pytest.approx(1 - 1 / n, abs=1e-15)

    def test_of_a_constant_is_nothing(self):
        column = np.repeat(np.arange(3), 4)
        assert total_variation(np.zeros(12), column) == 0
        assert crossed_variation(np.zeros(12), column, fifths(column)) == 0

    def test_names_and_order_do_not_matter(self):
        guess, sensitive = rng(1).integers(4, size=200), rng(2).integers(3, size=200)
        order, names = rng(3).permutation(200), np.array([5, -2, 90, 7])
        expected = total_variation(guess, sensitive)
        assert total_variation(names[guess][order], names[sensitive][order]) == pytest.approx(expected, abs=1e-15)

    def test_by_hand_from_two_folds(self):
        # First half of each value: 0 predicts 0, 1 predicts 1. Second half: both predict 0 and 1 once.
        sensitive = np.array([0, 0, 1, 1, 0, 0, 1, 1])
        guess = np.array([0, 0, 1, 1, 0, 1, 0, 1])
        first = np.arange(8) // 4
        # Favoured in the first half, measured in the second: no difference; and the second favours nothing.
        assert crossed_variation(guess, sensitive, first) == 0
        assert total_variation(guess, sensitive) == pytest.approx(0.25, abs=1e-15)

    def test_fair_predictions_of_many_values_are_not_unfair_by_chance(self):
        found = []
        for key in range(20):
            sensitive, guess = rng(key).integers(40, size=5000), rng(50 + key).integers(32, size=5000)
            order = np.argsort(sensitive, kind="stable")
            sensitive, guess = sensitive[order], guess[order]
            assert total_variation(guess, sensitive) == pytest.approx(0.2, abs=0.03)
            found.append(crossed_variation(guess, sensitive, fifths(sensitive)))
        assert abs(np.mean(found)) < 0.01

    def test_truth_lies_between_the_two(self):
        # With probability 0.3 the prediction is the sensitive value, otherwise one of 8: TV = 0.3 * 7 / 8.
        crossed, plugged = [], []
        for key in range(20):
            sensitive = np.repeat(np.arange(8), 60)
            guess = np.where(rng(key).random(480) < 0.3, sensitive, rng(50 + key).integers(8, size=480))
            crossed.append(crossed_variation(guess, sensitive, fifths(sensitive)))
            plugged.append(total_variation(guess, sensitive))
        assert np.mean(crossed) < 0.3 * 7 / 8 < np.mean(plugged)
        # Of the answers that are a little rarer, some are taken for favoured in 48 rows.
        assert np.mean(crossed) == pytest.approx(0.3 * 7 / 8, abs=0.05)

    def test_a_value_of_one_row_counts_as_nothing(self):
        assert crossed_variation(np.array([0, 1, 1]), np.array([0, 1, 1]), np.array([0, 0, 1])) == 0


class TestMetric:
    @pytest.mark.parametrize("predictor", ["logistic", "hist_gbt"])
    def test_a_perfect_code_is_fair(self, predictor):
        factors = rng(1).integers((3, 4, 5), size=(5000, 3))
        found = fairness(factors.astype(float), factors, predictor=predictor, **LARGE, rng=rng())
        assert found["unfairness"] < 0.01
        assert found["unfairness"] <= found["unfairness_plug_in"]
        assert found["unfairness_error"] < 0.05

    def test_a_target_that_is_the_sensitive_factor_is_unfair(self):
        # The second factor is the first: half of a pair's values aren't the other's, 1 - 1/4 from what is overall.
        one = rng(2).integers(4, size=(5000, 1))
        found = fairness(one.astype(float), np.hstack([one, one]), **LARGE, rng=rng())
        assert found["unfairness"] == pytest.approx(0.75, abs=0.01)
        assert found["total_variation"][0][0] is None

    def test_means_are_over_sensitive_factors_then_targets(self):
        factors = rng(3).integers((3, 4, 5), size=(5000, 3))
        codes = factors @ [[1.0, 1], [0.5, 0], [0, 1]]
        found = fairness(codes, factors, **LARGE, rng=rng())
        matrix = np.array(found["total_variation"], dtype=float)
        assert np.nanmean(matrix, axis=1) == pytest.approx(found["unfairness_per_factor"], abs=1e-12)
        assert np.nanmean(matrix) == pytest.approx(found["unfairness"], abs=1e-12)
        assert found["unfairness"] > 0.1

    def test_a_code_that_tells_nothing_is_fair(self):
        factors = grid((3, 4))[rng(4).integers(12, size=3000)]
        found = fairness(np.ones((3000, 2)), factors, rng=rng())
        assert (found["unfairness"], found["unfairness_plug_in"]) == (0, 0)

    def test_factor_with_one_value_is_left_out_and_two_must_be_left(self):
        factors = np.insert(rng(5).integers(3, size=(600, 2)), 1, 7, axis=1)
        found = fairness(factors.astype(float), factors, predictor="logistic", rng=rng())
        assert found["factors_left_out"] == [1]
        assert found["total_variation"][1] == [None, None, None]
        assert found["unfairness_per_factor"][1] is None
        with pytest.raises(ValueError, match="needs 2 factors"):
            fairness(factors.astype(float), factors[:, :2], rng=rng())

    def test_refuses_an_unknown_predictor(self):
        with pytest.raises(ValueError, match="'hist_gbt'"):
            fairness(np.ones((30, 2)), grid((5, 6)), predictor="svm", rng=rng())


class TestError:
    def test_covers_what_another_split_of_few_rows_changes(self):
        draw = rng(6)
        factors = np.stack([draw.integers(0, 2, 60), draw.integers(0, 2, 60)], axis=1)
        codes = factors + draw.normal(size=(60, 2)) * 0.5
        results = [fairness(codes, factors, predictor="logistic", rng=rng(seed)) for seed in range(12)]
        spread = np.std([result["unfairness"] for result in results])
        assert spread > 0.1
        # What lies between the two estimates says 0.05, one row of the test rows, for most splits.
        assert np.median([result["unfairness_error"] for result in results]) > 0.75 * spread
