"""Archives as tar.xz: the same members and checks as a zip, and tricks that only a tar or xz knows."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import lzma
import struct
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.sharing import archive, containers
from bench.sharing.archive import read_archive, runs_of, write_archive
from bench.sharing.export import export_archive
from bench.sharing.import_ import import_study

Change = Callable[[tarfile.TarInfo], object]


@pytest.fixture(scope="module")
def tarred(packed: Path) -> Path:
    """The archive of two reference runs with pictures, as tar.xz."""
    out = packed.with_name("good.tar.xz")
    found = read_archive(packed)
    out.write_bytes(write_archive(found.study, found.files, ".tar.xz"))
    return out


def tar(files: dict[str, bytes], *, change: Change | None = None, listed: dict[str, bytes] | None = None) -> bytes:
    """A tar with a manifest of what is `listed`, by default all; `change` works on the last member's header."""
    sums = {
        name: hashlib.sha256(content).hexdigest() for name, content in (files if listed is None else listed).items()
    }
    manifest = json.dumps({"kind": archive.KIND, "format": archive.FORMAT, "study": "quick", "files": sums})
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as packed:
        for name, content in {archive.MANIFEST: manifest.encode(), **files}.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            if change and name == list(files)[-1]:
                change(header)
            packed.addfile(header, io.BytesIO(content))
    return out.getvalue()


def refused(content: bytes, folder: Path, match: str) -> None:
    """An archive that must not come in, and leaves no trace."""
    file = folder / "bad.tar.xz"
    file.write_bytes(content)
    with pytest.raises(BenchError, match=match) as error:
        import_study(file, folder / "results")
    assert str(error.value).isprintable()
    assert [item.name for item in folder.iterdir()] == ["bad.tar.xz"]


def test_both_containers_hold_the_same(packed: Path, tarred: Path, tmp_path: Path) -> None:
    assert read_archive(tarred).files == read_archive(packed).files
    assert read_archive(tarred).study == read_archive(packed).study
    assert runs_of(tarred) == runs_of(packed) == set(import_study(tarred, tmp_path).added)


def test_the_first_bytes_say_which_it_is(packed: Path, tarred: Path, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(tarred.read_bytes())
    (tmp_path / "b.tar.xz").write_bytes(packed.read_bytes())
    assert read_archive(tmp_path / "a.zip").files == read_archive(tmp_path / "b.tar.xz").files


def test_a_tar_is_written_the_same_every_time_and_names_nobody(tarred: Path, tmp_path: Path) -> None:
    imported = import_study(tarred, tmp_path / "there")
    export_archive(imported.path, tmp_path / "again.tar.xz", pictures="all")
    assert (tmp_path / "again.tar.xz").read_bytes() == tarred.read_bytes()
    with tarfile.open(tarred) as opened:
        found = opened.getmembers()
    assert [item.name for item in found] == sorted(item.name for item in found)
    assert {(item.mtime, item.uid, item.gid, item.uname, item.gname, item.mode) for item in found} == {
        (0, 0, 0, "", "", 0o644)
    }


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "/etc/evil.txt", "runs/../../evil.txt", "./study.toml", "plugin.py", "runs/a/weights.safetensors"],
)
def test_only_names_of_an_export_come_in(tarred: Path, tmp_path: Path, name: str) -> None:
    files = read_archive(tarred).files
    refused(lzma.compress(tar({**files, name: b"evil"})), tmp_path, "which is no file of an export")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE,
     tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE],
)  # fmt: skip
def test_what_is_no_plain_file_is_refused(tarred: Path, tmp_path: Path, kind: bytes) -> None:
    def change(header: tarfile.TarInfo) -> None:
        header.type, header.linkname = kind, "/etc/passwd"

    files = read_archive(tarred).files
    refused(lzma.compress(tar(files, change=change)), tmp_path, "which is no plain file")


def test_long_names_are_no_way_around(tarred: Path, tmp_path: Path) -> None:
    files = read_archive(tarred).files
    refused(lzma.compress(tar({**files, "runs/" + "a" * 150 + "/spec.json": b""})), tmp_path, "no plain file")
    with pytest.raises(BenchError, match=r"doesn't go into a \.tar\.xz: name is too long"):
        write_archive("quick", {"runs/" + "a" * 160 + "/spec.json": b""}, ".tar.xz")


@pytest.mark.parametrize("name", ["study.toml", "STUDY.toml"])
def test_names_come_once(tarred: Path, tmp_path: Path, name: str) -> None:
    def change(header: tarfile.TarInfo) -> None:
        header.name = name

    content = tar({**read_archive(tarred).files, "plan.json": b"{}"}, change=change)
    refused(lzma.compress(content), tmp_path, f"holds '{name}' twice")


