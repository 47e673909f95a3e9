"""Errors that come from half of the rows: they cover what the scores are off where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from bench.metrics import dci, infomec, irs
from bench.metrics._halves import at_least_one_row, draw_halves, error_of_halves, largest_share
from bench.metrics.dci import disentanglement_score
from helpers.rng import rng

CUTS = norm.ppf(np.arange(1, 20) / 20)


def coverage(metric, make, truth: dict[str, float], *, draws: int = 40, **options) -> dict[str, tuple[float, float]]:
    """Share of draws whose error covers the distance to the truth, and the median error over the root mean square."""
    found = [metric(*make(rng(key)), rng=rng(1000 + key), **options) for key in range(draws)]
    out = {}
    for column, value in truth.items():
        error = np.array([result[f"{column}_error"] for result in found])
        off = np.abs([result[column] - value for result in found])
        out[column] = (float((off <= error).mean()), float(np.median(error) / math.sqrt((off**2).mean())))
    return out


class TestHalves:
    def test_half_of_every_value_and_another_half_for_every_factor(self):
        classes = rng().integers([2, 5, 1], size=(1001, 3))
        halves = draw_halves(classes, rng())
        for rows, column in zip(halves, classes.T, strict=True):
            assert (np.diff(rows) > 0).all()
            whole, part = np.bincount(column), np.bincount(column[rows])
            np.testing.assert_array_equal(part, (whole + 1) // 2)
        assert set(halves[0]) != set(halves[2])
        assert largest_share(halves, 1001) == pytest.approx(0.5, abs=0.003)

    def test_noise_of_a_mean_is_its_standard_error(self):
        values = rng(1).normal(size=(400, 5, 400))  # draws, parts, rows
        whole, half = values.mean(axis=2), values[:, :, :200].mean(axis=2)
        errors = [error_of_halves(np.mean, a, b, 0.5) for a, b in zip(whole.tolist(), half.tolist(), strict=True)]
        assert 1 <= np.median(errors) * math.sqrt(5 * 400) < 2.5
        assert np.mean(np.abs(whole.mean(axis=1)) <= errors) > 0.68

    @pytest.mark.parametrize("power", [0.5, 1.0])
    @pytest.mark.parametrize("share", [0.5, 0.7])
    def test_bias_is_covered_where_it_falls_with_the_root_of_the_rows_or_faster(self, power, share):
        n, biased = 1000, lambda rows: rows**-power
        error = error_of_halves(np.mean, [biased(n)] * 3, [biased(share * n)] * 3, share)
        assert error == pytest.approx(biased(n)) if power == 0.5 else error > biased(n)

    def test_nothing_is_claimed_from_nothing(self):
        assert error_of_halves(np.mean, [1.0, 1.0], [1.0, 1.0], 1.0) == math.inf
        assert error_of_halves(lambda parts: None, [1.0], [1.0], 0.5) == math.inf
        assert at_least_one_row(0.0, 50) == 0.02
        assert at_least_one_row(0.1, 50) == 0.1


class TestKnownTruth:
    @pytest.mark.parametrize("n", [300, 3000])
    def test_irs_of_bounded_noise(self, n):
        def make(draw):
            factors = draw.integers(6, size=(n, 3))
            return factors[:, :2] + draw.uniform(-1, 1, size=(n, 2)), factors

        # The 99 % quantile of the distance is 0.99, the largest deviation 2.5 + 1.
        (covered, size) = coverage(irs, make, {"irs": 1 - 0.99 / 3.5})["irs"]
        assert covered > 0.65
        assert 0.7 < size < 6

    @pytest.mark.parametrize(
        "mixing", [[[1, 0.5, 0.2], [0.3, 1, -0.4], [0.1, 0.2, 1]], [[1, 0, 0], [1, 0.3, 0], [0, 0.5, 0.5]]]
    )
    def test_linear_dci_of_gaussian_codes(self, mixing):
        mix = np.array(mixing, dtype=np.float64)
        covariance = mix @ mix.T + 0.16 * np.eye(3)
        importance = np.abs(np.linalg.solve(covariance, mix)) * np.sqrt(np.diag(covariance))[:, None]

        def make(draw):
            sources = draw.normal(size=(3000, 3))
            return sources @ mix.T + 0.4 * draw.normal(size=(3000, 3)), np.digitize(sources, CUTS)

        truth = {
            "dci_disentanglement": disentanglement_score(importance)[0],
            "dci_completeness": disentanglement_score(importance.T)[0],
        }
        for covered, size in coverage(dci, make, truth, predictor="linear").values():
            assert covered > 0.6
            assert 0.7 < size < 4

    def test_infomec_of_gaussian_noise_around_classes(self):
        values, noise = (3, 6), (0.4, 0.6)

        def information(n: int, sigma: float) -> float:
            def integrand(z: float) -> float:
                p = norm.pdf(z, np.arange(n), sigma).mean()
                return -p * math.log(p)

            whole = quad(integrand, -6 * sigma, n - 1 + 6 * sigma, limit=200)[0]
            return (whole - math.log(sigma * math.sqrt(2 * math.pi * math.e))) / math.log(n)

        def make(draw):
            factors = draw.integers(values, size=(600, 2))
            return factors + noise * draw.normal(size=(600, 2)), factors

        # Of classes with equal variances the logistic regression is the posterior, so E is the information itself.
        explicit = np.mean([information(n, s) for n, s in zip(values, noise, strict=True)])
        found = coverage(infomec, make, {"infom": 1.0, "infoe": explicit, "infoc": 1.0})
        for covered, size in found.values():
            assert covered > 0.55
            assert 0.5 < size < 5

    def test_trees_of_few_rows_are_marked_and_more_rows_are_surer(self):
        draw = rng(3)
        factors = draw.integers((3, 4), size=(3000, 2))
        codes = factors + 0.4 * draw.normal(size=(3000, 2))
        few, many = (dci(codes[: 2 * n], factors[: 2 * n], n_train=n, n_test=n, rng=rng()) for n in (150, 1500))
        for column in ("dci_disentanglement", "dci_completeness", "dci_informativeness"):
            assert few[f"{column}_error"] > 1.3 * many[f"{column}_error"] > 0
            assert column in few["marks"]

    def test_a_perfect_code_is_sure(self):
        factors = rng(4).integers((3, 4), size=(4000, 2))
        found = dci(factors, factors, n_train=2000, n_test=2000, rng=rng()) | infomec(factors, factors, rng=rng())
        assert (
            max(found[f"dci_{name}_error"] for name in ("disentanglement", "completeness", "informativeness")) < 0.003
        )
        assert found["infoe_error"] < 0.005


class TestEdges:
    def test_scores_without_a_value_have_no_error(self):
        factors = rng(5).integers(3, size=(300, 1))
        found = dci(factors, factors, rng=rng())
        assert {key for key in found if key.endswith("_error")} == {"dci_informativeness_error"}
        assert "infom_error" not in infomec(factors, factors, rng=rng())

    def test_rows_that_cannot_be_halved_have_no_bound(self):
        factors = np.array([[0], [1]] * 2)
        found = infomec(rng().normal(size=(4, 2)), factors, rng=rng())
        assert found["infoe_error"] is None
        assert "no bound on its error is known" in found["marks"]["infoe"]

    def test_constant_codes_have_no_robustness_to_err_about(self):
        factors = rng(6).integers(3, size=(300, 2))
        assert irs(np.ones((300, 2)), factors, rng=rng())["irs_error"] <= 1 / 300
