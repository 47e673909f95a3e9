"""Fronts in a report: what was planted is what is found, corrected and printed."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from bench.reporting.front_tables import front_tables, markdown, notes, to_csv
from bench.reporting.fronts import APART, HIGHER, NO_FRONT, OUTSIDE, UNDECIDED, FrontRow, front_rows
from bench.reporting.render import render
from bench.results.study import read_study
from bench.stats import TOO_FEW
from helpers.files import digests
from helpers.fronts import planted_fronts
from helpers.synthetic import Build


def rows_of(path: Path) -> list[FrontRow]:
    study = read_study(path)
    return front_rows(study, study.datasets[0])


def area(rows: list[FrontRow], method: str, x: str, y: str) -> FrontRow:
    (row,) = [row for row in rows if (row.method, row.x, row.y, row.at) == (method, x, y, None)]
    return row


def test_the_area_is_the_planted_difference(study_builder: Build) -> None:
    rows = rows_of(planted_fronts(study_builder()).study())
    found = area(rows, "ControlVAE", "reconstruction_bce", "mig")
    assert found.difference == pytest.approx(0.1, abs=0.006)
    assert (found.seen, found.judgement, found.n) == (HIGHER, "better", 6)
    assert found.reference == "β-VAE"
    # At one rate its distortion is 10 % above β-VAE's.
    worse = area(rows, "ControlVAE", "kl", "reconstruction_bce")
    assert worse.scale == "log"
    assert math.exp(worse.difference or 0) == pytest.approx(1.1, abs=0.005)
    assert (worse.seen, worse.judgement) == (HIGHER, "worse")
    assert worse.range_low == pytest.approx(5)
    assert worse.range_high == pytest.approx(9)
    same = area(rows, "FactorVAE", "kl", "dci_disentanglement")
    assert same.seen == UNDECIDED
    assert same.low is not None
    assert same.high is not None
    assert same.low < 0 < same.high


def test_values_are_compared_at_places_of_the_references_range_and_not_beyond_the_methods(
    study_builder: Build,
) -> None:
    rows = [row for row in rows_of(planted_fronts(study_builder()).study()) if row.at is not None]
    rates = sorted({row.at for row in rows if row.x == "kl"})
    assert rates == pytest.approx([3.6, 4.8, 6, 7.2, 8.4])
    control = {row.at: row for row in rows if (row.method, row.x, row.y) == ("ControlVAE", "kl", "mig")}
    assert [control[at].seen for at in rates[:2]] == [OUTSIDE] * 2
    assert [control[at].n_outside for at in rates] == [6, 6, 0, 0, 0]
    assert control[rates[0]].difference is None
    at = control[rates[2]]
    seeds = sum(0.01 * seed for seed in range(6)) / 6
    # Distortion at 6 nats, 10 % up, in the law of the scores.
    law = 0.2 + 0.1 * (4 - 6 / 3) + seeds
    assert at.reference_value == pytest.approx(law, abs=0.006)
    assert at.value == pytest.approx(law + 0.1 + 0.1 * math.log(1.1), abs=0.006)
    assert (at.above, at.above_high) == (1, 1)
    assert at.above_low == pytest.approx(0.6097, abs=1e-4)  # Wilson's, of 6 in 6


def test_areas_and_matched_values_are_a_family_of_tests_each(study_builder: Build) -> None:
    rows = rows_of(planted_fronts(study_builder()).study())
    for family in ([row for row in rows if row.at is None], [row for row in rows if row.at is not None]):
        p = [(row.p, row.p_holm) for row in family if row.p is not None and row.p_holm is not None]
        smallest, corrected = min(p)
        assert corrected == pytest.approx(len(p) * smallest)
        assert all(row.seen == UNDECIDED for row in family if row.p_holm is not None and row.p_holm > 0.05)
        assert any(row.seen == HIGHER for row in family)


def test_few_seeds_are_told_and_not_compared(study_builder: Build) -> None:
    rows = rows_of(planted_fronts(study_builder(), seeds=4).study())
    found = area(rows, "ControlVAE", "reconstruction_bce", "mig")
    assert found.difference == pytest.approx(0.1, abs=0.01)
    assert (found.low, found.high, found.p, found.p_holm, found.seen) == (None, None, None, None, TOO_FEW)
    assert "too few seeds" in markdown(rows)
    assert not any("Holm" in line for line in notes(rows))


def test_methods_without_a_common_range_are_told_apart(study_builder: Build) -> None:
    builder = planted_fronts(study_builder(), methods=("beta_vae",))
    for seed in range(6):
        for place, gamma in enumerate((1.0, 2.0, 3.0)):
            scores = {"kl": 20.0 + place, "reconstruction_bce": 0.1 + 0.01 * place, "mig": 0.3}
            builder.run("factor_vae", seed, scores, hyper={"gamma": gamma})
    rows = rows_of(builder.study())
    found = area(rows, "FactorVAE", "reconstruction_bce", "mig")
    assert (found.seen, found.difference, found.n) == (APART, None, 0)
    assert {row.seen for row in rows if row.at is not None} == {OUTSIDE}
    titles = [title for title, _ in front_tables(rows)]
    assert len(titles) == 2  # no line is left of the matched values
    assert APART in markdown(rows)


def test_a_method_whose_settings_dont_differ_is_told(study_builder: Build) -> None:
    builder = planted_fronts(study_builder(), methods=("beta_vae",))
    for seed in range(6):
        for set_point in (5.0, 6.0, 7.0):
            scores = {"kl": 5.0, "reconstruction_bce": 9.0, "mig": 0.3}
            builder.run("control_vae", seed, scores, hyper={"set_point": set_point})
    rows = rows_of(builder.study())
    assert {(row.method, row.at, row.seen) for row in rows} == {("ControlVAE", None, NO_FRONT)}
    assert NO_FRONT in markdown(rows)


def test_one_method_over_its_strength_is_compared_with_nobody(study_builder: Build, tmp_path: Path) -> None:
    path = planted_fronts(study_builder(), methods=("beta_vae",)).study()
    assert rows_of(path) == []
    page = render(path, tmp_path / "out", figures=[])
    assert not (page.parent / "fronts.csv").exists()
    assert "Fronts" not in page.read_text(encoding="utf-8")


def test_points_that_were_averaged_are_counted(study_builder: Build) -> None:
    builder = planted_fronts(study_builder(), methods=("beta_vae",))
    for seed in range(6):
        for gamma, rate in ((1.0, 8.0), (2.0, 6.0), (3.0, 6.5), (4.0, 5.0)):
            scores = {"kl": rate, "reconstruction_bce": math.exp(4 - rate / 3), "mig": 0.3}
            builder.run("factor_vae", seed, scores, hyper={"gamma": gamma})
    rows = rows_of(builder.study())
    assert area(rows, "FactorVAE", "kl", "mig").n_pooled == 6
    assert any("FactorVAE: 6" in line for line in notes(rows))


def test_runs_that_latched_have_a_part_and_are_counted(study_builder: Build) -> None:
    study = read_study(planted_fronts(study_builder()).study())
    before = front_rows(study, study.datasets[0])
    latched = (study.runs["method"] == "control_vae") & (study.runs["seed"] < 2)
    control = {"control.latched": latched, "control.arrived": ~latched, "control.floor_share": 1.0}
    study = replace(study, runs=study.runs.assign(**control))
    rows = front_rows(study, study.datasets[0])
    assert [row.difference for row in rows] == [row.difference for row in before]
    assert area(rows, "ControlVAE", "kl", "mig").n_missed == 6  # of two seeds, three settings each
    assert any("ControlVAE: 6" in line for line in notes(rows))
    assert not any("latched" in line for line in notes(before))


def test_the_csv_has_a_row_per_comparison_and_full_precision(study_builder: Build) -> None:
    rows = rows_of(planted_fronts(study_builder()).study())
    records = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert len(records) == len(rows)
    for row, record in zip(rows, records, strict=True):
        assert record["at"] == ("" if row.at is None else repr(row.at))
        assert record["difference"] == ("" if row.difference is None else repr(row.difference))


def test_a_report_has_its_fronts_and_the_same_bytes_each_time(study_builder: Build, tmp_path: Path) -> None:
    path = planted_fronts(study_builder()).study()
    names = ["fronts", "front_rates", "front_differences"]
    page = render(path, tmp_path / "out", figures=names)
    first = digests(page.parent)
    assert {"fronts.csv", *(f"fig_{name}.png" for name in names)} <= first.keys()
    text = page.read_text(encoding="utf-8")
    assert "### Fronts (dsprites)" in text
    assert "[CSV](fronts.csv)" in text
    assert "higher (better)" in text
    assert digests(render(path, tmp_path / "out", figures=names).parent) == first


def test_the_page_shows_the_same_tables(study_builder: Build, tmp_path: Path, no_figures: None) -> None:
    path = planted_fronts(study_builder()).study()
    html = unescape((render(path, tmp_path / "out").parent / "report.html").read_text(encoding="utf-8"))
    assert "Fronts (dsprites)" in html
    for title, _ in front_tables(rows_of(path)):
        assert title in html
    assert '<a href="fronts.csv">' in html
