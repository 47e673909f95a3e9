"""Reading the files of a results folder, with one clear line about whatever is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench import files
from bench.errors import BenchError, reason
from bench.results.record import CHECKSUM, RESULT, SIZES, read_run


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
