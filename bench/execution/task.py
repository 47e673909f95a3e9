"""What is handed to a worker, what comes back, and how far a run is on its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.execution.metric_pool import Pending
from bench.execution.plan import Action
from bench.results.control_outcomes import ARRIVED, control_outcome
from bench.spec import RunSpec
from bench.training.trained import TrainedRun

State = Literal["ok", "diverged", "failed", "locked"]


@dataclass(frozen=True)
class Task:
    """One run, as it is handed to a worker: small and picklable."""

    spec: RunSpec
    path: Path
    action: Action = "train"
    plugins: tuple[Path, ...] = ()
    checkpoint_s: float = 60.0
    measurers: int = 1


@dataclass(frozen=True)
class Outcome:
    """What became of one run; a warning is for whoever runs the study, who needs each only once.

    The message says why a run failed, or that one that ended well missed its set point.
    """

    run: str
    state: State
    message: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    wall_s: float = 0.0
    warning: str = ""

    @classmethod
    def of(cls, result: Mapping[str, Any], wall_s: float = 0.0, warning: str = "") -> Outcome:
        """What ``result.json`` says became of its run."""
        missed = "" if (found := control_outcome(result.get("control"))) == ARRIVED else found
        return cls(result["run"], result["status"], missed, result["scores"], wall_s, warning)

    @property
    def locked(self) -> bool:
        """Another process holds the run."""
        return self.state == "locked"


@dataclass(frozen=True)
class Trained:
    """A run after its training; its curves and weights are in its working folder.

    Attributes
    ----------
    run : TrainedRun
    facts : dict
        What ``result.json`` says of the training.
    history : dict
        What ``provenance.json`` says of it.
    began : float
        When its group began, seconds since the epoch.
    took_s : float
        Its share of the time since then.
    """

    run: TrainedRun
    facts: dict[str, Any]
    history: dict[str, Any]
    began: float
    took_s: float


@dataclass
class Attempt:
    """A run on its way through a worker: claimed, then trained, then being evaluated, then over.

    Attributes
    ----------
    task : Task
    folder : Path
        Working folder, held by this process.
    keeps_weights : bool
        Whether the run was trained before and is only evaluated again.
    alone_because : str
        Why it is trained alone although it was to be trained beside others; empty if it isn't so.
    trained : Trained or None
        Once it is trained.
    pending : Pending or None
        Its scores, once they are asked for; a run that diverged has none.
    warning : str
        What went wrong on the way and cost nothing but time.
    evaluate_s : float
        This process's time for them so far, waiting for others included.
    """

    task: Task
    folder: Path
    keeps_weights: bool = False
    alone_because: str = ""
    trained: Trained | None = None
    pending: Pending | None = None
    warning: str = ""
    evaluate_s: float = 0.0

    @property
    def spec(self) -> RunSpec:
        """What the run is."""
        return self.task.spec

    def after_training(self) -> Trained:
        """Its training; an error in the order of the stages if there is none yet."""
        if self.trained is None:
            raise RuntimeError(f"run '{self.spec.run_id}' isn't trained yet")
        return self.trained

    def warnings(self) -> str:
        """What whoever runs the study is told."""
        told = []
        if self.alone_because:
            told.append(f"method '{self.spec.method.name}' is trained one run at a time: {self.alone_because}")
        if self.warning:
            told.append(f"run {self.spec.run_id}: {self.warning}")
        return "; ".join(told)
