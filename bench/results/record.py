"""The records of a run, and whether they still are what was recorded: looked at each time that somebody uses them.

What costs next to nothing beside reading is always held: both records can be read and are of this schema, the spec is
the one whose hash the folder's name ends in, ``result.json`` is to the byte what was written, and the files that it
names are there, of the size that it names. `bench.results.damage` reads those whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from bench.errors import BenchError, reason
from bench.files import json_bytes, parse_json, sha256
from bench.results.schemas import FailureRecord, ProvenanceRecord, Record, ResultRecord, SpecRecord, first_fault
from bench.spec import SCHEMA_VERSION, RunSpec

AGAIN = (
    "`bench verify` lists what is damaged, `bench run --repair` trains it again; or remove that run's folder and give "
    "the same command again"
)
#: What to do about a damaged record of a failed attempt.
FORGET = "remove it: all that it tells of is an attempt that failed"
RESULT, SPEC, PROVENANCE, WEIGHTS = "result.json", "spec.json", "provenance.json", "weights.safetensors"
#: Keys of ``result.json``: a checksum of all else in it, and the sizes of the other files in bytes.
CHECKSUM, SIZES = "checksum", "sizes"
#: What is said of a file whose checksum is another one.
OTHER = "isn't what the run recorded"
#: The line of the checksum, as `seal` has it written.
_SEAL = re.compile(rb'^ "checksum": "([0-9a-f]{64})",\n', re.MULTILINE)


class Fault(NamedTuple):
    """A damaged file of a run, or of a study.

    Attributes
    ----------
    file : str
        Its name in the folder.
    what : str
        What is wrong, to be read after the name.
    way_out : str
    """

    file: str
    what: str
    way_out: str = AGAIN

    def error(self, folder: Path) -> BenchError:
        """One line that names the file, what is wrong and the way out."""
        return BenchError(f"{folder / self.file} {self.what}" + (f"; {self.way_out}" if self.way_out else ""))


def seal(result: dict[str, Any]) -> dict[str, Any]:
    """A result with a checksum of itself, which the bytes of `bench.files.json_bytes` are held against later."""
    return result | {CHECKSUM: sha256(json_bytes({key: value for key, value in result.items() if key != CHECKSUM}))}


def is_sealed(result: dict[str, Any]) -> bool:
    """Whether a result has a checksum of itself; those that were recorded before there was one have none."""
    return CHECKSUM in result or SIZES in result


def is_as_sealed(content: bytes, result: dict[str, Any]) -> bool:
    """Whether the bytes of ``result.json`` are those that were sealed, if they were."""
    if not is_sealed(result):
        return True
    line = _SEAL.search(content)
    return line is not None and sha256(content[: line.start()] + content[line.end() :]) == line[1].decode()


def read_json(file: Path, model: type[Record], *, schema: bool = False) -> dict[str, Any]:
    """Read one record of a run.

    Parameters
    ----------
    file : Path
        A JSON object.
    model : type of Record
        What it must be.
    schema : bool
        Whether it carries ``schema_version``, which must be ours.

    Raises
    ------
    BenchError
        If it is missing, damaged or of another schema, with the way out.
    """
    found = read_or_fault(file, model, schema=schema)
    if isinstance(found, Fault):
        raise found.error(file.parent)
    return found[1]


def read_run(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a committed run's result and spec, and hold them and the folder to what was recorded.

    Raises
    ------
    BenchError
        The first thing that is wrong, with the way out.
    """
    found = look(folder)
    if isinstance(found, list):
        raise found[0].error(folder)
    return found


def is_shared(folder: Path) -> bool:
    """Whether a run came from somebody else: such runs have no weights.

    A run without a record of where it was made may have been made anywhere.
    """
    file = folder / PROVENANCE
    return (folder / RESULT).exists() and (not file.exists() or bool(read_json(file, ProvenanceRecord).get("imported")))


