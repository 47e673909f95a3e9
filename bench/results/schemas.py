"""What the records of a study must be, as far as anything here reads them: types, ranges, no NaN."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bench.config.tuned import Winners
from bench.config.tuning import TuningSettings
from bench.train_settings import TrainSettings

#: Columns of `Study.runs` that are facts about a run.
FACTS = (
    "run", "status", "method", "label", "dataset", "dataset_label", "config", "seed", "steps", "steps_done",
    "last_good_step", "batch_size", "network", "wall_s",
)  # fmt: skip
#: Beginnings of the columns of hyper-parameters (``hyper.beta``), of means over the end of the curves (``final.kl``)
#: and of how a controller did (``control.arrived``); every other column is a score.
DOTTED = ("hyper.", "final.", "control.")
#: Detail of a metric to the score it is a part of, in the order of the report.
SHOWN = (
    ("dci", "informativeness_per_factor", "dci_informativeness"),
    ("dci", "chance_per_factor", ""),
    ("mig", "mig_per_factor", "mig"),
)
#: Metrics of whose details notes under a table speak.
NOTED = ("reconstruction", "linear_probe")

# What doesn't fit is refused by the columns of a table.
Count = Annotated[int, Field(ge=0, lt=2**63)]


def _run_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}", name):
        raise ValueError(f"no run can be called {name!r}")
    return name


#: What a run's folder may be called: no path leads out of a study.
RunName = Annotated[str, AfterValidator(_run_name)]


class Record(BaseModel):
    """Strict about types and NaN, open to keys that a later version of the same schema adds."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class ControlRecord(Record):
    """``control`` in ``result.json``, see `bench.results.control.controller_record`."""

    arrived: bool
    latched: bool
    arrival_step: Count | None = None
    mean_error: float | None = None
    rms_error: float | None = None
    overshoot: float | None = None
    floor_share: float | None = None
    ceiling_share: float | None = None


class PerFactorRecord(Record):
    """Numbers by factor among a metric's details."""

    values: list[float | None]


class MarksRecord(Record):
    """Footnotes among a metric's details."""

    marks: dict[str, list[str]]


class NotedRecord(Record):
    """What notes under a table take from a metric's details."""

    bce_floor: float | None = None
    chance: float | None = None
    classes: list[int] = []


class ResultRecord(Record):
    """``result.json``."""

    run: str = ""
    status: Literal["ok", "diverged"]
    scores: dict[str, float | None]
    steps_done: Count | None = None
    last_good_step: Count | None = None
    final: dict[str, float | None] = {}
    control: ControlRecord | None = None
    not_applicable: dict[str, str] = {}
    details: dict[str, dict[str, Any]] = {}
    factor_names: list[str] = []
    label_names: list[str] = []
    remarks: list[str] = []
    files: dict[str, str] = {}
    sizes: dict[str, int] = {}

    @field_validator("scores")
    @classmethod
    def _are_no_facts(cls, scores: dict[str, float | None]) -> dict[str, float | None]:
        for name in scores:
            if name in FACTS or name.startswith(DOTTED):
                raise ValueError(f"no score can be called '{name}'")
        return scores

    @model_validator(mode="after")
    def _details_fit(self) -> ResultRecord:
        for metric, found in self.details.items():
            if "marks" in found:
                _part(f"details.{metric}", MarksRecord, {"marks": found["marks"]})
        for metric in NOTED:
            _part(f"details.{metric}", NotedRecord, self.details.get(metric, {}))
        for metric, key, _ in SHOWN:
            values = self.details.get(metric, {}).get(key)
            if values is not None:
                _part(f"details.{metric}.{key}", PerFactorRecord, {"values": values})
                if self.factor_names and len(values) != len(self.factor_names):
                    raise ValueError(f"details.{metric}.{key} isn't of {len(self.factor_names)} factors")
        return self


class SpecRecord(Record):
    """``spec.json``: its numbers fit into the columns of a table. `bench.spec.RunSpec` asks the rest of it."""

    method: dict[str, Any]
    dataset: dict[str, Any]
    seed: Count
    steps: Count
    batch_size: Count

    @model_validator(mode="after")
    def _numbers_fit(self) -> SpecRecord:
        for name, values in (("method.hyper", self.method.get("hyper")), ("dataset", self.dataset)):
            if any(abs(value) >= 2**63 for value in _integers(values)):
                raise ValueError(f"{name} holds a number that is too large")
        return self


class FailureRecord(Record):
    """``failed/<run>.<n>.json``."""

    run: RunName
    error: str
    spec: dict[str, Any]
    attempt: Count = 0
    traceback: str = ""


class HardwareRecord(Record):
    """``hardware`` in ``provenance.json``."""

    cpu: str | None = None
    gpu: str | None = None
    cores: Count | None = None
    memory_gib: float | None = None


class ProvenanceRecord(Record):
    """``provenance.json``."""

    versions: dict[str, str | None] = {}
    commit: str | None = None
    dirty: bool | None = None
    hardware: HardwareRecord = HardwareRecord()
    wall_s: float | None = None
    n_data: Count | None = None
    plugins: dict[str, str] = {}


class StudyRecord(Record):
    """``study.toml``, with what stands in its table ``record``."""

    name: str
    preset: str = ""
    description: str = ""
    notice: str = ""
    terms: str = ""
    methods: list[str] = []
    datasets: list[str] = []
    seeds: list[Count] = []
    commands: list[str] = []
    plugins: dict[str, str] = {}
    planned: Count | None = None
    figures: list[str] = []
    method: dict[str, dict[str, Any]] = {}
    dataset: dict[str, dict[str, Any]] = {}
    train: TrainSettings | None = None
    tuning: TuningSettings | None = None
    tuned: Winners | None = None


class PlanRecord(Record):
    """``plan.json``."""

    runs: list[RunName]


class UdrRecord(Record):
    """``udr.json``."""

    udr: dict[str, float]


def first_fault(error: ValidationError) -> str:
    """The first thing that is wrong with a record, in words that can stand after its name and a colon."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"lacks '{field}'"
    if first["type"] == "extra_forbidden":
        return f"this version knows no '{field}'"
    return ": ".join(filter(None, (field, first["msg"].removeprefix("Value error, "))))


def _part(where: str, model: type[Record], content: dict[str, Any]) -> None:
    try:
        model.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"{where}: {first_fault(error)}") from None


def _integers(value: Any) -> Iterator[int]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _integers(item)
    elif isinstance(value, int):
        yield value
