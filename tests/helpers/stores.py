"""Folders in which runs are recorded."""

from __future__ import annotations

from pathlib import Path

from bench.results.store import Store
from bench.spec import RunSpec


def store_of(path: Path, specs: list[RunSpec]) -> Store:
    """Return the store of a study that is planned and not begun."""
    store = Store(path)
    store.create({}, specs)
    return store