def look(folder: Path) -> tuple[dict[str, Any], dict[str, Any]] | list[Fault]:
    """A committed run's result and spec, or what is wrong, as far as that is seen without reading the other files."""
    result = read_or_fault(folder / RESULT, ResultRecord, schema=True)
    spec = read_or_fault(folder / SPEC, SpecRecord, schema=True)
    faults = [result] if isinstance(result, Fault) else list(_of_result(folder, *result))
    # A damaged result is no evidence against other files.
    recorded = {} if faults or isinstance(result, Fault) else result[1]
    faults += [spec] if isinstance(spec, Fault) else _of_spec(folder, spec[0], recorded)
    faults += _of_files(folder, recorded)
    return faults if faults or isinstance(spec, Fault) else (recorded, spec[1])


def read_failure(file: Path) -> dict[str, Any]:
    """Read the record of a failed attempt.

    Raises
    ------
    BenchError
        If it is damaged, with the way out.
    """
    found = failure_or_fault(file)
    if isinstance(found, Fault):
        raise found.error(file.parent)
    return found


def failure_or_fault(file: Path) -> dict[str, Any] | Fault:
    """The record of a failed attempt, or what is wrong with it."""
    found = read_or_fault(file, FailureRecord)
    if isinstance(found, Fault):
        return found._replace(way_out=FORGET)
    try:
        SpecRecord.model_validate(found[1]["spec"])
        RunSpec.model_validate_json(json.dumps(found[1]["spec"]), strict=True)
    except ValidationError as error:
        return Fault(file.name, f"has no run's spec: {first_fault(error)}", FORGET)
    return found[1]


def read_or_fault(file: Path, model: type[Record], *, schema: bool = False) -> tuple[bytes, dict[str, Any]] | Fault:
    """Content and record of a file, or what is wrong with it; parameters as in `read_json`."""
    try:
        content = file.read_bytes()
        record = parse_json(content, "")
    except FileNotFoundError:
        return Fault(file.name, "isn't there")
    except OSError as error:
        return Fault(file.name, f"can't be read: {reason(error)}")
    except BenchError as error:
        return Fault(file.name, str(error).strip())
    if not isinstance(record, dict):
        return Fault(file.name, "isn't a record")
    version = record.get("schema_version")
    if schema and version != SCHEMA_VERSION:
        older = not isinstance(version, int) or version < SCHEMA_VERSION
        way_out = "run the study again in a new folder" if older else "update Disbench"
        return Fault(file.name, f"has schema {version}, this version reads {SCHEMA_VERSION}: {way_out}", "")
    try:
        model.model_validate(record)
    except ValidationError as error:
        what = first_fault(error)
        return Fault(file.name, what if what.startswith("lacks") else f"is damaged: {what}")
    return content, record


def _of_result(folder: Path, content: bytes, result: dict[str, Any]) -> Iterator[Fault]:
    if not is_as_sealed(content, result):
        yield Fault(RESULT, OTHER)
    elif result.get("run", folder.name) != folder.name:
        yield Fault(RESULT, f"is of another run, {result['run']}")


def _of_spec(folder: Path, content: bytes, result: dict[str, Any]) -> Iterator[Fault]:
    try:
        run = RunSpec.model_validate_json(content, strict=True).run_id
    except ValidationError as error:
        yield Fault(SPEC, f"is no run's: {first_fault(error)}")
        return
    recorded = result.get("files", {}).get(SPEC)
    if run != folder.name:
        yield Fault(SPEC, f"describes another run, {run}")
    elif recorded is not None and sha256(content) != recorded:
        yield Fault(SPEC, OTHER)


def _of_files(folder: Path, result: dict[str, Any]) -> Iterator[Fault]:
    """Files that are gone, or of another size. Weights may be gone: shared runs have none, and no table needs them."""
    named, sizes = (result.get(key, {}) for key in ("files", SIZES))
    for name in named:
        if name == SPEC:
            continue
        try:
            size = (folder / name).stat().st_size
        except (OSError, ValueError):
            if name != WEIGHTS:
                yield Fault(name, "isn't there")
            continue
        if size != sizes.get(name, size):
            yield Fault(name, f"{OTHER}: {size:,} bytes instead of {sizes[name]:,}")
