"""Figures of training: what was planted is what is drawn."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.errors import BenchError
from bench.evaluation.montages import grid
from bench.figures import (
    ablation,
    animation,
    controller,
    correlation,
    emergence,
    factor_latent,
    stability_map,
    strip,
    tracking,
    tradeoff,
    traversals,
)
from bench.figures._montage import Montage
from bench.figures.axes import style
from bench.figures.frames import Animation
from bench.registry import FIGURES
from bench.reporting.render import render
from bench.results.study import read_study
from helpers.synthetic import Build

EVERY = [
    ablation.ablation, animation.animation, controller.controller, correlation.correlation, emergence.emergence,
    factor_latent.factor_latent, stability_map.stability_map, strip.strip, tracking.tracking, tradeoff.tradeoff,
    traversals.traversals,
]  # fmt: skip


def curves(kl: np.ndarray, set_point: Any = None, latents: Any = None) -> str:
    steps = 100 * np.arange(1, len(kl) + 1)
    table = pd.DataFrame({"step": steps, "reconstruction": 10.0, "kl": kl, "beta": 1.0, "set_point": set_point})
    for k, column in enumerate(np.asarray(latents).T if latents is not None else []):
        table[f"kl_{k}"] = column
    return table.to_csv(index=False)


def gains(**changes: Any) -> dict[str, Any]:
    return {"set_point": 4.0, "kp": 0.01, "ki": 0.005, **changes}


def test_tracking_shows_the_planted_error(study_builder: Build) -> None:
    builder = study_builder()
    for seed, offset in enumerate((0.1, 0.3)):
        builder.run("control_vae", seed, {"kl": 4.0}, hyper=gains(), curves=curves(np.full(50, 4 - offset), 4.0))
    builder.run("vae", 0, {"kl": 9.0}, curves=curves(np.full(50, 9.0)))
    axes = [each for each in tracking.tracking(read_study(builder.study())).axes if each.get_visible()]
    assert [each.get_title() for each in axes] == ["ControlVAE", ""]  # no set point, no panel
    above, below = axes
    np.testing.assert_allclose(above.lines[0].get_ydata(), 3.8)
    np.testing.assert_allclose(above.lines[1].get_ydata(), 4.0)
    np.testing.assert_allclose(below.lines[1].get_ydata(), 0.2)
    assert below.get_title(loc="right") == "at the end 0.2 nats off"


def test_latents_emerge_where_they_stay_above_the_threshold() -> None:
    table = pd.DataFrame({"step": [10.0, 20, 30, 40], "kl": 1.0})
    table["kl_0"] = [0.0, 0.2, 0.3, 0.4]
    table["kl_1"] = [0.9, 0.0, 0.0, 0.2]  # in use at the start only by chance of the initialisation
    table["kl_2"] = [0.0, 0.9, 0.9, 0.05]  # lost again
    table["kl_3"] = [0.5, 0.5, 0.5, 0.5]
    assert emergence.first_steps(table) == [10, 20, 40]
    assert emergence.first_steps(table.iloc[:0]) == []


def test_emergence_draws_a_dot_per_seed_and_the_set_point_above(study_builder: Build) -> None:
    builder = study_builder()
    for seed, start in enumerate((10, 20)):
        latents = np.zeros((50, 2))
        latents[start:, 1] = 1.0
        ramp = np.linspace(0.1, 5, 50)
        text = curves(latents.sum(axis=1), ramp, latents=latents)
        builder.run("dynamic_vae", seed, {"kl": 1.0}, hyper=gains(), curves=text)
    axes = emergence.emergence(read_study(builder.study())).axes[0]
    assert list(axes.lines[0].get_xdata()) == [1100, 2100]
    assert list(axes.lines[1].get_xdata()) == [1600, 1600]
    (upper,) = axes.child_axes
    labels = {float(x): text.get_text() for x, text in zip(upper.get_xticks(), upper.get_xticklabels(), strict=True)}
    assert labels[2000.0] == "2"  # the ramp is 0.1 per 100 steps


def test_an_ablation_has_a_row_per_varied_setting_with_the_base_in_each(study_builder: Build) -> None:
    builder = study_builder()
    variations = [{}, {"kp": 0.1}, {"kp": 1.0}, {"ki": 0.1}, {"beta0": 1.0}, {"beta0": 2.0}]
    for index, changes in enumerate(variations):
        hyper = {**gains(beta0=50.0), **changes}
        builder.run("dynamic_vae", 0, {"kl": 4.0}, hyper=hyper, curves=curves(np.full(20, float(index))))
    figure = ablation.ablation(read_study(builder.study()))
    legends = [[text.get_text() for text in axes.get_legend().texts] for axes in figure.axes[3::4]]
    rows = [["kp=0.01", "kp=0.1", "kp=1"], ["ki=0.005", "ki=0.1"], ["beta0=50", "beta0=1", "beta0=2"]]
    assert sorted(legends) == sorted(rows)
    for row, values in zip(rows, ([0, 1, 2], [0, 3], [0, 4, 5]), strict=True):
        kl = figure.axes[4 * legends.index(row) + 1]
        assert [float(line.get_ydata()[0]) for line in kl.lines] == values
        assert len({(line.get_color(), line.get_linestyle()) for line in kl.lines}) == len(row)


def test_a_method_with_one_configuration_is_no_ablation(study_builder: Build) -> None:
    assert not ablation.ablation(read_study(study_builder().fill([0, 1], ["vae", "beta_vae"], rows=5)))


def settles(kp: float, ki: float, q: float, window: int) -> bool:
    """Whether the linear loop's error, started at one, has become smaller between two late stretches."""
    x = [1.0] * (window + 2)
    for _ in range(3000):
        now, before = (sum(x[len(x) - shift - window : len(x) - shift]) / window for shift in (0, 1))
        x.append(x[-1] - kp * q / 4 * (now - before) - ki * q * now)
        if abs(x[-1]) > 1e6:
            return False
    return max(map(abs, x[-100:])) <= max(map(abs, x[1000:1100]))


