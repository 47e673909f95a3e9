from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from bench.errors import BenchError
from bench.figures import axes as figures_axes
from bench.figures import palette
from bench.registry import FIGURES
from bench.reporting.figure_files import with_palette
from bench.reporting.render import render
from bench.results.study import read_study
from helpers.files import digests
from helpers.synthetic import Build

METHODS = ["beta_vae", "dynamic_vae", "untrained"]
FIGURE_NAMES = [
    "controller", "curves", "emergence", "kl_per_latent", "rate_distortion", "reconstructions", "strip", "tracking",
    "tradeoff", "traversals",
]  # fmt: skip


def assert_links_lead_somewhere(page: Path) -> None:
    """Every link is to a file beside the report or to one of its headings, as GitHub names them."""
    text = page.read_text(encoding="utf-8")
    headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    anchors = {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert targets
    for target in targets:
        assert target in anchors or (page.parent / target).is_file()


@pytest.mark.slow
def test_twice_gives_the_same_bytes_and_everything_is_there(study_builder: Build, tmp_path: Path) -> None:
    path = study_builder().fill(range(2), METHODS, pictures=True, rows=10)
    page = render(path, tmp_path / "reports" / "toy")
    first = digests(page.parent)
    assert list(first) == sorted(
        [f"fig_{name}.{kind}" for name in FIGURE_NAMES for kind in ("pdf", "png")]
        + ["fig_animation_dynamicvae.gif", "fig_animation_vae-77ed.gif"]
        + ["report.html", "report.md", *(f"table_dsprites.{kind}" for kind in ("csv", "md", "tex"))]
    )
    assert digests(render(path, tmp_path / "reports" / "toy").parent) == first
    assert [item.name for item in (tmp_path / "reports").iterdir()] == ["toy"]
    assert_links_lead_somewhere(page)
    for name in FIGURE_NAMES:
        with Image.open(page.parent / f"fig_{name}.png") as image:
            assert 600 <= image.width <= 1500
            assert not {"Software", "Creation Time"} & set(image.info)
        pdf = (page.parent / f"fig_{name}.pdf").read_bytes()
        assert b"CreationDate" not in pdf
        assert b"/FontFile2" in pdf  # TrueType, embedded
        assert b"/Type3" not in pdf


def test_a_short_report_has_the_figures_that_are_named_and_says_how_to_get_the_rest(
    study_builder: Build, tmp_path: Path
) -> None:
    path = study_builder().fill(range(2), METHODS, pictures=True, rows=10)
    whole = render(path, tmp_path / "reports" / "toy").parent
    before = {item.name: item.read_bytes() for item in whole.iterdir()}
    page = render(path, tmp_path / "short", figures=["tradeoff", "strip"], name="reference/toy")
    short = {item.name: item.read_bytes() for item in page.parent.iterdir()}
    tables = {name for name in before if name.startswith("table_")}
    assert short.keys() == {"report.md", "fig_strip.png", "fig_tradeoff.png", *tables}
    assert all(short[name] == before[name] for name in short.keys() - {"report.md"})
    text = page.read_text(encoding="utf-8")
    assert "`bench report reference/toy` draws all figures and writes report.html" in text
    assert_links_lead_somewhere(page)
    added = set(text.splitlines()) - set(before["report.md"].decode().splitlines())
    assert len(added) == 3  # two captions without a PDF, and that sentence
    # A short report takes the place of a whole one as a whole.
    assert render(path, whole, figures=[]).exists()
    assert {item.name for item in whole.iterdir()} == {"report.md", *tables}
    with pytest.raises(BenchError, match="unknown figure 'trade'"):
        render(path, tmp_path / "none", figures=["trade"])


def test_a_palette_changes_nothing_that_is_seen(study_builder: Build) -> None:
    study = read_study(study_builder().fill(range(2), METHODS, rows=30, pictures=True))
    for name, colours in (("curves", 256), ("traversals", 64)):
        with figures_axes.style():
            figure = FIGURES.get(name).value(study)
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        reduced = with_palette(pixels)
        assert len(reduced.getcolors(1000)) <= colours
        off = np.abs(np.asarray(reduced.convert("RGB"), dtype=int) - pixels)
        # Of 255, where a line's edge is a mixture that few pixels have.
        assert off.mean() < 1
        assert np.percentile(off, 99.9) <= 24
        assert (np.asarray(reduced.convert("RGB"))[(pixels == 255).all(axis=2)] == 255).all()


def test_the_page_says_what_ran(study_builder: Build, tmp_path: Path, no_figures: None) -> None:
    builder = study_builder()
    builder.run("beta_vae", 7, {"kl": 1.0}, provenance={"dirty": True, "commit": "f" * 40, "wall_s": 3600})
    path = builder.fill([0, 1, 2], ["beta_vae", "untrained"])
    text = render(path, tmp_path / "out").read_text(encoding="utf-8")
    assert "> **reduced data set: 5,120 images of 32×32; not comparable with published numbers**" in text
    assert "**Seeds:** 0-2, 7" in text
    assert "7 runs of 6 planned" in text
    assert "steps 3000, batch size 64, network conv32, latent dim 6, optimizer adam, lr 0.0005" in text
    assert "device cpu, threads 1" in text
    assert "**Methods:** β-VAE (beta = 4.0); untrained" in text
    assert "Some CPU, 2 cores, 8 GiB" in text
    assert "torch 2.13.0" in text
    assert "0123456789ab (6×) / ffffffffffff with local changes (1×)" in text
    assert "1 h 06 min" in text
    assert "Too few seeds to compare" in text
    assert "bench run --preset quick --method beta_vae --method untrained --dataset dsprites --seeds 0-2" in text


def test_the_stored_command_is_printed(study_builder: Build, tmp_path: Path, no_figures: None) -> None:
    builder = study_builder(commands=["bench run --method all --seeds 10", "bench run --seeds 20"])
    text = render(builder.fill([0], ["vae"]), tmp_path / "out").read_text(encoding="utf-8")
    assert "```\nbench run --method all --seeds 10\nbench run --seeds 20\n```" in text


def test_a_run_may_diverge_before_any_step_was_good(study_builder: Build, tmp_path: Path, no_figures: None) -> None:
    builder = study_builder()
    builder.run("vae", 0, {"kl": 1.0})
    run = builder.run("vae", 1, {}, status="diverged", result={"last_good_step": None})
    assert f"- `{run}` diverged\n" in render(builder.study(), tmp_path / "r").read_text(encoding="utf-8")


def test_partial_study_with_diverged_and_failed_runs(study_builder: Build, tmp_path: Path, no_figures: None) -> None:
    builder = study_builder()
    builder.fill(range(2), ["vae"])
    diverged = builder.run("beta_vae", 0, {}, status="diverged")
    failed = builder.fail("factor_vae", 1)
    text = render(builder.study(planned=12), tmp_path / "out").read_text(encoding="utf-8")
    assert "3 runs of 12 planned, 1 diverged, 1 failed (**partial: the study isn't finished**)" in text
    assert f"- `{diverged}` diverged after step 999" in text
    assert f"- `{failed}` failed: MemoryError: out of memory" in text


def test_a_study_that_lacks_everything_a_figure_wants(study_builder: Build, tmp_path: Path) -> None:
    builder = study_builder()
    builder.run("vae", 0, {}, status="diverged")
    builder.run("untrained", 0, {"kl": 1.0})
    assert not list(render(builder.study(), tmp_path / "out").parent.glob("fig_*"))


def test_data_without_factors(study_builder: Build, tmp_path: Path) -> None:
    path = study_builder().fill([0], ["vae", "untrained"], factors=False, rows=5)
    page = render(path, tmp_path / "out")
    names = {item.stem for item in page.parent.glob("fig_*.png")}
    assert names == {"fig_curves", "fig_emergence", "fig_kl_per_latent", "fig_rate_distortion", "fig_strip"}
    assert "n/a" in page.read_text(encoding="utf-8")


def test_figures_of_two_data_sets(study_builder: Build) -> None:
    builder = study_builder()
    for name in ("one", "two"):
        data = {"name": name, "version": 1, "options": {}, "sha256": "0"}
        builder.fill([0], ["vae"], dataset=data, rows=5)
    study = read_study(builder.root)
    drawn = FIGURES.get("strip").value(study)
    assert set(drawn) == {"one", "two"}
    assert all(isinstance(figure, Figure) for figure in drawn.values())


def test_empty_and_missing_studies(study_builder: Build, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no study at"):
        render(tmp_path / "nowhere", tmp_path / "out")
    builder = study_builder()
    with pytest.raises(BenchError, match=r"has no finished run to report$"):
        render(builder.study(), tmp_path / "out")
    builder.fail("vae", 0)
    with pytest.raises(BenchError, match="no finished run to report; 1 failed"):
        render(builder.root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_crash_leaves_the_old_report(
    study_builder: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_figures: None
) -> None:
    path = study_builder().fill([0], ["vae"])
    out = tmp_path / "reports" / "toy"
    render(path, out)
    before = digests(out)

    def crash(study: object) -> Figure:
        raise KeyboardInterrupt

    with FIGURES.override():
        FIGURES.register("faulty")(crash)
        with pytest.raises(KeyboardInterrupt):
            render(path, out)
    assert digests(out) == before
    assert [item.name for item in out.parent.iterdir()] == ["toy"]


def test_an_old_report_is_replaced_and_the_users_files_stay(
    study_builder: Build, tmp_path: Path, no_figures: None
) -> None:
    path = study_builder().fill([0], ["vae"])
    out = tmp_path / "out"
    render(path, out)
    (out / "notes.txt").write_text("mine")
    (out / "fig_gone.png").write_text("left by an earlier version")
    render(path, out)
    assert (out / "notes.txt").read_text() == "mine"
    assert not (out / "fig_gone.png").exists()


def test_a_folder_that_is_no_report_is_left_alone(study_builder: Build, tmp_path: Path, no_figures: None) -> None:
    out = tmp_path / "home"
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    with pytest.raises(BenchError, match="something else than a report"):
        render(study_builder().fill([0], ["vae"]), out)
    assert [item.name for item in out.iterdir()] == ["thesis.tex"]


def test_where_nothing_can_be_written(study_builder: Build, tmp_path: Path, no_figures: None) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="can't be written"):
        render(study_builder().fill([0], ["vae"]), tmp_path / "file" / "out")


def test_a_damaged_picture_is_named(study_builder: Build, tmp_path: Path) -> None:
    path = study_builder().fill([0], ["vae"], pictures=True, rows=5)
    (picture,) = path.glob("runs/*/traversals.png")
    picture.write_bytes(picture.read_bytes()[:100])
    with pytest.raises(BenchError, match=r"traversals\.png is no picture"):
        FIGURES.get("traversals").value(read_study(path))


def test_a_method_looks_the_same_in_every_study(study_builder: Build) -> None:
    one = palette.looks(read_study(study_builder("a").fill([0], ["vae", "beta_vae", "mine"][:2])))
    two = palette.looks(read_study(study_builder("b").fill([0], ["dynamic_vae", "beta_vae"])))
    (label,) = one.keys() & two.keys()
    assert one[label] == two[label]
    looks = {*one.values(), *two.values()}
    assert len(looks) == len({look.colour for look in looks}) == len({look.marker for look in looks})


def test_configurations_of_a_method_can_be_told_apart(study_builder: Build) -> None:
    builder = study_builder()
    for beta in (1.0, 4.0, 16.0):
        builder.run("beta_vae", 0, {"kl": 1.0}, hyper={"beta": beta})
    builder.run("vae", 0, {"kl": 1.0})
    looks = [look for label, look in palette.looks(read_study(builder.study())).items() if "beta" in label]
    assert len({look.colour for look in looks}) == len({str(look.dashes) for look in looks}) == 3
    assert len({look.marker for look in looks}) == 1


def test_variations_of_the_only_method_get_colours_and_markers_of_their_own(study_builder: Build) -> None:
    builder = study_builder()
    for beta in (1.0, 4.0, 16.0):
        builder.run("beta_vae", 0, {"kl": 1.0}, hyper={"beta": beta})
    builder.run("untrained", 0, {"kl": 1.0})
    looks = palette.looks(read_study(builder.study()))
    assert len({look.colour for look in looks.values()}) == len({look.marker for look in looks.values()}) == 4
    assert looks["β-VAE (beta=1)"].marker == palette.method_look("beta_vae")[1]
    assert looks["untrained"].marker == palette.method_look("untrained")[1]


def test_traversal_rows_carry_the_kl_of_the_stored_result(study_builder: Build) -> None:
    study = read_study(study_builder().fill([0], ["vae"], pictures=True, rows=5))
    figure = FIGURES.get("traversals").value(study)
    stored = json.loads(next(study.path.glob("runs/*/result.json")).read_text())["details"]["kl"]["kl_per_latent"]
    shown = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert shown == [f"{value:.1f}" for value in sorted(stored, reverse=True)]


@pytest.mark.parametrize("text", ["dsprites", "dsprites (resolution=32)", "a/b", "β", "..", "A", "a"])
def test_slugs_are_safe_and_distinct(text: str) -> None:
    slug = figures_axes.slug(text)
    assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*|-[0-9a-f]{4}", slug)
    others = {figures_axes.slug(other) for other in ("dsprites (resolution=64)", "a-b", "γ", ".")}
    assert slug not in others


def test_codes_without_noise_get_no_panel_of_their_kl(study_builder: Build) -> None:
    from bench.figures import kl_per_latent
    from bench.results.curves import read_curves

    path = study_builder().fill([0], ["vae", "beta_vae"], rows=5)
    study = read_study(path)
    titles = [axes.get_title() for axes in kl_per_latent.kl_per_latent(study).axes if axes.get_visible()]
    assert len([title for title in titles if title]) == 2
    run = study.runs["run"].iloc[0]
    curves = read_curves(study, run)
    curves[[column for column in curves.columns if column.startswith("kl")]] = float("nan")
    curves.to_csv(path / "runs" / run / "curves.csv", index=False)
    left = [axes.get_title() for axes in kl_per_latent.kl_per_latent(read_study(path)).axes if axes.get_visible()]
    assert [title for title in left if title] == titles[1:2]


def test_verdicts_that_the_runs_can_speak_to_are_in_the_report(reference_study, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.reporting.figure_files.FIGURES", ())
    text = render(reference_study("quick-dsprites"), tmp_path / "report").read_text(encoding="utf-8")
    section = text.split("## Claims")[1].split("## Figures")[0]
    assert "| dynamicvae.C4 |" in section
    assert "at quick only" in section
    assert "not run" not in section
    assert "dynamicvae.C4" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
