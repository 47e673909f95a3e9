"""One study as one file: its records with a checksum each, written the same every time and read with care.

The reader trusts nothing: it takes only the names that an export has, counts what it unpacks instead of believing the
headers, and checks every checksum before anybody sees a byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, reason
from bench.files import json_bytes, parse_json, sha256
from bench.results.store import UDR
from bench.sharing import containers

KIND = "disbench study"
FORMAT = 1
MANIFEST = "manifest.json"
RECORDS = ("spec.json", "result.json", "provenance.json", "curves.csv", "scores_by_step.csv")
PICTURES = ("reconstructions.png", "traversals.png", "samples.png")
#: What provenance says of a run that came out of somebody's archive.
IMPORTED = "imported"
#: Every name that an archive may hold: no absolute path, no "..", no backslash fits.
NAMES = re.compile(
    rf"study\.toml|plan\.json|{re.escape(UDR)}|"
    r"runs/(?P<run>[A-Za-z0-9][A-Za-z0-9_.+-]{0,199})/"
    rf"(?P<file>{'|'.join(map(re.escape, RECORDS + PICTURES))})"
)


@dataclass(frozen=True)
class Archive:
    """What an archive holds, checked against its manifest.

    Attributes
    ----------
    source : Path
        The file.
    sha256 : str
        Of the file, hex.
    study : str
        Name of the study.
    files : dict of str to bytes
        Name to content, without the manifest.
    """

    source: Path
    sha256: str
    study: str
    files: dict[str, bytes]


def write_archive(study: str, files: Mapping[str, bytes], suffix: str = ".zip") -> bytes:
    """Pack files with a manifest of their checksums.

    Parameters
    ----------
    study : str
        Name of the study.
    files : mapping of str to bytes
        Names that `NAMES` allows, to contents.
    suffix : str
        Of `bench.sharing.containers.SUFFIXES`.

    Returns
    -------
    bytes
        The same files give the same bytes, see `bench.sharing.containers.pack`: names are sorted.

    Raises
    ------
    BenchError
        If it would be larger than `read_archive` takes, or a run's name is too long for a tar.
    """
    total, largest = sum(map(len, files.values())), max(map(len, files.values()), default=0)
    limits = (containers.MAX_FILES, containers.MAX_FILE_BYTES, containers.MAX_BYTES)
    if any(size > most for size, most in zip((len(files), largest, total), limits, strict=True)):
        raise BenchError(
            f"study '{study}' is too large for an archive: {len(files):,} files of {total / 2**20:,.0f} MiB, of "
            f"{limits[0]:,} files, {limits[1] >> 20} MiB each and {limits[2] >> 20} MiB in all"
        )
    sums = {name: sha256(content) for name, content in files.items()}
    manifest = {"kind": KIND, "format": FORMAT, "study": study, "files": sums}
    try:
        # The manifest's name is the first in order, and what reads a tar relies on it.
        return containers.pack(sorted({**files, MANIFEST: json_bytes(manifest)}.items()), suffix)
    except ValueError as error:
        raise BenchError(f"study '{study}' doesn't go into a {suffix}: {error}") from None


def read_archive(file: Path) -> Archive:
    """Read an archive without unpacking it to disk.

    Parameters
    ----------
    file : Path
        What `write_archive` made, or something that pretends to be.

    Returns
    -------
    Archive
        Every file has a known name and the checksum of the manifest; what it says isn't judged here.

    Raises
    ------
    BenchError
        In one line: no archive, a damaged one, one with anything unexpected in it, or one beyond the limits.
    """
    archive, _ = _read_files(file, refuse=True)
    return archive


def read_damaged(file: Path) -> tuple[Archive, dict[str, str]]:
    """Read what is whole of an archive, as `read_archive` does, and say what is wrong with the rest, by name.

    Raises
    ------
    BenchError
        As `read_archive`, but for single files that are damaged or missing.
    """
    return _read_files(file, refuse=False)


def _read_files(file: Path, *, refuse: bool) -> tuple[Archive, dict[str, str]]:
    """Whole files and what is wrong with others; with `refuse` the first of these is an error and the end."""
    with _reading(file) as content:
        study, sums, left, members = _open(content)
        files: dict[str, bytes] = {}
        damaged: dict[str, str] = {}
        for member in members:
            _check_name(member.name, sums)
            try:
                found = _read(member, left)
            except containers.DAMAGED as error:
                if refuse:
                    raise
                damaged[member.name] = f"can't be unpacked: {reason(error)}"
                continue
            left -= len(found)
            if sha256(found) == sums[member.name]:
                files[member.name] = found
            elif refuse:
                raise BenchError(f"is damaged: {member.name!r} isn't what its manifest says")
            else:
                damaged[member.name] = "isn't what its manifest says"
        damaged |= dict.fromkeys(sorted(sums.keys() - files.keys() - damaged.keys()), "isn't in it")
        if refuse and damaged:
            raise BenchError(f"is damaged: {next(iter(damaged))!r} isn't in it")
        return Archive(file, sha256(content), study, files), damaged


def runs_of(file: Path) -> set[str]:
    """Ids of the runs that an archive's manifest lists, which is all that is read of it.

    Raises
    ------
    BenchError
        As `read_archive`, as far as it is read.
    """
    with _reading(file) as content:
        names = map(NAMES.fullmatch, _open(content)[1])
        return {match["run"] for match in names if match and match["run"]}


@contextmanager
def _reading(file: Path) -> Iterator[bytes]:
    """The file's bytes; whatever turns out to be wrong with them is said in one line that names the file."""
    try:
        if not file.is_file():
            raise BenchError(f"'{file}': no such file")
        if file.stat().st_size > containers.MAX_BYTES:
            raise BenchError(f"'{file}' is larger than {containers.MAX_BYTES >> 20} MiB, no export is")
        content = file.read_bytes()
    except OSError as error:
        raise BenchError(f"'{file}' can't be read: {reason(error)}") from error
    try:
        yield content
    except BenchError as error:
        raise BenchError(f"'{file}' {error}") from None
    except containers.DAMAGED as error:
        raise BenchError(f"'{file}' is no archive of `bench export`, or a damaged one ({reason(error)})") from None