@pytest.mark.parametrize(("kp", "ki"), [(0.01, 0.005), (0.01, 0.01), (1.0, 0.005), (0.5, 0.5)])
def test_the_critical_slope_parts_loops_that_settle_from_loops_that_explode(kp: float, ki: float) -> None:
    limit = float(stability_map.critical_slope(kp, ki))
    assert settles(kp, ki, 0.999 * limit, 1)
    assert not settles(kp, ki, 1.001 * limit, 1)
    assert stability_map.critical_slope_averaged(kp, ki, 1) == pytest.approx(limit, rel=1e-4)
    assert stability_map.critical_slope(kp, 0.0) == 0


@pytest.mark.parametrize(
    ("kp", "ki", "window", "slope"),
    [(0.01, 0.005, 2, 312.3), (0.01, 0.005, 5, 233.7), (0.01, 0.005, 20, 54.1), (1, 0.005, 10, 35.4)],
)
def test_the_critical_slope_with_an_average(kp: float, ki: float, window: int, slope: float) -> None:
    found = stability_map.critical_slope_averaged(kp, ki, window)
    assert found == pytest.approx(slope, rel=2e-3)
    assert settles(kp, ki, 0.99 * found, window)
    assert not settles(kp, ki, 1.01 * found, window)


def test_slopes_lie_between_neighbouring_betas_of_any_order(study_builder: Build) -> None:
    builder = study_builder()
    for beta, kl in ((4.0, 5.0), (2.0, 8.0)):
        builder.run("beta_vae", 0, {"kl": kl}, hyper={"beta": beta})
    builder.run("vae", 0, {"kl": 11.0}, hyper={})
    builder.run("dynamic_vae", 0, {"kl": 4.0}, hyper=gains(window=5))
    study = read_study(builder.study())
    assert stability_map.slopes(study, "dsprites") == [(8.0, 11.0, 3.0), (5.0, 8.0, 1.5)]
    (setting,) = stability_map.settings(study, "dsprites")
    assert (setting.kp, setting.ki, setting.window) == (0.01, 0.005, 5)
    figure = stability_map.stability_map(study)
    assert any(list(line.get_xydata()[0]) == [0.01, 0.005] for line in figure.axes[0].lines)


def test_controllers_are_drawn_for_the_methods_that_have_one(study_builder: Build) -> None:
    study = read_study(study_builder("both").fill([0], ["control_vae", "dynamic_vae", "vae"], rows=3))
    assert [axes.get_title(loc="left") for axes in controller.controller(study).axes] == ["ControlVAE", "DynamicVAE"]
    assert controller.controller(read_study(study_builder("none").fill([0], ["vae"], rows=3))) is None


def test_films_step_through_the_stored_cells_and_back(study_builder: Build, tmp_path: Path) -> None:
    study = read_study(study_builder().fill([0], ["vae"], pictures=True, rows=3))
    (film,) = animation.animation(study).values()
    assert isinstance(film, Animation)
    assert len(film.frames) == 18
    montage = np.asarray(Image.open(next(study.path.glob("runs/*/traversals.png"))), dtype=int)
    for value in (0, 7, 9):
        frame = np.asarray(film.frames[value], dtype=int)[:: animation.LEAST, :: animation.LEAST]
        for query in range(3):
            left = (10 * query + value) * 33
            cell = frame[:, query * 32 : (query + 1) * 32]
            assert np.abs(cell - montage[:, left : left + 32]).max() <= 9  # half a step of grey
    assert film.frames[10] == film.frames[8]
    film.save(tmp_path / "a.gif")
    film.save(tmp_path / "b.gif")
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    with Image.open(tmp_path / "a.gif") as image:
        assert (image.n_frames, image.size) == (18, film.frames[0].size)


