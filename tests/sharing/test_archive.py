"""Archives that aren't what an export writes are refused, whatever is wrong with the zip."""

from __future__ import annotations

import contextlib
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.sharing import archive, containers
from bench.sharing.archive import read_archive
from helpers.archives import members, pack, plain, stays_out


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "/etc/evil.txt",
        "runs/../../evil.txt",
        "runs/../study.toml",
        "..\\evil.txt",
        "C:\\evil.txt",
        "runs/a/b/spec.json",
        "runs//spec.json",
        "runs/.hidden/spec.json",
        "./study.toml",
        "runs/RUN/weights.safetensors",
        "runs/RUN/payload.pkl",
        "runs/RUN/spec.json\n",
        "runs/RUN/\x1b[31m.png",
        "plugin.py",
        "failed/x.1.json",
        "runs/RUN/",
    ],
)
def test_only_names_of_an_export_come_in(packed: Path, tmp_path: Path, name: str) -> None:
    items = members(packed)
    run = items[1][0].filename.split("/")[1]
    content = b"" if name.endswith("/") else b"evil"
    stays_out(pack([*items, (plain(name.replace("RUN", run)), content)]), tmp_path, "which is no file of an export")


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        (stat.S_IFLNK | 0o777, "no plain file"),
        (stat.S_IFCHR | 0o644, "no plain file"),
        (stat.S_IFIFO | 0o644, "no plain file"),
        (stat.S_IFDIR | 0o755, "no plain file"),
    ],
)
def test_links_and_devices_are_refused(packed: Path, tmp_path: Path, kind: int, match: str) -> None:
    items = [(info, content) for info, content in members(packed) if info.filename != "study.toml"]
    stays_out(pack([*items, (plain("study.toml", kind), b"/etc/passwd")]), tmp_path, match)


@pytest.mark.parametrize("name", ["study.toml", "STUDY.toml", "manifest.json"])
def test_names_come_once(packed: Path, tmp_path: Path, name: str) -> None:
    items = members(packed)
    content = pack([*items, (plain(name), b"other")], manifest=name != "manifest.json")
    stays_out(content, tmp_path, f"holds '{name}' twice" if name != "manifest.json" else "twice")


@pytest.mark.parametrize("compress", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(packed: Path, tmp_path: Path, compress: int) -> None:
    items = [(plain(info.filename, compress=compress), content) for info, content in members(packed)]
    stays_out(pack(items), tmp_path, "packed in another way")


def test_encrypted_files_are_refused(packed: Path, tmp_path: Path) -> None:
    content = bytearray(packed.read_bytes())
    first = content.index(b"PK\x01\x02")
    content[first + 8] |= 1
    stays_out(bytes(content), tmp_path, "encrypted")


def test_a_file_that_unpacks_to_too_much_is_refused(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = pack([*members(packed), (plain("plan.json"), bytes(containers.MAX_FILE_BYTES + 1))])
    assert len(bomb) < 2**18
    stays_out(bomb, tmp_path, "unpacks to more")
    total = sum(len(content) for _, content in members(packed))
    for most in (total, total - 1):
        monkeypatch.setattr(containers, "MAX_BYTES", most)
        file = tmp_path / "bad.zip"
        file.write_bytes(packed.read_bytes())
        if most == total:
            read_archive(file)
        else:
            stays_out(packed.read_bytes(), tmp_path, "unpacks to more")


def test_what_a_header_says_of_a_size_is_not_believed(packed: Path, tmp_path: Path) -> None:
    content = bytearray(packed.read_bytes())
    size = content.index(b"PK\x01\x02") + 24
    # Less than there is cuts the file off; more changes nothing.
    content[size : size + 4] = struct.pack("<I", 10)
    stays_out(bytes(content), tmp_path)
    content[size : size + 4] = struct.pack("<I", 2**31)
    (tmp_path / "large.zip").write_bytes(content)
    assert read_archive(tmp_path / "large.zip").files == read_archive(packed).files


def test_too_many_files_are_refused(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n = len(members(packed)) - 1
    monkeypatch.setattr(containers, "MAX_FILES", n)
    read_archive(packed)
    monkeypatch.setattr(containers, "MAX_FILES", n - 1)
    stays_out(packed.read_bytes(), tmp_path, "more files than")


def test_a_directory_of_millions_is_refused_before_it_is_read(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*args: object) -> None:
        raise AssertionError("the directory was read")

    content = bytearray(packed.read_bytes())
    content[-22 + 12 : -22 + 16] = struct.pack("<I", 2**30)
    monkeypatch.setattr(zipfile, "ZipFile", read)
    stays_out(bytes(content), tmp_path, "more files than")
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, 0, 1)
    good = packed.read_bytes()
    stays_out(good[:-22] + locator + good[-22:], tmp_path, "more files than")


def test_every_checksum_is_verified(packed: Path, tmp_path: Path) -> None:
    items = members(packed)
    for k, (info, content) in enumerate(items):
        if info.filename != archive.MANIFEST:
            changed = [*items[:k], (info, content + b" "), *items[k + 1 :]]
            stays_out(pack(changed, manifest=False), tmp_path, f"'{info.filename}' isn't what its manifest says")


def test_the_manifest_lists_all_there_is(packed: Path, tmp_path: Path) -> None:
    items = members(packed)
    without = [item for item in items if not item[0].filename.endswith("curves.csv")]
    stays_out(pack(without, manifest=False), tmp_path, "isn't in it")
    stays_out(pack([*items, (plain("plan.json"), b'{"runs": []}')], manifest=False), tmp_path, "isn't in its manifest")


@pytest.mark.parametrize(
    ("manifest", "match"),
    [
        (None, "it has no manifest"),
        (b"{", "its manifest can't be read"),
        (b"[" * 100_000, "its manifest can't be read"),
        (b"[]", "its manifest says something else"),
        (b'{"kind": "disbench study", "format": 2}', "update Disbench"),
        (b'{"kind": "disbench study", "format": 1, "files": {}}', "lacks the study's name"),
    ],
)
def test_another_manifest_is_refused(packed: Path, tmp_path: Path, manifest: bytes | None, match: str) -> None:
    items = [item for item in members(packed) if item[0].filename != archive.MANIFEST]
    items += [] if manifest is None else [(plain(archive.MANIFEST), manifest)]
    stays_out(pack(items, manifest=False), tmp_path, match)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip" * 100, b"PK\x05\x06" + bytes(18)])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    stays_out(content, tmp_path, "no archive of `bench export`")


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_archive_is_refused_or_gives_the_same_files(packed: Path, data: st.DataObject) -> None:
    content = bytearray(packed.read_bytes())
    ends = st.integers(len(content) - 3000, len(content) - 1)  # The directory is where the headers are.
    where = data.draw(st.one_of(st.integers(0, len(content) - 1), ends))
    if data.draw(st.booleans()):
        content = content[:where]
    else:
        content[where] ^= data.draw(st.integers(1, 255))
    file = packed.with_name("damaged.zip")
    file.write_bytes(content)
    with contextlib.suppress(BenchError):
        assert read_archive(file).files == read_archive(packed).files
