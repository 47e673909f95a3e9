"""What ``bench test`` is pointed at: a file, an installed package, or a name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, get_args

from bench.errors import BenchError, did_you_mean
from bench.registry import DATASETS, METHODS, METRICS, NETWORKS, PLUGINS, Entry, Registry, load_plugin, plugin_module
from bench.testing.checks import Kind

REGISTRIES: dict[Kind, Registry[Any, Any]] = {
    "method": METHODS,
    "dataset": DATASETS,
    "metric": METRICS,
    "network": NETWORKS,
}

#: Kind and name of something registered.
Target = tuple[Kind, str]


def find(word: str) -> list[Target]:
    """What a file, a package or a name stands for.

    Parameters
    ----------
    word : str
        A Python file; an installed package, by the name of its entry point, its import name or its distribution's;
        or the name of a method, dataset, metric or network.

    Raises
    ------
    BenchError
        If it is nothing of these, can't be imported, or registers nothing that has a contract.
    """
    if word.endswith(".py") or Path(word).is_file():
        path = Path(word)
        load_plugin(path)
        return _registered_by(plugin_module(path), f"plug-in '{path}'")
    found = [(kind, word) for kind, registry in REGISTRIES.items() if word in registry]
    if found:
        return found
    points = entry_points(group=PLUGINS)
    for point in points:
        if word in _names(point):
            return _registered_by(point.module.partition(".")[0], f"package '{word}'")
    known = [entry.name for registry in REGISTRIES.values() for entry in registry]
    hint = did_you_mean(word, [*known, *(name for point in points for name in _names(point))])
    raise BenchError(f"'{word}' is no file, installed plug-in, method, dataset, metric or network{hint}")


def brought_by(paths: Iterable[Path]) -> list[Target]:
    """What plug-in files registered, once they are loaded."""
    return [target for path in paths for target in _of(plugin_module(path))]


def _registered_by(module: str, what: str) -> list[Target]:
    found = list(_of(module))
    if not found:
        kinds = ", ".join(get_args(Kind))
        raise BenchError(f"{what} registers nothing that has a contract: no {kinds}")
    return found


def _of(module: str) -> Iterator[Target]:
    for kind, registry in REGISTRIES.items():
        for entry in registry:
            if _comes_from(entry, module):
                yield kind, entry.name


def _comes_from(entry: Entry[object, Any], module: str) -> bool:
    origin: str = getattr(entry.value, "__module__", "")
    return origin == module or origin.startswith(f"{module}.")


def _names(point: EntryPoint) -> set[str]:
    distribution = point.dist.name if point.dist is not None else point.name
    return {point.name, point.module.partition(".")[0], distribution, distribution.replace("-", "_")}
