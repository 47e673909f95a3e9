"""A merge adds what is missing and changes nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from bench.errors import BenchError
from bench.results.study import read_study
from bench.sharing.export import export_archive
from bench.sharing.import_ import import_study
from helpers.archives import finished_study
from helpers.files import tree
from helpers.synthetic import Build


def test_a_merge_adds_what_is_missing(study_builder: Build, tmp_path: Path) -> None:
    ours, theirs = finished_study(study_builder, "ours", range(3)), finished_study(study_builder, "theirs", range(1, 6))
    whole = read_study(finished_study(study_builder, "whole", range(6))).runs
    meta = theirs / "study.toml"
    meta.write_text(meta.read_text().replace("--seeds 3", "--seeds 1-5"))
    for file in theirs.glob("runs/*/provenance.json"):
        file.write_text(json.dumps({"hardware": {"cpu": "Another CPU"}, "wall_s": 61.5}))
    export_archive(theirs, tmp_path / "a.zip")
    before = tree(ours)
    done = import_study(tmp_path / "a.zip", tmp_path / "results", name="ours", merge=True)
    assert (len(done.added), len(done.known)) == (6, 4)
    after = read_study(ours)
    pd.testing.assert_frame_equal(after.runs, whole)
    assert after.planned == 12
    assert after.meta["commands"] == ["bench run --seeds 3", "bench run --seeds 1-5"]
    assert {facts["hardware"]["cpu"] for facts in after.provenance.values()} == {"Some CPU", "Another CPU"}
    # What was there is untouched, provenance too.
    assert {name: tree(ours)[name] for name in before if name.startswith("runs/")} == {
        name: content for name, content in before.items() if name.startswith("runs/")
    }
    again = import_study(tmp_path / "a.zip", tmp_path / "results", name="ours", merge=True)
    assert (len(again.added), len(again.known)) == (0, 10)


@pytest.mark.parametrize("part", ["scores", "curves", "metrics"])
def test_a_run_with_another_content_is_named_and_nothing_changes(
    study_builder: Build, tmp_path: Path, part: str
) -> None:
    ours, theirs = finished_study(study_builder, "ours", range(3)), finished_study(study_builder, "theirs", range(5))
    folder = next(theirs.glob("runs/dsprites-beta_vae-s001-*"))
    if part == "curves":
        (folder / "curves.csv").write_text((folder / "curves.csv").read_text().replace("1", "2"))
    else:
        # What is measured is no part of the id.
        file = folder / ("result.json" if part == "scores" else "spec.json")
        record = json.loads(file.read_text())
        table, key = (record, "scores") if part == "scores" else (record["evaluation"], "metrics")
        table[key] |= {"mig": 2}
        file.write_text(json.dumps(record))
    export_archive(theirs, tmp_path / "a.zip")
    before = tree(ours)
    name = {"scores": "result.json", "curves": "curves.csv", "metrics": "spec.json"}[part]
    with pytest.raises(BenchError, match=rf"run {folder.name} is in .* with another {name}"):
        import_study(tmp_path / "a.zip", tmp_path / "results", name="ours", merge=True)
    assert {key: value for key, value in tree(ours).items() if not key.startswith(".tmp")} == before


def test_versions_are_not_mixed_unless_asked_for(study_builder: Build, tmp_path: Path) -> None:
    ours = finished_study(study_builder, "ours", range(3))
    export_archive(finished_study(study_builder, "theirs", range(3, 6), version=2), tmp_path / "a.zip")
    before = tree(ours)
    with pytest.raises(BenchError, match=r"method beta_vae: 1 and 2.*allow it with --mixed"):
        import_study(tmp_path / "a.zip", tmp_path / "results", name="ours", merge=True)
    assert {key: value for key, value in tree(ours).items() if not key.startswith(".tmp")} == before
    import_study(tmp_path / "a.zip", tmp_path / "results", name="ours", merge=True, mixed=True)
    assert read_study(ours, mixed=True).runs["label"].nunique() == 4


@pytest.mark.parametrize("at", ["rename", "plan", "study"])
def test_a_merge_that_breaks_off_takes_back_what_it_moved(
    study_builder: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    ours, theirs = finished_study(study_builder, "ours", range(2)), finished_study(study_builder, "theirs", range(6))
    export_archive(theirs, tmp_path / "a.zip")
    before, real, moved = tree(ours), Path.rename, []

    def rename(self: Path, target: Path) -> Path:
        if target.parent.name == "runs":
            moved.append(target)
            if at == "rename" and len(moved) == 4:
                raise OSError(28, "No space left on device")
        return real(self, target)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", rename)
    if at == "plan":
        monkeypatch.setattr("bench.sharing.import_.write_json", full)
    if at == "study":
        # After the plan is written; what is put back is written in the same way.
        monkeypatch.setattr("bench.sharing.import_.tomli_w", SimpleNamespace(dumps=full))
    with pytest.raises(BenchError, match="the disk is full"):
        import_study(tmp_path / "a.zip", tmp_path / "results", name="ours", merge=True)
    assert len(moved) == (4 if at == "rename" else 8)
    assert {key: value for key, value in tree(ours).items() if not key.startswith(".tmp")} == before


def test_a_merge_needs_a_study(packed: Path, tmp_path: Path) -> None:
    import_study(packed, tmp_path, name="quick-dsprite")
    with pytest.raises(BenchError, match=r"no study 'quick-dsprites'.*did you mean 'quick-dsprite'\?"):
        import_study(packed, tmp_path, merge=True)


def test_a_failed_run_is_mended_by_a_merge(study_builder: Build, tmp_path: Path) -> None:
    ours, theirs = finished_study(study_builder, "ours", range(2)), finished_study(study_builder, "theirs", range(3))
    export_archive(theirs, tmp_path / "a.zip")
    run = next(theirs.glob("runs/dsprites-vae-s002-*")).name
    (ours / "failed").mkdir()
    (ours / "failed" / f"{run}.1.json").write_text("{}")
    import_study(tmp_path / "a.zip", tmp_path / "results", name="ours", merge=True)
    assert list((ours / "failed").iterdir()) == []
