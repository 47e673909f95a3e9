"""What the records of a study must be, as far as anything here reads them: types, ranges, no NaN."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# What doesn't fit is refused by the columns of a table.
Count = Annotated[int, Field(ge=0, lt=2**63)]


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


class ResultRecord(Record):
    """``result.json``."""

    run: str
    status: Literal["ok", "diverged"]
    scores: dict[str, float | None]
    steps_done: Count | None = None
    last_good_step: Count | None = None
    final: dict[str, float | None] = {}
    control: ControlRecord | None = None
    not_applicable: dict[str, str] = {}
    details: dict[str, dict[str, Any]] = {}
    factor_names: list[str] = []
    files: dict[str, str] = {}


class PerFactorRecord(Record):
    """Numbers by factor among a metric's details."""

    values: list[float | None]


class MarksRecord(Record):
    """Footnotes among a metric's details."""

    marks: dict[str, list[str]]


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


class PlanRecord(Record):
    """``plan.json``."""

    runs: list[str]


class UdrRecord(Record):
    """``udr.json``."""

    udr: dict[str, float]


class BoundsRecord(Record):
    """Numbers of a spec that become whole columns of the table."""

    seed: Count
    steps: Count
    batch_size: Count
