"""Whether the files of a study are what they should be, before they are let in from elsewhere or sent there."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from PIL import Image
from pydantic import ValidationError

from bench.errors import BenchError, reason
from bench.files import parse_json, parse_toml, sha256
from bench.results.read import check_record, check_version, checked_plan, checked_study
from bench.results.record import OTHER, is_as_sealed
from bench.results.schemas import ProvenanceRecord, ResultRecord, SpecRecord, UdrRecord, first_fault
from bench.results.store import UDR
from bench.sharing.archive import NAMES
from bench.spec import RunSpec

#: Largest picture that is let in. Traversals of 10 latents at 64x64 have 1.3 million pixels.
MAX_PIXELS = 64 * 2**20

#: Unicode's category Cc without line feed and tab.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


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
            check_record(UdrRecord, {"udr": read_record(files[UDR], UDR)}, UDR)
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
    _check_strings("study.toml", study)
    return checked_study(study, "study.toml")


def read_plan(content: bytes) -> list[str]:
    """Read ``plan.json``: ids of the runs that were planned.

    Raises
    ------
    BenchError
        If it is damaged, or names what can't be a run.
    """
    return checked_plan(read_record(content, "plan.json"), "plan.json")


def read_record(content: bytes, name: str) -> dict[str, Any]:
    """Read one JSON object.

    Raises
    ------
    BenchError
        If it isn't one, or holds NaN or characters that steer a terminal.
    """
    record = parse_json(content, name)
    if not isinstance(record, dict):
        raise BenchError(f"{name} isn't a record")
    _check_strings(name, record)
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
    check_version(records["spec.json"].get("schema_version"), where)
    try:
        spec = RunSpec.model_validate_json(files["spec.json"], strict=True)
    except ValidationError as error:
        raise BenchError(f"{where}: {first_fault(error)}") from None
    check_record(SpecRecord, records["spec.json"], where)
    if spec.run_id != run:
        raise BenchError(f"{where} describes another run, {spec.run_id}")
    where = f"runs/{run}/result.json"
    check_version(records["result.json"].get("schema_version"), where)
    result = check_record(ResultRecord, records["result.json"], where)
    if not is_as_sealed(files["result.json"], records["result.json"]):
        raise BenchError(f"{where} {OTHER}")
    if result.run != run:
        raise BenchError(f"{where} is of another run, {result.run}")
    for name, content in files.items():
        if name in result.files and sha256(content) != result.files[name]:
            raise BenchError(f"runs/{run}/{name} isn't the file that the run's result names")
        if name in ("curves.csv", "scores_by_step.csv"):
            _check_curves(f"runs/{run}/{name}", content)
        if name.endswith(".png"):
            _check_picture(f"runs/{run}/{name}", content)
    if "provenance.json" in records:
        check_record(ProvenanceRecord, records["provenance.json"], f"runs/{run}/provenance.json")
    return records["spec.json"]


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
