"""Tier 2 of the regression check: alarms on arrays, on stored runs split at random, on planted ones; the sentences."""

from __future__ import annotations

import csv
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.check import fresh, statistical
from bench.check.alarms import ALPHA, confirmed, p_values, regroupings, shifts, smallest_found
from bench.check.baselines import baseline_folder, read
from bench.check.finding import REGRESSIONS
from bench.check.request import Request
from bench.errors import BenchError
from bench.registry import METHODS
from bench.stats import permutation_unpaired

PLANTED = Path(__file__).parent / "planted_runs.csv"
N_NIGHTS = 200
#: Enough for p after Holm's correction over some hundred tests, and a quarter of the check's own.
N_DRAWS = 4_999


def one(stored, now, margin=0.01, seed=0, n_draws=N_DRAWS):
    key = ("vae", "mig")
    rng = np.random.default_rng(seed)
    return shifts({key: np.array(stored)}, {key: np.array(now)}, {key: margin}, rng=rng, n_draws=n_draws)[key]


class TestAlarms:
    def test_p_is_the_share_of_all_regroupings(self):
        rng = np.random.default_rng(0)
        stored, now = rng.normal(size=(6, 3)), rng.normal(size=(4, 3)) + 0.8
        every = np.zeros((210, 10))
        for row, chosen in enumerate(itertools.combinations(range(10), 4)):
            every[row, list(chosen)] = 1
        found = p_values(stored, now, every)
        for column in range(3):
            exact = permutation_unpaired(now[:, column], stored[:, column], rng=rng)
            assert exact.exact
            assert found[column] == pytest.approx((1 + exact.p * 210) / 211)

    def test_drawn_regroupings_choose_every_row_equally_often(self):
        drawn = regroupings(20, 10, np.random.default_rng(0), 6_000)
        assert (drawn.sum(axis=1) == 10).all()
        np.testing.assert_allclose(drawn.mean(axis=0), 1 / 3, atol=0.03)

    def test_equal_constants_are_the_same_whatever_the_order_of_sums(self):
        shift = one([0.1 + 0.2] * 20, [0.3] * 10)
        assert (shift.kind, shift.p) == ("within", 1.0)
        assert one([0.3] * 20, [0.3] * 10).kind == "same"

    def test_constants_apart_by_more_than_the_margin_are_an_alarm(self):
        assert one([0.3] * 20, [0.32] * 10).kind == "alarm"
        assert one([0.3] * 20, [0.305] * 10).kind == "within"

    def test_a_real_but_trivial_shift_is_no_alarm(self):
        rng = np.random.default_rng(1)
        stored, now = rng.normal(0.5, 0.001, 40), rng.normal(0.503, 0.001, 10)
        shift = one(stored, now)
        assert (shift.kind, shift.p <= ALPHA) == ("within", True)
        assert one(stored, now, margin=0.002).kind == "alarm"

    def test_few_noisy_seeds_leave_it_undecided(self):
        rng = np.random.default_rng(2)
        assert one(rng.normal(0.5, 0.1, 40), rng.normal(0.5, 0.1, 10)).kind == "undecided"

    def test_runs_without_a_value_are_left_out(self):
        rng = np.random.default_rng(3)
        stored, now = rng.normal(size=40), rng.normal(3, 1, 10)
        now[:3] = np.nan
        shift = one(stored, now)
        assert shift.kind == "alarm"
        assert shift.fresh == pytest.approx(np.nanmean(now))

    def test_the_second_set_must_move_in_the_same_direction(self):
        rng = np.random.default_rng(4)
        stored = rng.normal(size=40)
        up, down = (one(stored, rng.normal(mean, 1, 10)) for mean in (4, -4))
        assert up.kind == down.kind == "alarm"
        assert confirmed(up, up)
        assert not confirmed(up, down)

    @pytest.mark.parametrize(("n_stored", "n_tests"), [(20, 1), (40, 100)])
    def test_the_smallest_shift_is_found_as_often_as_stated(self, n_stored, n_tests):
        size, rng, n = smallest_found(n_stored, 10, n_tests), np.random.default_rng(5), 500
        stored = rng.normal(size=(n_stored, n))
        drawn = regroupings(n_stored, 10, rng)
        first, second = (p_values(stored, rng.normal(size, 1, (10, n)), drawn) for _ in range(2))
        found = ((first <= ALPHA / n_tests) & (second <= ALPHA)).mean()
        assert 0.76 <= found <= 0.92  # two standard errors below what is promised


