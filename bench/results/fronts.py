"""Which configurations of a study are one method over its strength, and each seed's front through them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.registry import METHODS
from bench.results.control_outcomes import not_met
from bench.results.labels import method_settings, printed_name
from bench.results.study import Study
from bench.results.summary import resampling
from bench.stats import Front, front_direction, front_through

#: Configurations that make a front, at least.
LEAST = 3

RATE, DISTORTION = "kl", "reconstruction_bce"
DISENTANGLEMENT = ("mig", "dci_disentanglement", "factor_vae_score")
#: What is looked at where the methods are equal in distortion, and in rate.
SCORES_AT: Mapping[str, tuple[str, ...]] = {DISTORTION: DISENTANGLEMENT, RATE: (*DISENTANGLEMENT, DISTORTION)}
#: The method that all others are compared with.
REFERENCE = "beta_vae"

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class MethodFront:
    """One method over its strength.

    Attributes
    ----------
    name : str
        As tables and figures print it.
    method : str
        Registered name.
    labels : tuple of str
        Configurations in the order of the strength.
    strength : str
        Which hyper-parameter goes from where to where.
    """

    name: str
    method: str
    labels: tuple[str, ...]
    strength: str


def method_fronts(study: Study, dataset: str) -> list[MethodFront]:
    """Methods of which a data set has at least `LEAST` strengths.

    Configurations are one front if they differ in numbers only, and all these numbers rise or fall together. Those of
    a method that differ in something else as well are divided by that first.

    Parameters
    ----------
    study : Study
        Stored runs; those that ended well count.
    dataset : str
        One of ``study.datasets``.

    Returns
    -------
    list of MethodFront
        In the order of the tables.
    """
    settings: dict[str, dict[str, Settings]] = {}
    for (where, label), runs in study.ended_well.items():
        if where == dataset:
            spec = study.specs[runs["run"].iloc[0]]
            settings.setdefault(spec["method"]["name"], {})[label] = _settings(spec)
    order = {label: place for place, label in enumerate(dict.fromkeys(study.runs["label"]))}
    names = Counter(printed_name(METHODS, method) for method in settings)
    found = []
    for method, configurations in settings.items():
        label = printed_name(METHODS, method)
        label = label if names[label] == 1 else method
        parts = _parts(configurations)
        for part, chain in parts.items():
            name = f"{label} ({part})" if len(parts) > 1 else label
            found.append(MethodFront(name, method, tuple(chain), _strength(configurations, chain)))
    return sorted(found, key=lambda front: min(order[label] for label in front.labels))


def reference(fronts: Iterable[MethodFront]) -> MethodFront | None:
    """The front that others are compared with: `REFERENCE`'s, else the first; None where there are no two."""
    known = list(fronts)
    if len(known) < 2:
        return None
    return next((front for front in known if front.method == REFERENCE), known[0])


def is_log(study: Study, dataset: str, score: str) -> bool:
    """Whether fronts are straight in the logarithm of a score: the distortion's, where it is above 0 in all runs.

    The distortion falls with the rate about as exp(-rate / 3) on small binary images. Straight lines between settings
    would lie above such a curve by several per cent, as much as methods differ.
    """
    if score != DISTORTION or score not in study.runs:
        return False
    known = study.runs.loc[(study.runs["dataset_label"] == dataset) & (study.runs["status"] == "ok"), score].dropna()
    return bool((known > 0).all())


def seed_fronts(study: Study, dataset: str, front: MethodFront, x: str, y: str) -> dict[int, Front]:
    """Each seed's front of a method.

    Parameters
    ----------
    study : Study
    dataset : str
    front : MethodFront
    x, y : str
        Score columns.

    Returns
    -------
    dict of int to Front
        In logarithms where `is_log` says so. Seeds with fewer than two points that differ in x, after pooling, have no
        front.
    """
    runs = front_runs(study, dataset, front, x, y)
    for score in (x, y):
        if is_log(study, dataset, score):
            runs = runs.assign(**{score: np.log(runs[score])})
    points = {int(seed): runs[runs["seed"] == seed] for seed in sorted(runs["seed"].unique())}
    rising = front_direction([group[x].to_numpy() for group in points.values()])
    lines = {seed: front_through(group[x], group[y], rising) for seed, group in points.items()}
    return {seed: line for seed, line in lines.items() if line.x.size > 1}


