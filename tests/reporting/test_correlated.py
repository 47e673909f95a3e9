"""What correlated factors cost: differences within seeds, in the report beside the figure."""

from __future__ import annotations

import csv
import io
import math

import pytest

from bench.reporting import correlated
from bench.reporting.render import render
from bench.results.study import read_study
from bench.stats import compare_paired
from helpers.rng import rng
from helpers.synthetic import StudyBuilder, draw_curves

CURVES = draw_curves("vae", 10.0, 20.0, 1.0, None, 4, rng())
HERE = {"name": "dsprites", "version": 1, "options": {}, "sha256": "ab" * 32}
#: What a strength takes off every MIG; the second differs by seed, so that only pairs see how sure the fall is.
FALLS = {math.inf: 0.0, 0.4: 0.02, 0.2: 0.1}


def mig(strength, seed):
    return 0.3 + 0.05 * seed - FALLS[strength] - (0.001 * (seed % 2) if strength == 0.2 else 0)


def written(root, strengths, seeds=range(4)):
    build = StudyBuilder(root)
    build.study(seeds=list(seeds))
    for strength in strengths:
        options = {} if strength == math.inf else {"correlated": f"x:y:{strength}"}
        for method in ("vae", "beta_vae", "untrained"):
            for seed in seeds:
                scores = {"mig": mig(strength, seed), "reconstruction_bce": 20.0 + seed}
                build.run(method, seed, scores, dataset=HERE | {"options": options}, curves=CURVES)
    return read_study(build.root)


@pytest.fixture
def study(tmp_path):
    return written(tmp_path / "tied", FALLS)


def test_changes_are_paired_by_seed(study):
    (fall,) = correlated.falls(study)
    assert (fall.data, fall.pair, fall.strengths) == ("dsprites", "x and y", (math.inf, 0.4, 0.2))
    found = {(c.score, c.label, c.strength): c for c in fall.changes}
    assert len(found) == 2 * 2 * 2  # scores, methods without the control, strengths
    assert {c.label for c in fall.changes} == {"VAE", "β-VAE"}
    tight = found["mig", "VAE", 0.2]
    expected = compare_paired(*({seed: mig(s, seed) for seed in range(4)} for s in (0.2, math.inf)))
    assert tight.paired == expected
    assert tight.paired.difference.estimate == pytest.approx(-0.1005)
    # Seeds differ by 0.05 each: unpaired, an interval would be a hundred times as wide.
    assert tight.paired.difference.high - tight.paired.difference.low < 0.003
    assert tight.loosest == pytest.approx(0.375)


def test_a_row_says_what_falls_and_how_sure_that_is(study):
    head, rows = correlated.printed(correlated.falls(study)[0])
    assert head == ["score", "method", "at no correlation", "σ = 0.4", "σ = 0.2"]
    assert rows[0] == ["MIG ↑", "VAE", "0.375", "-0.020 [-0.020, -0.020] (n = 4)", "-0.101 [-0.101, -0.100] (n = 4)"]
    assert [row[1] for row in rows] == ["VAE", "β-VAE"] * 2


def test_only_seeds_that_both_have_are_paired(tmp_path):
    study = written(tmp_path / "few", FALLS)
    gone = (study.runs["dataset_label"].str.contains("0.2")) & (study.runs["seed"] > 0)
    study.runs.loc[gone, "mig"] = math.nan
    (fall,) = correlated.falls(study)
    by = {(c.score, c.strength): c.paired.difference for c in fall.changes if c.label == "VAE"}
    assert (by["mig", 0.4].n, by["mig", 0.2].n) == (4, 1)
    assert by["mig", 0.2].low is None
    assert correlated.printed(fall)[1][0][-1] == "-0.100 (n = 1)"


def test_one_strength_alone_is_no_fall(tmp_path):
    assert correlated.falls(written(tmp_path / "one", [0.2])) == []
    assert correlated.falls(written(tmp_path / "none", [math.inf])) == []


@pytest.mark.usefixtures("no_figures")
def test_the_report_has_it_in_all_forms(study, tmp_path):
    report = render(study, tmp_path / "report").read_text(encoding="utf-8")
    assert "## What correlation costs (dsprites, x and y)" in report
    assert "paired by seed" in report
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert 'id="correlated"' in page
    rows = list(csv.DictReader(io.StringIO((tmp_path / "report" / "correlated.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 8
    assert {row["n_pairs"] for row in rows} == {"4"}


@pytest.mark.usefixtures("no_figures")
def test_a_study_without_correlation_has_none(tmp_path):
    report = render(written(tmp_path / "plain", [math.inf]), tmp_path / "report").read_text(encoding="utf-8")
    assert "correlation costs" not in report
    assert not (tmp_path / "report" / "correlated.csv").exists()
