"""Whether the files of a study are what they should be, before they are let in from elsewhere or sent there."""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import pandas as pd
from PIL import Image
from pydantic import ValidationError

from bench.config.plain_kl import read_plain_kls
from bench.errors import BenchError, reason
from bench.files import parse_toml, sha256
from bench.results.per_factor import SHOWN
from bench.results.record import OTHER, is_as_sealed
from bench.results.store import UDR
from bench.results.summary import DOTTED, FACTS
from bench.sharing.archive import NAMES
from bench.sharing.record_models import (
    BoundsRecord,
    MarksRecord,
    PerFactorRecord,
    PlanRecord,
    ProvenanceRecord,
    Record,
    ResultRecord,
    StudyRecord,
    UdrRecord,
)
from bench.spec import SCHEMA_VERSION, RunSpec

#: Largest picture that is let in. Traversals of 10 latents at 64x64 have 1.3 million pixels.
MAX_PIXELS = 64 * 2**20

#: Unicode's category Cc without line feed and tab.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

Checked = TypeVar("Checked", bound=Record)


def check_files(files: Mapping[str, bytes], where: str) -> dict[str, dict[str, Any]]:
    """Check every record of a study.

    Parameters
    ----------
    files : mapping of str to bytes
        Names as in `bench.sharing.archive.NAMES`, to contents.
    where : str
        What they are from, for the message.

    Returns
    -------
    dict
        Run to its spec.

    Raises
    ------
    BenchError
        The first record that can't be read, is of another schema, lacks something or has it of the wrong type; a run
        whose spec has another id than its folder; a file that isn't the one that the run's result names.
    """
    runs: dict[str, dict[str, bytes]] = {}
    for name, content in files.items():
        if (match := NAMES.fullmatch(name)) and match["run"]:
            runs.setdefault(match["run"], {})[match["file"]] = content
    try:
        if "study.toml" not in files:
            raise BenchError("study.toml: there is none")
        read_study_file(files["study.toml"])
        if "plan.json" in files:
            read_plan(files["plan.json"])
        if UDR in files:
            _check(UDR, UdrRecord, {"udr": read_record(files[UDR], UDR)})
        return {run: check_run(run, content) for run, content in sorted(runs.items())}
    except BenchError as error:
        raise BenchError(f"{where}: {error}") from None


def read_study_file(content: bytes) -> dict[str, Any]:
    """Read ``study.toml``.

    Raises
    ------
    BenchError
        If it is damaged or of another schema.
    """
    study = parse_toml(content, "study.toml")
    record = study.get("record", {})
    if not isinstance(record, dict):
        raise BenchError("study.toml: record isn't a table")
    if record:
        _check_schema("study.toml", record)
    _check_strings("study.toml", study)
    _check("study.toml", StudyRecord, study | record)
    read_plain_kls(record.get("plain_kl", []), "study.toml")
    return study


def read_plan(content: bytes) -> list[str]:
    """Read ``plan.json``: ids of the runs that were planned.

    Raises
    ------
    BenchError
        If it is damaged, or names what can't be a run.
    """
    plan = _check("plan.json", PlanRecord, read_record(content, "plan.json"))
    for run in plan.runs:
        if not NAMES.fullmatch(f"runs/{run}/spec.json"):
            raise BenchError(f"plan.json: no run can be called {run!r}")
    return plan.runs


def read_record(content: bytes, name: str) -> dict[str, Any]:
    """Read one JSON object.

    Raises
    ------
    BenchError
        If it isn't one, or holds NaN or characters that steer a terminal.
    """
    try:
        record = json.loads(content, parse_constant=_refuse)
        if not isinstance(record, dict):
            raise BenchError(f"{name} isn't a record")
        _check_strings(name, record)
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{name} can't be read: {reason(error)}") from None
    return record


