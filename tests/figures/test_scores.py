"""Figures of scores: what was planted is what is drawn."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.figures import ablation, correlation, factor_latent, stability_map, strip, tradeoff
from bench.figures.axes import style
from bench.reporting.figure_files import save_figure
from bench.results.study import read_study
from helpers.synthetic import Build


def matrix(axes: Any) -> np.ndarray:
    """The cells of a heat map, a row for each tick."""
    drawn = [*axes.images, *axes.collections][0]
    return np.ma.filled(drawn.get_array(), np.nan).reshape(len(axes.get_yticks()), -1)


def place(axes: Any, name: str) -> int:
    (index,) = [k for k, text in enumerate(axes.get_yticklabels()) if name in text.get_text()]
    return index


def correlated(study_builder: Build, seeds: int = 10) -> Any:
    """MIG equal to FactorVAE score; BCE falls where MIG rises (they agree); KL rises with BCE; DCI-C opposes MIG."""
    builder = study_builder()
    for seed in range(seeds):
        mig = float(np.random.default_rng(seed).random())
        scores = {"mig": mig, "factor_vae_score": mig, "reconstruction_bce": 9 - mig, "kl": 3 - mig**3}
        scores |= {"dci_completeness": 1 - mig, "dci_disentanglement": 0.5}
        builder.run("vae", seed, scores)
        # The control agrees with nobody, and must have no part in it.
        builder.run("untrained", seed, {**scores, "mig": -seed * mig, "kl": float(seed)})
    return read_study(builder.study())


def test_equal_scores_correlate_and_lower_is_better_changes_the_sign(study_builder: Build) -> None:
    (axes, _) = correlation.correlation(correlated(study_builder)).axes
    rho = matrix(axes)
    mig = place(axes, "MIG")
    assert rho[mig, place(axes, "FactorVAE")] == 1
    assert rho[mig, place(axes, "BCE")] == 1  # low BCE goes with high MIG
    assert rho[mig, place(axes, "KL")] == -1  # no better direction: as it is
    assert rho[mig, place(axes, "DCI-C")] == -1
    assert not any("DCI-D" in text.get_text() for text in axes.get_yticklabels())  # a constant has no ranks
    np.testing.assert_array_equal(rho, rho.T)
    assert axes.get_title() == "10 runs"


def test_correlations_over_configurations_are_those_of_their_means(study_builder: Build) -> None:
    builder = study_builder()
    # Within a configuration MIG and FactorVAE score go against each other, between configurations they agree.
    for beta, seed in itertools.product(range(1, 9), (-1, 0, 1)):
        scores = {"mig": beta + 0.1 * seed, "factor_vae_score": beta - 0.1 * seed, "kl": 9.0 - beta}
        builder.run("beta_vae", seed + 1, scores, hyper={"beta": float(beta)})
    over_runs, over_means, _ = correlation.correlation(read_study(builder.study())).axes
    assert over_means.get_title() == "means of 8 configurations"
    row, column = (place(over_runs, name) for name in ("MIG", "FactorVAE"))
    assert matrix(over_means)[row, column] == 1
    assert 0.9 < matrix(over_runs)[row, column] < 1


def test_few_runs_have_no_correlations(study_builder: Build) -> None:
    assert not correlation.correlation(correlated(study_builder, seeds=7))


def details(n_latents: int = 4, planted: tuple[int, int] = (2, 1)) -> dict[str, Any]:
    """Three factors, the middle one carried by one latent, the last one that can't be scored."""
    rows = np.full((n_latents, 3), 0.1)
    rows[planted] = 0.9
    table = [[float(value) if column < 2 else None for column, value in enumerate(row)] for row in rows]
    return {
        "mig": {"mutual_information": [[a, 2 * b, c] for a, b, c in table], "entropy": [1.0, 2.0, None]},
        "dci": {"importance": table},
        "kl": {"kl_per_latent": [0.0, 1.0, 3.0, 2.0][:n_latents]},
    }


def test_factor_latent_shows_the_planted_cell_and_sorts_by_kl(study_builder: Build) -> None:
    builder = study_builder()
    extra = {"details": details(), "factor_names": ["shape", "pos_x", "hue"]}
    builder.run("vae", 0, {"kl": 1.0}, result=extra)
    figure = factor_latent.factor_latent(read_study(builder.study()))
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 2
    for axes in shown:
        assert [text.get_text() for text in axes.get_yticklabels()] == ["z2 (3.0)", "z3 (2.0)", "z1 (1.0)", "z0 (0.0)"]
        table = matrix(axes)
        assert table.shape == (4, 2)
        assert np.unravel_index(table.argmax(), table.shape) == (0, 1)
        assert table.max() == pytest.approx(0.9)  # information as a share of the factor's entropy
    assert [text.get_text() for text in shown[-1].get_xticklabels()] == ["shape", "pos x"]


