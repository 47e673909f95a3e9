"""Records in an archive that aren't what they should be are refused."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bench.sharing.archive import read_archive, write_archive
from bench.sharing.import_ import import_study
from helpers.archives import stays_out


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
        (change(RESULT, control={"arrived": 1, "latched": False}), "control.arrived"),
        (change(RESULT, control={"arrived": True}), "control.latched"),
        (change(RESULT, control={"arrived": True, "latched": False, "arrival_step": -1}), "control.arrival_step"),
        (change(RESULT, control={"arrived": True, "latched": False, "overshoot": "high"}), "control.overshoot"),
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
        (put("study.toml", b"[record]\nschema_version = 1\nname = 'x'\nplain_kl = [{kl = nan}]"), "plain_kl"),
        (
            put(
                "study.toml",
                b"[record]\nschema_version = 1\nname = 'x'\nplain_kl = [{kl = 1, sd = 0, n_seeds = 5, training = {}}]",
            ),
            "dataset",
        ),
        (put("plan.json", b'{"runs": ["../../etc"]}'), "no run can be called '../../etc'"),
        (put("plan.json", b'{"runs": 3}'), "runs"),
        (put("udr.json", b'{"some-run": "high"}'), "udr.json"),
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
    stays_out(write_archive("quick", files), tmp_path, match)


def test_a_damaged_picture_is_refused(packed: Path, tmp_path: Path) -> None:
    files = dict(read_archive(packed).files)
    name = next(name for name in files if name.endswith(".png"))
    for content in (files[name][:200], files[name][:100] + b"\0" + files[name][101:]):
        stays_out(write_archive("quick", files | {name: content}), tmp_path, "no picture")


def test_records_may_hold_more_than_this_version_knows(packed: Path, tmp_path: Path) -> None:
    files = dict(read_archive(packed).files)
    for name in (RESULT, FACTS):
        change(name, surprise={"a": [1, None]})(files)
    (tmp_path / "a.zip").write_bytes(write_archive("quick", files))
    assert len(import_study(tmp_path / "a.zip", tmp_path / "there").added) == 2
