"""Studies wherever they lie: a folder as it is, an archive as a folder for as long as somebody reads it."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from bench.errors import BenchError, did_you_mean, reason
from bench.files import is_reserved, json_bytes, parse_toml
from bench.results.plugins import PLUGINS
from bench.results.study import Study, read_study
from bench.sharing.archive import IMPORTED, Archive, read_archive
from bench.sharing.containers import SUFFIXES
from bench.sharing.record_checks import check_files

#: What a study's folder may be called, when the name comes from a file.
NAME = re.compile(r"\w[\w .+=@-]{0,127}")

#: Where Linux keeps files in memory, and what a file takes there at least.
MEMORY, BLOCK = "/dev/shm", 4096  # noqa: S108  (the folders in it are `tempfile`'s)


def name_of(path: Path) -> str:
    """Name of a study's folder, or of an archive without its suffix."""
    return next((path.name.removesuffix(suffix) for suffix in SUFFIXES if path.name.endswith(suffix)), path.name)


def studies_in(place: Path) -> list[Path]:
    """Folders and archives of studies in a folder, by name; a folder goes before an archive of its name."""
    found = {file.parent.name: file.parent for file in place.glob("*/study.toml")}
    for suffix in SUFFIXES:
        for file in place.glob(f"*{suffix}"):
            found.setdefault(name_of(file), file)
    return [found[name] for name in sorted(found)]


def locate(name: str, *places: Path) -> Path:
    """Folder or archive of a study that is named, with or without the archive's suffix, or given by its path.

    Raises
    ------
    BenchError
        If there is none, with the nearest name.
    """
    for place in (*places, Path()):
        path = place / name
        if (path / "study.toml").is_file() or path.is_file():
            return path
        for suffix in SUFFIXES:
            if (file := Path(f"{path}{suffix}")).is_file():
                return file
    known = sorted({name_of(path) for place in places for path in studies_in(place)})
    hint = did_you_mean(name, known) or (f"; there are: {', '.join(known)}" if known else "; there is none yet")
    raise BenchError(f"no study '{name}' in '{places[0]}'{hint}")


@contextmanager
def opened(path: Path, *, marked: bool = False) -> Iterator[Path]:
    """Give a study's folder.

    Parameters
    ----------
    path : Path
        A folder, which is passed on untouched, or an archive of `bench export`, whatever it is called.
    marked : bool
        Whether the runs of an archive say in their provenance which file they are from, as imported ones do: for runs
        that are taken over into another study.

    Yields
    ------
    Path
        An archive's folder is a temporary one, of the name that the study was recorded under. Errors of those who read
        it name the archive instead.

    Raises
    ------
    BenchError
        In one line: an archive that isn't fit to be imported.
    """
    if not path.is_file():
        yield path
        return
    with _unpacked(path, marked=marked) as folder:
        _read(folder, path, mixed=True)
        yield folder


@contextmanager
def opened_study(path: Path, *, mixed: bool = False) -> Iterator[Study]:
    """Read a study's folder, or an archive as in `opened`, whose curves and pictures stay readable meanwhile.

    Raises
    ------
    BenchError
        As `opened` and `bench.results.study.read_study`.
    """
    if not path.is_file():
        yield read_study(path, mixed=mixed)
        return
    with _unpacked(path, marked=False) as folder:
        yield _read(folder, path, mixed=mixed)


def read_checked(file: Path) -> tuple[Archive, dict[str, dict[str, Any]]]:
    """Read an archive, and check every record in it.

    Returns
    -------
    (Archive, dict of str to dict)
        And run to its spec.

    Raises
    ------
    BenchError
        As `bench.sharing.archive.read_archive` and `bench.sharing.record_checks.check_files`.
    """
    archive = read_archive(file)
    return archive, check_files(archive.files, f"'{file}'")


def unpack_study(archive: Archive, folder: Path) -> None:
    """Write an archive's files under an empty folder, each run marked with where it is from, ``study.toml`` last.

    Raises
    ------
    BenchError
        If they can't be read as a study then.
    OSError
        If they can't be written.
    """
    _write(archive, folder, marked=True)
    with _speaking_of(archive.source, folder):
        _read(folder, archive.source, mixed=True)


@contextmanager
def _unpacked(path: Path, *, marked: bool) -> Iterator[Path]:
    archive, _ = read_checked(path)
    if not NAME.fullmatch(archive.study) or is_reserved(archive.study):
        raise BenchError(f"'{path}': {archive.study!r} can't be a study's name")
    with ExitStack() as stack:
        try:
            outer = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="disbench-", dir=_roomy(archive), ignore_cleanup_errors=True)
            )
            folder = Path(outer) / archive.study
            _write(archive, folder, marked=marked)
        except OSError as error:
            raise BenchError(f"'{path}' can't be unpacked to a temporary folder ($TMPDIR): {reason(error)}") from None
        with _speaking_of(path, folder):
            yield folder


@contextmanager
def _speaking_of(source: Path, folder: Path) -> Iterator[None]:
    """Name the archive in errors: nobody knows the temporary folder, and it is gone when the message is read."""
    try:
        yield
    except BenchError as error:
        raise BenchError(str(error).replace(str(folder), str(source))) from None


def _write(archive: Archive, folder: Path, *, marked: bool) -> None:
    files = dict(archive.files)
    if marked:
        origin = {IMPORTED: {"file": archive.source.name, "sha256": archive.sha256}}
        for name in archive.files:
            if name.endswith("/spec.json"):
                volatile = name.removesuffix("spec.json") + "provenance.json"
                files[volatile] = json_bytes(json.loads(files.get(volatile, b"{}")) | origin)
    study = parse_toml(files["study.toml"], "study.toml")
    if PLUGINS in study.get("record", {}):
        # Files that a user's own studies load again: nobody else decides what code runs here.
        del study["record"][PLUGINS]
        files["study.toml"] = tomli_w.dumps(study).encode()
    for parent in sorted({(folder / name).parent for name in files}):
        parent.mkdir(parents=True, exist_ok=True)
    for name, content in sorted(files.items(), key=lambda item: item[0] == "study.toml"):
        (folder / name).write_bytes(content)


def _roomy(archive: Archive) -> str | None:
    """Memory where the system has a file system for it and ample room there: disks are slow with thousands of files."""
    need = sum(len(content) + 2 * BLOCK for content in archive.files.values())
    try:
        free = shutil.disk_usage(MEMORY).free if "TMPDIR" not in os.environ else 0
    except OSError:
        free = 0
    return MEMORY if free > 8 * need and os.access(MEMORY, os.W_OK) else None


def _read(folder: Path, source: Path, *, mixed: bool) -> Study:
    try:
        return read_study(folder, mixed=mixed)
    except (ValueError, TypeError, OverflowError) as error:
        # Fields of a record may each be fine, and not fit together.
        raise BenchError(f"'{source}' can't be read as a study ({reason(error)})") from None
