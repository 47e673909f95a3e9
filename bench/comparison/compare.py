"""Two studies side by side: which configurations belong together, how they differ, and what sets the studies apart."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.comparison.difference import Difference, corrected, seed_difference
from bench.errors import BenchError, did_you_mean
from bench.formatting import ranges
from bench.results.labels import Spec, dataset_settings, method_settings
from bench.results.study import Study
from bench.results.summary import place, score_columns, score_info
from bench.results.versions import refuse_mixed
from bench.seeds import stream
from bench.sharing.opening import opened_study
from bench.stats import holm

SIDES = ("A", "B")

#: Data set and label of a configuration, as its study calls them.
Key = tuple[str, str]
Groups = dict[Key, pd.DataFrame]


@dataclass(frozen=True)
class Row:
    """One score of a configuration that both studies have.

    Attributes
    ----------
    a, b : tuple of str
        Data set and label, as each side calls them.
    score : str
        Column of `bench.results.study.Study.runs`.
    found : Difference
        B - A; its verdict is `bench.comparison.difference.corrected` for the number of rows.
    p_holm : float or None
        Its p after Holm's correction over all rows; None with too few seeds.
    """

    a: Key
    b: Key
    score: str
    found: Difference
    p_holm: float | None = None


@dataclass(frozen=True)
class Comparisons:
    """All differences of two studies, and what a reader must know.

    Attributes
    ----------
    a, b : Study
        The two.
    rows : list of Row
        By data set, method and score, in the order of the tables of A.
    only : dict of str to list of str
        "A" and "B" to what the other one hasn't.
    notes : list of str
        Settings and seeds in which the two differ, and runs that have no part in the numbers.
    """

    a: Study
    b: Study
    rows: list[Row]
    only: dict[str, list[str]]
    notes: list[str]


def load_study(path: Path) -> Study:
    """Read a study's folder, or an archive of `bench export` as if it were one; versions may be mixed.

    Raises
    ------
    BenchError
        As `bench.sharing.opening.opened_study`.
    """
    with opened_study(path, mixed=True) as study:
        return dataclasses.replace(study, path=path)


def compare(a: Study, b: Study, *, margins: Mapping[str, float] | None = None, mixed: bool = False) -> Comparisons:
    """Compare what two studies have in common.

    Configurations that train the same on the same data belong together; of the others those with the same data set's
    and method's label, and then the settings in which they differ are noted. Runs that diverged have no part.

    Parameters
    ----------
    a, b : Study
        From `load_study`.
    margins : mapping of str to float, optional
        Score to the difference that would matter, above 0: equivalence is asked for instead of a difference.
    mixed : bool
        Allow different versions of a method, dataset, metric or protocol; they are noted.

    Raises
    ------
    BenchError
        Mixed versions, nothing in common, or a margin for a score that isn't compared.
    """
    if not mixed:
        _refuse_mixed(a, b)
    groups = (_groups(a), _groups(b))
    pairs = _match(*groups)
    only: dict[str, list[str]] = {}
    for i, side in enumerate(SIDES):
        matched = {pair[i] for pair in pairs}
        only[side] = [_named(key) for key in groups[i] if key not in matched]
    rows: list[Row] = []
    missing: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key_a, key_b in pairs:
        values = [_values(groups[0][key_a]), _values(groups[1][key_b])]
        configs = "-".join(str(side[key]["config"].iloc[0]) for side, key in zip(groups, (key_a, key_b), strict=True))
        for side, own, other in (("A", values[0], values[1]), ("B", values[1], values[0])):
            for score in own.keys() - other.keys():
                missing[side, score].append(_named(key_a))
        for score in sorted(values[0].keys() & values[1].keys(), key=place):
            found = seed_difference(
                values[0][score],
                values[1][score],
                higher_is_better=score_info(score).higher_is_better,
                rng=stream(0, f"compare:{configs}:{score}"),
                margin=(margins or {}).get(score),
            )
            rows.append(Row(key_a, key_b, score, found))
    for side, score in sorted(missing, key=lambda item: (item[0], place(item[1]))):
        only[side].append(f"{score} of {_all_or(missing[side, score], len(pairs))}")
    if not rows:
        raise BenchError(f"{a.path} and {b.path} have nothing in common to compare; {_contents(a, b)}")
    known = list(dict.fromkeys(row.score for row in rows))
    for score in margins or {}:
        if score not in known:
            hint = did_you_mean(score, known)
            raise BenchError(f"--margin {score}: no such score is compared{hint}; there are: {', '.join(known)}")
    adjusted = holm([math.nan if row.found.p is None else row.found.p for row in rows])
    rows = [
        row if row.found.p is None else dataclasses.replace(row, found=corrected(row.found, p), p_holm=float(p))
        for row, p in zip(rows, adjusted, strict=True)
    ]
    return Comparisons(a, b, rows, only, _notes(a, b, groups, pairs))


def _refuse_mixed(a: Study, b: Study) -> None:
    finished = [
        {run: study.specs[run] for run in study.runs.loc[study.runs["status"] != "failed", "run"]} for study in (a, b)
    ]
    for study, specs in zip((a, b), finished, strict=True):
        refuse_mixed(study.path, specs)
    both = {f"{side} {run}": spec for side, specs in zip(SIDES, finished, strict=True) for run, spec in specs.items()}
    refuse_mixed(Path(f"{a.path} together with {b.path}"), both)


def _groups(study: Study) -> Groups:
    """Runs of every configuration, one per seed."""
    return {(str(d), str(m)): frame for (d, m), frame in study.runs.groupby(["dataset_label", "label"], sort=False)}


def _match(a: Groups, b: Groups) -> list[tuple[Key, Key]]:
    """Pairs of configurations in the order of A: same training and labels, same training, same labels."""
    identities: list[Callable[[Key, pd.DataFrame], Any]] = [
        lambda key, frame: (frame["config"].iloc[0], key),
        lambda key, frame: frame["config"].iloc[0],
        lambda key, frame: key,
    ]
    found: dict[Key, Key] = {}
    for identity in identities:
        left, right = _unique(a, found, identity), _unique(b, found.values(), identity)
        found |= {left[item]: right[item] for item in left if item in right}
    return [(key, found[key]) for key in a if key in found]


def _unique(groups: Groups, taken: Collection[Key], identity: Callable[[Key, pd.DataFrame], Any]) -> dict[Any, Key]:
    named = [(identity(key, frame), key) for key, frame in groups.items() if key not in taken]
    counts = Counter(item for item, _ in named)
    return {item: key for item, key in named if counts[item] == 1}


def _values(frame: pd.DataFrame) -> dict[str, dict[int, float]]:
    """Score to the values of its seeds, for scores that have any."""
    ok = frame[frame["status"] == "ok"]
    values = {}
    for score in score_columns(frame):
        column = ok[["seed", score]].dropna()
        if len(column):
            values[score] = {int(s): float(v) for s, v in column.itertuples(index=False)}
    return values


def _notes(a: Study, b: Study, groups: tuple[Groups, Groups], pairs: list[tuple[Key, Key]]) -> list[str]:
    """Notes, each with the configurations that it holds for."""
    texts: dict[str, list[str]] = defaultdict(list)
    for key_a, key_b in pairs:
        left, right = groups[0][key_a], groups[1][key_b]
        specs = a.specs[left["run"].iloc[0]], b.specs[right["run"].iloc[0]]
        for text in (*_settings_apart(*specs), *_seeds_apart(left, right)):
            texts[text].append(_named(key_a))
    return [f"{text} ({_all_or(names, len(pairs))})." for text, names in texts.items()]


def _settings_apart(a: Spec, b: Spec) -> Iterator[str]:
    taken = [spec.get("evaluation", {}).get("metrics", {}) for spec in (a, b)]
    common = taken[0].keys() & taken[1].keys()
    left, right = (
        method_settings(spec)
        | {f"data {key}": value for key, value in dataset_settings(spec).items()}
        | {f"version of {name}": metrics[name] for name in sorted(common)}
        for spec, metrics in zip((a, b), taken, strict=True)
    )
    for key in dict.fromkeys([*left, *right]):
        values = [json.dumps(side.get(key)) for side in (left, right)]
        if values[0] != values[1]:
            short = max(map(len, values)) <= 40
            yield f"{key}: {values[0]} in A, {values[1]} in B" if short else f"{key} differs between A and B"


def _seeds_apart(left: pd.DataFrame, right: pd.DataFrame) -> Iterator[str]:
    a, b = (set(frame["seed"].tolist()) for frame in (left, right))
    for side, frame, rest in (("A", left, a - b), ("B", right, b - a)):
        if rest:
            yield f"Seeds only in {side}: {ranges(list(rest))}"
        counts = frame["status"].value_counts()
        for status in ("diverged", "failed"):
            if status in counts:
                yield f"{counts[status]} of {len(frame)} runs {status} in {side} and have no part"


def _named(key: Key) -> str:
    return f"{key[1]} on {key[0]}"


def _all_or(names: list[str], n: int) -> str:
    return "all methods" if len(names) == n > 1 else ", ".join(names)


def _contents(a: Study, b: Study) -> str:
    return "; ".join(
        f"{side} has {', '.join(map(_named, _groups(study))) or 'no run'}"
        for side, study in zip(SIDES, (a, b), strict=True)
    )
