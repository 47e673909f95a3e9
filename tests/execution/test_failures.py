"""Runs that raise, diverge, are killed or find the disk full: recorded, said in words, and the rest goes on."""

from __future__ import annotations

import json
import time

import pytest

from bench.errors import BenchError
from bench.execution import plan, run, train_group, worker
from bench.execution.task import Task
from bench.registry import METHODS, load_plugin
from helpers.specs import specs_of
from helpers.stores import store_of

pytestmark = pytest.mark.slow


STEPS = "train.steps=40"
PLUGIN = '''
import os, signal
import torch
from bench.method import Method, Objective, register_method

class Base(Method):
    """Plain VAE."""
    def loss(self, terms, state, step):
        if step == 20:
            self.trouble()
        return Objective(loss=terms.reconstruction + terms.kl * self.weight(step), beta=self.full(1.0))
    def weight(self, step): return 1.0
    def trouble(self): pass

@register_method("raises")
class Raises(Base):
    """Fails."""
    def trouble(self): raise RuntimeError("no luck")

@register_method("explodes")
class Explodes(Base):
    """Diverges."""
    def weight(self, step): return float("nan") if step > 20 else 1.0

@register_method("dies")
class Dies(Base):
    """Takes its process with it."""
    def trouble(self): os.kill(os.getpid(), signal.SIGKILL)

@register_method("crashes")
class Crashes(Base):
    """Crashes in compiled code."""
    def trouble(self): os.kill(os.getpid(), signal.SIGSEGV)

@register_method("vanishes")
class Vanishes(Base):
    """Leaves without a word."""
    def trouble(self): os._exit(7)
'''


def test_failing_diverging_and_killed_runs_hide_nothing(tmp_path):
    plugin = tmp_path / "bad_methods.py"
    plugin.write_text(PLUGIN)
    with METHODS.override():
        load_plugin(plugin)
        specs = specs_of(["raises", "explodes", "dies", "crashes", "vanishes", "vae"], STEPS)
        store = store_of(tmp_path / "study", specs)
        outcomes = list(run.execute(plan.plan(specs, store), store, n_jobs=2, plugins=[plugin]))
        states = {o.run.split("-")[1]: o for o in outcomes}
        assert {name: o.state for name, o in states.items()} == {
            "raises": "failed",
            "explodes": "diverged",
            "dies": "failed",
            "crashes": "failed",
            "vanishes": "failed",
            "vae": "ok",
        }
        assert states["raises"].message == "RuntimeError: no luck"
        record = json.loads(store.failures(states["raises"].run)[0].read_text())
        assert "Traceback" in record["traceback"]
        assert record["spec"]["method"]["name"] == "raises"
        ended = "its worker process ended 3 times without a word, the last time with"
        assert states["dies"].message == f"{ended} SIGKILL, as where memory runs out"
        assert states["crashes"].message == f"{ended} SIGSEGV, a crash in compiled code"
        assert states["vanishes"].message == f"{ended} exit code 7"
        diverged = store.result(states["explodes"].run)
        assert (diverged["status"], diverged["last_good_step"], diverged["scores"]) == ("diverged", 20, {})
        todo = {s.method.name for s in plan.plan(specs, store).left}
        assert todo == {"raises", "dies", "crashes", "vanishes"}, "failed runs are tried again, the rest is done"
        assert {s.method.name for s in plan.plan(specs, store, "diverged").left} == {
            "raises",
            "dies",
            "crashes",
            "vanishes",
            "explodes",
        }


EXITS = '''
import asyncio, sys
import torch
from bench.method import Method, Objective, register_method

class Mute(Exception):
    """An error that can't be read."""
    def __str__(self): raise ValueError

class Odd(BaseException):
    """Outside of `Exception`."""

def leave(): sys.exit(0)
def interrupt(): raise KeyboardInterrupt
def odd(): raise Odd("strange")
def mute(): raise Mute
def cancelled(): raise asyncio.CancelledError

for name in ("leave", "interrupt", "odd", "mute", "cancelled"):
    class Ending(Method):
        """Plain VAE that ends in its own way."""
        end = staticmethod(globals()[name])
        def loss(self, terms, state, step):
            if step == 20:
                self.end()
            return Objective(loss=terms.reconstruction + terms.kl, beta=self.full(1.0))
    register_method(name)(Ending)
'''


