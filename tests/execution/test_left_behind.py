"""What earlier attempts leave behind: never mixed with what is wanted now, never taken for good without a look."""

from __future__ import annotations

import csv
import json
import shutil

import pytest

from bench.execution import worker
from bench.execution.task import Task
from bench.results.record import WEIGHTS
from bench.results.store import CURVES
from bench.training import checkpoint
from helpers.specs import specs_of
from helpers.stores import store_of

SETTINGS = ("train.steps=40", "train.log_every=10", "train.score_every=10")


def execute(store, spec, **options):
    (outcome,) = worker.execute_batch((Task(spec, store.path, checkpoint_s=0.0, **options),))
    return outcome


def killed_at(step, store, spec, monkeypatch):
    """Run up to the checkpoint of a step."""
    save = checkpoint.save

    def save_then_die(training, *paths):
        save(training, *paths)
        if training.log.step == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save_then_die)
        with pytest.raises(KeyboardInterrupt):
            execute(store, spec)


def rows(folder):
    with (folder / "scores_by_step.csv").open() as file:
        return list(csv.DictReader(file))


def asked(n_codes, metrics):
    evaluation = {"n_codes": n_codes, "n_images": 32, "metrics": metrics}
    (spec,) = specs_of(["vae"], *SETTINGS, evaluation=evaluation)
    return spec


def test_scores_on_the_way_of_another_evaluation_are_not_gone_on_with(tmp_path, monkeypatch):
    before, now = asked(192, ["mig", "kl"]), asked(64, ["irs", "kl"])
    assert before.run_id == now.run_id
    store = store_of(tmp_path / "study", [now])
    killed_at(20, store, before, monkeypatch)
    outcome = execute(store, now)
    assert outcome.state == "ok"
    assert "taken with other metrics or another sample; it began again" in outcome.warning
    found = rows(store.runs / now.run_id)
    assert [int(float(row["step"])) for row in found] == [10, 20, 30, 40]
    assert all(row["irs"] and "mig" not in row for row in found)
    assert not list((store.runs / now.run_id).glob("measured*"))


def test_the_same_evaluation_is_gone_on_with(tmp_path, monkeypatch):
    spec = asked(64, ["irs", "kl"])
    store, whole = store_of(tmp_path / "study", [spec]), store_of(tmp_path / "whole", [spec])
    killed_at(20, store, spec, monkeypatch)
    assert execute(store, spec).warning == ""
    assert execute(whole, spec).state == "ok"
    for name in ("scores_by_step.csv", CURVES, WEIGHTS, "result.json"):
        one, other = (each.runs / spec.run_id / name for each in (store, whole))
        assert one.read_bytes() == other.read_bytes(), name
    history = json.loads((store.runs / spec.run_id / "provenance.json").read_text())
    assert history["resumed_at_step"] == 20


@pytest.mark.parametrize("name", [CURVES, WEIGHTS, "scores_by_step.csv"])
def test_a_run_whose_files_were_changed_is_not_measured_anew(name, tmp_path):
    spec = asked(64, ["kl"])
    store = store_of(tmp_path / "study", [spec])
    assert execute(store, spec).state == "ok"
    file = store.runs / spec.run_id / name
    file.write_bytes(file.read_bytes() + b"\n")
    more = asked(64, ["kl", "irs"])
    outcome = execute(store, more, action="measure")
    assert outcome.state == "failed"
    assert f"{name}' isn't what the run recorded" in outcome.message


def test_a_removed_run_does_not_come_back_from_a_finished_replacement(tmp_path):
    spec = asked(64, ["kl"])
    store = store_of(tmp_path / "study", [spec])
    assert execute(store, spec).state == "ok"
    done, replaced = store.runs / spec.run_id, store.work / f"{spec.run_id}.replaced"
    # As a kill after both renames leaves it, and a user who then removes the run.
    shutil.copytree(done, replaced)
    (replaced / "mark").touch()
    shutil.rmtree(done)
    assert execute(store, spec).state == "ok"
    assert not (done / "mark").exists()
    assert not replaced.exists()


def test_a_kill_between_the_two_renames_of_a_replacement_loses_nothing(tmp_path):
    spec = asked(64, ["kl"])
    store = store_of(tmp_path / "study", [spec])
    assert execute(store, spec).state == "ok"
    done, work = store.runs / spec.run_id, store.work / spec.run_id
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(done, work)
    done.rename(store.work / f"{spec.run_id}.replaced")
    with store.claim(spec.run_id) as folder:
        assert folder == work
        assert store.is_done(spec.run_id)