def strings(value: Any) -> Iterator[str]:
    """All texts in a record, names of keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def check_run(run: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Check the files of one run, by their names in its folder; gives its spec, and raises as `check_files`."""
    for name in ("spec.json", "result.json"):
        if name not in files:
            raise BenchError(f"run {run} has no {name}")
    records = {
        name: read_record(content, f"runs/{run}/{name}") for name, content in files.items() if name.endswith(".json")
    }
    where = f"runs/{run}/spec.json"
    _check_schema(where, records["spec.json"])
    try:
        spec = RunSpec.model_validate_json(files["spec.json"], strict=True)
    except ValidationError as error:
        raise BenchError(_first_fault(where, error)) from None
    _check(where, BoundsRecord, records["spec.json"])
    if spec.run_id != run:
        raise BenchError(f"{where} describes another run, {spec.run_id}")
    where = f"runs/{run}/result.json"
    _check_schema(where, records["result.json"])
    result = _check(where, ResultRecord, records["result.json"])
    if not is_as_sealed(files["result.json"], records["result.json"]):
        raise BenchError(f"{where} {OTHER}")
    if result.run != run:
        raise BenchError(f"{where} is of another run, {result.run}")
    for score in result.scores:
        if score in FACTS or score.startswith(DOTTED):
            raise BenchError(f"{where}: no score can be called '{score}'")
    for metric, found in result.details.items():
        if "marks" in found:
            _check(f"{where}: details.{metric}", MarksRecord, {"marks": found["marks"]})
    for metric, key, _ in SHOWN:
        values = result.details.get(metric, {}).get(key)
        if values is not None:
            _check(f"{where}: details.{metric}.{key}", PerFactorRecord, {"values": values})
            if result.factor_names and len(values) != len(result.factor_names):
                raise BenchError(f"{where}: details.{metric}.{key} isn't of {len(result.factor_names)} factors")
    for name, content in files.items():
        if name in result.files and sha256(content) != result.files[name]:
            raise BenchError(f"runs/{run}/{name} isn't the file that the run's result names")
        if name in ("curves.csv", "scores_by_step.csv"):
            _check_curves(f"runs/{run}/{name}", content)
        if name.endswith(".png"):
            _check_picture(f"runs/{run}/{name}", content)
    if "provenance.json" in records:
        _check(f"runs/{run}/provenance.json", ProvenanceRecord, records["provenance.json"])
    return records["spec.json"]


def _check_schema(where: str, record: Mapping[str, Any]) -> None:
    version = record.get("schema_version")
    if version != SCHEMA_VERSION:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        way_out = ": update Disbench" if newer else ""
        raise BenchError(f"{where} has schema {version}, this version reads {SCHEMA_VERSION}{way_out}")


def _check(where: str, model: type[Checked], record: Mapping[str, Any]) -> Checked:
    try:
        return model.model_validate(record)
    except ValidationError as error:
        raise BenchError(_first_fault(where, error)) from None


def _first_fault(where: str, error: ValidationError) -> str:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{where}: this version knows no '{field}'"
    return f"{where}: {field}: {first['msg']}"


def _check_curves(where: str, content: bytes) -> None:
    try:
        # As `bench.results.curves.read_curves` reads them.
        curves = pd.read_csv(io.BytesIO(content)).astype(float)
    except (ValueError, TypeError, OverflowError) as error:
        raise BenchError(f"{where} can't be read: {reason(error)}") from None
    if "step" not in curves:
        raise BenchError(f"{where} has no column 'step'")


def _check_picture(where: str, content: bytes) -> None:
    # Width and height stand at a fixed place, and are looked at before anything is unpacked.
    pixels = int.from_bytes(content[16:20], "big") * int.from_bytes(content[20:24], "big")
    if not content.startswith(b"\x89PNG\r\n\x1a\n") or content[12:16] != b"IHDR" or not 0 < pixels <= MAX_PIXELS:
        raise BenchError(f"{where} is no picture of a run")
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            picture.verify()
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise BenchError(f"{where} is no picture: {reason(error)}") from None


def _check_strings(where: str, record: Any) -> None:
    """Refuse escape sequences and the like: names and notes are printed on terminals."""
    for text in strings(record):
        if CONTROL.search(text):
            raise BenchError(f"{where} holds control characters: {text[:40]!r}")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
