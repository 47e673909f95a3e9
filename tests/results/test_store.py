"""Run folders: committed whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib

import pytest
import tomli_w

from bench.errors import BenchError
from bench.files import write_json
from bench.results.store import Store, explain
from helpers.specs import specs_of


def result(who):
    """Return a result that can be told from others."""
    return {"schema_version": 1, "status": "ok", "scores": {}, "who": who}


@pytest.fixture
def specs():
    return specs_of(["vae"], seeds=[0, 1])


@pytest.fixture
def store(tmp_path, specs):
    store = Store(tmp_path / "results" / "s")
    store.create({"notice": "x"}, specs, "bench run")
    return store


def test_create_records_the_plan_beside_earlier_ones(store, specs):
    more = specs_of(["beta_vae"])
    store.create({"notice": "x"}, more, "bench run again")
    assert store.planned() == sorted(s.run_id for s in [*specs, *more])
    record = tomllib.loads((store.path / "study.toml").read_text())["record"]
    assert record["planned"] == 3
    assert record["commands"] == ["bench run", "bench run again"]


def test_commit_is_a_rename_and_the_first_writer_wins(store):
    with store.claim("r") as folder:
        write_json(folder / "result.json", result("first"))
        store.commit(folder, "r")
    assert not folder.exists()
    with store.claim("r") as folder:
        write_json(folder / "result.json", result("second"))
        store.commit(folder, "r")
    assert store.result("r") == result("first")
    assert not folder.exists()


def test_rerun_replaces_only_when_the_new_one_is_there(store):
    for who in ("first", "second"):
        with store.claim("r") as folder:
            write_json(folder / "result.json", result(who))
            store.commit(folder, "r", replace=True)
    assert store.result("r") == result("second")


def test_a_kill_between_the_two_renames_of_a_replacement_loses_nothing(store):
    with store.claim("r") as folder:
        write_json(folder / "result.json", result("first"))
        store.commit(folder, "r")
    with store.claim("r") as folder:
        # What was to replace it is whole before the first rename.
        write_json(folder / "result.json", result("second"))
    (store.runs / "r").rename(store.work / "r.replaced")
    assert not store.is_done("r")
    with store.claim("r"):
        assert store.result("r") == result("first")


def test_a_claimed_run_is_not_given_twice_and_is_free_after_a_kill(store):
    code = (
        "import sys, time; from pathlib import Path; from bench.results.store import Store\n"
        f"with Store(Path({str(store.path)!r})).claim('r') as folder:\n"
        "    print(folder is not None, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "True\n"
        with store.claim("r") as folder:
            assert folder is None
        other.kill()
        other.wait()
    with store.claim("r") as folder:
        assert folder is not None


def test_an_older_schema_is_refused_with_a_way_out(store, specs):
    (store.path / "study.toml").write_text(tomli_w.dumps({"record": {"schema_version": 0, "name": "s"}}))
    with pytest.raises(BenchError, match=r"has schema 0, this version writes 1; name another --study"):
        store.create({}, specs)


@pytest.mark.parametrize("name", ["study.toml", "plan.json"])
def test_a_damaged_study_is_named(store, specs, name):
    (store.path / name).write_text("{[")
    with pytest.raises(BenchError, match=f"{name}' can't be read: "):
        store.create({}, specs)


def test_a_damaged_result_is_named(store):
    with store.claim("r") as folder:
        (folder / "result.json").write_text('{"sta')
        store.commit(folder, "r")
    with pytest.raises(BenchError, match=r"result.json can't be read: .*; or remove that run's folder"):
        store.result("r")


def test_a_file_in_the_way(tmp_path, specs):
    (tmp_path / "results").write_text("")
    with pytest.raises(BenchError, match="a file stands where a folder should"):
        Store(tmp_path / "results" / "s").create({}, specs)


@pytest.mark.parametrize(
    ("code", "words"), [(28, "the disk is full"), (30, "read-only"), (13, "no permission"), (122, "quota")]
)
def test_disk_errors_are_said_in_words(tmp_path, code, words):
    assert words in explain(OSError(code, "x"), tmp_path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bench.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_finished_run_is_adopted_from_another_study(store, specs, tmp_path):
    other = Store(tmp_path / "results" / "other")
    other.create({}, specs)
    with other.claim("r") as folder:
        write_json(folder / "result.json", result("other"))
        other.commit(folder, "r")
    assert store.adopt(other, "r")
    assert store.result("r") == result("other") == other.result("r")
    assert not store.adopt(other, "r"), "it is there already"
    assert not store.adopt(other, "nothing")
