"""Entropies of mixtures whose Gaussians may be of any width, against closed forms and finer rules."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from bench.metrics import _quadrature, elbo, mig_sampled
from bench.metrics._quadrature import Labels, mixture_entropies
from helpers.rng import rng


def labels(column) -> Labels:
    return Labels(np.asarray(column)[:, None])


def entropies(mean, sigma, column=None, **options):
    mean, sigma = np.asarray(mean, dtype=float), np.asarray(sigma, dtype=float)
    groups = labels(np.zeros(len(mean), dtype=int) if column is None else column)
    return mixture_entropies(mean, sigma, groups, n_draws=options.get("n_draws", 10_000), rng=rng())


def integrated(mean, sigma) -> float:
    def integrand(z):
        density = norm.pdf(z, mean, sigma).mean()
        return -density * np.log(density) if density > 0 else 0.0

    marks = np.unique(np.concatenate([mean + k * sigma for k in (-9, -3, 0, 3, 9)]))
    return sum(quad(integrand, a, b, limit=200)[0] for a, b in pairwise(marks))


class TestNarrowPosteriors:
    """The grid of 8 x 8 whose second factor moves the code by a thousandth: MIG is 1, whatever the points."""

    def inputs(self):
        a, b = np.indices((8, 8)).reshape(2, -1)
        codes = np.stack([a / 2 + b / 1000, 0.0 * a], axis=1)
        return codes, np.tile([2 * np.log(1e-4), 0.0], (64, 1)), np.stack([a, b], axis=1)

    def test_score_is_one(self):
        # Ten standard deviations lie between neighbours, of which 5e-7 of the information is lost.
        codes, logvar, factors = self.inputs()
        found = mig_sampled(codes, logvar, factors, rng=rng())
        assert found["mig_sampled"] == pytest.approx(1, abs=1e-5)
        assert found["mig_sampled_error"] < 1e-4
        assert (found["widened"], found["sampled_latents"]) == (0, [])
        assert "marks" not in found

    def test_information_of_the_image_is_the_number_of_rows(self):
        codes, logvar, _ = self.inputs()
        found = elbo(codes, logvar, rng=rng())
        assert found["elbo_index_code_mi"] == pytest.approx(np.log(64), abs=1e-5)
        assert found["elbo_dimension_wise_kl_error"] < 1e-4


@pytest.mark.parametrize("sigma", [1e-9, 1e-5, 1e-2, 1.0, 1e6])
def test_one_gaussian_has_its_entropy(sigma):
    assert entropies([3.0], [sigma]).whole == pytest.approx(norm.entropy(0, sigma), abs=1e-9)


@pytest.mark.parametrize(
    ("mean", "sigma"),
    [
        ([0.0, 1.0], [1.0, 1.0]),
        ([0.0, 6.0], [1.0, 1.0]),
        ([0.0, 0.3], [1.0, 0.01]),
        ([0.0, 2.0, 2.001], [1.0, 1e-3, 1e-4]),
    ],
)
def test_widths_may_differ_by_orders_of_magnitude(mean, sigma):
    found = entropies(mean, sigma)
    assert found.whole == pytest.approx(integrated(np.array(mean), np.array(sigma)), abs=1e-7)
    assert found.error < 1e-4


def test_estimated_error_covers_the_difference_from_a_finer_rule(monkeypatch):
    draw = rng(1)
    mean, sigma, column = draw.normal(size=400), np.exp(2 * draw.normal(size=400) - 3), draw.integers(7, size=400)
    found = entropies(mean, sigma, column)
    monkeypatch.setattr(_quadrature, "WIDTH", 1.0)
    finer = entropies(mean, sigma, column)
    assert abs(found.whole - finer.whole) < 1e-9
    np.testing.assert_allclose(found.information, finer.information, atol=1e-9)
    assert 0 < finer.error < found.error < 1e-4
    # Negative control: on panels that are too wide the error is large, and said to be.
    monkeypatch.setattr(_quadrature, "WIDTH", 200.0)
    coarse = entropies(mean, sigma, column)
    assert 1e-3 < abs(coarse.whole - finer.whole) < coarse.error


def test_what_cannot_be_integrated_is_sampled_and_marked(monkeypatch):
    draw = rng(2)
    factors = np.arange(300)[:, None] % 3
    codes = np.hstack([factors, draw.normal(size=(300, 1))]) + 0.1 * draw.normal(size=(300, 2))
    logvar = np.full(codes.shape, -2.0)
    exact = mig_sampled(codes, logvar, factors, rng=rng())
    monkeypatch.setattr(_quadrature, "BUDGET", 10_000)
    sampled = mig_sampled(codes, logvar, factors, rng=rng())
    assert sampled["sampled_latents"] == [0, 1]
    error = sampled["mig_sampled_error"]
    assert abs(sampled["mig_sampled"] - exact["mig_sampled"]) < 3 * error
    assert any("samples" in note for note in sampled["marks"]["mig_sampled"])
    assert any("error" in note for note in sampled["marks"]["mig_sampled"])


def test_posteriors_that_float64_cannot_resolve_are_widened_and_marked():
    codes = np.array([[0.0], [1.0], [2.0], [3.0]])
    logvar = np.array([[-900.0], [-900.0], [-900.0], [0.0]])
    found = mig_sampled(codes, logvar, np.array([[0], [0], [1], [1]]), rng=rng())
    assert found["widened"] == 0.75
    assert any("widened" in note for note in found["marks"]["mig_sampled"])


def test_an_offset_of_the_codes_costs_no_digits():
    near, far = (entropies(shift + np.arange(8.0), np.full(8, 1e-4)).whole for shift in (0.0, 2.0**40))
    assert near == pytest.approx(far, abs=1e-9)
    assert near == pytest.approx(norm.entropy(0, 1e-4) + np.log(8), abs=1e-7)


def test_panels_cover_what_is_reached_once():
    draw = rng(3)
    mean, sigma = draw.normal(size=200), np.exp(3 * draw.normal(size=200) - 4)
    grid = _quadrature._Grid(mean, sigma)
    right = grid.left + grid.width
    assert (grid.left[1:] >= right[:-1] - 1e-12).all()
    at = draw.uniform(mean - 8 * sigma, mean + 8 * sigma)
    panel = np.searchsorted(grid.left, at, side="right") - 1
    assert (at <= right[panel] + 1e-12).all()
    assert (grid.width[panel] <= 4 * sigma + 1e-12).all()
