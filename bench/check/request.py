"""What every tier of ``bench check`` is asked: ``check(request) -> list[Finding]``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from bench.registry import METHODS, METRICS, Entry, InfoT, MethodEntry, MetricEntry, Registry, T

#: ``compare``: look only. ``record``: also store what isn't stored yet. ``update``: also store what moved, if allowed.
Mode = Literal["compare", "record", "update"]


@dataclass(frozen=True)
class Request:
    """What to check, against what, and what may be written.

    Attributes
    ----------
    baselines : Path
        Folder of the stored numbers.
    mode : {"compare", "record", "update"}
    methods, metrics : tuple of str or None
        Names or globs. None for both: everything; None for one of them: nothing of that kind.
    results : Path
        Where studies are kept (published values).
    plugins : tuple of Path
        Files that were loaded, for processes that must load them too.
    jobs : int
        Worker processes for training; 0: one per core.
    night : int
        Which fresh seeds to take; the same number gives the same seeds.
    tell : callable
        Takes one line on what is being done.
    """

    baselines: Path
    mode: Mode = "compare"
    methods: tuple[str, ...] | None = None
    metrics: tuple[str, ...] | None = None
    results: Path = Path("results")
    plugins: tuple[Path, ...] = ()
    jobs: int = 0
    night: int = 0
    tell: Callable[[str], None] = field(default=lambda line: None)

    def chosen_methods(self) -> list[MethodEntry]:
        """Registered methods that are to be checked."""
        return self._chosen(METHODS, self.methods, self.metrics)

    def chosen_metrics(self) -> list[MetricEntry]:
        """Registered metrics that are to be checked."""
        return self._chosen(METRICS, self.metrics, self.methods)

    def covers(self, subject: str) -> bool:
        """Whether a stored subject (``"method beta_vae"``) belongs to what is to be checked."""
        if self.everything:
            return True
        kind, _, name = subject.partition(" ")
        patterns = {"method": self.methods, "metric": self.metrics}.get(kind) or ()
        return any(fnmatch(name, pattern) for pattern in patterns)

    @property
    def everything(self) -> bool:
        """Whether nothing was chosen."""
        return self.methods is None and self.metrics is None

    def _chosen(
        self, registry: Registry[T, InfoT], own: Sequence[str] | None, other: Sequence[str] | None
    ) -> list[Entry[T, InfoT]]:
        if own is None:
            return list(registry) if other is None else []
        names = dict.fromkeys(name for pattern in own for name in registry.match(pattern))
        return [registry.get(name) for name in names]
