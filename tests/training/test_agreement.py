"""Planted plug-ins whose numbers depend on more than their run, and what is made of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.assembly import is_foreign
from bench.data.images import ImageStore
from bench.dataset import load_dataset
from bench.errors import BenchError
from bench.execution import worker
from bench.execution.task import Task
from bench.registry import METHODS, load_plugin
from bench.results.store import Store
from bench.training import torch_setup
from bench.training.agreement import agrees, check_repeatable
from helpers import specs
from helpers.planted import forgotten, write

PARTED = "beside other runs its first 3 steps don't leave the bits that they leave alone"


@pytest.fixture(autouse=True)
def forget_plugins():
    with forgotten():
        yield


@pytest.fixture(scope="module")
def data():
    torch_setup.settings(1)
    dataset = load_dataset("dsprites", specs_of("vae", 1)[0].dataset.all_options)
    return dataset, ImageStore(dataset)


def specs_of(name, n_runs=2, *, settings=()):
    return specs.specs_of([name], "train.steps=40", *settings, seeds=range(n_runs), evaluation={"metrics": ["kl"]})


def planted(folder, **words):
    path = write(folder, "planted", **words)
    load_plugin(path)
    return path


REPEATABLE = {
    "sound": {},
    "its own draws": {"loss": "factor = terms.uniform()"},
    "a state": {"state": "{'n': self.full(0.0)}", "loss": "factor = state['n'] + 1; state = {'n': state['n'] + 1}"},
    "a memory that changes nothing": {"loss": "self.cache = terms.kl"},
    "a network that draws at first": {"modules": "Own(c=torch.randn(self.n_runs))", "loss": "auxiliary = self.own.c"},
}
GLOBAL = "which isn't seeded by the run: use terms.uniform or terms.normal"
OUTSIDE = "remembers something outside of its state, which a checkpoint would lose"
REFUSED = {
    "torch": ({"loss": "factor = torch.rand(self.n_runs)"}, f"draws from torch's global generator, {GLOBAL}"),
    "numpy": ({"loss": "factor = np.random.rand()"}, f"draws from NumPy's global generator, {GLOBAL}"),
    "python": ({"loss": "factor = random.random()"}, f"draws from Python's module random, {GLOBAL}"),
    "dropout": ({"loss": "factor = nn.functional.dropout(terms.kl)"}, f"draws from torch's global generator, {GLOBAL}"),
    "the system": ({"loss": "factor = np.random.default_rng().random()"}, "two executions of its first 3 steps differ"),
    "numpy in a network": ({"modules": "Own(c=torch.full((self.n_runs,), np.random.rand()))"}, "NumPy's global"),
    "a count on self": ({"loss": "factor = self.calls"}, OUTSIDE),
    "a tensor on self": ({"loss": "factor = getattr(self, 'last', 1.0); self.last = terms.kl.detach()"}, OUTSIDE),
    "a count of objects": ({"loss": "factor = self.made"}, "two executions of its first 3 steps differ"),
    "a state without the axis": (
        {"loss": "state = {'n': terms.kl.sum().detach()}"},
        r"its state 'n' of shape \(\) has no leading run axis",
    ),
}


@pytest.mark.parametrize("what", REPEATABLE)
def test_a_sound_plug_in_passes(what, data, tmp_path):
    planted(tmp_path, **REPEATABLE[what])
    runs = specs_of("planted")
    assert is_foreign(runs[0])
    for spec in runs:
        check_repeatable(spec, *data)
    assert agrees(runs, *data)


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_second_execution_would_change_is_refused(what, data, tmp_path):
    words, line = REFUSED[what]
    planted(tmp_path, **words)
    with pytest.raises(BenchError, match=f"^method 'planted'.*{line}"):
        check_repeatable(specs_of("planted")[0], *data)


def test_the_log_interval_does_not_matter(data, tmp_path):
    """A checkpoint is taken where no interval ends."""
    planted(tmp_path)
    for every in (1, 2, 3, 100):
        check_repeatable(specs_of("planted", settings=[f"train.log_every={every}"])[0], *data)


def test_a_wrapped_plug_in_and_a_plugged_in_network_are_asked_too(data, tmp_path):
    planted(tmp_path, loss="factor = torch.rand(self.n_runs)", network="vae.n = nn.Parameter(torch.zeros(n_runs))")
    wrapped = specs_of("two_stage[base=planted]")[0]
    with pytest.raises(BenchError, match="global generator"):
        check_repeatable(wrapped, *data)
    assert is_foreign(specs_of("vae", settings=["train.network=own_net"])[0])


def test_ours_are_nobody_elses_and_a_gpu_is_not_asked(data, tmp_path):
    for entry in METHODS:
        assert entry.value.__module__.startswith("bench.methods.")
    assert not is_foreign(specs_of("two_stage")[0])
    planted(tmp_path, loss="factor = torch.rand(self.n_runs)")
    spec = specs_of("planted")[0].with_train(device="cuda")
    check_repeatable(spec, *data)
    assert agrees([spec, spec], *data)


MIXED = {
    "batch statistics over all runs": {"loss": "factor = terms.kl.mean(dim=0)"},
    "images of all runs": {"loss": "factor = terms.encoded.mean.std(dim=(0, 1)).sum()"},
    "a state of all runs": {"loss": "state = {'n': terms.kl.mean(dim=0, keepdim=True).detach().expand(self.n_runs)}"},
    "an object's own draws": {
        "loss": "factor = torch.rand(self.n_runs, generator=torch.Generator().manual_seed(step))"
    },
    "only alone": {"loss": "assert self.n_runs == 1"},
}


def run(folder, runs, plugin):
    store = Store(folder)
    store.create({}, runs)
    outcomes = worker.execute_batch([Task(spec, store.path, plugins=(plugin,)) for spec in runs])
    files = [store.runs / spec.run_id / "provenance.json" for spec in runs]
    return outcomes, [json.loads(file.read_text()) for file in files if file.exists()]


@pytest.mark.parametrize("what", MIXED)
def test_runs_that_part_go_alone_and_say_so(what, tmp_path):
    plugin = planted(tmp_path, **MIXED[what])
    outcomes, records = run(tmp_path / "study", specs_of("planted"), plugin)
    assert [outcome.state for outcome in outcomes] == ["ok", "ok"]
    reason = "training it beside others failed: AssertionError" if what == "only alone" else PARTED
    assert [(record["lockstep"], record["alone_because"]) for record in records] == [(1, reason)] * 2
    assert {outcome.warning for outcome in outcomes} == {f"method 'planted' is trained one run at a time: {reason}"}
    # Alone, a run's numbers are those that it has in a study of its own.
    (own,), _ = run(tmp_path / "own", specs_of("planted")[1:], plugin)
    assert own.scores == outcomes[1].scores
    assert own.warning == ""


def test_runs_that_agree_say_nothing(tmp_path):
    plugin = planted(tmp_path)
    outcomes, records = run(tmp_path / "study", specs_of("planted"), plugin)
    assert [outcome.warning for outcome in outcomes] == ["", ""]
    assert [record["lockstep"] for record in records] == [2, 2]
    assert not any("alone_because" in record for record in records)


@pytest.mark.parametrize("first", [2, 15])
def test_a_draw_from_the_global_generator_ends_the_run_whenever_it_comes(first, tmp_path):
    plugin = planted(tmp_path, loss=f"factor = torch.rand(()) if step >= {first} else 1.0")
    outcomes, records = run(tmp_path / "study", specs_of("planted"), plugin)
    assert [outcome.state for outcome in outcomes] == ["failed", "failed"]
    assert {outcome.message for outcome in outcomes} == {
        "method 'planted' draws from torch's global generator, which isn't seeded by the run: "
        "use terms.uniform or terms.normal"
    }
    assert not records


def test_scores_on_the_way_may_draw_what_they_like(tmp_path, monkeypatch):
    """Only what is drawn in steps is the method's."""
    from bench.evaluation import codes

    inputs_of = codes.inputs_of

    def drawing(*words):
        np.random.rand()
        return inputs_of(*words)

    monkeypatch.setattr(codes, "inputs_of", drawing)
    plugin = planted(tmp_path)
    runs = specs_of("planted", settings=["train.log_every=10", "train.score_every=10"])
    outcomes, _ = run(tmp_path / "study", runs, plugin)
    assert [outcome.state for outcome in outcomes] == ["ok", "ok"]
