"""Somebody else's export into ``results/``: checked as a whole, then moved into place by one rename."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
from filelock import FileLock, Timeout

from bench.errors import BenchError, did_you_mean
from bench.files import is_reserved, write_bytes, write_json, write_text
from bench.results.read import write_runs_jsonl
from bench.results.record import CHECKSUM, SIZES
from bench.results.store import Store, explain
from bench.results.versions import refuse_mixed
from bench.sharing.archive import Archive
from bench.sharing.export import collect
from bench.sharing.opening import NAME, read_checked, unpack_study
from bench.sharing.record_checks import read_study_file


@dataclass(frozen=True)
class Imported:
    """What became of an archive.

    Attributes
    ----------
    path : Path
        ``results/<study>``.
    added : list of str
        Runs that are new there.
    known : list of str
        Runs that were there already, with the same content.
    """

    path: Path
    added: list[str]
    known: list[str]


def import_study(
    file: Path, results: Path, *, name: str | None = None, merge: bool = False, mixed: bool = False
) -> Imported:
    """Take a study out of an archive; all of it or nothing.

    Parameters
    ----------
    file : Path
        What `bench.sharing.export.export_archive` wrote.
    results : Path
        Where studies are kept.
    name : str, optional
        Folder of the study there; by default the name in the archive. The name that the study was recorded under
        stays in its ``study.toml``.
    merge : bool
        Add the runs to the study that is there. A run that is there already must be the same in spec, result and
        curves; provenance may differ.
    mixed : bool
        Allow a merge of different versions, as in `bench.results.study.read_study`.

    Returns
    -------
    Imported
        Every run's provenance says which file it came from (``imported``: name and SHA-256).

    Raises
    ------
    BenchError
        In one line: an archive that `read_archive` or `check_files` refuses, a study
        of that name (or none to merge into), a run that differs, versions that can't be mixed, or a folder that can't
        be written. Nothing is changed then. A merge that is killed may have added some of the runs: giving the same
        command again adds the rest.
    """
    archive, specs = read_checked(file)
    name = archive.study if name is None else name
    if not NAME.fullmatch(name) or is_reserved(name):
        raise BenchError(f"{name!r} can't be a study's name; give another with --study")
    target = results / name
    if merge and not (target / "study.toml").is_file():
        known = sorted(path.parent.name for path in results.glob("*/study.toml"))
        hint = did_you_mean(name, known)
        raise BenchError(f"no study '{name}' in '{results}' to merge into{hint}; leave out --merge, or name one")
    if not merge and target.exists():
        raise BenchError(f"'{target}' exists; name another --study, or add the runs to it with --merge")
    try:
        if merge:
            return _merge(archive, specs, Store(target), mixed=mixed)
        results.mkdir(parents=True, exist_ok=True)
        with _draft(results) as draft:
            unpack_study(archive, draft)
            write_runs_jsonl(draft)
            draft.rename(target)
    except OSError as error:
        raise BenchError(explain(error, target)) from error
    return Imported(target, list(specs), [])


def _merge(archive: Archive, specs: dict[str, dict[str, Any]], store: Store, *, mixed: bool) -> Imported:
    store.check_schema()
    store.work.mkdir(exist_ok=True)
    try:
        with FileLock(store.work / "study.lock", timeout=60), _draft(store.work) as draft:
            here = collect(store.path)
            known = [run for run in here.runs if run in specs]
            for run in known:
                _refuse_other(archive, here.files, run, store.path)
            added = [run for run in specs if run not in known]
            if not mixed:
                theirs = {run: json.loads(here.files[f"runs/{run}/spec.json"]) for run in here.runs}
                refuse_mixed(store.path, theirs | specs)
            unpack_study(archive, draft)
            store.runs.mkdir(exist_ok=True)
            with _all_or_nothing(store) as moved:
                for run in added:
                    (draft / "runs" / run).rename(store.runs / run)
                    moved.append(run)
                _add_to_plan(archive, store, [*here.runs, *specs])
            for run in added:
                store.clear_failures(run)
    except Timeout:
        raise BenchError(f"results folder '{store.path}': another process holds its lock; try again") from None
    write_runs_jsonl(store.path)
    return Imported(store.path, added, known)


def _refuse_other(archive: Archive, here: dict[str, bytes], run: str, path: Path) -> None:
    for name in ("spec.json", "result.json", "curves.csv"):
        ours, theirs = (files.get(f"runs/{run}/{name}") for files in (here, archive.files))
        # Curves may be missing on one side; spec and result never are.
        if ours is not None and theirs is not None and not _same(name, ours, theirs):
            raise BenchError(
                f"run {run} is in '{path}' with another {name} than in '{archive.source}'; import it under another "
                "--study, or remove that run's folder"
            )


def _same(name: str, ours: bytes, theirs: bytes) -> bool:
    if ours == theirs or not name.endswith(".json"):
        return ours == theirs
    one, two = (
        {key: value for key, value in json.loads(content).items() if key not in (CHECKSUM, SIZES)}
        for content in (ours, theirs)
    )
    # Of one result a version that had neither of the two may have been the writer.
    return one == two


def _add_to_plan(archive: Archive, store: Store, runs: list[str]) -> None:
    """Let the study plan what both planned, and show the commands of both."""
    theirs = read_study_file(archive.files["study.toml"])
    theirs |= theirs.get("record", {})
    their_plan = json.loads(archive.files.get("plan.json", b'{"runs": []}'))["runs"]
    ours = read_study_file((store.path / "study.toml").read_bytes())
    planned = sorted({*store.planned(), *their_plan, *runs})
    record = ours.get("record", {})
    commands = list(dict.fromkeys([*record.get("commands", []), *theirs.get("commands", [])]))
    ours["record"] = record | {"planned": len(planned), "commands": commands}
    write_json(store.path / "plan.json", {"runs": planned})
    write_text(store.path / "study.toml", tomli_w.dumps(ours))


@contextmanager
def _all_or_nothing(store: Store) -> Iterator[list[str]]:
    """Take back the runs that were moved, the plan and ``study.toml`` if anything fails on the way."""
    files = [store.path / "plan.json", store.path / "study.toml"]
    before = {file: file.read_bytes() for file in files if file.exists()}
    moved: list[str] = []
    try:
        yield moved
    except BaseException:
        for run in moved:
            shutil.rmtree(store.runs / run, ignore_errors=True)
        for file in files:
            if file in before:
                write_bytes(file, before[file])
            else:
                file.unlink(missing_ok=True)
        raise


@contextmanager
def _draft(parent: Path) -> Iterator[Path]:
    """An empty folder beside what it is to become, gone afterwards unless it was moved."""
    with tempfile.TemporaryDirectory(prefix=".import-", dir=parent, ignore_cleanup_errors=True) as outer:
        # One level down, where its mode follows the umask.
        draft = Path(outer) / "study"
        draft.mkdir()
        yield draft
