"""Ranks over the data sets of a study."""

from __future__ import annotations

import pytest

from bench.reporting import across
from bench.reporting.render import render
from bench.results.study import read_study
from helpers.rng import rng
from helpers.synthetic import METHODS, StudyBuilder, draw_curves

CURVES = draw_curves("vae", 10.0, 20.0, 1.0, None, 4, rng())
HERE = {"name": "a", "version": 1, "options": {}, "sha256": "ab" * 32}
THERE = {"name": "b", "version": 1, "options": {}, "sha256": "cd" * 32}


def scores_of(method, seed):
    bce, _, *rest = METHODS[method][1]
    return {"reconstruction_bce": bce + 0.1 * seed} | {
        name: value + 0.001 * seed
        for name, value in zip(("mig", "factor_vae_score", "dci_disentanglement"), rest, strict=True)
    }


@pytest.fixture
def study(tmp_path):
    build = StudyBuilder(tmp_path / "two")
    build.study(datasets=["a", "b"], seeds=list(range(5)))
    for dataset in (HERE, THERE):
        for method in ("vae", "beta_vae", "untrained"):
            for seed in range(5):
                build.run(method, seed, scores_of(method, seed), dataset=dataset, curves=CURVES)
    return read_study(build.root)


def test_methods_are_ranked_on_each_and_over_all(study):
    found = {each.score: each for each in across.across(study)}
    assert set(found) == {"reconstruction_bce", "mig", "dci_disentanglement", "factor_vae_score"}
    bce, mig = found["reconstruction_bce"], found["mig"]
    assert bce.datasets == ("a", "b")
    assert bce.ranks.methods == ("VAE", "β-VAE")
    assert bce.ranks.mean.tolist() == [1, 2]
    assert mig.ranks.mean.tolist() == [2, 1]
    head, rows = across.printed(list(found.values()))
    assert head[0] == "method"
    assert rows[0][:2] == ["VAE", "1.00 [1.00, 1.00] (1, 1)"]
    lines = across.to_csv(list(found.values())).splitlines()
    assert len(lines) == 1 + 4 * 2 * 2
    assert lines[1].startswith("reconstruction_bce,VAE,1")


def test_the_report_has_them_in_both_forms(study, tmp_path):
    report = render(study, tmp_path / "report", figures=None).read_text(encoding="utf-8")
    assert "## Over all data sets" in report
    assert "not what others would show" in report
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert 'id="across"' in page
    assert (tmp_path / "report" / "across.csv").exists()


def test_the_same_images_are_one_data_set(tmp_path):
    build = StudyBuilder(tmp_path / "one")
    build.study()
    for options in ({}, {"correlated": "x:y:0.2"}):
        for method in ("vae", "beta_vae"):
            build.run(method, 0, scores_of(method, 0), dataset=HERE | {"options": options})
    study = read_study(build.root)
    assert len(study.datasets) == 2
    assert across.across(study) == []
