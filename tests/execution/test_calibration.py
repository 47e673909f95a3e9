"""The plain VAE's KL is looked up in order, and measured where nobody knows it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.config import plain_kl
from bench.config.expand import expand
from bench.config.plain_kl import PlainKL, key_of, read_plain_kls, training_of
from bench.config.study import resolve
from bench.config.wanted_kl import UnknownKLError
from bench.errors import BenchError
from bench.execution import calibration
from bench.execution.calibration import KnownKLs, calibrate, calibrated, calibration_runs, measured, tabulate
from bench.execution.task import Outcome
from bench.files import read_toml, write_json
from bench.results.store import Store

STEPS = 20


def study(*methods, **flags):
    settings = [f"train.steps={STEPS}", "train.log_every=1", *flags.pop("settings", [])]
    return resolve("smoke", methods=list(methods), controls=[], seeds=[0], settings=settings, **flags)


@pytest.fixture(scope="module")
def plain():
    """A run of the plain VAE at a training that the table doesn't know."""
    return expand(study("vae"))[0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A results folder whose calibration is done, by a study that waited for it."""
    results = tmp_path_factory.mktemp("results")
    asked = study("control_vae[set_point=80%]")
    with pytest.raises(UnknownKLError) as waits:
        expand(asked, KnownKLs(results / "mine", results))
    calibrate(asked, waits.value, results, n_jobs=1)
    return results


def planted(path, kls, plain, statuses=()):
    """A calibration's folder with made-up runs; None stands for one that isn't done."""
    store = Store(path / calibration.STUDY)
    runs = calibration_runs([plain])
    store.create({}, runs)
    for number, (run, kl) in enumerate(zip(runs, kls, strict=True)):
        if kl is not None:
            folder = store.runs / run.run_id
            folder.mkdir()
            status = statuses[number] if statuses else "ok"
            write_json(folder / "spec.json", run.model_dump(mode="json"))
            write_json(
                folder / "result.json", {"schema_version": 1, "status": status, "scores": {}, "final": {"kl": kl}}
            )
    return store


@pytest.mark.slow
def test_a_calibration_is_an_ordinary_study_and_its_kl_the_mean_over_seeds(trained, plain):
    store = Store(trained / "plain_vae")
    found = calibrated(store, plain)
    finals = [json.loads(file.read_text())["final"]["kl"] for file in sorted(store.runs.glob("*/result.json"))]
    assert len(finals) == found.n_seeds == 5
    assert found.kl == round(np.mean(finals), 2)
    assert found.sd == round(np.std(finals, ddof=1), 2)
    assert found.training == training_of(plain)
    assert found.disbench
    record = read_toml(store.path / "study.toml")
    assert record["methods"] == ["vae"]
    assert record["train"]["steps"] == STEPS


@pytest.mark.slow
def test_the_study_then_has_the_shares_in_nats(trained, plain):
    known = KnownKLs(trained / "mine", trained)
    (spec,) = expand(study("control_vae[set_point=80%]"), known)
    kl = calibrated(Store(trained / "plain_vae"), plain).kl
    assert spec.method.hyper["set_point"] == round(0.8 * kl, 2)
    assert [entry.kl for entry in known.used.values()] == [kl]
    assert known.calibrations == [trained / "plain_vae"]


@pytest.mark.slow
def test_the_table_is_filled_from_a_results_folder(trained, plain, tmp_path, monkeypatch):
    table = tmp_path / "table.toml"
    monkeypatch.setattr(calibration, "add_to_table", lambda entries: plain_kl.add_to_table(entries, table))
    (entry,) = tabulate(trained / "plain_vae")
    tabulate(trained / "plain_vae")
    assert read_plain_kls(read_toml(table)["plain_kl"], "table") == {key_of(plain): entry}


def test_all_seeds_must_be_done_and_some_end_well(tmp_path, plain):
    assert calibrated(Store(tmp_path / "nothing"), plain) is None
    half = planted(tmp_path / "half", [4.0, 5.0, 6.0, 5.0, None], plain)
    assert calibrated(half, plain) is None, "no guess from those that happen to be done"
    store = planted(tmp_path / "some", [4.0, 5.0, 9.0, 6.0, 9.0], plain, ["ok", "ok", "diverged", "ok", "diverged"])
    found = calibrated(store, plain)
    assert (found.kl, found.sd, found.n_seeds) == (5.0, 1.0, 3)
    store = planted(tmp_path / "few", [4.0, 5.0, 9.0, 9.0, 9.0], plain, ["ok", "ok", *["diverged"] * 3])
    with pytest.raises(BenchError, match="fewer than 3 of 5 runs of the plain VAE ended well") as error:
        calibrated(store, plain)
    assert "\n" not in str(error.value)


def test_runs_of_another_version_do_not_count(tmp_path, plain):
    store = planted(tmp_path, [5.0] * 5, plain)
    assert calibrated(store, plain).kl == 5.0
    for change in ({"engine": 2}, {"network_version": 2}, {"method": plain.method.model_copy(update={"version": 2})}):
        assert calibrated(store, plain.model_copy(update=change)) is None


def test_what_the_study_was_given_goes_first_then_the_table(tmp_path, plain, monkeypatch):
    results = tmp_path / "results"
    planted(results, [5.0] * 5, plain)

    def entry(kl):
        return PlainKL(kl=kl, sd=0.1, n_seeds=10, training=training_of(plain))

    assert KnownKLs(results / "mine", results)(plain).kl == 5.0
    monkeypatch.setattr(calibration, "packaged_kl", lambda spec: entry(6.0))
    assert KnownKLs(results / "mine", results)(plain).kl == 6.0
    store = Store(results / "mine")
    store.create({}, [plain], plain_kl=[entry(7.0)])
    assert KnownKLs(results / "mine", results)(plain).kl == 7.0
    store.create({}, [plain], plain_kl=[entry(8.0)])
    assert KnownKLs(results / "mine", results)(plain).kl == 7.0, "what was recorded first stays"
    again = KnownKLs(results / "again", results, results / "mine" / "study.toml")
    assert again(plain).kl == 7.0, "a study's record is a study file"


def test_a_damaged_record_is_one_clear_line(tmp_path, plain):
    Store(tmp_path / "mine").create({}, [plain])
    file = tmp_path / "mine" / "study.toml"
    text = file.read_text()
    rest = "sd = 0.1, n_seeds = 5, training = {steps = 3, dataset = {name = 'blobs'}}"
    for bad in ("3", f"[{{kl = -1.0, {rest}}}]", f"[{{kl = nan, {rest}}}]", "[{kl = 1.0, sd = 0.1, n_seeds = 5}]"):
        file.write_text(f"{text}\nplain_kl = {bad}\n")
        with pytest.raises(BenchError, match="plain_kl") as error:
            KnownKLs(tmp_path / "mine", tmp_path)(plain)
        assert "\n" not in str(error.value)


def test_a_run_that_ended_without_a_kl_is_none_that_ended_well(tmp_path, plain):
    store = planted(tmp_path, [5.0] * 5, plain)
    runs = [run.run_id for run in calibration_runs([plain])]
    nothing = {"schema_version": 1, "status": "ok", "scores": {}, "final": {"kl": None}}
    for run in runs[:3]:
        write_json(store.runs / run / "result.json", nothing)
    assert measured(store, runs) is None


def test_nothing_is_a_share_of_a_kl_of_zero(tmp_path, plain):
    store = planted(tmp_path, [0.001, 0.002, 0.001, 0.0, 0.0], plain)
    with pytest.raises(BenchError, match=r"the plain VAE's KL is 0\.0008 nats .* nothing can be a share of it"):
        calibrated(store, plain)


def test_a_calibration_that_fails_is_one_clear_line(tmp_path, plain, monkeypatch):
    outcomes = [Outcome("a", "ok"), Outcome("b", "failed", "no memory"), Outcome("c", "failed", "no time")]
    monkeypatch.setattr(calibration, "run_study", lambda *args, **options: outcomes)
    with pytest.raises(BenchError, match=r"2 of 5 runs of the plain VAE failed \(no memory\)") as error:
        calibrate(study("control_vae[set_point=80%]"), UnknownKLError("", [plain], 1), tmp_path)
    assert "the same command tries them again" in str(error.value)


@pytest.mark.slow
def test_the_command_calibrates_then_runs_and_a_plan_says_so(bench, tmp_path, no_figures):
    words = ("--preset", "smoke", "-m", "control_vae[set_point=80%]", "--seeds", "1")
    settings = ("--set", f"train.steps={STEPS}", "--set", "train.log_every=1")
    code, out, _ = bench("plan", *words, *settings)
    assert code == 0
    assert "isn't known yet on dsprites" in out
    assert "5 runs of the plain VAE come first, in results/plain_vae" in out
    assert "then 2 runs of preset 'smoke' in results/smoke-dsprites: control_vae[set_point=80%]" in out
    assert not (tmp_path / "results").exists()
    code, out, err = bench("plan", *words, *settings, "--json")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    code, out, err = bench("run", *words, *settings, "-m", "vae", "-j", "1")
    assert (code, err) == (0, "")
    assert "5 runs of the plain VAE come first: they are trained now, and stay in results/plain_vae" in out
    assert "5 of 5 runs done" in out
    assert "set points in per cent are shares of the plain VAE's KL, " in out
    assert "1 runs were taken over from other studies" in out, "the calibration's first seed"
    report = (tmp_path / "reports/smoke-dsprites/report.md").read_text()
    assert "**Set points:** asked for as shares of the plain VAE's KL, " in report
    code, out, err = bench("run", *words, *settings, "-j", "1", "--study", "other", "--quiet")
    assert (code, err) == (0, "")
    assert "come first" not in out
    (spec,) = (tmp_path / "results/other/runs").glob("*control_vae*/spec.json")
    assert spec.read_bytes() == (tmp_path / "results/smoke-dsprites/runs" / spec.parent.name / "spec.json").read_bytes()
