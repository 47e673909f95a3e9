"""Scores during training: measured where they are asked for, and at no cost to anything else."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from bench.config.expand import expand
from bench.config.study import resolve
from bench.errors import BenchError
from bench.execution import worker
from bench.execution.task import Task
from bench.metrics.measure import Evaluation
from bench.registry import FIGURES
from bench.results import scores_by_step
from bench.results.curves import read_scores_by_step
from bench.results.store import Store
from bench.results.study import read_study
from bench.spec import RunSpec
from bench.training import checkpoint

METHODS = ["vae", "dynamic_vae"]


def specs_of(*settings):
    asked = ["train.steps=40", "train.log_every=10", *settings]
    flags = {"methods": METHODS, "controls": ["untrained"], "evaluation": {"metrics": ["kl", "mig", "elbo"]}}
    study = resolve("smoke", seeds=[0], settings=asked, **flags)
    return study, expand(study)


def run(path, study, specs, **options):
    store = Store(path)
    store.create(study.model_dump(mode="json"), specs)
    for spec in specs:
        assert worker.execute_batch((Task(spec, store.path, **options),))[0].state == "ok"
    return store.path


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    return run(tmp_path_factory.mktemp("scored") / "study", *specs_of("train.score_every=10"))


def test_runs_that_are_scored_at_the_end_keep_their_names_and_records():
    _, plain = specs_of()
    _, zero = specs_of("train.score_every=0")
    _, scored = specs_of("train.score_every=10")
    assert [spec.run_id for spec in plain] == [spec.run_id for spec in zero]
    assert all("score_every" not in spec.model_dump(mode="json") for spec in plain)
    for before, now in zip(plain, scored, strict=True):
        assert (before.run_id == now.run_id) == (now.method.name == "untrained")
        assert RunSpec.model_validate_json(now.model_dump_json()) == now


def test_a_step_at_which_nothing_is_logged_is_refused():
    with pytest.raises(BenchError, match="score_every=15 must be a multiple of log_every=10"):
        specs_of("train.score_every=15")


def test_training_is_the_same_and_the_last_row_is_the_result(scored, tmp_path):
    plain = run(tmp_path / "study", *specs_of())
    for spec, other in zip(specs_of("train.score_every=10")[1], specs_of()[1], strict=True):
        folder = scored / "runs" / spec.run_id
        for name in ("curves.csv", "weights.safetensors"):
            assert (folder / name).read_bytes() == (plain / "runs" / other.run_id / name).read_bytes()
        if spec.method.name == "untrained":
            assert not (folder / scores_by_step.NAME).exists()
            continue
        result = json.loads((folder / "result.json").read_text())
        rows = scores_by_step.read(folder / scores_by_step.NAME, before=np.inf)
        assert [row["step"] for row in rows] == [10, 20, 30, 40]
        assert len({row["kl"] for row in rows}) == 4
        assert {key: rows[-1][key] for key in result["scores"]} == pytest.approx(result["scores"], rel=1e-6)
        per_factor = dict(zip(result["factor_names"], result["details"]["mig"]["mig_per_factor"], strict=True))
        known = {f"mig_per_factor.{name}": value for name, value in per_factor.items() if value is not None}
        assert {key: value for key, value in rows[-1].items() if "." in key} == pytest.approx(known, rel=1e-6)
        assert result["files"].keys() == {"spec.json", "curves.csv", "weights.safetensors", scores_by_step.NAME}


def test_a_killed_run_goes_on_with_the_same_rows(scored, tmp_path, monkeypatch):
    study, specs = specs_of("train.score_every=10")
    spec = next(spec for spec in specs if spec.method.name == "dynamic_vae")
    store = Store(tmp_path / "study")
    store.create(study.model_dump(mode="json"), [spec])
    save = checkpoint.save

    def save_then_die(training, path):
        if training.log.step == 30:
            # Scores of step 30 are written, the last checkpoint is of step 20.
            raise KeyboardInterrupt
        save(training, path)

    monkeypatch.setattr(checkpoint, "save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        worker.execute_batch((Task(spec, store.path, checkpoint_s=0.0),))[0]
    monkeypatch.setattr(checkpoint, "save", save)
    assert worker.execute_batch((Task(spec, store.path, checkpoint_s=0.0),))[0].state == "ok"
    folder = store.path / "runs" / spec.run_id
    assert json.loads((folder / "provenance.json").read_text())["resumed_at_step"] == 20
    assert (folder / scores_by_step.NAME).read_bytes() == (
        scored / "runs" / spec.run_id / scores_by_step.NAME
    ).read_bytes()


def test_rows_after_a_new_one_are_dropped_and_columns_may_come_late(tmp_path):
    path = tmp_path / scores_by_step.NAME
    for step, scores in ((10, {"kl": 1.0}), (30, {"kl": 9.0}), (20, {"kl": 2.0, "mig": 0.5})):
        scores_by_step.add(path, scores_by_step.row(step, Evaluation(scores, {}, {}), ()))
    with path.open() as file:
        assert list(csv.reader(file)) == [["step", "kl", "mig"], ["10", "1", ""], ["20", "2", "0.5"]]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_figures_draw_what_the_rows_say(scored):
    study = read_study(scored)
    factors = FIGURES.get("factors_by_step").value(study)
    parts = FIGURES.get("kl_decomposition").value(study)
    runs = study.runs[study.runs["method"].isin(METHODS)]
    for place, (label, name) in enumerate(runs[["label", "run"]].itertuples(index=False)):
        table = read_scores_by_step(study, name)
        assert factors.axes[place].get_title() == parts.axes[place].get_title() == label
        columns = ["mig", *(column for column in table if column.startswith("mig_per_factor."))]
        lines = factors.axes[place].get_lines()
        assert [list(line.get_ydata()) for line in lines] == [list(table[column]) for column in columns]
        kl, *others = (line.get_ydata() for line in parts.axes[place].get_lines())
        assert np.sum(others, axis=0) == pytest.approx(kl, abs=1e-5)


def test_no_figure_without_scores_during_training(study_builder):
    study = read_study(study_builder().fill([0], ["vae"], rows=5))
    assert not FIGURES.get("factors_by_step").value(study)
    assert not FIGURES.get("kl_decomposition").value(study)
