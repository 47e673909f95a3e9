"""Ours beside published values, where somebody has read the published value and the data are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from bench.dataset import resolve_options
from bench.files import read_toml
from bench.formatting import interval, markdown_table, number
from bench.registry import DATASETS, METHODS
from bench.results.labels import all_hyper, all_options, printed_name
from bench.results.study import Study
from bench.results.summary import score_info, summary_of
from bench.schema import StrictModel
from bench.stats import Summary

FILE = Path(__file__).parent / "published.toml"


class Source(StrictModel):
    """Where values were read."""

    title: str
    caution: str


class Entry(StrictModel):
    """Published scores of one configuration: value, then what follows its ± if anything does."""

    source: str
    dataset: str
    method: str
    hyper: dict[str, float] = Field(default_factory=dict)
    scores: dict[str, list[float]]


@dataclass(frozen=True)
class Comparison:
    """One published value and ours.

    Attributes
    ----------
    label : str
        Configuration, as published.
    score : str
        Column.
    value : float
    spread : float or None
        What the source prints after ±.
    ours : Summary
        Of the seeds that ended well.
    within : bool
        Whether the published value, give or take its spread, reaches our 95 % interval of the mean.
    source : Source
    """

    label: str
    score: str
    value: float
    spread: float | None
    ours: Summary
    within: bool
    source: Source


def read(path: Path = FILE) -> tuple[dict[str, Source], list[Entry]]:
    """Read the file of published values."""
    content = read_toml(path)
    sources = {name: Source.model_validate(table) for name, table in content["source"].items()}
    return sources, [Entry.model_validate(table) for table in content["entry"]]


def compare(study: Study, path: Path = FILE) -> list[Comparison]:
    """Compare a study's runs with the published values for the same data and hyper-parameters.

    Runs on a part of a data set, or on another rendering of it, have no published counterpart.
    """
    sources, entries = read(path)
    found = []
    ended_well = list(study.runs.loc[study.runs["status"] == "ok", "run"])
    for entry in entries:
        whole = all_options(entry.dataset, resolve_options(entry.dataset, {})) if entry.dataset in DATASETS else None
        chosen = [run for run in ended_well if whole is not None and _matches(study.specs[run], entry, whole)]
        rows = study.runs[study.runs["run"].isin(chosen)]
        for score, (value, *rest) in entry.scores.items():
            if score not in rows or not rows[score].notna().any():
                continue
            ours = summary_of(rows, score)
            spread = rest[0] if rest else None
            low, high = (ours.mean if bound is None else bound for bound in (ours.low, ours.high))
            within = low - (spread or 0) <= value <= high + (spread or 0)
            hyper = ", ".join(f"{key}={number:g}" for key, number in entry.hyper.items())
            label = printed_name(METHODS, entry.method) + (f" ({hyper})" if hyper else "")
            found.append(Comparison(label, score, value, spread, ours, within, sources[entry.source]))
    return found


def table(comparisons: Sequence[Comparison]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of "ours, published, within"."""
    rows = []
    for item in comparisons:
        ours = f"{number(item.ours.mean, 3)} {interval(item.ours.low, item.ours.high, 3)}".rstrip()
        rows.append(
            [
                item.label,
                score_info(item.score).label,
                f"{ours} ({item.ours.n})",
                f"{item.value:g}" + ("" if item.spread is None else f" ± {item.spread:g}"),
                "yes" if item.within else "no",
            ]
        )
    return ["method", "score", "ours [95 % interval] (seeds)", "published", "within"], rows


def notes(comparisons: Sequence[Comparison]) -> str:
    """What "within" means, and the sources with their cautions, a line each."""
    sources = dict.fromkeys(f"{item.source.title}: {item.source.caution}." for item in comparisons)
    rule = "Within: the published value, give or take its ±, reaches our interval. Settings may differ from ours."
    return "\n".join([rule, *sources])


def markdown(comparisons: Sequence[Comparison]) -> str:
    """Print the table as Markdown with the notes below; empty where nothing can be compared."""
    if not comparisons:
        return ""
    head, rows = table(comparisons)
    return f"{markdown_table(head, rows, 'llrrl')}\n\n{notes(comparisons)}"


def _matches(spec: Mapping[str, Any], entry: Entry, whole: Mapping[str, Any]) -> bool:
    """Whether a run trained what an entry reports, on `whole`, the options of the whole data set."""
    dataset, method = spec["dataset"], spec["method"]
    if dataset["name"] != entry.dataset or method["name"] != entry.method:
        return False
    options = all_options(entry.dataset, dataset.get("options", {}))
    same_data = all(options.get(key) == value for key, value in whole.items())
    hyper = all_hyper(entry.method, method.get("hyper", {}))
    return same_data and all(hyper.get(key) == value for key, value in entry.hyper.items())
