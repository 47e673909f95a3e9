"""Figures of tuning: what was planted is what is drawn."""

from __future__ import annotations

import math

import pytest
from matplotlib.colors import to_hex

from bench.figures.axes import style
from bench.figures.budget import budget
from bench.figures.palette import method_look
from bench.figures.sensitivity import sensitivity
from bench.reporting.figure_files import save_figure
from bench.results.study import read_study
from helpers.synthetic import Build
from helpers.tuning import tuning_study


def rising(n: int, key: str = "beta") -> list:
    """A default in the middle, then draws whose score rises with the hyper-parameter, the last beyond 20 nats."""
    return [({key: 3.3}, (0.3, 0.3, 0.3), 5.0)] + [
        ({key: 2.0**k}, (0.1 * k, 0.1 * k + 0.02, 0.1 * k + 0.04), 5.0 * (k + 1)) for k in range(n)
    ]


def test_budget_curves_are_the_expected_best_of_the_draws(study_builder: Build, tmp_path) -> None:
    study = tuning_study(study_builder(), {"beta_vae": rising(4), "factor_vae": rising(4, "gamma")}, bound="16")
    with style():
        figure = budget(study)
        save_figure(figure, tmp_path / "budget")
    (axes,) = figure.axes
    curves = [line for line in axes.lines if len(line.get_xdata()) == 4]
    assert len(curves) == 2
    means = [0.02, 0.12, 0.22]
    assert curves[0].get_ydata()[0] == pytest.approx(sum(means) / 3)
    assert curves[0].get_ydata()[-1] == pytest.approx(means[-1])
    assert to_hex(curves[1].get_color()) == method_look("factor_vae")[0].lower()
    (defaults,) = {float(line.get_ydata()[0]) for line in axes.lines if len(line.get_xdata()) == 1}
    assert defaults == pytest.approx(0.3)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["β-VAE (3 of 4 draws meet the bound)", "FactorVAE (3 of 4 draws meet the bound)"]


def test_sensitivity_shows_the_draws_hollow_beyond_the_bound(study_builder: Build, tmp_path) -> None:
    study = tuning_study(study_builder(), {"beta_vae": rising(9)}, bound="40")
    with style():
        figure = sensitivity(study)
        save_figure(figure, tmp_path / "sensitivity")
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_title() == "β-VAE: ρ = 1.00"
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert [point.get_markerfacecolor() == "white" for point in points] == [False] * 8 + [True]
    (profile,) = [line for line in axes.lines if len(line.get_xdata()) == 6]
    # In the scale of the axis: the middle of the first four draws, 1, 2, 4 and 8.
    assert profile.get_xdata()[0] == pytest.approx(math.sqrt(8))
    assert profile.get_ydata()[0] == pytest.approx(0.17)


def test_a_choice_has_its_names_on_the_axis(study_builder: Build) -> None:
    settings = [({"variant": "I" if n % 2 else "II", "lambda_od": 10.0 + n}, (0.1, 0.2, 0.3), 5.0) for n in range(5)]
    with style():
        figure = sensitivity(tuning_study(study_builder(), {"dip_vae": settings}))
    titles = [axes.get_xlabel() for axes in figure.axes]
    axes = figure.axes[titles.index("variant")]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["I", "II"]


def test_other_studies_have_neither_figure(study_builder: Build) -> None:
    builder = study_builder()
    builder.run("vae", 0, {"mig": 0.3})
    study = read_study(builder.study())
    assert budget(study) is None
    assert sensitivity(study) is None