@pytest.mark.parametrize("shape", [(12, 20), (20, 12), (8, 8)])
@pytest.mark.parametrize("channels", [1, 3])
def test_cells_of_any_shape_are_found_in_a_montage(shape: tuple[int, int], channels: int) -> None:
    images = np.random.default_rng(0).random((7, 30, channels, *shape))
    pixels = (grid(images) / 255).astype(np.float32)
    montage = Montage("", "", pixels if channels == 3 else pixels[..., 0])
    assert montage.grid(7) == (30, shape[0] + 1, shape[1] + 1)
    alone = Montage("", "", (grid(images[:, :1]) / 255).astype(np.float32))
    assert alone.grid(7) == (1, shape[0] + 1, shape[1] + 1)


def test_coloured_films_keep_their_colours(tmp_path: Path) -> None:
    red, blue = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    mixed = Image.new("RGB", (4, 8), "red")
    mixed.paste(blue, (0, 4))
    Animation((mixed, mixed.rotate(180))).save(tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        assert image.convert("RGB").getpixel((0, 0)) == red.getpixel((0, 0))
        image.seek(1)
        assert image.convert("RGB").getpixel((0, 0)) == blue.getpixel((0, 0))


def kinds(study_builder: Build) -> dict[str, Any]:
    diverged = study_builder("diverged")
    for method, seed in itertools.product(("vae", "dynamic_vae", "untrained"), range(2)):
        diverged.run(method, seed, {}, status="diverged", curves="step,reconstruction,kl,beta,set_point\n")
    alone = study_builder("alone").fill([0], ["dynamic_vae"], pictures=True, rows=4)
    control = study_builder("control").fill([0, 1], ["untrained"], rows=4)
    bare = study_builder("bare")
    bare.run("dynamic_vae", 0, {"kl": 1.0}, curves="step,reconstruction,kl,beta,set_point\n")
    return {"diverged": diverged.study(), "alone": alone, "control": control, "bare": bare.study()}


@pytest.mark.parametrize("draw", EVERY, ids=lambda draw: draw.__name__)
def test_studies_that_lack_something_are_drawn_or_left_out(study_builder: Build, draw: Any) -> None:
    for name, path in kinds(study_builder).items():
        with style():
            drawn = draw(read_study(path))
        for figure in drawn.values() if isinstance(drawn, dict) else [drawn]:
            if hasattr(figure, "draw_without_rendering"):
                figure.draw_without_rendering()
        assert name not in ("diverged", "control") or not drawn


def test_traversals_of_a_damaged_run_are_named(study_builder: Build) -> None:
    path = study_builder().fill([0], ["vae"], pictures=True, rows=3)
    next(path.glob("runs/*/traversals.png")).write_bytes(b"no picture")
    with pytest.raises(BenchError, match=r"traversals\.png is no picture"):
        animation.animation(read_study(path))


def test_many_traversals_are_spread_over_pages(study_builder: Build) -> None:
    builder = study_builder()
    for beta in range(1, 10):
        builder.run("beta_vae", 0, {"kl": 1.0}, hyper={"beta": float(beta)}, pictures=True)
    pages = traversals.traversals(read_study(builder.study()))
    assert [len(page.axes) for page in pages.values()] == [4, 4, 1]


def test_a_figure_that_is_none_is_left_out_of_the_report(study_builder: Build, tmp_path: Path) -> None:
    with FIGURES.override(only=()):
        FIGURES.register("absent")(lambda study: None)
        page = render(study_builder().fill([0], ["vae"], rows=3), tmp_path / "out")
    assert "absent" not in page.read_text(encoding="utf-8")
    assert not list(page.parent.glob("fig_*"))


def test_a_study_may_choose_the_figures_of_its_report(study_builder: Build, tmp_path: Path) -> None:
    builder = study_builder()
    path = builder.fill([0], ["vae"], rows=3)
    render(builder.study(figures=["curves"]), tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").glob("fig_*")) == ["fig_curves.pdf", "fig_curves.png"]
    builder.study(figures=["curve"])
    with pytest.raises(BenchError, match="unknown figure 'curve'; did you mean 'curves'"):
        render(path, tmp_path / "out")
