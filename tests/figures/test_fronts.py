"""Figures of fronts: what was planted is what is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.figures.axes import style
from bench.figures.front_differences import front_differences
from bench.figures.front_rates import front_rates
from bench.figures.fronts import fronts
from bench.results.fronts import method_fronts, seed_fronts
from bench.results.study import Study, read_study
from bench.stats import difference_at
from helpers.fronts import planted_fronts
from helpers.synthetic import Build


@pytest.fixture
def study(study_builder: Build) -> Study:
    return read_study(planted_fronts(study_builder()).study())


def test_a_curve_per_method_and_a_mark_per_setting(study: Study) -> None:
    with style():
        figure = fronts(study)
    assert len(figure.axes) == 3
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    lines = [line for line in axes.lines if line.get_linestyle() != "None" and len(line.get_xdata()) > 2]
    marks = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert [len(line.get_xdata()) for line in marks] == [4, 3, 3]
    assert len(lines) == len(axes.collections) == 3  # with a band each
    x, y = lines[0].get_data()
    shift = np.mean([0.01 * seed for seed in range(6)])
    np.testing.assert_allclose(y, 0.2 + 0.1 * np.log(x) + shift, atol=0.006)
    assert [text.get_text() for text in figure.legends[0].texts] == ["β-VAE", "FactorVAE", "ControlVAE", "untrained"]


def test_bands_hold_the_mean_and_have_the_same_bytes_again(study: Study) -> None:
    with style():
        first, again = fronts(study), fronts(study)
    for one, other in zip(first.axes, again.axes, strict=True):
        for a, b in zip(one.collections, other.collections, strict=True):
            np.testing.assert_array_equal(a.get_paths()[0].vertices, b.get_paths()[0].vertices)


def test_distortion_over_rate_and_over_the_references(study: Study) -> None:
    with style():
        absolute, relative = front_rates(study).axes
    assert absolute.get_yscale() == "log"
    x, y = next(line.get_data() for line in absolute.lines if len(line.get_xdata()) > 4)
    np.testing.assert_allclose(y, np.exp(4 - x / 3), rtol=0.005)
    thin, bold = [line for line in relative.lines if len(line.get_xdata()) > 2][2:]
    np.testing.assert_allclose(thin.get_ydata(), 10, atol=0.5)
    np.testing.assert_array_equal(thin.get_data(), bold.get_data())  # bold everywhere: 10 % are no chance
    assert "%" in relative.get_ylabel()


def test_differences_are_drawn_over_the_common_range(study: Study) -> None:
    with style():
        figure = front_differences(study)
    above, below = figure.axes[0], figure.axes[3]
    *_, thin, bold = [line for line in above.lines if len(line.get_xdata()) > 2]
    x, y = thin.get_data()
    assert np.exp(4 - 9 / 3) * 1.1 == pytest.approx(x[0], rel=0.01)
    assert np.exp(4 - 5 / 3) * 1.1 == pytest.approx(x[-1], rel=0.01)
    np.testing.assert_allclose(y, 0.1, atol=0.01)
    np.testing.assert_array_equal(bold.get_ydata(), y)
    np.testing.assert_array_equal(below.lines[1].get_ydata(), 1)
    assert "β-VAE" in above.get_ylabel()


def test_only_what_leaves_out_zero_is_bold(study: Study) -> None:
    with style():
        above = front_differences(study).axes[0]
    thin, bold = [line for line in above.lines if len(line.get_xdata()) > 2][
        :2
    ]  # FactorVAE's: no difference is planted
    dataset = study.datasets[0]
    base, factor = (front for front in method_fronts(study, dataset) if front.method in ("beta_vae", "factor_vae"))
    lines = [seed_fronts(study, dataset, front, "reconstruction_bce", "mig") for front in (factor, base)]
    intervals = [difference_at(*lines, x).difference for x in np.log(thin.get_xdata()[1:-1])]
    assert np.isnan(bold.get_ydata()[1:-1]).tolist() == [i.low <= 0 <= i.high for i in intervals]
    assert np.isnan(bold.get_ydata()).any()


def test_too_few_seeds_have_no_bands_and_no_differences(study_builder: Build) -> None:
    few = read_study(planted_fronts(study_builder(), seeds=4, untrained=False).study())
    with style():
        figure = fronts(few)
        assert front_differences(few) == {}
    assert not figure.axes[0].collections
    assert len([line for line in figure.axes[0].lines if line.get_linestyle() != "None"]) == 3


def test_a_single_front_is_no_figure_of_fronts(study_builder: Build) -> None:
    alone = read_study(planted_fronts(study_builder(), methods=("beta_vae",)).study())
    with style():
        assert fronts(alone) == front_rates(alone) == front_differences(alone) == {}


def test_settings_with_runs_that_missed_their_set_point_have_a_ring(study: Study) -> None:
    first = (study.runs["method"] == "control_vae") & (study.runs["hyper.set_point"] == 9) & (study.runs["seed"] == 0)
    columns = {"control.arrived": pd.array([None] * len(first), dtype="boolean"), "control.latched": False}
    columns["control.floor_share"] = 0.0
    known = replace(study, runs=study.runs.assign(**columns))
    known.runs.loc[study.runs["method"] == "control_vae", "control.arrived"] = True
    with style():
        assert not rings(fronts(known))
        known = replace(study, runs=known.runs.copy())
        known.runs.loc[first, "control.arrived"] = False
        (ring, *others) = rings(fronts(known))
    assert len(others) == 2  # one in each panel
    assert len(ring.get_xdata()) == 1
    assert ring.get_xdata()[0] == pytest.approx(np.exp(4 - 9 / 3) * 1.1, rel=0.01)


def rings(figure: Figure) -> list[Line2D]:
    return [line for axes in figure.axes for line in axes.lines if line.get_markerfacecolor() == "none"]
