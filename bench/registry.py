"""One typed registry for everything a contributor can add in one file.

Methods, datasets, metrics, figures and networks are registered by a decorator. A registry fills itself the first
time it is asked: it imports every module of its package, then the entry points of the group ``disbench.plugins``.
"""

from __future__ import annotations

import fnmatch
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from bench.errors import BenchError, did_you_mean, in_words
from bench.info import DatasetInfo, FigureInfo, Info, MethodInfo, MetricInfo, NetworkInfo

T = TypeVar("T")
InfoT = TypeVar("InfoT", bound=Info)

#: Group of entry points under which an installed package names the module that registers what it holds.
PLUGINS = "disbench.plugins"
#: How the names of modules begin that users' files become.
PLUGIN = "disbench_plugin_"


@dataclass(frozen=True)
class Entry(Generic[T, InfoT]):
    """A registered thing with what is known about it before it runs."""

    name: str
    value: T
    version: int
    info: InfoT

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (self.value.__doc__ or "").strip().split("\n")[0]


class Registry(Generic[T, InfoT]):
    """Names to values of one kind.

    Parameters
    ----------
    kind : str
        What is registered, in the singular, as error messages say it ("method").
    package : str
        The package whose modules register the built-in entries ("bench.methods").
    info : type
        The dataclass in `bench.info` whose fields are the keywords of `register`.
    """

    def __init__(self, kind: str, package: str, info: type[InfoT]) -> None:
        self.kind = kind
        self.package = package
        self.info = info
        self._entries: dict[str, Entry[T, InfoT]] = {}
        self._loaded = False

    def register(self, name: str, *, version: int = 1, **info: Any) -> Callable[[T], T]:
        """Return a decorator that registers its argument as `name`.

        Parameters
        ----------
        name : str
            The name on the command line, in specs and in tables.
        version : int
            Raised by every change that alters scores; part of a run's identity.
        **info
            Facts that are needed without running anything: the fields of this kind's dataclass in `bench.info`.

        Raises
        ------
        BenchError
            If a keyword is unknown, missing or impossible, or something else of this kind has that name.
        """
        about = self._about(name, info)

        def decorate(value: T) -> T:
            known = self._entries.get(name)
            if known is not None and _origin(known.value) != _origin(value):
                raise BenchError(
                    f"{self.kind} '{name}' is registered twice: {_origin(known.value)} and {_origin(value)}"
                )
            self._entries[name] = Entry(name, value, version, about)
            return value

        return decorate

    def _about(self, name: str, info: dict[str, Any]) -> InfoT:
        known = [*(item.name for item in fields(self.info)), "version"]
        for key in info:
            if key not in known:
                hint = did_you_mean(key, known)
                raise BenchError(f"{self.kind} '{name}': unknown keyword '{key}'{hint}; it takes: {', '.join(known)}")
        try:
            return self.info(**info)
        except (TypeError, ValueError) as error:
            raise BenchError(f"{self.kind} '{name}': {error}") from None

    def load(self) -> None:
        """Import the built-in modules and the installed plug-ins, once."""
        if self._loaded:
            return
        self._loaded = True
        package = importlib.import_module(self.package)
        search = getattr(package, "__path__", None)
        for module in sorted(m.name for m in pkgutil.iter_modules(search)) if search is not None else ():
            if not module.startswith("_"):
                importlib.import_module(f"{self.package}.{module}")
        for point in entry_points(group=PLUGINS):
            try:
                point.load()
            except Exception as error:
                self._loaded = False
                raise BenchError(f"plug-in '{point.value}' can't be imported: {in_words(error)}") from error

    def get(self, name: str) -> Entry[T, InfoT]:
        """Look `name` up.

        Raises
        ------
        BenchError
            If there is none, with the nearest name that exists.
        """
        self.load()
        if name not in self._entries:
            hint = did_you_mean(name, self._entries)
            raise BenchError(f"unknown {self.kind} '{name}'{hint}; see `bench list {self.kind}s`")
        return self._entries[name]

    def match(self, pattern: str) -> list[str]:
        """Names that match a glob, a group ("all"), or are equal to `pattern`, sorted by their order, then name.

        Raises
        ------
        BenchError
            If nothing matches.
        """
        names = [entry.name for entry in self if pattern in entry.info.groups]
        if not names and any(c in pattern for c in "*?["):
            names = fnmatch.filter([entry.name for entry in self], pattern)
        return names or [self.get(pattern).name]

    @contextmanager
    def override(
        self, changes: Mapping[str, Entry[T, InfoT] | T | None] | None = None, *, only: Collection[str] | None = None
    ) -> Iterator[None]:
        """Change what is registered for as long as a ``with`` block runs, for tests.

        Afterwards the registry is exactly what it was before: what is registered inside the block is forgotten, too.

        Parameters
        ----------
        changes : mapping of str to entry, value or None, optional
            By name: an `Entry` replaces or adds one, None removes it, and any other value takes the place of the
            registered one, whose version and other facts stay.
        only : collection of str, optional
            The names to keep, before `changes`; all if it isn't given, none if it is empty.

        Raises
        ------
        BenchError
            If a name that is to be kept, removed or given another value isn't registered.

        Examples
        --------
        >>> from bench.registry import FIGURES, METHODS
        >>> with FIGURES.override(only=["strip"]):
        ...     [entry.name for entry in FIGURES]
        ['strip']
        >>> with METHODS.override({"vae": None}):
        ...     "vae" in METHODS
        False
        >>> "vae" in METHODS
        True
        """
        self.load()
        before = self._entries
        entries = dict(before) if only is None else {name: self.get(name) for name in only}
        for name, change in (changes or {}).items():
            if isinstance(change, Entry):
                entries[name] = change
            elif change is None:
                del entries[self.get(name).name]
            else:
                entries[name] = replace(self.get(name), value=change)
        self._entries = entries
        try:
            yield
        finally:
            self._entries = before

    def __iter__(self) -> Iterator[Entry[T, InfoT]]:
        self.load()
        return iter(sorted(self._entries.values(), key=lambda entry: (entry.info.order, entry.name)))

    def __contains__(self, name: str) -> bool:
        self.load()
        return name in self._entries


