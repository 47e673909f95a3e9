"""How fast everything is, against the plain way of doing it: the command `bench speed`.

A section is one module of this package with ``measure(*, repeats: int, full: bool) -> Section``; see
`bench.speed.timing`. Nothing here is needed to train or measure anything.

From outside: `report.run`, which ``bench speed`` calls.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bench.errors import BenchError, did_you_mean

if TYPE_CHECKING:
    from bench.speed.timing import Section

#: Modules of this package that aren't sections.
FRAMEWORK = {"timing", "report", "figure"}


def section_names() -> list[str]:
    """Names of all sections, sorted."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in names if not name.startswith("_") and name not in FRAMEWORK)


def choose(names: Sequence[str]) -> list[str]:
    """Return the sections that were asked for, all where none was.

    Raises
    ------
    BenchError
        If there is no section of that name.
    """
    known = section_names()
    for name in names:
        if name not in known:
            raise BenchError(f"unknown section '{name}'{did_you_mean(name, known)}; there are: {', '.join(known)}")
    return list(dict.fromkeys(names)) or known


def load(name: str) -> Callable[..., Section]:
    """Import a section; gives its ``measure``."""
    measure: Callable[..., Section] = importlib.import_module(f"{__name__}.{name}").measure
    return measure