def test_latents_without_kl_keep_their_order(study_builder: Build) -> None:
    builder = study_builder()
    without = {key: value for key, value in details().items() if key != "kl"}
    builder.run("autoencoder", 0, {"mig": 1.0}, hyper={}, result={"details": without})
    axes = factor_latent.factor_latent(read_study(builder.study())).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["z0", "z1", "z2", "z3"]
    assert matrix(axes).argmax() == 2 * 2 + 1


def test_runs_without_tables_have_no_factor_latent(study_builder: Build) -> None:
    builder = study_builder()
    builder.run("vae", 0, {"kl": 1.0})
    assert not factor_latent.factor_latent(read_study(builder.study()))


@pytest.mark.parametrize("seed", range(20))
def test_the_pareto_front_is_the_points_that_nothing_beats(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = [(float(x), float(y)) for x, y in rng.integers(0, 6, size=(12, 2))]  # with ties

    def beaten(point: tuple[float, float]) -> bool:
        return any(x <= point[0] and y >= point[1] and (x, y) != point for x, y in points)

    assert tradeoff.pareto(points) == sorted({point for point in points if not beaten(point)})


def test_the_front_is_drawn_through_the_means_that_are_on_it(study_builder: Build) -> None:
    builder = study_builder()
    means = {1.0: (10.0, 0.1), 2.0: (12.0, 0.3), 4.0: (14.0, 0.2), 8.0: (20.0, 0.4)}  # the third is beaten
    for (beta, (bce, mig)), seed in itertools.product(means.items(), range(3)):
        scores = {"reconstruction_bce": bce + seed - 1, "mig": mig}
        builder.run("beta_vae", seed, scores, hyper={"beta": beta})
    with style():
        axes = tradeoff.tradeoff(read_study(builder.study())).axes[0]
    (front,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    np.testing.assert_allclose(front.get_xydata(), [(10, 0.1), (12, 0.3), (20, 0.4)])


def test_a_far_mean_is_marked_on_the_edge_and_named(study_builder: Build) -> None:
    builder = study_builder()
    for index, bce in enumerate((10.0, 11.0, 12.0, 13.0, 14.0, 500.0)):
        builder.run("beta_vae", 0, {"reconstruction_bce": bce, "mig": 0.1 + 0.01 * index}, hyper={"beta": float(index)})
    with style():
        figure = tradeoff.tradeoff(read_study(builder.study()))
    axes = figure.axes[0]
    assert axes.get_xlim()[1] < 20
    (edge,) = [line for line in axes.lines if not line.get_clip_on()]
    np.testing.assert_allclose(edge.get_xydata(), [(1, 0.15)])
    texts = [text.get_text() for text in figure.legends[0].texts]
    (named,) = [text for text in texts if "axis" in text]
    assert "beta=5" in named
    assert "500" in named


def test_many_configurations_are_spread_over_pages_and_every_score_is_on_one(study_builder: Build) -> None:
    builder = study_builder()
    scores = ("mig", "kl", "factor_vae_score", "dci_disentanglement", "reconstruction_bce")
    for beta in range(1, 16):
        builder.run("beta_vae", 0, dict.fromkeys(scores, float(beta)), hyper={"beta": float(beta)})
    pages = strip.strip(read_study(builder.study()))
    assert list(pages) == ["page-1", "page-2"]
    titles = [axes.get_title() for page in pages.values() for axes in page.axes if axes.get_visible()]
    assert len(titles) == len(set(titles)) == len(scores)
    assert all(page.get_size_inches()[1] < 10 for page in pages.values())


def build_for_bytes(study_builder: Build) -> Any:
    builder = study_builder()
    for beta, seed in itertools.product(range(1, 9), range(2)):
        scores = {"kl": 9.0 - beta + seed / 10, "mig": (beta * 7 % 5 + seed) / 10}
        lines = "step,reconstruction,kl,beta,set_point\n" + "".join(f"{k},9,{k},{beta},\n" for k in range(1, 5))
        extra = {"details": details()}
        builder.run("beta_vae", seed, scores, hyper={"beta": float(beta)}, curves=lines, result=extra)
    builder.run("control_vae", 0, {"kl": 4.0, "mig": 0.3}, hyper={"kp": 0.01, "ki": 0.005}, curves=lines)
    return read_study(builder.study())


@pytest.mark.parametrize(
    "draw",
    [correlation.correlation, factor_latent.factor_latent, ablation.ablation, stability_map.stability_map],
    ids=lambda draw: draw.__name__,
)
def test_the_same_study_gives_the_same_bytes(study_builder: Build, tmp_path: Path, draw: Any) -> None:
    study = build_for_bytes(study_builder)
    for name in ("one", "two"):
        with style():
            save_figure(draw(study), tmp_path / name)
    for kind in ("png", "pdf"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    assert b"/Type3" not in (tmp_path / "one.pdf").read_bytes()
