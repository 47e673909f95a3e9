"""Files: written whole or not at all, read with one clear line about what is wrong, and their checksums."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tomllib
from pathlib import Path
from typing import Any

from bench.errors import BenchError, reason

#: How texts become bytes: names of files may hold halves of characters, which no encoding has.
UTF_8 = {"encoding": "utf-8", "errors": "backslashreplace"}
#: Names of Windows' devices.
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
#: Tables and lists within each other in a file: ours have 8. Deeper ones end in the interpreter's limits, somewhere.
MAX_DEPTH = 64
#: Largest JSON or TOML file, as in an archive. Those of a study have some KiB.
MAX_BYTES = 16 * 2**20


def is_reserved(name: str) -> bool:
    """Whether Windows keeps a name, with any ending, for a device: a folder of that name can't be taken there.

    Examples
    --------
    >>> is_reserved("aux.txt"), is_reserved("auxiliary")
    (True, False)
    """
    return name.partition(".")[0].rstrip().upper() in DEVICES


def json_text(value: Any, *, sort_keys: bool = False) -> str:
    """JSON for people and diffs: indented, full float precision, no NaN, a newline at the end."""
    return json.dumps(value, indent=1, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False) + "\n"


def json_bytes(value: Any) -> bytes:
    """JSON as records are written: as `json_text`, with sorted keys, so that the same record is the same bytes."""
    return json_text(value, sort_keys=True).encode(**UTF_8)


def write_json(path: Path, value: Any) -> None:
    """Write a record atomically, as `json_bytes` has it."""
    write_bytes(path, json_bytes(value))


def write_text(path: Path, text: str) -> None:
    """Replace a file atomically with a text in UTF-8, its newlines as they are."""
    write_bytes(path, text.encode(**UTF_8))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file atomically."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def fsync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_out(path: Path, text: str, option: str = "--out") -> None:
    """Write what a user asked to have in a file of theirs: in place, because it may be a link or no plain file.

    Raises
    ------
    BenchError
        If it can't be written; the line names the option that named the file.
    """
    try:
        path.write_bytes(text.encode(**UTF_8))
    except OSError as error:
        raise BenchError(f"{option} '{path}': {reason(error)}") from None


def read_json(path: Path, *, where: str = "", way_out: str = "") -> Any:
    """Read a JSON file.

    Parameters
    ----------
    path : Path
    where : str
        How the message names the file; by default its path in quotes.
    way_out : str
        What the user can do about it, for the message.

    Raises
    ------
    BenchError
        One line, if there is no such file, it can't be read, or it isn't JSON.
    """
    return parse_json(_content(path, where, way_out), where or f"'{path}'", way_out)


def parse_json(content: bytes, where: str, way_out: str = "") -> Any:
    """Parse what is in a JSON file, in which every number is finite; parameters and errors as in `read_json`."""
    try:
        return _flat(json.loads(content, parse_constant=_finite, parse_float=_finite))
    except (ValueError, RecursionError) as error:
        raise _unreadable(where, error, way_out) from None


def read_toml(path: Path, *, where: str = "", way_out: str = "") -> dict[str, Any]:
    """Read a TOML file; parameters and errors as in `read_json`."""
    return parse_toml(_content(path, where, way_out), where or f"'{path}'", way_out)


def parse_toml(content: bytes, where: str, way_out: str = "") -> dict[str, Any]:
    """Parse what is in a TOML file; parameters and errors as in `read_json`."""
    try:
        table: dict[str, Any] = _flat(tomllib.loads(content.decode()))
        return table
    except (ValueError, RecursionError) as error:
        raise _unreadable(where, error, way_out) from None


def sha256(source: Path | bytes) -> str:
    """SHA-256 of a file, or of what would be in it, as 64 hex digits."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is no JSON")
    return number


def _flat(value: Any) -> Any:
    """The value, if it isn't nested too deeply for whoever walks through it."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        items = (item for each in level for item in (each.values() if isinstance(each, dict) else each))
        level = [item for item in items if isinstance(item, dict | list)]
        if not level:
            return value
    raise ValueError(f"it is nested more than {MAX_DEPTH} deep")


def _content(path: Path, where: str, way_out: str) -> bytes:
    where = where or f"'{path}'"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
        return path.read_bytes()
    except FileNotFoundError:
        raise BenchError(f"{where}: no such file" + (f"; {way_out}" if way_out else "")) from None
    except (OSError, ValueError) as error:
        raise _unreadable(where, error, way_out) from None


def _unreadable(where: str, error: Exception, way_out: str) -> BenchError:
    return BenchError(f"{where} can't be read: {reason(error)}" + (f"; {way_out}" if way_out else ""))
