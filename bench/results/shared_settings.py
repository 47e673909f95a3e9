"""Which training settings the methods of a study share, computed from its runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.method import Method
from bench.registry import METHODS
from bench.results.labels import Spec, printed_name

#: What a method that builds its own network doesn't have from the run's settings.
OF_NETWORK = ("network", "initialisation")


def own_network(method: str) -> str:
    """Name of the network that a method builds for itself, or "its own"; empty if it takes the run's.

    Nothing is known of a plug-in that isn't loaded.
    """
    cls = METHODS.get(method).value if method in METHODS else Method
    return "" if cls.build is Method.build else cls.network or "its own"


def sharing(specs: Iterable[Spec]) -> str:
    """Say what the trained methods of a study share, in what they differ, and who builds a network of its own.

    Parameters
    ----------
    specs : iterable of mapping
        ``spec.json`` of its runs.

    Returns
    -------
    str
        Such as "all trained methods share network, initialisation, data order, optimiser and steps". A setting is
        shared if all methods have the same one, or the same several, on each data set.
    """
    specs = list(specs)
    own = [name for name in dict.fromkeys(_name(spec) for spec in specs) if own_network(name)]
    trained = [spec for spec in specs if spec["steps"]]
    methods = list(dict.fromkeys(map(_name, trained)))
    building = [name for name in own if name in methods]
    shared: list[str] = []
    differing: list[str] = []
    for setting, used_by in _used(trained).items():
        users = [name for name in methods if setting not in OF_NETWORK or name not in building]
        alike = all(len({str(sets[name]) for name in users if name in sets}) <= 1 for sets in used_by.values())
        if len(users) > 1:
            (shared if alike else differing).append(setting)
    parts = []
    if len(methods) > 1:
        of_all = [setting for setting in shared if not building or setting not in OF_NETWORK]
        rest = [setting for setting in shared if setting not in of_all]
        parts += [f"all trained methods share {_listed(of_all) or 'no setting'}"]
        parts += [f"all but {_labels(building)} share {_listed(rest)}"] if rest else []
        parts += [f"they differ in {_listed(differing)}"] if differing else []
    else:
        parts += ["one method is trained" if methods else "no method is trained"]
    if own:
        parts += [f"{_labels(own)} {'builds a network of its own' if len(own) == 1 else 'build their own networks'}"]
    return "; ".join(parts)


def _used(specs: Iterable[Spec]) -> dict[str, dict[str, dict[str, list[Any]]]]:
    """Setting to data set to method to the values that it is trained with."""
    found: dict[str, dict[str, dict[str, list[Any]]]] = {}
    for spec in specs:
        for setting, value in _settings(spec).items():
            sets = found.setdefault(setting, {}).setdefault(str(spec["dataset"].get("sha256")), {})
            values = sets.setdefault(_name(spec), [])
            values += [] if value in values else [value]
    for used_by in found.values():
        for sets in used_by.values():
            for values in sets.values():
                values.sort(key=str)
    return found


def _settings(spec: Spec) -> Mapping[str, Any]:
    network = dict(spec["network"])
    init = network.pop("init", None)
    return {
        "network": sorted(network.items()),
        "initialisation": init,
        "data order": spec["batch_size"],
        "optimiser": sorted(spec.get("optimizer", {}).items()),
        "steps": spec["steps"],
    }


def _name(spec: Spec) -> str:
    return str(spec["method"]["name"])


def _labels(methods: Sequence[str]) -> str:
    return _listed([printed_name(METHODS, name) for name in methods])


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
