"""Tier 2 of the regression check: what is recorded, what is run again, and the sentences."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from bench.check import fresh, statistical
from bench.check.baselines import read
from bench.check.finding import REGRESSIONS
from bench.check.request import Request
from bench.config.expand import expand
from bench.errors import BenchError
from bench.registry import METHODS
from helpers.paths import BASELINES

MEANS = {"reconstruction_bce": 20.0, "kl": 14.0, "mig": 0.2, "dci_disentanglement": 0.4}
SPREADS = {"reconstruction_bce": 0.05, "kl": 0.5, "mig": 0.02, "dci_disentanglement": 0.001}


class Runs:
    """Stands for `fresh.run`: numbers drawn per seed, with shifts, diverging runs and failures as a test sets them."""

    def __init__(self):
        self.shifts, self.failing, self.asked = {}, {}, []
        self.diverging = set()

    def __call__(self, methods, seeds, **rest):
        self.asked.append((tuple(methods), tuple(seeds)))
        scores = {method: self.scores(method, seeds) for method in methods if method not in self.failing}
        return scores, {method: why for method, why in self.failing.items() if method in methods}

    def scores(self, method, seeds):
        table = {fresh.DIVERGED: {seed: float(seed in self.diverging) for seed in seeds}}
        for column, mean in MEANS.items():
            table[column] = {
                seed: mean + SPREADS[column] * np.random.default_rng([seed, len(column), len(method)]).normal()
                for seed in seeds
                if seed not in self.diverging
            }
            for seed in table[column]:
                table[column][seed] += self.shifts.get((method, column), lambda seed: 0.0)(seed)
        return table


@pytest.fixture
def runs(monkeypatch):
    runs = Runs()
    monkeypatch.setattr(fresh, "run", runs)
    return runs


@pytest.fixture
def recorded(tmp_path, runs):
    statistical.check(request_to(tmp_path, mode="record"))
    runs.asked.clear()
    return tmp_path


def request_to(folder, **rest):
    return Request(baselines=folder, **{"methods": ("vae", "beta_vae"), **rest})


def bad(findings):
    return [finding for finding in findings if finding.status in REGRESSIONS]


class TestCheck:
    def test_what_is_recorded_is_forty_seeds_with_versions_margins_and_six_digits(self, recorded):
        content = json.loads((recorded / statistical.FILE).read_text())
        assert set(content["subjects"]) == {"method vae", "method beta_vae"}
        known = content["subjects"]["method vae"]
        assert list(known["numbers"]["mig"]) == [f"seed {seed:02d}" for seed in range(40)]
        assert known["versions"]["method vae"] == METHODS.get("vae").version
        assert {"engine", "metric mig", "metric dci", "dataset dsprites"} <= set(known["versions"])
        assert known["bounds"]["mig"] == fresh.setting()["margins"]["mig"]
        assert all(len(str(value).replace("0.", "").lstrip("0")) <= 6 for value in known["numbers"]["mig"].values())

    def test_a_second_record_runs_only_what_is_new(self, recorded, runs):
        before = (recorded / statistical.FILE).read_text()
        assert statistical.check(request_to(recorded, mode="record")) == []
        assert runs.asked == []
        assert (recorded / statistical.FILE).read_text() == before
        (found,) = statistical.check(request_to(recorded, mode="record", methods=("vae", "pca")))
        assert (found.status, found.subject) == ("new", "method pca")
        assert runs.asked == [(("pca",), tuple(range(40)))]

    def test_nothing_moved_is_no_regression_and_needs_one_set_of_seeds(self, recorded, runs):
        found = statistical.check(request_to(recorded))
        assert bad(found) == []
        assert {finding.status for finding in found} <= {"same", "within", "undecided"}
        assert [seeds for _, seeds in runs.asked] == [tuple(fresh.fresh_seeds(0))]

    def test_another_night_takes_other_seeds(self, recorded, runs):
        statistical.check(request_to(recorded, night=3))
        assert [seeds for _, seeds in runs.asked] == [tuple(fresh.fresh_seeds(3))]

    def test_a_fall_is_told_with_size_direction_and_version(self, recorded, runs):
        runs.shifts["vae", "mig"] = lambda seed: -0.1
        (moved,) = bad(statistical.check(request_to(recorded)))
        assert (moved.subject, moved.quantity, moved.status) == ("method vae", "mean mig", "moved")
        assert "mean mig fell by 0.1" in moved.message
        assert "(worse), since version 1 (stored by disbench" in moved.message
        assert moved.got == pytest.approx(moved.expected - 0.1, abs=0.02)
        assert runs.asked[1] == (("vae",), tuple(fresh.fresh_seeds(0, again=True)))

    def test_a_rise_of_a_score_is_a_move_for_the_better(self, recorded, runs):
        runs.shifts["vae", "mig"] = lambda seed: 0.1
        (moved,) = bad(statistical.check(request_to(recorded)))
        assert "rose by" in moved.message
        assert "(better)" in moved.message

    def test_an_alarm_that_ten_other_seeds_do_not_raise_is_none(self, recorded, runs):
        runs.shifts["vae", "mig"] = lambda seed: -0.1 if seed < fresh.FIRST_FRESH + 10 else 0.0
        found = statistical.check(request_to(recorded))
        assert bad(found) == []
        (open_,) = (finding for finding in found if finding.subject == "method vae" and "mig" in finding.quantity)
        assert open_.status == "undecided"
        assert "that 10 other seeds didn't raise" in open_.message

    def test_a_real_shift_inside_the_margin_is_none(self, recorded, runs):
        runs.shifts["vae", "dci_disentanglement"] = lambda seed: 0.01
        found = {finding.quantity: finding.status for finding in statistical.check(request_to(recorded))}
        assert found["mean dci_disentanglement"] == "within"

    def test_runs_that_diverge_now_are_a_regression(self, recorded, runs):
        runs.diverging = {seed for again in (False, True) for seed in fresh.fresh_seeds(0, again)[:7]}
        moved = bad(statistical.check(request_to(recorded, methods=("vae",))))
        assert [finding.quantity for finding in moved] == ["mean diverged"]
        assert "(worse)" in moved[0].message

    def test_a_score_that_is_not_measured_any_more_is_missing(self, recorded, runs, monkeypatch):
        monkeypatch.delitem(MEANS, "mig")
        assert {(f.subject, f.quantity, f.status) for f in bad(statistical.check(request_to(recorded)))} == {
            (f"method {name}", "mean mig", "missing") for name in ("vae", "beta_vae")
        }

    def test_a_method_that_fails_now_is_missing_and_the_others_are_still_compared(self, recorded, runs):
        runs.failing["vae"] = "seed 1000000: MemoryError"
        found = statistical.check(request_to(recorded))
        assert [(f.subject, f.status) for f in bad(found)] == [("method vae", "missing")]
        assert "seed 1000000: MemoryError" in bad(found)[0].message
        assert any(finding.subject == "method beta_vae" for finding in found)

    def test_a_method_for_other_data_is_skipped(self, recorded):
        found = statistical.check(request_to(recorded, methods=("full_covariance_vae",)))
        assert [finding.status for finding in found] == ["skipped"]

    def test_fewer_than_twenty_stored_seeds_decide_nothing(self, recorded, runs):
        file = recorded / statistical.FILE
        content = json.loads(file.read_text())
        numbers = content["subjects"]["method vae"]["numbers"]
        content["subjects"]["method vae"]["numbers"] = {c: dict(list(v.items())[:19]) for c, v in numbers.items()}
        file.write_text(json.dumps(content))
        (found,) = statistical.check(request_to(recorded, methods=("vae",)))
        assert (found.status, runs.asked) == ("undecided", [])
        assert "19 stored seeds, 20 are needed" in found.message

    def test_another_study_makes_the_stored_runs_worthless(self, recorded, monkeypatch):
        monkeypatch.setattr(fresh, "checksum", lambda: "0" * 16)
        (found,) = statistical.check(request_to(recorded))
        assert found.status == "moved"
        assert "record anew" in found.message

    def test_a_new_version_asks_for_an_update_which_runs_the_stored_seeds_again(self, recorded, runs, monkeypatch):
        entry = METHODS.get("vae")
        with METHODS.override({"vae": replace(entry, version=entry.version + 1)}):
            runs.shifts["vae", "mig"] = lambda seed: -0.1
            (moved,) = bad(statistical.check(request_to(recorded)))
            assert "is at version 2, the stored runs are of 1" in moved.message
            runs.asked.clear()
            statistical.check(request_to(recorded, mode="update"))
            assert (("vae",), tuple(range(40))) in runs.asked
            assert bad(statistical.check(request_to(recorded))) == []

    def test_an_update_without_a_new_version_is_refused(self, recorded, runs):
        before = (recorded / statistical.FILE).read_text()
        runs.shifts["vae", "mig"] = lambda seed: -0.1
        with pytest.raises(BenchError, match="no version was raised"):
            statistical.check(request_to(recorded, mode="update"))
        assert (recorded / statistical.FILE).read_text() == before


def test_the_command_records_compares_and_exits_with_three(bench, runs, tmp_path):
    words = ("check", "--tier", "2", "-m", "vae", "--baselines", str(tmp_path / "own"), "-q", "-j", "1")
    assert bench(*words, "--record")[0] == 0
    code, out, _ = bench(*words, "--night", "3")
    assert code == 0
    assert out.endswith("No regression.\n")
    assert runs.asked[-1] == (("vae",), tuple(fresh.fresh_seeds(3)))
    runs.shifts["vae", "mig"] = lambda seed: -0.1
    code, out, _ = bench(*words, "--json")
    content = json.loads(out)
    assert (code, content["regression"]) == (3, True)
    assert [f["quantity"] for f in content["findings"] if f["status"] == "moved"] == ["mean mig"]


def test_the_study_is_small_and_its_checksum_ignores_words(monkeypatch):
    asked = fresh.study(["vae"], [0])
    assert asked.train.steps <= 500
    before = fresh.checksum()
    changed = fresh.setting()
    changed["margins"]["mig"] = 0.5
    monkeypatch.setattr(fresh, "setting", lambda: changed)
    assert fresh.checksum() == before
    changed["study"]["metrics"] = ["kl"]
    assert fresh.checksum() != before


def test_methods_have_the_settings_that_the_stored_runs_had():
    """Whatever the preset has become: the checksum and these hyper-parameters are those of the stored numbers."""
    assert read(BASELINES / statistical.FILE).inputs["study"] == fresh.checksum()
    (dynamic,) = expand(fresh.study(["dynamic_vae"], [0]))
    expected = {"set_point": 5.0, "set_point_every": 20, "set_point_step": 0.15, "ramp": 4, "ki": 0.5, "beta0": 50.0}
    assert expected.items() <= dynamic.method.hyper.items()


@pytest.mark.slow
def test_real_runs_give_scores_by_seed():
    scores, failed = fresh.run(["untrained", "pca"], [3, 5], jobs=1)
    assert failed == {}
    assert set(scores) == {"untrained", "pca"}
    assert set(scores["pca"]["mig"]) == {3, 5}
    assert set(fresh.setting()["margins"]) - set(scores["untrained"]) == set()
    assert "kl" not in scores["pca"]