def plugin_module(path: Path) -> str:
    """Name of the module that a user's file becomes."""
    return f"{PLUGIN}{path.stem}"


def loaded_plugins() -> list[Path]:
    """Files that `load_plugin` has imported, for another process to do the same."""
    modules = [module for name, module in sys.modules.items() if name.startswith(PLUGIN)]
    return [Path(module.__file__) for module in modules if module.__file__]


def is_plugin(value: Any) -> bool:
    """Whether something registered comes from outside of this project: a user's file, or an installed package."""
    return not _origin(value).startswith("bench.")


def load_plugin(path: Path) -> None:
    """Import a user's file, which registers what it holds.

    Raises
    ------
    BenchError
        If there is no such file or importing it fails.
    """
    if not path.is_file():
        raise BenchError(f"plug-in '{path}': no such file")
    name = plugin_module(path)
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == str(path.resolve()):
        return
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise BenchError(f"plug-in '{path}' is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise BenchError(f"plug-in '{path}' can't be imported: {in_words(error)}") from error


def _origin(value: Any) -> str:
    return f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', repr(value))}"


METHODS: Registry[Any, MethodInfo] = Registry("method", "bench.methods", MethodInfo)
DATASETS: Registry[Any, DatasetInfo] = Registry("dataset", "bench.datasets", DatasetInfo)
METRICS: Registry[Callable[..., dict[str, Any]], MetricInfo] = Registry("metric", "bench.metrics", MetricInfo)
FIGURES: Registry[Callable[..., Any], FigureInfo] = Registry("figure", "bench.figures", FigureInfo)
NETWORKS: Registry[Any, NetworkInfo] = Registry("network", "bench.networks", NetworkInfo)

MethodEntry: TypeAlias = Entry[Any, MethodInfo]
MetricEntry: TypeAlias = Entry[Callable[..., dict[str, Any]], MetricInfo]
FigureEntry: TypeAlias = Entry[Callable[..., Any], FigureInfo]
NetworkEntry: TypeAlias = Entry[Any, NetworkInfo]
