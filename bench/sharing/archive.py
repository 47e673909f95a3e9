"""One study as one file: a zip of its records with a checksum each, written the same every time and read with care.

The reader trusts nothing: it takes only the names that an export has, counts what it unpacks instead of believing the
headers, and checks every checksum before anybody sees a byte.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, reason
from bench.files import json_bytes, parse_json, sha256

#: Most files of an archive: 8,000 runs with their pictures.
MAX_FILES = 50_000
#: Most bytes of one file, and of all together, after unpacking. Real files have up to a few hundred kilobytes.
MAX_FILE_BYTES = 16 * 2**20
MAX_BYTES = 512 * 2**20

KIND = "disbench study"
FORMAT = 1
MANIFEST = "manifest.json"
RECORDS = ("spec.json", "result.json", "provenance.json", "curves.csv", "scores_by_step.csv")
PICTURES = ("reconstructions.png", "traversals.png")
#: Every name that an archive may hold: no absolute path, no "..", no backslash fits.
NAMES = re.compile(
    r"study\.toml|plan\.json|runs/(?P<run>[A-Za-z0-9][A-Za-z0-9_.+-]{0,199})/"
    rf"(?P<file>{'|'.join(map(re.escape, RECORDS + PICTURES))})"
)

_END = 22  # bytes of the record at the end of a zip
_ENTRY = 46 + 300  # bytes of an entry of the directory before it: its header, and more than the longest name


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


def write_archive(study: str, files: Mapping[str, bytes]) -> bytes:
    """Pack files with a manifest of their checksums.

    Parameters
    ----------
    study : str
        Name of the study.
    files : mapping of str to bytes
        Names that `NAMES` allows, to contents.

    Returns
    -------
    bytes
        A zip; the same files give the same bytes (with the same zlib): names are sorted, times fixed.

    Raises
    ------
    BenchError
        If it would be larger than `read_archive` takes.
    """
    total = sum(map(len, files.values()))
    if len(files) > MAX_FILES or total > MAX_BYTES or max(map(len, files.values()), default=0) > MAX_FILE_BYTES:
        raise BenchError(
            f"study '{study}' is too large for an archive: {len(files):,} files of {total / 2**20:,.0f} MiB, of "
            f"{MAX_FILES:,} files, {MAX_FILE_BYTES >> 20} MiB each and {MAX_BYTES >> 20} MiB in all"
        )
    sums = {name: sha256(content) for name, content in files.items()}
    manifest = {"kind": KIND, "format": FORMAT, "study": study, "files": sums}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted({**files, MANIFEST: json_bytes(manifest)}.items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            # Else it says on which system it was written.
            info.create_system = 3
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)
    return out.getvalue()


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
    try:
        if not file.is_file():
            raise BenchError(f"'{file}': no such file")
        if file.stat().st_size > MAX_BYTES:
            raise BenchError(f"'{file}' is larger than {MAX_BYTES >> 20} MiB, no export is")
        content = file.read_bytes()
    except OSError as error:
        raise BenchError(f"'{file}' can't be read: {reason(error)}") from error
    try:
        study, files = _unpack(content)
    except BenchError as error:
        raise BenchError(f"'{file}' {error}") from None
    except (
        zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, OSError, RuntimeError, ValueError,
    ) as error:  # fmt: skip
        # What a damaged zip makes the standard library raise.
        raise BenchError(f"'{file}' is no archive of `bench export`, or a damaged one ({reason(error)})") from None
    return Archive(file, sha256(content), study, files)


def _unpack(content: bytes) -> tuple[str, dict[str, bytes]]:
    _check_directory(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        _check_members(members)
        if MANIFEST not in archive.namelist():
            raise BenchError(f"is no archive of `bench export`: it has no {MANIFEST}")
        left = MAX_BYTES
        files = {}
        for member in sorted(members, key=lambda member: member.filename != MANIFEST):
            most = min(left, MAX_FILE_BYTES)
            with archive.open(member) as stream:
                files[member.filename] = stream.read(most + 1)
            size = len(files[member.filename])
            if size > most:
                raise BenchError(f"unpacks to more than a study's records: '{member.filename}' and what is before it")
            left -= size
            if member.filename == MANIFEST:
                study, sums = _manifest(files.pop(MANIFEST))
                _check_names({item.filename for item in members} - {MANIFEST}, set(sums))
            elif sha256(files[member.filename]) != sums[member.filename]:
                raise BenchError(f"is damaged: '{member.filename}' isn't what its manifest says")
    return study, files


def _check_directory(content: bytes) -> None:
    """Refuse a directory of millions of entries before the standard library makes objects of them."""
    end = content[-_END:]
    if len(end) < _END or not end.startswith(b"PK\x05\x06") or end[-2:] != b"\0\0":
        raise BenchError("is no archive of `bench export`: it doesn't end as one")
    wide = content[-_END - 20 :].startswith(b"PK\x06\x07")
    if wide or int.from_bytes(end[12:16], "little") > MAX_FILES * _ENTRY:
        raise BenchError(f"has more files than a study's archive may have ({MAX_FILES:,})")


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    """Refuse what no export holds, whatever it is called: links, devices, folders, repeated names, passwords."""
    if len(members) > MAX_FILES + 1:
        raise BenchError(f"has more files than a study's archive may have ({MAX_FILES:,})")
    seen = set()
    for member in members:
        name = member.filename
        if member.orig_filename != name or stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise BenchError(f"holds {name!r}, which is no plain file")
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BenchError(f"holds {name!r}, which is encrypted or packed in another way than an export's files")
        # Two names that differ in case are one file on some systems.
        if name.casefold() in seen:
            raise BenchError(f"holds {name!r} twice")
        seen.add(name.casefold())


def _check_names(names: set[str], listed: set[str]) -> None:
    for name in sorted(names):
        if not NAMES.fullmatch(name):
            raise BenchError(f"holds {name!r}, which is no file of an export")
    for name in sorted(names ^ listed):
        where = "isn't in it" if name in listed else "isn't in its manifest"
        raise BenchError(f"is damaged: {name!r} {where}")


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
