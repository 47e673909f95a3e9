"""What is to be done of a study, and which of its runs are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.errors import BenchError
from bench.results.record import Fault
from bench.results.store import Store
from bench.spec import RunSpec

Rerun = Literal["", "diverged", "all"]
#: ``train``: nothing is there; ``measure``: trained, but not evaluated as the spec says; ``retrain``: in any case.
Action = Literal["train", "measure", "retrain"]


@dataclass(frozen=True)
class Plan:
    """The runs of a study, seed by seed, what is still to do, and what is damaged of runs that are repaired."""

    specs: list[RunSpec]
    todo: dict[str, Action]
    repaired: dict[str, list[Fault]] = field(default_factory=dict)

    @property
    def left(self) -> list[RunSpec]:
        """Specs of the runs that are still to do."""
        return [spec for spec in self.specs if spec.run_id in self.todo]

    @property
    def on_gpu(self) -> bool:
        """Whether a run that is left is for a GPU: one process then has it, and its runs are batched."""
        return any(spec.train.device == "cuda" for spec in self.left)

    def workers(self, n_jobs: int) -> int:
        """Processes that train, of `n_jobs` that there may be."""
        return 1 if self.on_gpu else min(n_jobs, max(1, len(self.todo)))


def plan(specs: Sequence[RunSpec], store: Store, rerun: Rerun = "", *, repair: bool = False) -> Plan:
    """Plan a study: runs without a committed result, runs not evaluated as the spec says, and what `rerun` adds.

    Runs that failed have no result and are tried again. The order is by seed, then by method, so that a study that is
    stopped early has every method at the same seeds.

    Raises
    ------
    BenchError
        If a run is damaged as far as its records show, unless all are done again, or those that are damaged: `repair`
        reads them whole, and does again what has lost its weights, too.
    """
    ordered = sorted(specs, key=lambda spec: spec.seed)
    actions: dict[str, Action] = {}
    damaged: list[BenchError] = []
    repaired: dict[str, list[Fault]] = {}
    for spec in ordered:
        if not store.is_done(spec.run_id):
            actions[spec.run_id] = "train"
        elif rerun == "all":
            actions[spec.run_id] = "retrain"
        elif repair and (found := store.faults(spec.run_id, full=True, weights=True)):
            repaired[spec.run_id] = found
            actions[spec.run_id] = "retrain"
        elif found := store.faults(spec.run_id):
            damaged.append(found[0].error(store.runs / spec.run_id))
        elif rerun == "diverged" and store.result(spec.run_id)["status"] == "diverged":
            actions[spec.run_id] = "retrain"
        elif not is_measured(store, spec):
            actions[spec.run_id] = "measure"
    if damaged:
        raise BenchError(f"{damaged[0]} ({len(damaged)} damaged)" if len(damaged) > 1 else str(damaged[0]))
    return Plan(ordered, actions, repaired)


def is_measured(store: Store, spec: RunSpec) -> bool:
    """Whether a committed run has all scores that the spec names, from the same sample at the same versions."""
    if store.result(spec.run_id)["status"] == "diverged":
        return True
    done, wanted = store.spec(spec.run_id).evaluation, spec.evaluation
    same_sample = done.model_copy(update={"metrics": {}}) == wanted.model_copy(update={"metrics": {}})
    return same_sample and wanted.metrics.items() <= done.metrics.items()
