"""Names of configurations as tables and figures print them: the method, and what differs within the study."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from bench.info import DatasetInfo, MethodInfo
from bench.neutral import neutral_values, with_neutral
from bench.registry import DATASETS, METHODS, Registry

#: The method every trained score must beat: the network at its initialisation.
CONTROL = "untrained"

#: Stands for the file among a data set's settings: always named.
FILE = "file"

Spec = Mapping[str, Any]
Named = Registry[Any, MethodInfo] | Registry[Any, DatasetInfo]


def printed_name(registry: Named, name: str) -> str:
    """Return the ``label`` something was registered with, or its name (a plug-in that isn't loaded)."""
    return registry.get(name).info.label or name if name in registry else name


def method_settings(spec: Spec) -> dict[str, Any]:
    """Everything but data and seed that makes a run what it is, under the names the labels use."""
    method = spec["method"]
    settings = all_hyper(method["name"], {"version": method.get("version"), **method.get("hyper", {})})
    for key, value in spec.items():
        if key in ("schema_version", "method", "dataset", "seed"):
            continue
        for inner, item in value.items() if isinstance(value, Mapping) else (("name", value),):
            # Which metrics were taken is no part of a configuration; `label_runs` adds versions where they conflict.
            if inner != "metrics":
                settings[key if inner == "name" else f"{key}.{inner}"] = item
    return settings


def dataset_settings(spec: Spec) -> dict[str, Any]:
    """Everything that makes the data what they are, under the names the labels use."""
    dataset = spec["dataset"]
    settings = {"version": dataset.get("version"), "sha256": (dataset.get("sha256") or "")[:8]}
    return all_options(dataset["name"], dataset.get("options", {})) | settings


def file_of(dataset: Mapping[str, Any]) -> str:
    """Name, without its ending, of the user's file that a data set is named by; empty for any other data set."""
    name = dataset["name"]
    option = DATASETS.get(name).value.named_by if name in DATASETS else ""
    return PurePath(dataset.get("paths", {}).get(option, "")).stem


def all_hyper(name: str, hyper: Mapping[str, Any]) -> dict[str, Any]:
    """A method's hyper-parameters with those that specs leave out, so that they compare with runs that set them."""
    return with_neutral(hyper, _neutral(METHODS, name, "Hyper"))


def all_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A data set's options with those that specs leave out."""
    return with_neutral(options, _neutral(DATASETS, name, "Options"))


def config_id(spec: Spec) -> str:
    """Eight hex digits of what is trained on what: without seed, evaluation and the machine.

    It names random streams, which must stay what they are when a metric is added or the hardware changes.
    """
    parts = ("method", "dataset", "network", "optimizer", "batch_size", "steps")
    same = {key: spec[key] for key in parts if key in spec}
    same["dataset"] = {key: value for key, value in spec["dataset"].items() if key not in ("paths", "about")}
    return hashlib.sha256(_canonical(same).encode()).hexdigest()[:8]


def label_runs(specs: Mapping[str, Spec], methods: Iterable[str] = ()) -> dict[str, tuple[str, str, Any]]:
    """Name every run's data set and method, and say where it stands in the tables.

    Parameters
    ----------
    specs : mapping of str to dict
        Run to ``spec.json``.
    methods : iterable of str
        The study's methods in the user's order ("beta_vae[beta=4]").

    Returns
    -------
    dict
        Run to ``(dataset label, label, sort key)``. A setting is named only where configurations of that
        method on the same data differ in it, so different configurations never share a label.
    """
    datasets = _describe(_data(specs), DATASETS)
    versions: dict[str, set[int]] = defaultdict(set)
    for spec in specs.values():
        for metric, version in spec.get("evaluation", {}).get("metrics", {}).items():
            versions[metric].add(version)
    conflicting = {metric for metric, found in versions.items() if len(found) > 1}

    def settings(spec: Spec) -> dict[str, Any]:
        taken = spec.get("evaluation", {}).get("metrics", {})
        metrics = {f"metric {name}": taken[name] for name in conflicting & taken.keys()}
        return method_settings(spec) | metrics

    labels = _describe(
        {run: (datasets[run][0], spec["method"]["name"], settings(spec)) for run, spec in specs.items()}, METHODS
    )
    asked = {name: i for i, name in reversed(list(enumerate(method.split("[")[0] for method in methods)))}
    order = {
        name: (asked.get(name, len(asked)), _registered_order(name))
        for name in {spec["method"]["name"] for spec in specs.values()}
    }
    out = {}
    for run, spec in specs.items():
        name = spec["method"]["name"]
        (dataset, dataset_key), (label, key) = datasets[run], labels[run]
        place = (
            spec["dataset"]["name"],
            dataset_key,
            name == CONTROL,
            order[name],
            name,
            key,
        )
        out[run] = (dataset, label, (*place, spec["seed"], run))
    return out


def _files(specs: Mapping[str, Spec]) -> dict[str, str]:
    """Run to the name of the user's file, with what tells files of one name apart; empty for other data."""
    named: dict[tuple[str, str], set[str]] = defaultdict(set)
    for spec in specs.values():
        named[spec["dataset"]["name"], spec["dataset"].get("sha256", "")].add(file_of(spec["dataset"]))
    # The same data under two names are the same data.
    names = {data: min(found) for data, found in named.items()}
    details: dict[tuple[str, str], list[str]] = {}
    for spec in specs.values():
        about = spec["dataset"].get("about", {})
        shape, factors = ("×".join(map(str, about.get(key, ()))) for key in ("shape", "factors"))
        words = [f"{about.get('images', '?')} images", shape, f"factors {factors}" if factors else "no factors"]
        details[spec["dataset"]["name"], spec["dataset"].get("sha256", "")] = words
    out = {}
    for run, spec in specs.items():
        data = spec["dataset"]["name"], spec["dataset"].get("sha256", "")
        rivals = [details[other] for other, name in names.items() if (other[0], name) == (data[0], names[data])]
        apart = [word for word, *others in zip(details[data], *rivals, strict=True) if len(set(others)) > 1]
        out[run] = ", ".join([names[data], *apart]) if names[data] else ""
    return out


def _data(specs: Mapping[str, Spec]) -> dict[str, tuple[str, str, Mapping[str, Any]]]:
    """Run to ("", data set, settings); without the checksum where the rest tells all data apart."""
    files = _files(specs)
    settings = {run: {FILE: files[run]} | dataset_settings(spec) for run, spec in specs.items()}
    checksums: dict[tuple[str, str], set[str]] = defaultdict(set)
    for run, spec in specs.items():
        rest = {key: value for key, value in settings[run].items() if key != "sha256"}
        checksums[spec["dataset"]["name"], _canonical(rest)].add(settings[run]["sha256"])
    if all(len(found) == 1 for found in checksums.values()):
        settings = {run: {**found, "sha256": ""} for run, found in settings.items()}
    return {run: ("", spec["dataset"]["name"], settings[run]) for run, spec in specs.items()}


def _neutral(registry: Registry[Any, Any], name: str, declared: str) -> dict[str, Any]:
    """Nothing of a plug-in that isn't loaded."""
    cls = getattr(registry.get(name).value, declared, None) if name in registry else None
    return neutral_values(cls) if cls else {}


def _registered_order(name: str) -> float:
    return METHODS.get(name).info.order if name in METHODS else MethodInfo.order


def _describe(items: Mapping[str, tuple[str, str, Mapping[str, Any]]], registry: Named) -> dict[str, tuple[str, Any]]:
    """Run to (label, sort key) from run to (context, name, settings)."""
    settings_of: dict[str, list[str]] = defaultdict(list)
    for _, name, settings in items.values():
        settings_of[name] += [setting for setting in settings if setting not in settings_of[name]]
    values: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for context, name, settings in items.values():
        for setting in settings_of[name]:
            values[context, name, setting].add(_canonical(settings.get(setting)))
    varying = {(name, setting) for (_, name, setting), seen in values.items() if len(seen) > 1}
    printed = {name: printed_name(registry, name) for name in settings_of}
    shared = {label for label, count in Counter(printed.values()).items() if count > 1}
    usual = _usual([(name, settings) for _, name, settings in items.values()], varying)
    out: dict[str, tuple[str, Any]] = {}
    for run, (_, name, settings) in items.items():
        differing = [(key, settings.get(key)) for key in settings_of[name] if (name, key) in varying]
        shown = [
            (key, value) for key, value in differing if key != FILE and _canonical(value) != usual.get((name, key))
        ]
        named = [settings[FILE]] if settings.get(FILE) else []
        suffix = ", ".join([*named, *(f"{key}={_show(value)}" for key, value in shown)])
        label = name if printed[name] in shared else printed[name]
        # The configuration that everything else is a variation of comes first.
        out[run] = (f"{label} ({suffix})" if suffix else label, (bool(shown), *map(_sortable, differing)))
    return out


def _usual(items: Iterable[tuple[str, Mapping[str, Any]]], varying: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What most configurations of a name agree on where they differ: an ablation need only say what it changes."""
    distinct = {(name, _canonical(settings)): settings for name, settings in items}
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (name, _), settings in distinct.items():
        for key in settings:
            counts[name, key][_canonical(settings[key])] += 1
    most = {place: counter.most_common(1)[0] for place, counter in counts.items() if place in varying}
    # Of two configurations none is usual.
    return {place: value for place, (value, n) in most.items() if 2 * n > counts[place].total() > 2}


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _show(value: Any) -> str:
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    if isinstance(value, list | tuple):
        return "×".join(map(_show, value))
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={_show(item)}" for key, item in value.items()) + "}"
    return str(value) if value != "" else "none"


def _sortable(item: tuple[str, Any]) -> tuple[str, int, float, str]:
    setting, value = item
    if isinstance(value, int | float):
        return setting, 0, float(value), ""
    return setting, 1, 0.0, _show(value)
