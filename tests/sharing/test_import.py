"""Studies come in whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.errors import BenchError
from bench.results.study import read_study
from bench.sharing.archive import read_archive, write_archive
from bench.sharing.export import export_archive
from bench.sharing.import_ import import_study
from helpers.files import tree


def test_provenance_says_where_a_run_came_from(packed: Path, tmp_path: Path) -> None:
    imported = import_study(packed, tmp_path)
    origin = {"file": "good.zip", "sha256": hashlib.sha256(packed.read_bytes()).hexdigest()}
    for facts in read_study(imported.path).provenance.values():
        assert facts["imported"] == origin
        assert facts["hardware"]["cpu"]


def test_provenance_may_be_missing(study: Path, tmp_path: Path) -> None:
    for file in study.glob("runs/*/provenance.json"):
        file.unlink()
    export_archive(study, tmp_path / "a.zip")
    imported = import_study(tmp_path / "a.zip", tmp_path / "there")
    assert all(set(facts) == {"imported"} for facts in read_study(imported.path).provenance.values())
    export_archive(imported.path, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_study_that_is_there_is_not_overwritten(packed: Path, tmp_path: Path) -> None:
    import_study(packed, tmp_path, name="mine")
    before = tree(tmp_path)
    with pytest.raises(BenchError, match=r"exists; name another --study, or add the runs to it with --merge"):
        import_study(packed, tmp_path, name="mine")
    (tmp_path / "other").mkdir()
    with pytest.raises(BenchError, match="exists"):
        import_study(packed, tmp_path, name="other")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\\b", ".hidden", "/etc/x", "a\nb", "x" * 200])
def test_a_name_from_outside_stays_inside(packed: Path, tmp_path: Path, name: str) -> None:
    files = read_archive(packed).files
    (tmp_path / "a.zip").write_bytes(write_archive(name, files))
    with pytest.raises(BenchError, match=r"can't be a study's name; give another with --study"):
        import_study(tmp_path / "a.zip", tmp_path / "results")
    assert sorted(tree(tmp_path)) == ["a.zip"]
    assert import_study(tmp_path / "a.zip", tmp_path / "results", name="fine").path == tmp_path / "results" / "fine"


@pytest.mark.parametrize("broken", ["write_bytes", "rename"])
def test_an_import_that_breaks_off_leaves_nothing(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    real, calls = getattr(Path, broken), []

    def fail(self: Path, *args: Any) -> Any:
        calls.append(self)
        if broken == "rename" or len(calls) > 4:
            raise OSError(28, "No space left on device")
        return real(self, *args)

    monkeypatch.setattr(Path, broken, fail)
    with pytest.raises(BenchError, match="the disk is full"):
        import_study(packed, tmp_path)
    assert calls
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_or_unreadable(tmp_path: Path) -> None:
    for file in (tmp_path / "none.zip", tmp_path):
        with pytest.raises(BenchError, match="no such file"):
            import_study(file, tmp_path / "results")


def test_from_one_results_folder_to_another(bench: Callable[..., Any], study: Path, tmp_path: Path) -> None:
    code, out, err = bench("export", "toy")
    assert (code, err) == (0, "")
    assert out.startswith("export: toy.zip (9 runs")
    code, out, _ = bench("import", "toy.zip", "--results", "there", "--study", "copy")
    assert code == 0
    assert "9 runs added" in out
    pd.testing.assert_frame_equal(read_study(tmp_path / "there" / "copy").runs, read_study(study).runs)
    code, out, _ = bench("import", "toy.zip", "--merge")
    assert (code, "0 runs added, 9 were there already" in out) == (0, True)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["export", "to"], "did you mean 'toy'?"),
        (["export", "toy", "--out", "x.tar"], "must end in .zip or .tar.xz or .parquet"),
        (["export", "toy", "--out", "none/x.zip"], "--out 'none/x.zip': No such file or directory"),
        (["export", "toy", "--pictures", "first"], "--pictures first; did you mean 'first-seed'?"),
        (["export", "toy", "--out", "x.parquet", "--pictures", "all"], "--pictures belongs to a .zip"),
        (["import", "none.zip"], "'none.zip': no such file"),
        (["import", "results/toy/study.toml"], "no archive of `bench export`"),
    ],
)
def test_mistakes_are_one_line(bench: Callable[..., Any], study: Path, words: list[str], match: str) -> None:
    code, out, err = bench(*words)
    assert (code, out) == (2, "")
    assert err.startswith("bench: ")
    assert err.count("\n") == 1
    assert match in err
