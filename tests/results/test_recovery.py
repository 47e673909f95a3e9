"""A process may be killed between any two changes on disk: no result is lost, none comes back, nothing is stuck."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bench.files import write_json
from bench.results.recovery import WRITTEN, recover
from bench.results.store import REPLACED, Store

RUN = "r"
#: All that changes a folder, or says that it is on disk.
CALLS = ("rename", "replace", "unlink", "rmdir", "mkdir", "fsync")


class Killed(BaseException):
    """Stands for SIGKILL: nothing is done after it."""


@contextmanager
def killed_at(number: int) -> Iterator[list[str]]:
    """Let so many calls through, then none any more; yields their names."""
    done: list[str] = []

    def counting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*words: Any, **options: Any) -> Any:
            if len(done) >= number:
                raise Killed
            done.append(name)
            return call(*words, **options)

        return wrapper

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, counting(name, getattr(os, name)))
        with suppress(Killed):
            yield done


def work(store: Store, who: str) -> None:
    """Do a run, as a worker does."""
    with store.claim(RUN) as folder:
        assert folder is not None
        (folder / "curves.csv").write_text("step\n")
        (folder / "weights.safetensors").write_text(who)
        write_json(folder / "result.json", {"schema_version": 1, "status": "ok", "scores": {}, "who": who})
        store.commit(folder, RUN, replace=True)


def who(store: Store) -> str | None:
    """Whose result is there, as a whole."""
    if not store.is_done(RUN):
        return None
    result = store.result(RUN)["who"]
    assert (store.runs / RUN / "weights.safetensors").read_text() == result
    return str(result)


def begin(path: Path, state: str) -> Store:
    """Make a study in which the run is missing, done, or a folder without its result."""
    store = Store(path)
    for folder in (store.runs, store.failed, store.work):
        folder.mkdir(parents=True)
    if state != "missing":
        work(store, "first")
    if state == "without a result":
        (store.runs / RUN / "result.json").unlink()
    return store


@pytest.mark.parametrize("state", ["missing", "done", "without a result"])
def test_a_kill_at_any_call_loses_nothing_and_blocks_nothing(tmp_path: Path, state: str) -> None:
    store = begin(tmp_path / "all", state)
    with killed_at(10**6) as calls:
        work(store, "second")
    assert len(calls) > 8
    assert who(store) == "second"
    before = {"missing": None, "done": "first", "without a result": None}[state]
    for number in range(len(calls)):
        store = begin(tmp_path / str(number), state)
        with killed_at(number):
            work(store, "second")
        recover(store)
        found = who(store)
        assert found in (before, "second"), f"after {number} calls, before {calls[number]}"
        assert not list(store.work.glob(f"*{REPLACED}"))
        told = recover(store)
        assert [line for line in told if "has no result.json" not in line] == []
        assert who(store) == found
        if (store.runs / RUN).exists():
            # What somebody removes stays away.
            removed = store.runs / RUN
            removed.rename(tmp_path / f"removed {number}")
            recover(store)
            assert who(store) is None
        work(store, "third")
        assert who(store) == "third"
        assert [entry.name for entry in store.work.iterdir() if entry.is_dir()] == []


@pytest.mark.parametrize("state", ["missing", "done"])
def test_a_kill_during_the_recovery_itself_loses_nothing(tmp_path: Path, state: str) -> None:
    for first in range(8, 24):
        for second in range(0, 8, 2):
            store = begin(tmp_path / f"{first} {second}", state)
            with killed_at(first):
                work(store, "second")
            with killed_at(second):
                recover(store)
            recover(store)
            assert who(store) in (None if state == "missing" else "first", "second")
            assert not list(store.work.glob(f"*{REPLACED}"))


def test_what_others_hold_is_left_alone_and_empty_folders_go(tmp_path: Path) -> None:
    store = begin(tmp_path / "study", "missing")
    (store.work / "empty").mkdir()
    (store.work / "stopped").mkdir()
    (store.work / "stopped" / "checkpoint.safetensors").write_text("x")
    with store.claim(RUN):
        assert recover(store) == []
        assert sorted(entry.name for entry in store.work.iterdir() if entry.is_dir()) == [RUN, "stopped"]


def test_a_put_back_result_and_a_folder_without_one_are_told(tmp_path: Path) -> None:
    store = begin(tmp_path / "study", "done")
    with store.claim(RUN) as folder:
        assert folder is not None
        write_json(folder / "result.json", {"schema_version": 1, "status": "ok", "scores": {}, "who": "second"})
    (store.runs / RUN).rename(store.work / f"{RUN}{REPLACED}")
    assert recover(store) == [f"run {RUN}: its earlier result was put back; replacing it had been interrupted"]
    (store.runs / RUN / "result.json").unlink()
    assert recover(store) == [f"run {RUN}: its folder has no result.json; it is replaced when the run is done again"]


def test_files_that_were_never_written_whole_go_when_they_are_old(tmp_path: Path) -> None:
    store = begin(tmp_path / "study", "missing")
    old, new = store.path / "plan.json.1.part", store.failed / "r.1.json.2.part"
    for part in (old, new):
        part.write_text("{")
    os.utime(old, (0, old.stat().st_mtime - 2 * WRITTEN))
    recover(store)
    assert not old.exists()
    assert new.exists()
