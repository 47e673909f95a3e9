"""Run folders on disk: locked while in work, committed by renaming the directory, never half-written.

``results/<study>/{study.toml, plan.json, runs/<run>/, failed/<run>.<n>.json, .tmp/<run>/}``. A run is done when its
``result.json`` stands under ``runs/``. The lock of a process that dies is released by the operating system, so the
next call takes the work over where the last checkpoint left it.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tomli_w
from filelock import FileLock, Timeout

from bench.config.plain_kl import PlainKL, read_plain_kls
from bench.errors import BenchError, reason
from bench.files import fsync, read_json, read_toml, write_json, write_text
from bench.results import damage
from bench.results.read import AWAY, checked_plan
from bench.results.read import read_toml as read_study_file
from bench.results.record import AGAIN, RESULT, SPEC, WEIGHTS, Fault, look, read_run
from bench.results.record import read_json as read_record
from bench.results.schemas import ResultRecord, SpecRecord
from bench.spec import SCHEMA_VERSION, RunSpec

CURVES = "curves.csv"
#: Ending of a committed run's folder, beside the working folders, while another one is put in its place.
REPLACED = ".replaced"
#: In a working folder only.
CHECKPOINT, PROGRESS, MEASURED = "checkpoint.safetensors", "progress", "measured.json"
#: In a study's folder: UDR by run, where a tuning study chose by it (`bench.tuning.udr`).
UDR = "udr.json"

# What to do about a damaged plan.
ANEW = "delete it, the next run writes it anew"


class Store:
    """One study's folder.

    Parameters
    ----------
    path : Path
        ``results/<study>``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = path / "runs"
        self.failed = path / "failed"
        self.work = path / ".tmp"

    def create(
        self,
        study: dict[str, Any],
        specs: list[RunSpec],
        command: str = "",
        plugins: Mapping[str, str] | None = None,
        plain_kl: Iterable[PlainKL] = (),
    ) -> None:
        """Make the folders and record what is planned, beside what earlier calls planned.

        Parameters
        ----------
        study : dict
            As asked for.
        specs : list of RunSpec
            Its runs.
        command : str
            What asked for it.
        plugins : mapping of str to str, optional
            Plug-ins, as the user gave their paths, to their checksums.
        plain_kl : iterable of PlainKL
            What shares of the plain VAE's KL were shares of.

        Raises
        ------
        BenchError
            If the folder is from another schema, or can't be written.
        """
        try:
            for folder in (self.runs, self.failed, self.work):
                folder.mkdir(parents=True, exist_ok=True)
            self.check_schema()
            with FileLock(self.work / "study.lock", timeout=60):
                planned = sorted({*self.planned(), *(spec.run_id for spec in specs)})
                write_json(self.path / "plan.json", {"runs": planned})
                earlier = self._record()
                record = {
                    "schema_version": SCHEMA_VERSION,
                    "name": self.path.name,
                    "planned": len(planned),
                    "commands": list(dict.fromkeys([*earlier.get("commands", []), command])),
                }
                if known := {**earlier.get("plugins", {}), **(plugins or {})}:
                    record["plugins"] = known
                recorded = read_plain_kls(earlier.get("plain_kl", []), str(self.path / "study.toml"))
                if kls := {entry.key: entry for entry in plain_kl} | recorded:
                    record["plain_kl"] = [entry.model_dump(mode="json") for entry in kls.values()]
                write_text(self.path / "study.toml", tomli_w.dumps(study | {"record": record}))
        except Timeout:
            raise BenchError(f"results folder '{self.path}': another process holds its lock; try again") from None
        except OSError as error:
            raise BenchError(explain(error, self.path)) from error

    def check_schema(self) -> None:
        """Refuse a folder written by another version of the layout."""
        file = self.path / "study.toml"
        if not file.exists():
            return
        record = read_toml(file, way_out=AWAY).get("record")
        found = record.get("schema_version") if isinstance(record, dict) else None
        if found != SCHEMA_VERSION:
            raise BenchError(
                f"results folder '{self.path}' has schema {found}, this version writes {SCHEMA_VERSION}; "
                "name another --study, or read it with the version that wrote it"
            )

    def _record(self) -> dict[str, Any]:
        """What earlier calls recorded in ``study.toml``."""
        file = self.path / "study.toml"
        if not file.exists():
            return {}
        record: dict[str, Any] = read_study_file(file).get("record", {})
        return record

    def planned(self) -> list[str]:
        """Ids of all runs that any call planned."""
        file = self.path / "plan.json"
        if not file.exists():
            return []
        return checked_plan(read_json(file, way_out=ANEW), f"'{file}'", ANEW)

    def is_done(self, run: str) -> bool:
        """Whether the run is committed."""
        return (self.runs / run / RESULT).is_file()

    def has_weights(self, run: str) -> bool:
        """Whether a committed run's weights are there: an export and what is kept in git have none."""
        return (self.runs / run / WEIGHTS).is_file()

    def checked(self, run: str, name: str) -> Path:
        """A file of a committed run, there or not, after it was compared with what the run recorded of it.

        Raises
        ------
        BenchError
            If it is another one, or only one of the two is there; or one of the run's records is damaged.
        """
        folder = self.runs / run
        result, _ = read_run(folder)
        if fault := damage.fault(folder / name, result.get("files", {}).get(name)):
            raise fault.error(folder)
        return folder / name

    def faults(self, run: str, *, full: bool = False, weights: bool = False) -> list[Fault]:
        """What is damaged of a committed run.

        Parameters
        ----------
        run : str
        full : bool
            Whether all its files are read, as by `bench.results.damage.faults`; else only its records are.
        weights : bool
            Whether weights that are gone count, too, of a run that was made here.
        """
        folder = self.runs / run
        if full:
            return damage.faults(folder, weights=weights)
        found = look(folder)
        return found if isinstance(found, list) else []

    def result(self, run: str) -> dict[str, Any]:
        """A committed run's result.

        Raises
        ------
        BenchError
            If there is none, or it is damaged.
        """
        file = self.runs / run / RESULT
        if not file.exists():
            raise BenchError(f"no run '{run}' in '{self.path}'")
        return read_record(file, ResultRecord, schema=True)

    def spec(self, run: str) -> RunSpec:
        """A committed run's spec.

        Raises
        ------
        BenchError
            If there is none, or it is damaged.
        """
        read_record(file := self.runs / run / SPEC, SpecRecord, schema=True)
        try:
            return RunSpec.model_validate_json(file.read_bytes(), strict=True)
        except (OSError, ValueError) as error:
            raise BenchError(f"'{file}' can't be read: {reason(error)}; {AGAIN}") from None

    def is_claimed(self, run: str) -> bool:
        """Whether some process is working on the run."""
        file = self.work / f"{run}.lock"
        if not file.exists():
            return False
        try:
            with FileLock(file, timeout=0):
                return False
        except Timeout:
            return True

    def progress(self, run: str) -> int:
        """Last step that a run in work has reported, 0 if none."""
        try:
            return int((self.work / run / PROGRESS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0

    def failures(self, run: str) -> list[Path]:
        """Records of this run's failed attempts, oldest first."""
        return sorted(self.failed.glob(f"{run}.*.json"))

    @contextmanager
    def claim(self, run: str) -> Iterator[Path | None]:
        """Hold a run's working folder; yields None while another process has it."""
        self.work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.work / f"{run}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            yield None
            return
        try:
            folder = self.work / run
            folder.mkdir(exist_ok=True)
            replaced = self.work / f"{run}{REPLACED}"
            if replaced.exists():
                if (folder / RESULT).exists() and not self.is_done(run):
                    # Killed between the two renames of a replacement: the earlier result is the one there is.
                    replaced.rename(self.runs / run)
                else:
                    # Killed after them: a run that is gone since then was removed by somebody.
                    _discard(replaced)
            yield folder
            with suppress(OSError):
                folder.rmdir()  # if nothing is in it: the run was done meanwhile
        finally:
            lock.release()

    def commit(self, folder: Path, run: str, *, replace: bool = False) -> None:
        """Flush a finished working folder to disk and rename it into ``runs/``; the first writer wins."""
        for file in folder.iterdir():
            fsync(file)
        fsync(folder)
        target = self.runs / run
        # A folder without a result is what is left of one that somebody removed.
        if target.exists() and (replace or not self.is_done(run)):
            old = self.work / f"{run}{REPLACED}"
            if old.exists():
                _discard(old)
            target.rename(old)
            folder.rename(target)
            _discard(old)
        else:
            try:
                folder.rename(target)
            except OSError:
                # A rename onto a non-empty folder fails; on a network disk it may also have happened all the same.
                if not self.is_done(run):
                    raise
                _discard(folder)
        fsync(self.runs)

    def adopt(self, other: Store, run: str) -> bool:
        """Copy a finished run of another study, whose id says that it is the same run; False if it has none."""
        if self.is_done(run) or not other.is_done(run):
            return False
        with self.claim(run) as folder:
            if folder is None or self.is_done(run):
                return False
            shutil.rmtree(folder)
            shutil.copytree(other.runs / run, folder)
            self.commit(folder, run)
        return True

    def fail(self, spec: RunSpec, error: str, trace: str) -> None:
        """Record a failed attempt."""
        attempt = len(self.failures(spec.run_id)) + 1
        record = {
            "schema_version": SCHEMA_VERSION,
            "run": spec.run_id,
            "attempt": attempt,
            "error": error,
            "traceback": trace,
            "spec": spec.model_dump(mode="json"),
        }
        self.failed.mkdir(parents=True, exist_ok=True)
        write_json(self.failed / f"{spec.run_id}.{attempt}.json", record)

    def clear_failures(self, run: str) -> None:
        """Forget failed attempts of a run that has succeeded."""
        for record in self.failures(run):
            record.unlink(missing_ok=True)


def _discard(folder: Path) -> None:
    """Remove a run's folder, its result first: what a kill leaves of it is never taken for a whole one."""
    (folder / RESULT).unlink(missing_ok=True)
    shutil.rmtree(folder)


def explain(error: OSError, path: Path) -> str:
    """One line on why a path can't be written."""
    reasons = {
        errno.ENOSPC: "the disk is full; free some space and run the same command again, it goes on where it stopped",
        errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
        errno.EROFS: "the disk is read-only; name another folder with --results",
        errno.EACCES: "no permission to write there; name another folder with --results",
        errno.EPERM: "no permission to write there; name another folder with --results",
        errno.ENOTDIR: "a file stands where a folder should; name another folder with --results",
        errno.EEXIST: "a file stands where a folder should; name another folder with --results",
    }
    return f"results folder '{path}': {reasons.get(error.errno or 0, str(error))}"