def _open(content: bytes) -> tuple[str, dict[str, str], int, Iterator[containers.Member]]:
    """Name of the study, checksums, bytes that the other files may have, and these."""
    members = containers.members(content, MANIFEST)
    first = next(members, None)
    if first is None or first.name != MANIFEST:
        raise BenchError(f"is no archive of `bench export`: it has no {MANIFEST} to begin with")
    manifest = _read(first, containers.MAX_BYTES)
    return *_manifest(manifest), containers.MAX_BYTES - len(manifest), members


def _read(member: containers.Member, left: int) -> bytes:
    content = member.read(min(left, containers.MAX_FILE_BYTES))
    if content is None:
        raise BenchError(f"unpacks to more than a study's records: {member.name!r} and what is before it")
    return content


def _check_name(name: str, listed: Mapping[str, str]) -> None:
    if not NAMES.fullmatch(name):
        raise BenchError(f"holds {name!r}, which is no file of an export")
    if name not in listed:
        raise BenchError(f"is damaged: {name!r} isn't in its manifest")


def _manifest(content: bytes) -> tuple[str, dict[str, str]]:
    manifest = parse_json(content, "is damaged: its manifest")
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        raise BenchError("is no archive of `bench export`: its manifest says something else")
    if manifest.get("format") != FORMAT:
        raise BenchError(f"is of format {manifest.get('format')!r}, this version reads {FORMAT}: update Disbench")
    study, sums = manifest.get("study"), manifest.get("files")
    if not isinstance(study, str) or not isinstance(sums, dict):
        raise BenchError("is damaged: its manifest lacks the study's name or its files")
    return study, sums
