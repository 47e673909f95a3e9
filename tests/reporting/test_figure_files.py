"""Figures that several processes share: the same bytes as from one, whatever becomes of the others."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from bench.errors import BenchError
from bench.figures.axes import new_figure
from bench.registry import FIGURES, load_plugin, loaded_plugins
from bench.reporting import figure_files
from bench.reporting.render import render
from bench.results.study import Study, read_study
from helpers.synthetic import Build


@pytest.fixture
def study(study_builder: Build, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small study that several processes share all the same."""
    monkeypatch.setattr(figure_files, "SHARED_FROM", 0)
    builder = study_builder(figures=["strip", "curves", "reconstructions", "kl_per_latent"])
    return builder.fill(range(2), ["beta_vae", "untrained"], pictures=True, rows=10)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.mark.slow
def test_several_processes_give_the_bytes_of_one(study: Path, tmp_path: Path) -> None:
    alone = contents(render(study, tmp_path / "alone").parent)
    assert {"fig_curves.png", "fig_curves.pdf", "fig_strip.png", "report.md", "report.html"} <= alone.keys()
    assert contents(render(study, tmp_path / "shared", n_jobs=3).parent) == alone
    assert {path.name for path in tmp_path.glob("[.]*")} == set()


@pytest.mark.slow
def test_others_draw(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def here(*_: object) -> None:
        raise AssertionError("drawn in this process")

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(figure_files, "draw", here)
    drawn = figure_files.pictures(read_study(study), tmp_path / "out", 2)
    assert [stem for stem, _ in drawn] == ["fig_curves", "fig_strip", "fig_kl_per_latent", "fig_reconstructions"]
    assert len(list((tmp_path / "out").glob("*.pdf"))) == 4


@pytest.mark.slow
def test_what_only_this_process_knows_is_drawn_here(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def own(_: Study) -> Figure:
        """A figure of this test."""
        return new_figure(1, 1)

    file = study / "study.toml"
    file.write_text(file.read_text().replace('"reconstructions", "kl_per_latent"', '"own"'))
    with FIGURES.override(only=("strip", "curves")):
        FIGURES.register("own")(own)
        assert (render(study, tmp_path / "out", n_jobs=2).parent / "fig_own.png").exists()


@pytest.mark.slow
def test_a_killed_process_costs_no_figure(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fatal = tmp_path / "fatal.py"
    fatal.write_text("import os\nos._exit(1)\n")
    alone = contents(render(study, tmp_path / "alone").parent)
    monkeypatch.setattr(figure_files, "loaded_plugins", lambda: [fatal])
    assert contents(render(study, tmp_path / "shared", n_jobs=2).parent) == alone


@pytest.mark.slow
def test_an_error_in_another_process_is_told_as_in_this_one(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for picture in study.glob("runs/*beta_vae*/reconstructions.png"):
        picture.write_bytes(b"no picture")
    for n_jobs in (1, 2):
        with pytest.raises(BenchError, match=r"reconstructions.png is no picture"):
            render(study, tmp_path / f"out{n_jobs}", n_jobs=n_jobs)
        assert not (tmp_path / f"out{n_jobs}").exists()


@pytest.mark.slow
def test_an_interruption_stops_the_others_at_once(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    slow = tmp_path / "slow.py"
    slow.write_text(f"import pathlib, time\npathlib.Path({str(tmp_path / 'begun')!r}).touch()\ntime.sleep(600)\n")
    monkeypatch.setattr(figure_files, "loaded_plugins", lambda: [slow])
    began = time.monotonic()

    def interrupt() -> None:
        while not (tmp_path / "begun").exists() and time.monotonic() - began < 60:
            time.sleep(0.1)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        figure_files.pictures(read_study(study), tmp_path / "out", 2)
    assert time.monotonic() - began < 60


def test_plug_ins_are_known_to_the_others(tmp_path: Path) -> None:
    file = tmp_path / "one_of_this_test.py"
    file.write_text("x = 1\n")
    load_plugin(file)
    assert file.resolve() in loaded_plugins()
