"""What processes that were killed left in a study's folder, tidied before anything is run: as often as one likes.

Nothing that counts is lost by it. A result that a kill left between the two renames of its replacement is put back;
what had been replaced is removed for good, so that it can't come back once somebody removes the run; so are working
folders that nothing goes on from.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bench.errors import BenchError
from bench.results.read import entries
from bench.results.record import RESULT
from bench.results.store import CHECKPOINT, REPLACED, Store, explain

#: Seconds after which a file that is still being written isn't any more.
WRITTEN = 3600.0


def recover(store: Store) -> list[str]:
    """Tidy a study's folder; leaves alone what another process holds.

    Returns
    -------
    list of str
        What was done that a user may want to know, a sentence each; nothing the second time, but for run folders
        without a result, which stay until their run is done.

    Raises
    ------
    BenchError
        If the folder can't be written.
    """
    try:
        return list(_recover(store))
    except OSError as error:
        raise BenchError(explain(error, store.path)) from error


def _recover(store: Store) -> Iterator[str]:
    left = {file.name.removesuffix(REPLACED) for file in entries(store.work) if file.is_dir()}
    for run in sorted(left):
        before = store.is_done(run)
        with store.claim(run) as folder:  # which puts back, or removes, what was being replaced
            if folder is None:
                continue
            if store.is_done(run) and not before:
                yield (f"run {run}: its earlier result was put back; replacing it had been interrupted")
            # Checkpoints are worth something, also of a run that is done: it may be in the middle of being done again.
            if store.is_done(run) and not any(folder.glob(f"{CHECKPOINT}*")):
                for file in folder.iterdir():
                    file.unlink()
    for folder in entries(store.runs):
        if folder.is_dir() and not (folder / RESULT).exists():
            yield (f"run {folder.name}: its folder has no {RESULT}; it is replaced when the run is done again")
    for place in (store.path, store.failed):
        for part in place.glob("*.part"):
            _remove_old(part)


def _remove_old(part: Path) -> None:
    try:
        if time.time() - part.stat().st_mtime > WRITTEN:
            part.unlink()
    except FileNotFoundError:
        return  # its writer has finished
