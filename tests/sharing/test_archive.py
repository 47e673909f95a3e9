from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.errors import BenchError
from bench.sharing import archive
from bench.sharing.archive import read_archive, write_archive
from bench.sharing.export import export_archive
from bench.sharing.import_ import import_study
from helpers.paths import REFERENCE

Build = Callable[..., Any]  # builders of study folders, see conftest.py
Member = tuple[zipfile.ZipInfo, bytes]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small valid archive of the committed reference study: two runs with pictures."""
    source = REFERENCE / "quick-dsprites"
    folder = tmp_path_factory.mktemp("packed") / "quick"
    for run in sorted((source / "runs").iterdir())[:2]:
        shutil.copytree(run, folder / "runs" / run.name)
    shutil.copy(source / "study.toml", folder)
    out = folder.parent / "good.zip"
    export_archive(folder, out, pictures=True)
    return out


def tree(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def members(file: Path) -> list[Member]:
    with zipfile.ZipFile(file) as opened:
        return [(item, opened.read(item)) for item in opened.infolist()]


def pack(items: list[Member], *, manifest: bool = True) -> bytes:
    """Zip members, with a manifest that fits them: what is then refused is refused for what it is."""
    kept = [(info, content) for info, content in items if not manifest or info.filename != archive.MANIFEST]
    if manifest:
        sums = {info.filename: hashlib.sha256(content).hexdigest() for info, content in kept}
        record = {"kind": archive.KIND, "format": archive.FORMAT, "study": "quick", "files": sums}
        kept.append((plain(archive.MANIFEST), json.dumps(record).encode()))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Duplicate names are the point.
        for info, content in kept:
            opened.writestr(info, content)
    return out.getvalue()


def plain(name: str, mode: int = stat.S_IFREG | 0o644, compress: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("placeholder")
    info.filename = name  # Past the constructor, which tidies names up.
    info.external_attr = mode << 16
    info.compress_type = compress
    return info


def refused(content: bytes, folder: Path, match: str | None = None) -> None:
    """An archive that must not come in, and leaves no trace."""
    file, results = folder / "bad.zip", folder / "here" / "results"
    file.write_bytes(content)
    with pytest.raises(BenchError, match=match) as error:
        import_study(file, results)
    assert "\n" not in str(error.value)
    assert str(error.value).isprintable()
    assert sorted(tree(folder)) == ["bad.zip"]


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
    refused(pack([*items, (plain(name.replace("RUN", run)), content)]), tmp_path, "which is no file of an export")


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
    refused(pack([*items, (plain("study.toml", kind), b"/etc/passwd")]), tmp_path, match)


@pytest.mark.parametrize("name", ["study.toml", "STUDY.toml", "manifest.json"])
def test_names_come_once(packed: Path, tmp_path: Path, name: str) -> None:
    items = members(packed)
    content = pack([*items, (plain(name), b"other")], manifest=name != "manifest.json")
    refused(content, tmp_path, f"holds '{name}' twice" if name != "manifest.json" else "twice")


@pytest.mark.parametrize("compress", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(packed: Path, tmp_path: Path, compress: int) -> None:
    items = [(plain(info.filename, compress=compress), content) for info, content in members(packed)]
    refused(pack(items), tmp_path, "packed in another way")


def test_encrypted_files_are_refused(packed: Path, tmp_path: Path) -> None:
    content = bytearray(packed.read_bytes())
    first = content.index(b"PK\x01\x02")
    content[first + 8] |= 1
    refused(bytes(content), tmp_path, "encrypted")


def test_a_file_that_unpacks_to_too_much_is_refused(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = pack([*members(packed), (plain("plan.json"), bytes(archive.MAX_FILE_BYTES + 1))])
    assert len(bomb) < 2**18
    refused(bomb, tmp_path, "unpacks to more")
    total = sum(len(content) for _, content in members(packed))
    for most in (total, total - 1):
        monkeypatch.setattr(archive, "MAX_BYTES", most)
        file = tmp_path / "bad.zip"
        file.write_bytes(packed.read_bytes())
        if most == total:
            read_archive(file)
        else:
            refused(packed.read_bytes(), tmp_path, "unpacks to more")


def test_what_a_header_says_of_a_size_is_not_believed(packed: Path, tmp_path: Path) -> None:
    content = bytearray(packed.read_bytes())
    size = content.index(b"PK\x01\x02") + 24
    # Less than there is cuts the file off; more changes nothing.
    content[size : size + 4] = struct.pack("<I", 10)
    refused(bytes(content), tmp_path)
    content[size : size + 4] = struct.pack("<I", 2**31)
    (tmp_path / "large.zip").write_bytes(content)
    assert read_archive(tmp_path / "large.zip").files == read_archive(packed).files


def test_too_many_files_are_refused(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n = len(members(packed)) - 1
    monkeypatch.setattr(archive, "MAX_FILES", n)
    read_archive(packed)
    monkeypatch.setattr(archive, "MAX_FILES", n - 1)
    refused(packed.read_bytes(), tmp_path, "more files than")


def test_a_directory_of_millions_is_refused_before_it_is_read(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*args: object) -> None:
        raise AssertionError("the directory was read")

    content = bytearray(packed.read_bytes())
    content[-22 + 12 : -22 + 16] = struct.pack("<I", 2**30)
    monkeypatch.setattr(zipfile, "ZipFile", read)
    refused(bytes(content), tmp_path, "more files than")
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, 0, 1)
    good = packed.read_bytes()
    refused(good[:-22] + locator + good[-22:], tmp_path, "more files than")


def test_every_checksum_is_verified(packed: Path, tmp_path: Path) -> None:
    items = members(packed)
    for k, (info, content) in enumerate(items):
        if info.filename != archive.MANIFEST:
            changed = [*items[:k], (info, content + b" "), *items[k + 1 :]]
            refused(pack(changed, manifest=False), tmp_path, f"'{info.filename}' isn't what its manifest says")


def test_the_manifest_lists_all_there_is(packed: Path, tmp_path: Path) -> None:
    items = members(packed)
    without = [item for item in items if not item[0].filename.endswith("curves.csv")]
    refused(pack(without, manifest=False), tmp_path, "isn't in it")
    refused(pack([*items, (plain("plan.json"), b'{"runs": []}')], manifest=False), tmp_path, "isn't in its manifest")


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
    refused(pack(items, manifest=False), tmp_path, match)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip" * 100, b"PK\x05\x06" + bytes(18)])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    refused(content, tmp_path, "no archive of `bench export`")


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


# Records that aren't what they should be


def huge_png() -> bytes:
    out = io.BytesIO()
    Image.new("1", (8, 8)).save(out, "PNG")
    content = bytearray(out.getvalue())
    content[16:24] = struct.pack(">II", 2**20, 2**20)
    return bytes(content)


def change(name: str, **values: Any) -> Callable[[dict[str, bytes]], None]:
    """Replace entries of a record; a dot leads into a table."""

    def apply(files: dict[str, bytes]) -> None:
        key = next(key for key in files if key.endswith(name))
        record = json.loads(files[key])
        for path, value in values.items():
            *tables, last = path.split("__")
            table = record
            for item in tables:
                table = table[item]
            table[last] = value
        files[key] = json.dumps(record).encode()

    return apply


def put(name: str, content: bytes | None) -> Callable[[dict[str, bytes]], None]:
    def apply(files: dict[str, bytes]) -> None:
        key = next((key for key in files if key.endswith(name)), name)
        if content is None:
            del files[key]
        else:
            files[key] = content

    return apply


SPEC, RESULT, FACTS = "spec.json", "result.json", "provenance.json"


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (change(SPEC, seed=77), "describes another run, dsprites-"),
        (change(SPEC, steps=77), "describes another run, dsprites-"),
        (change(SPEC, schema_version=2), r"schema 2, this version reads 1: update Disbench"),
        (change(SPEC, schema_version=None), "schema None"),
        (change(SPEC, surprise=1), "knows no 'surprise'"),
        (change(SPEC, seed="0"), "seed: Input should be a valid integer"),
        (change(SPEC, seed=-1), "seed"),
        (change(SPEC, batch_size=2**70), "batch_size"),
        (change(SPEC, method__name="../../evil"), "describes another run"),
        (change(SPEC, evaluation__n_codes=1), "n_codes"),
        (change(RESULT, run="dsprites-vae-s000-00000000"), "is of another run"),
        (change(RESULT, schema_version=9), "update Disbench"),
        (change(RESULT, status="great"), "status"),
        (change(RESULT, status="failed"), "status"),
        (change(RESULT, scores=[1.0]), "scores"),
        (change(RESULT, scores__mig="0.3"), "scores.mig"),
        (change(RESULT, scores__mig=True), "scores.mig"),
        (change(RESULT, scores__mig=float("nan")), "NaN is no JSON"),
        (change(RESULT, scores__mig=10**400), "scores.mig"),
        (change(RESULT, scores__seed=1.0), "no score can be called 'seed'"),
        (change(RESULT, **{"scores__hyper.beta": 1.0}), "no score can be called 'hyper.beta'"),
        (change(RESULT, steps_done=2**80), "steps_done"),
        (change(RESULT, details__dci__informativeness_per_factor=[0.5, "a"]), "informativeness_per_factor"),
        (change(RESULT, not_applicable={"mig": "\x1b[2J"}), "control characters"),
        (change(RESULT, files={"curves.csv": "0" * 64}), r"curves\.csv isn't the file"),
        (change(FACTS, hardware__memory_gib="lots"), "memory_gib"),
        (change(FACTS, wall_s="long"), "wall_s"),
        (put(RESULT, b"{"), "can't be read"),
        (put(RESULT, b"[]"), "isn't a record"),
        (put(RESULT, b'{"a": ' * 50_000), "can't be read"),
        (put(RESULT, b"\xff\xfe"), "can't be read"),
        (put(RESULT, None), "has no result.json"),
        (put(SPEC, None), "has no spec.json"),
        (put("study.toml", None), "study.toml: there is none"),
        (put("study.toml", b"a = "), "study.toml can't be read"),
        (put("study.toml", b"a = " + b"[" * 50_000), "study.toml can't be read"),
        (put("study.toml", b"preset = 'quick'"), "name"),
        (put("study.toml", b"[record]\nschema_version = 2\nname = 'x'"), "schema 2"),
        (put("study.toml", b"[record]\nschema_version = 1\nname = 'x'\ncommands = [1]"), "commands"),
        (put("study.toml", b'name = "\\u001b[2J"'), "control characters"),
        (put("plan.json", b'{"runs": ["../../etc"]}'), "no run can be called '../../etc'"),
        (put("plan.json", b'{"runs": 3}'), "runs"),
        (put("curves.csv", b"step,kl\n1,abc\n"), "curves.csv"),
        (put("traversals.png", b"GIF89a"), "no picture"),
        (put("traversals.png", b"\x89PNG\r\n\x1a\n" + bytes(40)), "no picture"),
        (put("traversals.png", huge_png()), "no picture"),
    ],
)
def test_every_record_is_checked(
    packed: Path, tmp_path: Path, damage: Callable[[dict[str, bytes]], None], match: str
) -> None:
    files = dict(read_archive(packed).files)
    damage(files)
    refused(write_archive("quick", files), tmp_path, match)


def test_a_damaged_picture_is_refused(packed: Path, tmp_path: Path) -> None:
    files = dict(read_archive(packed).files)
    name = next(name for name in files if name.endswith(".png"))
    for content in (files[name][:200], files[name][:100] + b"\0" + files[name][101:]):
        refused(write_archive("quick", files | {name: content}), tmp_path, "no picture")


def test_records_may_hold_more_than_this_version_knows(packed: Path, tmp_path: Path) -> None:
    files = dict(read_archive(packed).files)
    for name in (RESULT, FACTS):
        change(name, surprise={"a": [1, None]})(files)
    (tmp_path / "a.zip").write_bytes(write_archive("quick", files))
    assert len(import_study(tmp_path / "a.zip", tmp_path / "there").added) == 2
