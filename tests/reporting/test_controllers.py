"""Runs that missed their set point are marked wherever they are shown."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from bench.cli.console import print_status
from bench.figures.rate_distortion import rate_distortion
from bench.figures.tradeoff import tradeoff
from bench.reporting import controllers
from bench.reporting.render import render
from bench.reporting.run_rows import details
from bench.reporting.tables import latex, make_table, markdown, to_csv
from bench.results.control_outcomes import control_outcomes, not_met_in_words
from bench.results.study import read_study
from helpers.archives import finish
from helpers.synthetic import Build

GOOD = {
    "arrived": True, "latched": False, "arrival_step": 2000, "mean_error": 0.01, "rms_error": 0.02, "overshoot": 0.2,
    "floor_share": 0.0, "ceiling_share": None,
}  # fmt: skip
AWAY = GOOD | {"arrived": False, "arrival_step": None, "mean_error": -0.5, "rms_error": 0.5}
LATCHED = AWAY | {"latched": True, "mean_error": 6.0, "floor_share": 1.0}
FINAL = {"reconstruction": 3.0, "kl": 9.0, "beta": 1.0, "set_point": 9.0}
SCORES = {"reconstruction_bce": 3.0, "kl": 9.0, "mig": 0.2}


def steered(build: Build, *records: dict[str, Any] | None) -> Path:
    """Runs of ControlVAE with such records, one per seed, and as many of the VAE."""
    builder = build()
    for seed, record in enumerate(records):
        extra = {"control": record} if record else {}
        scores = {key: value + 0.01 * seed for key, value in SCORES.items()}
        builder.run("control_vae", seed, scores, result={"final": FINAL, **extra})
        builder.run("vae", seed, scores)
    return builder.study(methods=["control_vae", "vae"])


def test_a_row_says_how_many_of_its_runs_missed_their_set_point(study_builder: Build) -> None:
    study = read_study(steered(study_builder, GOOD, AWAY, LATCHED, LATCHED, GOOD))
    said = "3 of 5 runs never arrived at the set point, 2 latched at the floor"
    assert not_met_in_words(study.runs[study.runs["method"] == "control_vae"]) == said
    assert not_met_in_words(study.runs[study.runs["method"] == "vae"]) == ""
    table = make_table(study, "dsprites")
    text = markdown(table)
    label = next(row.label for row in table.rows if row.label.startswith("ControlVAE"))
    assert f"| {label} ‡ |" in text
    assert f"‡ {label}: {said}." in text
    assert "VAE ‡" not in text.replace(f"{label} ‡", "")
    assert f"{label} $^\\ddagger$" in latex(table)
    assert said in latex(table)
    found = {row["method"]: row["set_point"] for row in csv.DictReader(io.StringIO(to_csv(table)))}
    assert found == {label: said, "VAE": ""}


def test_nothing_is_marked_where_all_runs_arrived(study_builder: Build) -> None:
    study = read_study(steered(study_builder, GOOD, GOOD))
    table = make_table(study, "dsprites")
    assert "‡" not in markdown(table) + latex(table)
    (row,) = controllers.rows(study)
    assert row[2:9] == [2, 2, 2, 0, 2000.0, 0.01, 0.02]
    assert controllers.not_met_lines(study) == []


def test_the_report_has_a_table_of_controllers_and_lists_those_that_went_astray(
    study_builder: Build, tmp_path: Path, no_figures: None
) -> None:
    path = steered(study_builder, GOOD, AWAY, LATCHED)
    render(path, tmp_path / "out", claims=[])
    text, page = ((tmp_path / "out" / f"report.{kind}").read_text(encoding="utf-8") for kind in ("md", "html"))
    assert "| ControlVAE | 1 of 3 | 1 of 3 | 2,000 |" in text
    assert "latched at the floor: KL +6.00 nats from its set point" in text
    assert "never arrived: KL -0.50 nats from its set point" in text
    assert "latched at the floor: KL +6.00 nats from its set point" in page
    assert 'href="#controllers"' in page
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out" / "controllers.csv").read_text(encoding="utf-8")))
    assert (row["n"], row["n_arrived"], row["n_latched"], row["ceiling_share"]) == ("3", "1", "1", "")
    lines = [" ".join(line) for line in details(read_study(path))["lines"]]
    assert "Controller arrived at step 2,000; over the last 5 % +0.01 nats from its set point (RMS 0.02)" in lines
    assert "Controller latched at the floor; over the last 5 % +6.00 nats from its set point (RMS 0.50)" in lines


def test_a_study_without_set_points_has_no_such_table(study_builder: Build, tmp_path: Path, no_figures: None) -> None:
    builder = study_builder()
    builder.run("vae", 0, SCORES)
    render(builder.study(), tmp_path / "out", claims=[])
    assert "Controllers" not in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert not (tmp_path / "out" / "controllers.csv").exists()


def test_runs_made_before_there_was_a_record_are_read_and_said_to_have_none(study_builder: Build) -> None:
    study = read_study(steered(study_builder, None, None))
    assert not [column for column in study.runs if str(column).startswith("control.")]
    assert list(control_outcomes(study.runs)) == ["not recorded"] * 2 + [""] * 2
    _, rows = controllers.printed(study)
    assert [row[:3] for row in rows] == [["ControlVAE", "not recorded", "not recorded"]]
    assert "‡" not in markdown(make_table(study, "dsprites"))


def test_old_and_new_runs_stand_side_by_side(study_builder: Build) -> None:
    study = read_study(steered(study_builder, None, LATCHED, GOOD))
    _, rows = controllers.printed(study)
    assert rows[0][1:3] == ["1 of 2 (3 runs)", "1 of 2 (3 runs)"]
    assert not_met_in_words(study.runs[study.runs["method"] == "control_vae"]).startswith("1 of 3 runs never arrived")


def test_the_status_lists_them(study_builder: Build, capsys: pytest.CaptureFixture[str]) -> None:
    path = finish(steered(study_builder, GOOD, LATCHED))
    print_status(path, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.endswith("done, latched at the floor") for line in lines) == 1
    assert lines[-2:] == ["4 planned: 4 done", "set points missed: 1 latched at the floor"]


@pytest.mark.parametrize("figure", [tradeoff, rate_distortion])
def test_figures_ring_the_means_that_such_runs_are_part_of(study_builder: Build, figure: Any) -> None:
    def legend(path: Path) -> list[str]:
        drawn = figure(read_study(path))
        return [text.get_text() for text in drawn.legends[0].get_texts()]

    assert "set point missed" in legend(steered(study_builder, GOOD, LATCHED))


@pytest.mark.parametrize("figure", [tradeoff, rate_distortion])
def test_figures_ring_nothing_else(study_builder: Build, figure: Any) -> None:
    drawn = figure(read_study(steered(study_builder, GOOD, GOOD)))
    assert "set point missed" not in [text.get_text() for text in drawn.legends[0].get_texts()]