def test_the_manifest_comes_first_and_lists_all_there_is(tarred: Path, tmp_path: Path) -> None:
    files = read_archive(tarred).files
    good = tar(files)
    start = next(k for k in range(0, len(good), 512) if good[k:].startswith(f"{next(iter(files))}\0".encode()))
    refused(lzma.compress(good[start:]), tmp_path, "it has no manifest.json to begin with")
    refused(lzma.compress(tar({**files, "plan.json": b"{}"}, listed=files)), tmp_path, "isn't in its manifest")
    listed = {**files, "plan.json": b"{}"}
    refused(lzma.compress(tar(files, listed=listed)), tmp_path, "'plan.json' isn't in it")
    refused(lzma.compress(tar(files, listed={**files, "study.toml": b""})), tmp_path, "isn't what its manifest says")


def bomb(size: int) -> bytes:
    """A tar.xz whose second file claims `size` bytes, and has 64 MiB of zeros."""
    small = tar({"plan.json": b""})
    header = tarfile.TarInfo("plan.json")
    header.size = size
    packer = lzma.LZMACompressor()
    parts = [packer.compress(small[: small.rindex(b"plan.json\0")] + header.tobuf(tarfile.GNU_FORMAT))]
    parts += [packer.compress(bytes(2**20)) for _ in range(64)]
    return b"".join([*parts, packer.flush()])


@pytest.mark.parametrize(
    ("size", "match"),
    [
        (2**26, "unpacks to more than a study's records"),
        (2**40, "unpacks to more than a study's records"),
        (2**10, "isn't what its manifest says"),
    ],
)
def test_a_bomb_is_refused_before_it_takes_memory(tmp_path: Path, size: int, match: str) -> None:
    content = bomb(size)
    assert len(content) < 2**15
    tracemalloc.start()
    try:
        refused(content, tmp_path, match)
        # liblzma's dictionary takes 8 MiB of it.
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


def test_more_than_a_header_says_is_refused(tarred: Path, tmp_path: Path) -> None:
    good = lzma.decompress(tarred.read_bytes())
    content = good.rstrip(b"\0")
    end = len(content) + -len(content) % 512
    refused(lzma.compress(good[:end] + bytes(2**26)), tmp_path, "something follows its end")


def test_sizes_are_counted_together(tarred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tarfile.open(tarred) as opened:
        total = sum(item.size for item in opened.getmembers())
    monkeypatch.setattr(containers, "MAX_BYTES", total)
    read_archive(tarred)
    monkeypatch.setattr(containers, "MAX_BYTES", total - 1)
    refused(tarred.read_bytes(), tmp_path, "unpacks to more")


def test_files_are_counted(tarred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n = len(read_archive(tarred).files)
    monkeypatch.setattr(containers, "MAX_FILES", n - 1)
    refused(tarred.read_bytes(), tmp_path, "more files than")


@pytest.mark.parametrize("end", [b"x" * 512, bytes(512 * 40), bytes(512 * 2) + b"x"])
def test_nothing_follows_the_end(tarred: Path, tmp_path: Path, end: bytes) -> None:
    good = lzma.decompress(tarred.read_bytes())
    refused(lzma.compress(good + end), tmp_path, "something follows its end")


@pytest.mark.parametrize("more", [b"x", bytes(4), lzma.compress(b"")])
def test_nothing_follows_the_stream(tarred: Path, tmp_path: Path, more: bytes) -> None:
    refused(tarred.read_bytes() + more, tmp_path, "something follows its end")


def test_a_dictionary_of_a_gibibyte_is_refused(tarred: Path, tmp_path: Path) -> None:
    content = bytearray(lzma.compress(lzma.decompress(tarred.read_bytes())))
    # The size is one byte of the first block's header, which a checksum closes.
    start, size = 12, (content[12] + 1) * 4
    content[content.index(b"\x21\x01", start) + 2] = 36
    content[start + size - 4 : start + size] = struct.pack("<I", zlib.crc32(content[start : start + size - 4]))
    refused(bytes(content), tmp_path, "Memory usage limit exceeded")


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_archive_is_refused_or_gives_the_same_files(tarred: Path, data: st.DataObject) -> None:
    content = bytearray(tarred.read_bytes())
    where = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:where]
    else:
        content[where] ^= data.draw(st.integers(1, 255))
    file = tarred.with_name("damaged.tar.xz")
    file.write_bytes(content)
    with contextlib.suppress(BenchError):
        assert read_archive(file).files == read_archive(tarred).files


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_tar_in_sound_xz_is_refused_or_gives_the_same_files(tarred: Path, data: st.DataObject) -> None:
    content = bytearray(lzma.decompress(tarred.read_bytes()))
    headers = [k for k in range(0, len(content), 512) if content[k + 257 : k + 262] == b"ustar"]
    where = data.draw(st.sampled_from(headers)) + data.draw(st.integers(0, 511))
    content[where] ^= data.draw(st.integers(1, 255))
    file = tarred.with_name("damaged.tar.xz")
    file.write_bytes(lzma.compress(content, preset=0))
    with contextlib.suppress(BenchError):
        assert read_archive(file).files == read_archive(tarred).files
