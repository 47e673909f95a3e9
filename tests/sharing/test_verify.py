"""`bench verify`: a line per damaged file, of folders and of archives; and what is damaged isn't shared."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.sharing.export import export_archive
from bench.sharing.import_ import import_study
from bench.sharing.verify import verify
from helpers.archives import finish, members, pack
from helpers.damage import ALL, HARMLESS, cut, record
from helpers.synthetic import Build

Bench = Callable[..., tuple[int, str, str]]


@pytest.fixture
def study(study_builder: Build) -> Path:
    return record(finish(study_builder().fill([1, 3], ["vae"], rows=8, pictures=True)))


def damaged_run(study: Path) -> Path:
    return next((study / "runs").glob("*-s001-*"))


@pytest.mark.parametrize("kind", ALL)
def test_one_line_per_damaged_file_and_exit_code_3(bench: Bench, study: Path, kind: str) -> None:
    assert bench("verify", "toy")[0] == 0
    file, damage = ALL[kind]
    run = damaged_run(study)
    damage(run)
    code, out, err = bench("verify", "toy")
    assert code == 3
    (line,) = out.splitlines()
    assert f"runs/{run.name}/{file} " in line
    assert "1 damaged files; `bench run --repair`" in err


@pytest.mark.parametrize("kind", ALL)
def test_what_is_damaged_is_not_exported(study: Path, kind: str, tmp_path: Path) -> None:
    ALL[kind][1](damaged_run(study))
    if kind in HARMLESS:
        export_archive(study, tmp_path / "a.zip")
        return
    with pytest.raises(BenchError, match=ALL[kind][0].replace(".", r"\.")):
        export_archive(study, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_every_damaged_file_of_a_study_is_told(study: Path) -> None:
    runs = sorted((study / "runs").iterdir())
    for name in ("provenance.json", "curves.csv", "reconstructions.png", "weights.safetensors"):
        cut(name)(runs[0])
    (runs[1] / "result.json").unlink()
    (study / "plan.json").write_text('{"runs": null}')
    (study / "failed").mkdir()
    (study / "failed" / "x.1.json").write_text("[1]")
    found = verify(study).damaged
    assert list(found) == [
        "failed/x.1.json", "plan.json",
        *(f"runs/{runs[0].name}/{name}" for name in (
            "curves.csv", "provenance.json", "reconstructions.png", "weights.safetensors"
        )),
        f"runs/{runs[1].name}/result.json",
    ]  # fmt: skip
    assert found[f"runs/{runs[1].name}/result.json"] == "isn't there"


@pytest.mark.parametrize("suffix", [".zip", ".tar.xz"])
def test_archives_and_what_comes_out_of_them_are_whole_without_weights(
    bench: Bench, study: Path, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"toy{suffix}"
    export_archive(study, file, pictures="all")
    assert bench("verify", str(file))[:2] == (0, "")
    import_study(file, tmp_path / "there")
    assert bench("verify", str(tmp_path / "there" / "toy"))[:2] == (0, "")
    content = file.read_bytes()
    file.write_bytes(content[:-200] + bytes(200))
    code, out, _ = bench("verify", str(file))
    assert (code, len(out.splitlines())) == (3, 1)
    assert str(file) in out


def test_each_damaged_file_of_an_archive_is_told(study: Path, tmp_path: Path) -> None:
    file = tmp_path / "toy.zip"
    export_archive(study, file)
    with zipfile.ZipFile(file) as packed:
        names = sorted(name for name in packed.namelist() if name.endswith(("curves.csv", "spec.json")))[:2]
    edited = [(info, content + b" " if info.filename in names else content) for info, content in members(file)]
    file.write_bytes(pack(edited, manifest=False))
    assert verify(file).damaged == dict.fromkeys(names, "isn't what its manifest says")


def test_a_result_that_was_edited_before_it_was_packed_stays_out(study: Path, tmp_path: Path) -> None:
    file = tmp_path / "toy.zip"
    export_archive(study, file)
    edited = [
        (info, content.replace(b'"mig": 0.', b'"mig": 1.') if info.filename.endswith("result.json") else content)
        for info, content in members(file)
    ]
    file.write_bytes(pack(edited))
    with pytest.raises(BenchError, match=r"result\.json isn't what the run recorded"):
        import_study(file, tmp_path / "there")


def test_a_result_whose_spec_is_rewritten_on_the_way_is_sealed_anew(study_builder: Build, tmp_path: Path) -> None:
    data = {"name": "npz", "version": 1, "options": {}, "paths": {"path": "/home/jane/d.npz"}, "sha256": "a"}
    study = record(finish(study_builder().fill([1], ["vae"], dataset=data)))
    export_archive(study, tmp_path / "toy.zip")
    imported = import_study(tmp_path / "toy.zip", tmp_path / "there").path
    assert verify(imported).damaged == {}
    # The run is one and the same with and without the checksum of its own.
    import_study(tmp_path / "toy.zip", tmp_path / "there", merge=True)


def test_runs_whose_scores_nothing_vouches_for_are_counted(bench: Bench, study_builder: Build, tmp_path: Path) -> None:
    finish(study_builder().fill([1], ["vae"]))
    code, out, err = bench("verify", "toy")
    assert (code, out) == (0, "")
    assert "1 of 1 runs were recorded before results had a checksum of their own" in err
    (tmp_path / "x.txt").write_text("x")
    assert bench("verify", "x.txt")[0] == 2
