"""Reading the files of a results folder, with one clear line about whatever is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from bench import files
from bench.config.plain_kl import read_plain_kls
from bench.errors import BenchError, reason
from bench.results.record import CHECKSUM, RESULT, SIZES, read_run
from bench.results.schemas import PlanRecord, Record, StudyRecord, first_fault
from bench.spec import SCHEMA_VERSION

#: What to do about a damaged ``study.toml``.
AWAY = "move the folder away or name another --study"

Checked = TypeVar("Checked", bound=Record)


def entries(folder: Path) -> list[Path]:
    """List a folder in the order of its names; one that isn't there is empty."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def read_toml(file: Path) -> dict[str, Any]:
    """Read ``study.toml``.

    Raises
    ------
    BenchError
        If there is none, or it is damaged.
    """
    if not file.exists():
        raise BenchError(f"there is no study at '{file.parent}' (it has no {file.name})")
    return checked_study(files.read_toml(file, where=str(file), way_out=AWAY), str(file), AWAY)


def checked_study(study: dict[str, Any], where: str, way_out: str = "") -> dict[str, Any]:
    """What stands in ``study.toml``, if it is what it must be.

    Raises
    ------
    BenchError
        If it is of another schema, lacks something or has it of the wrong type.
    """
    record = study.get("record", {})
    if not isinstance(record, dict):
        raise BenchError(f"{where}: record isn't a table" + (f"; {way_out}" if way_out else ""))
    if record:
        check_version(record.get("schema_version"), where)
    check_record(StudyRecord, study | record, where, way_out)
    read_plain_kls(record.get("plain_kl", []), where)
    return study


def checked_plan(plan: Any, where: str, way_out: str = "") -> list[str]:
    """Ids of the runs that ``plan.json`` names; parameters and errors as in `checked_study`."""
    return check_record(PlanRecord, plan, where, way_out).runs


def check_version(version: Any, where: str) -> None:
    """Refuse a record of another schema.

    Raises
    ------
    BenchError
        In one line.
    """
    if version != SCHEMA_VERSION:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        way_out = ": update Disbench" if newer else ""
        raise BenchError(f"{where} has schema {version}, this version reads {SCHEMA_VERSION}{way_out}")


def check_record(model: type[Checked], record: Any, where: str, way_out: str = "") -> Checked:
    """A record as its model has it.

    Raises
    ------
    BenchError
        The first thing that is wrong with it.
    """
    try:
        return model.model_validate(record)
    except ValidationError as error:
        raise BenchError(f"{where}: {first_fault(error)}" + (f"; {way_out}" if way_out else "")) from None


def write_runs_jsonl(path: Path) -> Path:
    """Write ``runs.jsonl``: one line per finished run, sorted by run, with its spec and its result.

    Parameters
    ----------
    path : Path
        ``results/<study>``.

    Returns
    -------
    Path
        The file. The same runs give the same bytes: what varies from machine to machine (provenance) and the
        bulk (details of the metrics) stay in the runs' folders.

    Raises
    ------
    BenchError
        A damaged record, one of another schema, or the file can't be written.
    """
    lines = []
    for folder in entries(path / "runs"):
        if (folder / RESULT).exists():
            result, spec = read_run(folder)
            kept = {key: value for key, value in result.items() if key not in ("run", "details", CHECKSUM, SIZES)}
            record = {"run": folder.name, **kept, "spec": spec}
            lines.append(json.dumps(record, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")
    target = path / "runs.jsonl"
    try:
        files.write_text(target, "".join(lines))
    except OSError as error:
        raise BenchError(f"{target} can't be written: {reason(error)}") from error
    return target
