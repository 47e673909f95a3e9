"""Reading the files of a results folder, with one clear line about whatever is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench import files
from bench.errors import BenchError, reason
from bench.spec import SCHEMA_VERSION

AGAIN = "remove that run's folder and give the same command again"


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
    return files.read_toml(file, where=str(file))


def read_json(file: Path, required: Iterable[str], *, schema: bool = False) -> dict[str, Any]:
    """Read one record of a run.

    Parameters
    ----------
    file : Path
        A JSON object.
    required : iterable of str
        Keys it must have.
    schema : bool
        Whether it carries ``schema_version``, which must be ours.

    Raises
    ------
    BenchError
        If it is missing, damaged or of another schema, with the way out.
    """
    record = files.read_json(file, where=str(file), way_out=AGAIN)
    if not isinstance(record, dict):
        raise BenchError(f"{file} isn't a record; {AGAIN}")
    version = record.get("schema_version")
    if schema and version != SCHEMA_VERSION:
        older = not isinstance(version, int) or version < SCHEMA_VERSION
        way_out = "run the study again in a new folder" if older else "update Disbench"
        raise BenchError(f"{file} has schema {version}, this version reads {SCHEMA_VERSION}: {way_out}")
    for key in required:
        if key not in record:
            raise BenchError(f"{file} lacks '{key}'; {AGAIN}")
    return record


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
        if (folder / "result.json").exists():
            result = read_json(folder / "result.json", ("status", "scores"), schema=True)
            spec = read_json(folder / "spec.json", ("method", "dataset", "seed"), schema=True)
            kept = {key: value for key, value in result.items() if key not in ("run", "details")}
            record = {"run": folder.name, **kept, "spec": spec}
            lines.append(json.dumps(record, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")
    target = path / "runs.jsonl"
    try:
        files.write_text(target, "".join(lines))
    except OSError as error:
        raise BenchError(f"{target} can't be written: {reason(error)}") from error
    return target