def test_fresh_seeds_are_never_stored_ones_nor_another_nights():
    sets = [fresh.fresh_seeds(night, again) for night in range(50) for again in (False, True)]
    seeds = [seed for chosen in sets for seed in chosen]
    assert len(set(seeds)) == len(seeds) == 1_000
    assert min(seeds) > fresh.N_STORED
    assert fresh.fresh_seeds(7) == fresh.fresh_seeds(7)


@pytest.fixture(scope="module")
def pool():
    """Stored runs of this repository: 40 seeds of every method that can be trained on the small study."""
    stored = read(baseline_folder() / statistical.FILE)
    table = statistical.stored_table({name.split()[1]: known for name, known in stored.subjects.items()})
    limits = statistical.margins({name.split()[1]: known for name, known in stored.subjects.items()})
    assert {len(values) for values in table.values()} == {40}
    return table, limits


def split(table, order):
    parts = order[:20], order[20:30], order[30:40]
    return [{key: values[part] for key, values in table.items()} for part in parts]


def night(table, limits, rng, planted=None):
    """Alarms of the first set of fresh seeds, and those that the second raises too."""
    stored, first, second = split(table, rng.permutation(40))
    for key, values in (planted or {}).items():
        first[key], second[key] = values[:10], values[10:]
    raised = {k: s for k, s in shifts(stored, first, limits, rng=rng, n_draws=N_DRAWS).items() if s.kind == "alarm"}
    again = {key: stored[key] for key in raised}
    after = shifts(again, second, limits, rng=rng, n_draws=N_DRAWS) if raised else {}
    return set(raised), {key for key, shift in raised.items() if key in after and confirmed(shift, after[key])}


class TestCleanNights:
    def test_of_200_at_most_one_in_fifty_cries_wolf(self, pool):
        """Every night is a random division of the 40 stored seeds: 20 stored, 10 fresh, 10 to confirm."""
        nights = [night(*pool, np.random.default_rng([6, n])) for n in range(N_NIGHTS)]
        first, both = (sum(bool(result[place]) for result in nights) for place in (0, 1))
        assert first <= ALPHA * N_NIGHTS
        assert both <= 0.02 * N_NIGHTS

    def test_without_holm_nearly_all_would(self, pool):
        table, _ = pool
        alarms = 0
        for n in range(20):
            rng = np.random.default_rng([6, n])
            stored, first, _ = split(table, rng.permutation(40))
            both = [np.stack([part[k] for k in table if k[1] != "diverged"], axis=1) for part in (stored, first)]
            alarms += (p_values(*both, regroupings(20, 10, rng, 999)) <= ALPHA).any()
        assert alarms >= 18


def planted_runs():
    runs = {}
    with PLANTED.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            plant, method, _ = (row.pop(key) for key in ("plant", "method", "seed"))
            for column, value in row.items():
                if value:
                    runs.setdefault(plant, {}).setdefault((method, column), []).append(float(value))
    return {plant: {key: np.array(values) for key, values in table.items()} for plant, table in runs.items()}


#: What was planted, 20 runs each, to the columns that both sets of ten raise. Nothing: this tier can't see it.
CAUGHT = {
    "mean-for-sum KL": {"reconstruction_bce", "kl"},
    "sign error, DynamicVAE": {"reconstruction_bce", "kl", "active_units", "dci_disentanglement", "factor_vae_score"},
    "learning rate + 20 %": {"reconstruction_bce"},
    "init torch": {"reconstruction_bce", "kl", "active_units", "dci_disentanglement", "dci_informativeness"},
    "init normal002": {"reconstruction_bce", "kl", "active_units", "mig", "factor_vae_score"},
    "sign error, ControlVAE": set(),
    "beta a step late": set(),
    "data order": set(),
    "learning rate + 1 %": set(),
    "MIG with 19 bins": set(),
}


@pytest.mark.parametrize("plant", CAUGHT)
def test_planted_changes_are_caught_or_known_not_to_be(plant, pool):
    runs = planted_runs()[plant]
    (method,) = {method for method, _ in runs}
    for division in range(3):
        _, both = night(*pool, np.random.default_rng([7, division]), runs)
        found = {column for name, column in both if name == method}
        assert found >= CAUGHT[plant]
        assert bool(found) == bool(CAUGHT[plant])


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


def test_real_runs_give_scores_by_seed():
    scores, failed = fresh.run(["untrained", "pca"], [3, 5], jobs=1)
    assert failed == {}
    assert set(scores) == {"untrained", "pca"}
    assert set(scores["pca"]["mig"]) == {3, 5}
    assert set(fresh.setting()["margins"]) - set(scores["untrained"]) == set()
    assert "kl" not in scores["pca"]