def test_whatever_a_plug_in_raises_fails_its_own_run_alone(tmp_path):
    plugin = tmp_path / "exits.py"
    plugin.write_text(EXITS)
    with METHODS.override():
        load_plugin(plugin)
        specs = specs_of(["leave", "interrupt", "odd", "mute", "cancelled", "vae"], STEPS)
        store = store_of(tmp_path / "study", specs)
        outcomes = list(run.execute(plan.plan(specs, store), store, n_jobs=1, plugins=[plugin]))
    assert {o.run.split("-")[1]: (o.state, o.message) for o in outcomes} == {
        "leave": ("failed", "SystemExit: 0"),
        "interrupt": ("failed", "KeyboardInterrupt"),
        "odd": ("failed", "Odd: strange"),
        "mute": ("failed", "Mute, which can't say what it is: its own text raises ValueError"),
        "cancelled": ("failed", "CancelledError"),
        "vae": ("ok", ""),
    }
    assert all(len(store.failures(o.run)) == (o.state == "failed") for o in outcomes)


def test_a_plug_in_that_exits_while_it_is_imported_is_refused_in_one_line(tmp_path):
    plugin = tmp_path / "leaves.py"
    plugin.write_text("raise SystemExit(0)")
    with pytest.raises(BenchError, match=r"leaves\.py' can't be imported: SystemExit: 0"):
        load_plugin(plugin)


def test_a_full_disk_fails_the_run_with_words_and_loses_nothing(tmp_path, monkeypatch):
    (spec,) = specs_of(["vae"], STEPS)
    store = store_of(tmp_path / "study", [spec])
    task = Task(spec, store.path, checkpoint_s=60.0)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(train_group, "write_bytes", full)
        outcome = worker.execute_batch((task,))[0]
    assert outcome.state == "failed"
    assert "the disk is full" in outcome.message
    assert not list(store.runs.iterdir())
    assert worker.execute_batch((task,))[0].state == "ok"
    assert not store.failures(spec.run_id), "a success clears the record of earlier attempts"


def test_a_disk_that_fills_while_weights_are_written_is_said_in_words(tmp_path, monkeypatch):
    import torch
    from safetensors import SafetensorError

    from bench.training import checkpoint

    def full(_, path):
        path.write_bytes(b"half")
        # What the library says on a full tmpfs.
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space left on device") as error:
        checkpoint.save_atomically({"a": torch.zeros(3)}, tmp_path / "w")
    assert error.value.errno == 28
    assert not list(tmp_path.iterdir())


def test_a_failing_measurement_does_not_cost_the_training(tmp_path, monkeypatch):
    (spec,) = specs_of(["vae"], STEPS)
    store = store_of(tmp_path / "study", [spec])

    def broken(*_):
        raise RuntimeError("a metric is broken")

    with monkeypatch.context() as patch:
        patch.setattr("bench.evaluation.codes.inputs_of", broken)
        assert worker.execute_batch((Task(spec, store.path),))[0].message == "RuntimeError: a metric is broken"
    assert worker.execute_batch((Task(spec, store.path),))[0].state == "ok"
    provenance = json.loads((store.runs / spec.run_id / "provenance.json").read_text())
    assert provenance["resumed_at_step"] == 40


def test_a_worker_killed_while_nobody_listens_stops_nothing(tmp_path):
    """The consumer is slow, the pool breaks meanwhile: the rest is done all the same."""
    plugin = tmp_path / "bad_methods.py"
    plugin.write_text(PLUGIN)
    with METHODS.override():
        load_plugin(plugin)
        specs = specs_of(["vae", "dies", "factor_vae"], STEPS)
        store = store_of(tmp_path / "study", specs)
        states = []
        for outcome in run.execute(plan.plan(specs, store), store, n_jobs=2, plugins=[plugin]):
            states.append(outcome.state)
            time.sleep(3)
        assert sorted(states) == ["failed", "ok", "ok"]
