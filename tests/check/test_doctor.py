from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest

from bench.analytic import oracle
from bench.analytic.cases import case
from bench.check import doctor
from bench.execution import run
from bench.execution.task import Outcome
from bench.registry import METRICS
from helpers.paths import ROOT


@pytest.fixture(scope="module")
def trained():
    return doctor.end_to_end()


@pytest.fixture(scope="module")
def facts():
    return doctor.environment()


@pytest.fixture
def only_mig(monkeypatch, trained):
    """`doctor` with one metric of tier 0, and the training done once for all tests."""
    whole = doctor.check
    monkeypatch.setattr(doctor, "check", lambda request, tiers: whole(replace(request, metrics=("mig",)), tiers))
    monkeypatch.setattr(doctor, "end_to_end", lambda: trained)


def test_a_trained_vae_is_where_theory_has_it(trained):
    assert {finding.quantity for finding in trained} == {"kl", "log_q", "source_mse"}
    assert {finding.status for finding in trained} == {"within"}


@pytest.mark.parametrize("beta", [doctor.BETA / 1.02, doctor.BETA * 1.02])
def test_a_weight_of_the_kl_that_is_off_by_two_percent_would_be_seen(beta):
    model = case("S1").model
    off = doctor._against_theory("kl", float(oracle.rate(model, beta)), float(oracle.rate(model, doctor.BETA)))
    assert off.status == "moved"
    assert "away from theory" in off.message


def test_a_clean_installation_gives_0(bench, only_mig):
    code, out, _ = bench("doctor")
    assert code == 0
    assert out.endswith("This installation computes right values.\n")
    for word in ("torch", "capability", "Libraries: ", "Threads: ", "Processor: ", "Precision: ", "BLAS: "):
        assert word in out
    assert "WRONG" not in out


def test_a_wrong_value_gives_1_and_is_named(bench, only_mig):
    with METRICS.override({"mig": partial(METRICS.get("mig").value, n_bins=19)}):
        code, out, _ = bench("doctor")
        assert code == 1
        assert "WRONG: metric mig: mig of " in out
        assert "This installation computes WRONG VALUES: metric mig." in out
        code, out, _ = bench("doctor", "--json")
        report = json.loads(out)
        assert (code, report["right"]) == (1, False)
        assert {finding["subject"] for finding in report["findings"] if finding["status"] == "moved"} == {"metric mig"}


def test_a_training_that_fails_gives_1(monkeypatch):
    lost = Outcome("some-run", "failed", "OSError: no worker could be started")
    monkeypatch.setattr(run, "run_study", lambda *_, **__: [lost])
    (finding,) = doctor.end_to_end()
    diagnosis = doctor.Diagnosis({}, [], [finding])
    assert diagnosis.wrong == [finding]
    assert "no worker could be started" in finding.message


def test_nothing_to_compare_with_is_not_taken_for_right(bench, only_mig, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "baseline_folder", lambda: tmp_path)
    code, out, _ = bench("doctor")
    assert code == 1
    assert f"the stored numbers aren't in '{tmp_path}': this installation is incomplete" in out


def said(facts, start):
    return [remark for remark in doctor.remarks(facts) if remark.startswith(start)]


def test_another_version_is_named_with_what_it_moves(facts):
    versions = facts["versions"] | doctor.MADE_WITH
    (same,) = said(facts | {"versions": versions | {"torch": "2.13.0+cpu"}}, "Libraries: ")
    assert "that the committed results were made with" in same
    (other,) = said(facts | {"versions": versions | {"scikit-learn": "1.4.0"}}, "Libraries: ")
    assert "scikit-learn is 1.4.0, the committed results were made with 1.9.1: it may move scores by a trained" in other
    assert "torch" not in other


def test_what_caps_the_processor_is_named(facts):
    assert len(said(facts | {"variables": {"OMP_NUM_THREADS": "4"}}, "Processor: ")) == 1
    _, capped = said(facts | {"variables": {"ATEN_CPU_CAPABILITY": "default"}}, "Processor: ")
    assert "ATEN_CPU_CAPABILITY=default" in capped


def test_products_of_less_than_float32_are_named(facts):
    assert len(said(facts | {"float32_matmul": "highest"}, "Precision: ")) == 1
    assert "'medium'" in said(facts | {"float32_matmul": "medium"}, "Precision: ")[1]


def test_versions_are_those_of_the_constraints():
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line[:40])
    assert {name: pinned[name] for name in doctor.MADE_WITH} == doctor.MADE_WITH
    assert set(doctor.MOVES) == set(doctor.MADE_WITH)
