"""What goes out of a study, and that it comes back as the same study."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.files import write_json
from bench.results.study import read_study
from bench.sharing import archive, containers
from bench.sharing.archive import read_archive
from bench.sharing.export import collect, export_archive, export_table, hide_paths
from bench.sharing.import_ import import_study
from bench.sharing.opening import opened
from bench.tuning import udr
from helpers.archives import finish, members, names
from helpers.files import tree
from helpers.synthetic import Build


def test_what_is_exported_and_imported_is_the_same_study(study: Path, tmp_path: Path) -> None:
    done = export_archive(study, tmp_path / "a.zip", pictures="all")
    imported = import_study(tmp_path / "a.zip", tmp_path / "there")
    assert imported.path == tmp_path / "there" / "toy"
    assert sorted(imported.added) == sorted(done.runs)
    before, after = read_study(study), read_study(imported.path)
    pd.testing.assert_frame_equal(before.runs, after.runs)
    pd.testing.assert_frame_equal(before.summary, after.summary)
    assert before.specs == after.specs
    pictures = {name for name in tree(study) if name.endswith((".png", ".csv"))}
    assert pictures
    assert all((imported.path / name).read_bytes() == (study / name).read_bytes() for name in pictures)


@pytest.mark.parametrize("name", [None, "another name"])
def test_an_imported_study_exports_to_the_same_bytes(study: Path, tmp_path: Path, name: str | None) -> None:
    export_archive(study, tmp_path / "a.zip")
    imported = import_study(tmp_path / "a.zip", tmp_path / "there", name=name)
    export_archive(imported.path, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_bytes_depend_on_content_alone(study: Path, tmp_path: Path) -> None:
    export_archive(study, tmp_path / "a.zip")
    copy = tmp_path / "elsewhere" / "toy"
    shutil.copytree(study, copy)
    for file in copy.rglob("*.json"):
        file.write_text(json.dumps(json.loads(file.read_text()), indent=3))
    export_archive(copy, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    result = next(copy.glob("runs/*/result.json"))
    record = json.loads(result.read_text())
    record["scores"]["mig"] += 1e-15
    result.write_text(json.dumps(record))
    export_archive(copy, tmp_path / "c.zip")
    assert (tmp_path / "a.zip").read_bytes() != (tmp_path / "c.zip").read_bytes()


def test_intervals_stay_what_they_are_under_another_name(study: Path, tmp_path: Path) -> None:
    export_archive(study, tmp_path / "a.zip")
    imported = import_study(tmp_path / "a.zip", tmp_path / "there", name="renamed")
    pd.testing.assert_frame_equal(read_study(study).summary, read_study(imported.path).summary)


def test_the_committed_reference_can_be_exported(packed: Path) -> None:
    opened = read_archive(packed)
    assert opened.study == "quick-dsprites"
    assert len({name.split("/")[1] for name in opened.files if name.startswith("runs/")}) == 2
    assert sum(name.endswith(".png") for name in opened.files) == 4


def test_curves_are_checked_where_no_checksum_names_them(study: Path, tmp_path: Path) -> None:
    curves = next(study.glob("runs/*/curves.csv"))
    for content in ("", "kl\n1\n", "step,kl\n1,abc\n", "step,kl\n1,2\n3,4,5\n"):
        curves.write_text(content)
        with pytest.raises(BenchError, match=r"curves\.csv"):
            export_archive(study, tmp_path / "a.zip")


def test_the_udr_that_a_tuning_study_chose_by_goes_with_it(study: Path, tmp_path: Path) -> None:
    # It is measured on weights, which an archive has none of.
    found = {folder.name: 0.25 for folder in (study / "runs").iterdir()}
    write_json(study / "udr.json", found)
    export_archive(study, tmp_path / "a.zip")
    with opened(tmp_path / "a.zip") as folder:
        assert udr.read(folder) == udr.read(study) == found


def test_only_records_go_out(study: Path, tmp_path: Path) -> None:
    run = next((study / "runs").iterdir())
    for name in ("weights.safetensors", "codes.npz", "checkpoint.safetensors", "log.txt", "payload.pkl", "a.png"):
        (run / name).write_text("secret")
    for name in (".env", "runs.jsonl", "notes.md", "failed/x.1.json", ".tmp/y/spec.json", "runs/stray.txt"):
        (study / name).parent.mkdir(parents=True, exist_ok=True)
        (study / name).write_text("secret")
    runs = [folder.name for folder in (study / "runs").iterdir() if folder.is_dir()]
    for name in runs:
        (study / "runs" / name / "scores_by_step.csv").write_text("step,mig\n100,0.1\n")
        (study / "runs" / name / "samples.png").write_bytes((study / "runs" / name / "traversals.png").read_bytes())
    export_archive(study, tmp_path / "a.zip")
    expected = {f"runs/{run}/{name}" for run in runs for name in archive.RECORDS}
    assert names(tmp_path / "a.zip") == expected | {"study.toml", "plan.json", "manifest.json"}
    export_archive(study, tmp_path / "b.zip", pictures="all")
    pictures = {f"runs/{run}/{name}" for run in runs for name in archive.PICTURES}
    assert names(tmp_path / "b.zip") == names(tmp_path / "a.zip") | pictures
    assert all(b"secret" not in content for _, content in members(tmp_path / "b.zip"))


def test_runs_that_failed_or_are_in_work_are_left_out(study: Path, study_builder: Build, tmp_path: Path) -> None:
    running = study / "runs" / "dsprites-vae-s009-00000000"
    running.mkdir()
    (running / "spec.json").write_text("{}")
    failed = study_builder().fail("factor_vae", 5)
    done = export_archive(study, tmp_path / "a.zip")
    assert done.failed == [failed]
    assert len(done.runs) == 9
    assert not any("s009" in name or "factor_vae" in name for name in names(tmp_path / "a.zip"))


def test_no_path_of_the_users_goes_out(study_builder: Build, tmp_path: Path) -> None:
    builder = study_builder()
    data = {"name": "npz", "version": 1, "options": {}, "paths": {"path": "/home/jane/lab/digits.npz"}, "sha256": "a"}
    facts = {"plugins": {"/home/jane/mine.py": "ab"}, "note": "file:///home/jane/x/y.txt"}
    builder.run("vae", 0, {"kl": 1.0}, dataset=data, provenance=facts)
    path = finish(
        builder.study(),
        datasets=["npz[path=/home/jane/lab/digits.npz,grey=true]"],
        notice="preset 'quick' changed: dataset.npz.path=/home/jane/lab/digits.npz, train.steps=5",
        dataset={"npz": {"path": r"C:\Users\jane\digits.npz"}},
    )
    meta = path / "study.toml"
    command = "bench run --results '/home/jane doe/r' --plugin ~jane/mine.py -d 'npz[path=/home/jane/d.npz]' --seeds 3"
    meta.write_text(meta.read_text().replace("bench run --seeds 3", command))
    run = read_study(path).runs["run"].iloc[0]
    done = export_archive(path, tmp_path / "a.zip")
    assert done.paths_left == []
    assert all(b"jane" not in content and b"/home" not in content for _, content in members(tmp_path / "a.zip"))
    imported = import_study(tmp_path / "a.zip", tmp_path / "there")
    assert imported.added == [run]
    after = read_study(imported.path)
    assert after.specs[run]["dataset"]["paths"] == {"path": "digits.npz"}
    assert after.meta["commands"] == ["bench run --results r --plugin mine.py -d 'npz[path=d.npz]' --seeds 3"]
    assert after.meta["notice"] == "preset 'quick' changed: dataset.npz.path=digits.npz, train.steps=5"
    assert after.meta["datasets"] == ["npz[path=digits.npz,grey=true]"]


def test_the_checksum_of_a_spec_follows_its_path(study_builder: Build, tmp_path: Path) -> None:
    builder = study_builder()
    data = {"name": "npz", "version": 1, "options": {}, "paths": {"path": "/home/jane/d.npz"}, "sha256": "a"}
    run = builder.run("vae", 0, {"kl": 1.0}, dataset=data)
    folder = builder.root / "runs" / run
    result = json.loads((folder / "result.json").read_text())
    result["files"] = {"spec.json": hashlib.sha256((folder / "spec.json").read_bytes()).hexdigest()}
    (folder / "result.json").write_text(json.dumps(result))
    path = finish(builder.study())
    export_archive(path, tmp_path / "a.zip")
    import_study(tmp_path / "a.zip", tmp_path / "there")
    # A spec that was changed after the run is found out instead.
    spec = next(path.glob("runs/*/spec.json"))
    spec.write_text(spec.read_text() + " ")
    with pytest.raises(BenchError, match=r"spec\.json isn't the file that the run's result names"):
        export_archive(path, tmp_path / "b.zip")


def test_a_path_that_is_a_part_of_the_id_stays_and_is_reported(study_builder: Build) -> None:
    builder = study_builder()
    data = {"name": "mine", "version": 1, "options": {"file": "/home/jane/d.npz"}, "paths": {}, "sha256": "a"}
    builder.run("vae", 0, {"kl": 1.0}, dataset=data)
    done = collect(finish(builder.study()))
    assert done.paths_left == done.runs


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/jane/x", "x"),
        ("/home/jane doe/x y.npz", "x y.npz"),
        ("--results=/home/jane/r/", "--results=r"),
        ("~/data/x.npz", "x.npz"),
        ("\\\\server\\share\\x.npz", "x.npz"),
        ("D:/data/x.npz", "x.npz"),
        ("see /a/b/c.txt; or /d/e/f.txt", "see c.txt; or f.txt"),
        ("results/reference", "results/reference"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("nats/image, 3 / 4, and/or", "nats/image, 3 / 4, and/or"),
        ("dsprites[pos_x=8:24,size=32]", "dsprites[pos_x=8:24,size=32]"),
        ('npz[path="/a,b/jane/x,y=1].npz",n=1]', 'npz[path="x,y=1].npz",n=1]'),
        ("npz[path='/home/jane, j/x.npz']", "npz[path='x.npz']"),
        ('npz[path="C:\\a, b\\x.npz"]', 'npz[path="x.npz"]'),
    ],
)
def test_hidden_paths(text: str, shown: str) -> None:
    assert hide_paths(text) == shown


PART = st.text(st.characters(categories=("L", "N"), include_characters=" .-_()'"), min_size=1).filter(
    lambda part: part.strip() and part == part.strip() and part.strip(".")
)


@given(st.lists(PART, min_size=3, max_size=6), st.sampled_from(["/", "~/", "C:\\", "file:///"]), st.booleans())
def test_of_a_path_only_the_last_part_is_left(parts: list[str], root: str, as_option: bool) -> None:
    parts = [parts[0].replace(" ", "_"), *parts[1:]]
    path = root + ("\\" if root == "C:\\" else "/").join(parts)
    shown = hide_paths(f"npz[path={path},grey=true]" if as_option else path)
    assert shown == (f"npz[path={parts[-1]},grey=true]" if as_option else parts[-1])


def test_a_study_that_nobody_could_import_is_not_exported(study: Path, tmp_path: Path) -> None:
    run = next((study / "runs").iterdir())
    run.rename(run.with_name("dsprites-vae-s000-00000000"))
    with pytest.raises(BenchError, match="describes another run"):
        export_archive(study, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_the_table_as_parquet(study: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    assert export_table(study, tmp_path / "x.parquet") == 9
    back, runs = pd.read_parquet(tmp_path / "x.parquet"), read_study(study).runs
    pd.testing.assert_frame_equal(back, runs, check_dtype=False)
    assert back["mig"].dtype == np.float64


def test_settings_of_several_types_share_a_column(study_builder: Build, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    builder = study_builder()
    for seed, value in enumerate([4.0, "ramp", True]):
        builder.run("mine", seed, {"kl": 1.0}, hyper={"schedule": value, "on": True} if seed else {"schedule": value})
    export_table(finish(builder.study()), tmp_path / "x.parquet")
    back = pd.read_parquet(tmp_path / "x.parquet")
    assert sorted(back["hyper.schedule"]) == ["4.0", "True", "ramp"]
    assert back["hyper.on"].isna().sum() == 1


def test_without_pyarrow_one_line_says_what_to_install(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BenchError, match=r"pip install 'disbench\[parquet\]'"):
        export_table(study, tmp_path / "x.parquet")


def test_limits_hold_for_what_goes_out_too(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_FILES", 5)
    with pytest.raises(BenchError, match="too large for an archive"):
        export_archive(study, tmp_path / "a.zip")
