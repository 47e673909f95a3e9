"""Studies are read from archives as they are from their folders, by every command."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from bench.config.expand import expand
from bench.config.study import resolve
from bench.errors import BenchError
from bench.execution.run import run_study
from bench.results.study import read_study
from bench.sharing import opening
from bench.sharing.archive import read_archive, write_archive
from bench.sharing.containers import SUFFIXES
from bench.sharing.export import collect, export_archive
from bench.sharing.import_ import import_study
from bench.sharing.opening import locate, name_of, opened, opened_study, studies_in
from helpers.archives import finish
from helpers.files import tree
from helpers.synthetic import Build

Bench = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where archives are unpacked, which holds nothing afterwards."""
    place = tmp_path_factory.mktemp("unpacked-here")
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield place
    assert list(place.iterdir()) == []


@pytest.fixture
def study(study_builder: Build) -> Path:
    """A study of six runs with pictures, under ``results/toy``, whose report has few figures besides theirs."""
    path = study_builder().fill(range(2), ["vae", "beta_vae", "untrained"], pictures=True, rows=8)
    return finish(path, figures=["traversals", "reconstructions", "animation", "kl_per_latent"])


def packed(study: Path, out: Path) -> Path:
    export_archive(study, out, pictures="all")
    return out


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_is_opened_as_the_folder_that_it_was(study: Path, tmp_path: Path, suffix: str) -> None:
    file = packed(study, tmp_path / f"any name{suffix}")
    with opened(file) as folder:
        assert folder.name == "toy"
        assert tree(folder) == collect(study, pictures="all").files
        with pytest.raises(BenchError, match=rf"^{file}/runs/x/result\.json is broken$"), opened(file) as inner:
            raise BenchError(f"{inner}/runs/x/result.json is broken")
    assert not folder.exists()
    before = read_study(study)
    with opened_study(file) as after:
        pd.testing.assert_frame_equal(before.runs, after.runs)
        assert before.provenance == after.provenance


def test_a_folder_is_passed_on_untouched(study: Path) -> None:
    (study / "runs" / "damaged").mkdir()
    (study / "runs" / "damaged" / "result.json").write_text("{")
    with opened(study) as folder:
        assert folder is study


def test_runs_that_are_taken_over_say_where_they_are_from(study: Path, tmp_path: Path) -> None:
    file = packed(study, tmp_path / "theirs.zip")
    with opened(file, marked=True) as folder:
        found = read_study(folder).provenance.values()
        assert {facts["imported"]["file"] for facts in found} == {"theirs.zip"}