def front_runs(study: Study, dataset: str, front: MethodFront, x: str, y: str) -> pd.DataFrame:
    """Runs of a front that ended well and have both scores, by strength and seed."""
    if not {x, y} <= set(study.runs.columns):
        return study.runs[:0].assign(**{x: math.nan, y: math.nan})
    runs = pd.concat([study.ended_well[dataset, label] for label in front.labels])
    return runs[runs[x].notna() & runs[y].notna()]


def missed_runs(study: Study, dataset: str, front: MethodFront) -> dict[str, int]:
    """Configuration to the number of its runs that never arrived at their set point, or latched at a limit.

    They are points of the front all the same, at the rate and the distortion that they ended with; only the set point
    in their label isn't what they have.
    """
    counts = {label: int(not_met(study.ended_well[dataset, label]).sum()) for label in front.labels}
    return {label: count for label, count in counts.items() if count}


def front_resampling(study: Study, dataset: str, front: MethodFront, x: str, y: str) -> np.random.Generator:
    """Generator of the stream that is named by the runs that a front is made of and by its two scores."""
    return resampling(front_runs(study, dataset, front, x, y), f"front of {y} over {x}")


def _settings(spec: Mapping[str, Any]) -> Settings:
    """Settings by name: hyper-parameters that are numbers as numbers, all else as text."""
    out: dict[str, Any] = {}
    hyper = spec["method"].get("hyper", {})
    for key, value in method_settings(spec).items():
        if key in hyper and isinstance(value, int | float) and not isinstance(value, bool):
            out[key] = float(value)
        elif isinstance(value, str) and (inner := _inner(value)):
            out |= {f"{key}.{name}": number for name, number in inner.items()}
        else:
            out[key] = json.dumps(value, sort_keys=True)
    return out


def _inner(text: str) -> dict[str, float]:
    """Numbers within a text such as two-stage training's ``base_hyper = "beta=4.0"``; none if it is anything else."""
    parts = [part.partition("=") for part in text.split(";")]
    try:
        return {name.strip(): float(value) for name, _, value in parts}
    except ValueError:
        return {}


def _parts(configurations: Mapping[str, Settings]) -> dict[str, list[str]]:
    """Chains of at least `LEAST` configurations, by what sets each apart from the others of the method."""
    whole = _chain(configurations)
    if whole:
        return {"": whole}
    best: dict[str, list[str]] = {}
    for key in _varying(configurations):
        groups: dict[Any, dict[str, Settings]] = {}
        for label, settings in configurations.items():
            groups.setdefault(settings.get(key), {})[label] = settings
        chains = {f"{key}={_shown(value)}": _chain(group) for value, group in groups.items()}
        kept = {part: chain for part, chain in chains.items() if chain}
        if sum(map(len, kept.values())) > sum(map(len, best.values())):
            best = kept
    return best


def _chain(configurations: Mapping[str, Settings]) -> list[str]:
    """Labels in the order of the strength; none if the configurations have no such order, or are too few."""
    varying = _varying(configurations)
    if len(configurations) < LEAST or not varying:
        return []
    table = [[settings.get(key) for key in varying] for settings in configurations.values()]
    if not all(isinstance(value, float) for row in table for value in row):
        return []
    values = np.array(table, dtype=np.float64)
    leading = next((k for k in range(len(varying)) if np.unique(values[:, k]).size == len(values)), None)
    if leading is None:
        return []
    order = np.argsort(values[:, leading])
    steps = np.sign(np.diff(values[order], axis=0))
    if ((steps > 0).any(axis=0) & (steps < 0).any(axis=0)).any():
        return []
    labels = list(configurations)
    return [labels[place] for place in order]


def _varying(configurations: Mapping[str, Settings]) -> list[str]:
    keys = dict.fromkeys(key for settings in configurations.values() for key in settings)
    return [key for key in keys if len({settings.get(key) for settings in configurations.values()}) > 1]


def _strength(configurations: Mapping[str, Settings], chain: list[str]) -> str:
    first, last = configurations[chain[0]], configurations[chain[-1]]
    varying = _varying({label: configurations[label] for label in chain})
    return ", ".join(f"{key} {_shown(first[key])} to {_shown(last[key])}" for key in varying)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).strip('"')
