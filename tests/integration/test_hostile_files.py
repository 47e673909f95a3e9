"""Files of a study that were damaged, edited or made up: every command says in one line which one, and what to do."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from bench.cli.main import main
from helpers.damage import record

Damage = Callable[[Path], object]

#: Commands that read a stored study.
DOORS = {
    "status": ("status", "toy"),
    "aggregate": ("aggregate", "toy"),
    "report": ("report", "toy", "--figures", "none", "--quiet"),
    "claims": ("claims", "toy"),
    "compare": ("compare", "toy", "whole"),
    "verify": ("verify", "toy"),
    "list": ("list", "results"),
    "plan": ("plan", "results/toy/study.toml", "--study", "toy"),
}
#: What stands where something else should.
VALUES = (
    {}, [], None, True, "text", "", -1, 0, 10**30, 1e100, [[]], [None], {"a": None}, {"": {}}, [1, "a"], "\x1b[31m",
)  # fmt: skip
#: Whole files: valid and not, of the wrong kind, too deep, with numbers that no double holds.
CONTENTS = (
    b"", b"{}", b"[]", b"null", b"NaN", b"3", b'"text"', b'{"a": 1e400}', b'{"schema_version": 1}', b"\xff\xfe\x00",
    b'{"runs": null}', b'{"runs": 3}', b'{"runs": [1]}', b'{"runs": ["../../x"]}', b"[" * 500 + b"]" * 500,
    b"[" * 100_000, b'{"a": ' + b"9" * 6_000 + b"}", b'{"a": ' * 900 + b"1" + b"}" * 900, b"a = " + b"[" * 5_000,
    b".".join([b"a"] * 900) + b" = 1", b"a = nan", b"record = 3", b"[record]\nschema_version = 1",
)  # fmt: skip


@pytest.fixture
def toy(study_builder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a study that is whole, with one failed run and a plan, beside a copy."""
    builder = study_builder()
    study = builder.fill([0, 1], ["vae", "beta_vae"], rows=6)
    builder.fail("factor_vae", 1)
    record(study)
    with (study / "study.toml").open("a") as file:
        file.write('[record]\nschema_version = 1\nname = "toy"\n')
        file.write('commands = ["bench run"]\nplugins = {"gone.py" = "0"}\n')
    (study / "plan.json").write_text(json.dumps({"runs": sorted(each.name for each in (study / "runs").iterdir())}))
    shutil.copytree(study, study.parent / "whole")
    monkeypatch.chdir(tmp_path)
    return Path("results/toy")


def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], words: tuple[str, ...]) -> str:
    """Give a command; return what is wrong with how it ended, if anything is."""
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    try:
        main()
    except SystemExit as end:
        code, err = int(end.code or 0), capfd.readouterr().err
    except Exception as error:
        capfd.readouterr()
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {where.filename}, line {where.lineno}: {error}"
    if code not in (0, 1, 2, 3):  # 3: what `bench verify` found
        return f"exit code {code}: {err}"
    if code == 2 and len(err.strip().splitlines()) != 1 and "warning" not in err:
        return f"not one line: {err}"
    return "a traceback is printed" if "Traceback" in err or "\x1b" in err else ""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to everything in a record."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def mutated(value: Any, path: tuple[Any, ...], rng: np.random.Generator) -> Any:
    """A record in which what stands at one place is gone, or something else."""
    if not path:
        return VALUES[rng.integers(len(VALUES))]
    value = json.loads(json.dumps(value))
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    if rng.random() < 0.2:
        del holder[path[-1]]
    else:
        holder[path[-1]] = VALUES[rng.integers(len(VALUES))]
    return value


def write(file: Path, value: Any) -> None:
    """Write a record as the file has it; TOML has no null, and no file that isn't a table."""
    if file.suffix == ".json":
        file.write_text(json.dumps(value))
        return
    try:
        file.write_text(tomli_w.dumps(value))
    except (TypeError, ValueError, AttributeError):
        file.write_text(f"name = {json.dumps(value)}")


def files_of(study: Path) -> list[Path]:
    """One file of every kind that a study has."""
    run = next(iter(sorted((study / "runs").iterdir())))
    kinds = [run / name for name in ("result.json", "spec.json", "provenance.json")]
    return [study / "study.toml", study / "plan.json", next((study / "failed").iterdir()), *kinds]


def test_whole_studies_pass_all_doors(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = next((toy / "runs").iterdir()).name
    assert {door: call(monkeypatch, capfd, words) for door, words in {**DOORS, "show": ("show", run)}.items()} == (
        dict.fromkeys([*DOORS, "show"], "")
    )


@pytest.mark.parametrize("kind", range(6))
def test_made_up_files_are_one_line(
    toy: Path, kind: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = files_of(toy)[kind]
    doors = {**DOORS, "show": ("show", file.parent.name if kind > 2 else "vae")}
    wrong = {}
    for number, content in enumerate(CONTENTS):
        file.write_bytes(content)
        door = list(doors.values())[(number + kind) % len(doors)]
        if said := call(monkeypatch, capfd, door):
            wrong[door, content[:40]] = said
    assert wrong == {}


@pytest.mark.parametrize("kind", range(6))
def test_records_with_one_wrong_entry_are_one_line_at_every_door(
    toy: Path, kind: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(kind)
    file = files_of(toy)[kind]
    whole = tomllib.loads(file.read_text()) if file.suffix == ".toml" else json.loads(file.read_text())
    if file.name == "result.json":
        # As from before there were checksums: nothing but the schema can see what is wrong.
        whole = {key: value for key, value in whole.items() if key not in ("checksum", "sizes")} | {"files": {}}
    everywhere = list(places(whole))
    doors = list({**DOORS, "show": ("show", file.parent.name if kind > 2 else "vae")}.values())
    wrong = {}
    for number in range(27):
        path = everywhere[rng.integers(len(everywhere))]
        value = mutated(whole, path, rng)
        write(file, value)
        door = doors[number % len(doors)]
        if said := call(monkeypatch, capfd, door):
            wrong[door, path] = f"{said}: {value}"
    assert wrong == {}