@pytest.mark.parametrize("name", ["..", "a/b", "/etc/x", ""])
def test_a_name_from_outside_makes_no_folder(study: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(write_archive(name, collect(study).files))
    with pytest.raises(BenchError, match="can't be a study's name"), opened(file):
        pass


def test_where_nothing_can_be_unpacked(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    file = packed(study, tmp_path / "a.zip")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BenchError, match=r"a\.zip' can't be unpacked .*: No space left"), opened(file):
        pass


def test_memory_is_used_where_there_is_ample_room(
    study: Path, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = packed(study, tmp_path / "a.zip")
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(opening, "MEMORY", str(memory))
    with opened(file) as folder:
        assert folder.is_relative_to(temporary)
    monkeypatch.delenv("TMPDIR")
    with opened(file) as folder:
        assert folder.is_relative_to(memory)
    for place in (str(tmp_path / "none"), str(memory)):
        monkeypatch.setattr(opening, "MEMORY", place)
        monkeypatch.setattr(opening, "BLOCK", 2**60)
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        with opened(file) as folder:
            assert folder.is_relative_to(temporary)


@pytest.fixture(scope="module")
def quick(reference_study: Callable[[str], Path]) -> Path:
    """Return a committed study, unpacked before any test looks at what it unpacks itself."""
    return reference_study("quick-dsprites")


def test_a_study_takes_over_the_runs_of_an_archive(quick: Path, tmp_path: Path, temporary: Path) -> None:
    file = packed(quick, tmp_path / "theirs.tar.xz")
    # Only what is measured as it was when the archive was made.
    asked = resolve("quick", methods=["vae"], seeds=[0, 1], evaluation={"metrics": ["reconstruction", "kl"]})
    assert run_study(asked, expand(asked), tmp_path / "ours", reuse=[file]) == []
    taken = read_study(tmp_path / "ours")
    assert sorted(taken.runs["run"]) == sorted(spec.run_id for spec in expand(asked))
    assert {facts["imported"]["file"] for facts in taken.provenance.values()} == {"theirs.tar.xz"}
    for name, content in tree(tmp_path / "ours").items():
        assert str(temporary).encode() not in content, name


# Finding them


def test_studies_are_found_by_name_and_a_folder_goes_first(study: Path, tmp_path: Path) -> None:
    results = study.parent
    for name in ("toy.zip", "other.tar.xz", "third.zip", "third.tar.xz"):
        packed(study, results / name)
    (results / "README.md").write_text("no study")
    assert [path.name for path in studies_in(results)] == ["other.tar.xz", "third.zip", "toy"]
    assert [name_of(path) for path in studies_in(results)] == ["other", "third", "toy"]
    assert locate("toy", results) == study
    assert locate("other", results) == locate("other.tar.xz", results) == results / "other.tar.xz"
    assert locate(str(results / "other"), results) == results / "other.tar.xz"
    copied = tmp_path / "downloaded"
    shutil.copy(results / "third.zip", copied)
    assert locate(str(copied), results) == copied
    with pytest.raises(BenchError, match=r"no study 'othr'.*did you mean 'other'"):
        locate("othr", results)


# What commands make of them


def assert_clean(out: str, temporary: Path) -> None:
    assert "Traceback" not in out
    assert str(temporary) not in out
    assert "disbench-" not in out


def test_a_report_of_an_archive_has_the_bytes_of_the_folders(
    study: Path, tmp_path: Path, bench: Bench, temporary: Path
) -> None:
    diverged = next((study / "runs").glob("*-beta_vae-s000-*"))
    result = json.loads((diverged / "result.json").read_text())
    (diverged / "result.json").write_text(json.dumps(result | {"status": "diverged"}))
    export_archive(study, tmp_path / "toy.zip", pictures="all")
    export_archive(study, tmp_path / "results" / "one.tar.xz", pictures="first-seed")
    with_pictures = {name.split("/")[1][:-9] for name in collect(study, pictures="first-seed").files if "png" in name}
    assert with_pictures == {"dsprites-vae-s000", "dsprites-beta_vae-s001", "dsprites-untrained-s000"}

    assert bench("report", "toy", "one", "-q")[0] == 0
    assert bench("report", "toy.zip", "-q", "--reports", "again")[:2] == (0, "report: again/toy/report.md\n")
    whole, light = (tree(tmp_path / "reports" / name) for name in ("toy", "one"))
    assert {name.rpartition(".")[2] for name in whole} == {"md", "tex", "csv", "html", "png", "pdf", "gif"}
    assert tree(tmp_path / "again" / "toy") == whole
    for content in whole.values():
        assert str(temporary).encode() not in content
    # Figures need pictures of one seed; the page also names those of the others, where there are any.
    assert whole.pop("report.html") != light.pop("report.html")
    assert light == whole


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["aggregate"], ["claims", "--json"]])
def test_commands_print_the_same(study: Path, tmp_path: Path, bench: Bench, words: list[str]) -> None:
    file = packed(study, tmp_path / "away.tar.xz")
    assert bench(*words, "toy") == bench(*words, str(file))


def test_claims_pool_archives(study: Path, tmp_path: Path, bench: Bench) -> None:
    code, expected, _ = bench("claims")
    assert code == 0
    (tmp_path / "archives" / "reference").mkdir(parents=True)
    packed(study, tmp_path / "archives" / "reference" / "toy.zip")
    assert bench("claims", "--results", "archives") == (0, expected, "")
    (tmp_path / "archives" / "reference" / "bad.zip").write_bytes(b"PK")
    code, out, err = bench("claims", "--results", "archives")
    assert (code, out) == (0, expected)
    assert err.startswith("bench: warning: bad is left out: 'archives/reference/bad.zip' is no archive")
    assert bench("claims", "toy", "bad", "--results", "archives")[0] == 2


def test_published_values_are_compared_with_archives(study: Path, tmp_path: Path, bench: Bench) -> None:
    before = bench("check", "--tier", "3", "--json", "-q")
    packed(study, tmp_path / "toy.zip")
    shutil.rmtree(study)
    shutil.move(tmp_path / "toy.zip", tmp_path / "results" / "toy.zip")
    assert bench("check", "--tier", "3", "--json", "-q") == before


