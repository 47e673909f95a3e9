"""Plan, execute, commit: the same bytes whatever happens on the way."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.api.study import load_study
from bench.config.expand import expand
from bench.config.study import resolve
from bench.evaluation.codes import PRIOR
from bench.evaluation.montages import grid
from bench.execution import plan, train_group, worker
from bench.execution import run as execution_run
from bench.execution.task import Task
from bench.files import write_json
from bench.results.store import Store
from bench.seeds import stream
from bench.spec import MethodSpec

pytestmark = pytest.mark.slow
DETERMINISTIC = (
    "result.json",
    "spec.json",
    "curves.csv",
    "weights.safetensors",
    "traversals.png",
    "reconstructions.png",
    "samples.png",
)


def digests(store: Store) -> dict[str, str]:
    return {
        f"{run.name}/{name}": hashlib.sha256((run / name).read_bytes()).hexdigest()
        for run in sorted(store.runs.iterdir())
        for name in DETERMINISTIC
    }


def specs_of(**flags):
    flags = {"methods": ["vae", "factor_vae", "dynamic_vae"], "seeds": [0]} | flags
    return expand(resolve("smoke", settings=["train.steps=40", *flags.pop("settings", [])], **flags))


def run(path, specs, *, n_jobs=1, rerun="", **options):
    store = Store(path)
    store.create({}, specs)
    return store, list(execution_run.execute(plan.plan(specs, store, rerun), store, n_jobs=n_jobs, **options))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    store, outcomes = run(tmp_path_factory.mktemp("r") / "study", specs_of())
    assert {o.state for o in outcomes} == {"ok"}
    return store


def test_records_are_complete(reference):
    run = next(p for p in reference.runs.iterdir() if "dynamic_vae" in p.name)
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "ok"
    assert result["steps_done"] == result["last_good_step"] == 40
    assert {
        "reconstruction_bce",
        "kl",
        "mig",
        "dci_disentanglement",
        "factor_vae_score",
        "active_units",
    } <= set(result["scores"])
    assert result["files"]["curves.csv"] == hashlib.sha256((run / "curves.csv").read_bytes()).hexdigest()
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["versions"]["torch"]
    assert provenance["settings"]["threads"] == 1
    assert provenance["hardware"]["cpu"]
    rows = (run / "curves.csv").read_text().splitlines()
    assert rows[0].startswith("step,reconstruction,kl,beta,set_point,kl_0,")
    assert [int(row.split(",")[0]) for row in rows[1:]] == [10, 20, 30, 40]
    assert not list((reference.work / run.name).glob("*")) if (reference.work / run.name).exists() else True


def test_samples_are_of_the_same_codes_for_every_method_that_has_a_prior(reference):
    study = load_study(reference.path)
    for folder in reference.runs.iterdir():
        model = study.model(folder.name)
        made = model.decode(stream(0, PRIOR).standard_normal((20, model.latent_dim)))
        with Image.open(folder / "samples.png") as image:
            assert np.array_equal(np.asarray(image), grid(made.reshape(2, 10, *made.shape[1:]))[..., 0])


def test_two_processes_give_the_same_bytes_as_one(reference, tmp_path):
    store, _ = run(tmp_path / "study", specs_of(), n_jobs=2)
    assert digests(store) == digests(reference)


def test_done_runs_are_skipped_and_all_can_be_asked_for_again(reference):
    before = {p: p.stat().st_mtime_ns for p in reference.runs.glob("*/result.json")}
    assert plan.plan(specs_of(), reference).todo == {}
    assert len(plan.plan(specs_of(), reference, "all").todo) == 4
    assert {p: p.stat().st_mtime_ns for p in reference.runs.glob("*/result.json")} == before


def test_untrained_is_evaluated_at_the_shared_initialisation(reference):
    run = next(p for p in reference.runs.iterdir() if "untrained" in p.name)
    result = json.loads((run / "result.json").read_text())
    assert result["steps_done"] == 0
    assert result["scores"]["reconstruction_bce"] > 300
    assert len((run / "curves.csv").read_text().splitlines()) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_at_any_moment_and_run_again_gives_the_same_bytes(how, reference, tmp_path):
    command = [sys.executable, "-m", "bench", "run", "--preset", "smoke", "-m", "vae,factor_vae,dynamic_vae"]
    command += ["--seeds", "0-0", "--set", "train.steps=40", "-j", "1", "--study", "study"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    store = Store(tmp_path / "results" / "study")
    deadline = time.monotonic() + 120
    while not list(store.runs.glob("*/result.json")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if how == signal.SIGINT else -9)
    assert "Traceback" not in err
    for folder in store.runs.iterdir():
        assert (folder / "result.json").is_file()
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert digests(store) == digests(reference)


def test_a_long_run_goes_on_from_its_checkpoint_with_the_same_bytes(reference, tmp_path, monkeypatch):
    spec = next(s for s in specs_of() if s.method.name == "dynamic_vae")
    store = Store(tmp_path / "study")
    store.create({}, [spec])
    task = Task(spec, store.path, checkpoint_s=0.0)
    from bench.training import checkpoint

    save, saved = checkpoint.save, []

    def save_then_die(training, path):
        save(training, path)
        saved.append(training.log.step)
        if training.log.step == 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        worker.execute_batch((task,))[0]
    monkeypatch.setattr(checkpoint, "save", save)
    assert saved == [10, 20]
    assert not store.is_done(spec.run_id)
    assert worker.execute_batch((task,))[0].state == "ok"
    provenance = json.loads((store.runs / spec.run_id / "provenance.json").read_text())
    assert provenance["resumed_at_step"] == 20
    mine = digests(store)
    assert mine == {key: value for key, value in digests(reference).items() if key in mine}


def test_a_damaged_checkpoint_means_starting_again(reference, tmp_path):
    spec = next(s for s in specs_of() if s.method.name == "vae")
    store = Store(tmp_path / "study")
    store.create({}, [spec])
    (store.work / spec.run_id).mkdir()
    (store.work / spec.run_id / train_group.CHECKPOINT).write_bytes(b"half a file")
    assert worker.execute_batch((Task(spec, store.path, checkpoint_s=60.0),))[0].state == "ok"
    mine = digests(store)
    assert mine == {key: value for key, value in digests(reference).items() if key in mine}


def test_two_processes_on_one_study_share_the_work(reference, tmp_path):
    command = [sys.executable, "-m", "bench", "run", "--preset", "smoke", "-m", "vae,factor_vae,dynamic_vae"]
    command += ["--seeds", "0-0", "--set", "train.steps=40", "-j", "1", "--study", "study"]
    both = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ends = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    store = Store(tmp_path / "results" / "study")
    assert digests(store) == digests(reference)
    assert not list(store.failed.iterdir())


def test_spec_on_disk_is_the_spec_that_ran(reference):
    for folder in reference.runs.iterdir():
        spec = json.loads((folder / "spec.json").read_text())
        assert folder.name.startswith(f"dsprites-{spec['method']['name']}-s000-")
        assert MethodSpec(**spec["method"])
    write_json(reference.path / "x.json", {})
    assert Path(reference.path / "x.json").read_text() == "{}\n"


def test_a_new_metric_is_measured_on_the_stored_weights(reference, tmp_path):
    specs = specs_of(methods=["dynamic_vae"], controls=[], evaluation={"metrics": ["mig"]})
    store, _ = run(tmp_path / "study", specs)
    weights = next(store.runs.glob("*/weights.safetensors"))
    before = weights.read_bytes()
    more = specs_of(methods=["dynamic_vae"], controls=[], evaluation={"metrics": ["kl"]})
    assert more[0].run_id == specs[0].run_id
    assert plan.plan(more, store).todo == {specs[0].run_id: "measure"}
    store, outcomes = run(tmp_path / "study", more)
    assert {"mig", "kl"} <= set(outcomes[0].scores), "what was measured before isn't lost"
    assert weights.read_bytes() == before
    provenance = json.loads((weights.parent / "provenance.json").read_text())
    assert provenance["trained_by"]["train_s"] == provenance["train_s"]
    assert plan.plan(more, store).todo == {}
    assert plan.plan(specs, store).todo == {}
    full = {s.run_id: s for s in specs_of()}[specs[0].run_id]
    whole = reference.result(full.run_id)["scores"]
    assert {name: whole[name] for name in ("mig", "kl")} == {n: outcomes[0].scores[n] for n in ("mig", "kl")}


def test_weights_that_were_changed_are_not_measured(tmp_path):
    specs = specs_of(methods=["vae"], controls=[], evaluation={"metrics": ["mig"]})
    store, _ = run(tmp_path / "study", specs)
    weights = next(store.runs.glob("*/weights.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-4] + b"zzzz")
    more = specs_of(methods=["vae"], controls=[], evaluation={"metrics": ["kl"]})
    _, outcomes = run(tmp_path / "study", more)
    assert outcomes[0].state == "failed"
    assert "isn't what the run recorded" in outcomes[0].message
    assert set(store.result(specs[0].run_id)["scores"]) == {"mig"}, "the earlier result stays"


def test_leftovers_of_a_killed_writer_are_not_committed(reference, tmp_path):
    spec = next(s for s in specs_of() if s.method.name == "vae")
    store = Store(tmp_path / "study")
    store.create({}, [spec])
    (store.work / spec.run_id).mkdir()
    for name in ("checkpoint.safetensors.part", "result.json.99.part", "curves.csv"):
        (store.work / spec.run_id / name).write_bytes(b"half")
    assert worker.execute_batch((Task(spec, store.path),))[0].state == "ok"
    mine, theirs = (sorted(p.name for p in (s.runs / spec.run_id).iterdir()) for s in (store, reference))
    assert mine == theirs


def write_images(file, value):
    np.savez(file, images=np.eye(8, dtype=np.uint8)[None].repeat(40, 0) * value)


def test_data_that_changed_since_the_plan_are_refused(tmp_path):
    file = tmp_path / "a.npz"
    write_images(file, 255)
    specs = specs_of(methods=["vae"], controls=[], datasets=[f"npz[path={file}]"])
    write_images(file, 254)
    _, outcomes = run(tmp_path / "study", specs)
    assert outcomes[0].state == "failed"
    assert "its data have changed since this run was planned" in outcomes[0].message


def test_moving_a_file_does_not_change_the_run(tmp_path):
    (tmp_path / "sub").mkdir()
    ids = set()
    for file in (tmp_path / "a.npz", tmp_path / "sub" / "b.npz"):
        write_images(file, 255)
        ids |= {s.run_id for s in specs_of(methods=["vae"], controls=[], datasets=[f"npz[path={file}]"])}
    assert len(ids) == 1
