"""What is damaged is neither used nor left out without a word, and `repair` trains it again to the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.api.model import load_model
from bench.config.study import resolve
from bench.errors import BenchError
from bench.execution.plan import plan
from bench.execution.run import Watcher, run_study
from bench.results.store import Store
from helpers.damage import cut, edit_score, flip, remove
from helpers.files import tree
from helpers.specs import specs_of

pytestmark = pytest.mark.slow

DAMAGE = {
    "result.json": edit_score,
    "spec.json": remove("spec.json"),
    "curves.csv": cut("curves.csv"),
    "weights.safetensors": flip("weights.safetensors"),
}


class Told(Watcher):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, text: str) -> None:
        self.lines.append(text)


SPECS = specs_of(["vae"], "train.steps=2", evaluation={"metrics": ["kl"]})


def run(path: Path, specs=SPECS, **options):
    return run_study(resolve("smoke"), specs, path, n_jobs=1, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("repair") / "study"
    assert [outcome.state for outcome in run(path)] == ["ok"]
    return path


@pytest.fixture
def study(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "study")


def numbers(path: Path) -> dict[str, bytes]:
    return {name: content for name, content in tree(path / "runs").items() if not name.endswith("provenance.json")}


@pytest.mark.parametrize("file", [*DAMAGE, "all"])
def test_repair_gives_back_the_same_bytes(trained, study, file):
    folder = study / "runs" / SPECS[0].run_id
    if file == "all":
        # What is left of a run whose result somebody removed.
        (folder / "result.json").unlink()
    else:
        DAMAGE[file](folder)
    assert numbers(study) != numbers(trained)
    assert [outcome.state for outcome in run(study, repair=True)] == ["ok"]
    assert numbers(study) == numbers(trained)
    assert run(study, repair=True) == []


@pytest.mark.parametrize("file", ["result.json", "spec.json", "curves.csv"])
def test_a_study_with_a_damaged_run_goes_on_only_when_told_how(study, file):
    DAMAGE[file](study / "runs" / SPECS[0].run_id)
    before = numbers(study)
    more = specs_of(["vae"], "train.steps=2", evaluation={"metrics": ["kl"]}, seeds=[0, 1])
    for specs in (SPECS, more, more[1:]):
        with pytest.raises(BenchError, match=rf"{file} .*`bench run --repair` trains it again"):
            run(study, specs)
    assert numbers(study) == before
    assert plan(more, Store(study), "all").todo == {
        spec.run_id: "retrain" if spec.seed == 0 else "train" for spec in more
    }


def test_lost_weights_are_trained_again_only_for_repair(study):
    remove("weights.safetensors")(study / "runs" / SPECS[0].run_id)
    assert run(study) == []
    assert plan(SPECS, Store(study), repair=True).todo == {SPECS[0].run_id: "retrain"}


@pytest.mark.parametrize("file", DAMAGE)
def test_damaged_runs_of_others_are_not_taken_over(trained, study, tmp_path, file):
    DAMAGE[file](study / "runs" / SPECS[0].run_id)
    told = Told()
    assert [outcome.state for outcome in run(tmp_path / "mine", reuse=[study, trained], watcher=told)] == []
    assert len(told.lines) == 1
    assert f"{SPECS[0].run_id}/{file} " in told.lines[0]
    assert numbers(tmp_path / "mine") == numbers(trained)


@pytest.mark.parametrize("file", DAMAGE)
def test_a_damaged_run_is_not_measured_anew(study, file):
    more = specs_of(["vae"], "train.steps=2", evaluation={"metrics": ["kl", "active_units"]})
    DAMAGE[file](study / "runs" / SPECS[0].run_id)
    before = numbers(study)
    try:
        (outcome,) = run(study, more)
    except BenchError as error:
        said = str(error)
    else:
        assert outcome.state == "failed"
        said = outcome.message
    assert f"/{file}" in said
    assert numbers(study) == before


@pytest.mark.parametrize("file", ["result.json", "spec.json", "weights.safetensors"])
def test_a_damaged_model_is_not_loaded(study, file):
    DAMAGE[file](study / "runs" / SPECS[0].run_id)
    with pytest.raises(BenchError, match=f"{file} "):
        load_model(study, SPECS[0].run_id)