def test_runs_are_shown_and_studies_listed(study: Path, tmp_path: Path, bench: Bench, temporary: Path) -> None:
    run = next((study / "runs").iterdir()).name
    shown = bench("show", run)
    (tmp_path / "results" / "reference").mkdir()
    packed(study, tmp_path / "results" / "reference" / "old.tar.xz")
    shutil.rmtree(study)
    code, out, _ = bench("show", run)
    assert (code, json.loads(out)) == (0, json.loads(shown[1]))
    assert bench("list", "results")[1].split() == ["reference/old.tar.xz"]
    (tmp_path / "results" / "bad.zip").write_bytes(b"PK")
    code, out, err = bench("show", run[:-1])
    assert code == 2
    assert f"did you mean '{run}'?" in err
    assert "bench: warning: 'results/bad.zip' is no archive" in err
    assert_clean(err, temporary)


def test_the_users_own_run_is_shown_and_the_other_studies_that_hold_it_named(
    study: Path, tmp_path: Path, bench: Bench
) -> None:
    run = next((study / "runs").iterdir()).name
    results = study.parent
    (results / "reference").mkdir()
    packed(study, results / "reference" / "packed.tar.xz")
    theirs = shutil.copytree(study, results / "another")
    import_study(packed(study, tmp_path / "a.zip"), results, name="an_import")
    shutil.copytree(study, results / "reference" / "old")
    shutil.rmtree(study)
    # Only the user's own folder has this in its record.
    volatile = theirs / "runs" / run / "provenance.json"
    volatile.write_text(json.dumps(json.loads(volatile.read_text()) | {"whose": "mine"}))
    code, out, err = bench("show", run)
    assert (code, json.loads(out)["provenance"]["whose"]) == (0, "mine")
    assert err == (
        "bench: 4 studies hold this run: shown as in results/another; also in results/an_import, "
        "results/reference/old, results/reference/packed.tar.xz\n"
    )


def test_comparisons_name_the_archive(study: Path, tmp_path: Path, bench: Bench, temporary: Path) -> None:
    packed(study, tmp_path / "a.zip")
    code, out, _ = bench("compare", "toy", "a.zip", "--json")
    assert (code, json.loads(out)["b"]["path"]) == (0, "a.zip")
    assert_clean(out, temporary)


def test_an_archive_is_exported_into_the_other_container(study: Path, tmp_path: Path, bench: Bench) -> None:
    assert bench("export", "toy")[0] == 0
    code, out, _ = bench("export", "toy.zip", "--out", "b.tar.xz")
    assert (code, out.split(" (")[0]) == (0, "export: b.tar.xz")
    assert read_archive(tmp_path / "toy.zip").files == read_archive(tmp_path / "b.tar.xz").files
    bench("export", "b.tar.xz", "--out", "c.zip")
    assert (tmp_path / "toy.zip").read_bytes() == (tmp_path / "c.zip").read_bytes()


def test_what_is_damaged_is_one_line_for_every_command(
    study: Path, tmp_path: Path, bench: Bench, temporary: Path
) -> None:
    files = dict(read_archive(packed(study, tmp_path / "good.zip")).files)
    name = next(name for name in files if name.endswith("result.json"))
    record = json.loads(files[name])
    record["scores"]["mig"] = "much"
    (tmp_path / "false.tar.xz").write_bytes(
        write_archive("toy", files | {name: json.dumps(record).encode()}, ".tar.xz")
    )
    cut = (tmp_path / "false.tar.xz").read_bytes()[:-40]
    (tmp_path / "cut.tar.xz").write_bytes(cut)
    for file in ("false.tar.xz", "cut.tar.xz"):
        for words in (
            ["report", file], ["status", file], ["aggregate", file], ["claims", file], ["compare", file, "toy"],
            ["export", file], ["import", file], ["run", "--preset", "smoke", "--reuse", file, "--study", "new"],
        ):  # fmt: skip
            code, out, err = bench(*words)
            assert (code, out, err.count("\n")) == (2, "", 1), words
            assert err.startswith(f"bench: '{file}'"), words
            assert_clean(err, temporary)
    assert not (tmp_path / "results" / "new").exists()
