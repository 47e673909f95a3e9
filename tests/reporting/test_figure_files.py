"""Figures that several processes share: the same bytes as from one, whatever becomes of the others."""

from __future__ import annotations

import pickle
import time
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from bench.errors import BenchError
from bench.execution import processes
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
def test_others_draw_what_is_not_begun_here(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def here(*_: object) -> None:
        raise AssertionError("drawn in this process")

    (tmp_path / "out").mkdir()
    with figure_files.pictures(read_study(study), tmp_path / "out", tmp_path / "begun", 2) as take:
        monkeypatch.setattr(figure_files, "draw", here)
        monkeypatch.setattr(figure_files, "_share", lambda *_: {})
        assert {stem for stem, _ in take()} == {"fig_curves", "fig_kl_per_latent", "fig_reconstructions", "fig_strip"}
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
    monkeypatch.setattr(figure_files, "_share", lambda *_: {})
    with pytest.raises(BenchError, match=r"reconstructions.png is no picture"):
        render(study, tmp_path / "out", n_jobs=2)


def test_others_get_the_study_as_it_was_when_drawing_began(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is drawn here adds to what the study keeps; it must not do so while the study is being sent."""
    sent: list[bytes] = []

    class Worker:
        def submit(self, _: object, data: bytes, *__: object) -> Future[dict[str, Any]]:
            sent.append(data)
            done: Future[dict[str, Any]] = Future()
            done.set_result({})
            return done

    monkeypatch.setattr(processes, "crew", lambda _: nullcontext([Worker()]))
    (tmp_path / "out").mkdir()
    whole = read_study(study)
    with figure_files.pictures(whole, tmp_path / "out", tmp_path / "begun", 2):
        whole.__dict__["later"] = 1
    (data,) = sent
    assert "later" not in vars(pickle.loads(data))  # noqa: S301  (our own)


def test_an_interruption_stops_the_others_at_once(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crews = []
    real = processes.crew

    def crew(environments: list[dict[str, str]]) -> Any:
        crews.append(real(environments))
        return crews[-1]

    monkeypatch.setattr(processes, "crew", crew)
    (tmp_path / "out").mkdir()
    slow = tmp_path / "slow.py"
    slow.write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setattr(figure_files, "loaded_plugins", lambda: [slow])
    began = time.monotonic()
    with (
        pytest.raises(KeyboardInterrupt),
        figure_files.pictures(read_study(study), tmp_path / "out", tmp_path / "begun", 2),
    ):
        raise KeyboardInterrupt
    assert len(crews) == 1
    assert time.monotonic() - began < 60


def test_plug_ins_are_known_to_the_others(tmp_path: Path) -> None:
    file = tmp_path / "one_of_this_test.py"
    file.write_text("x = 1\n")
    load_plugin(file)
    assert file.resolve() in loaded_plugins()
