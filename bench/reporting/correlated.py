"""What correlated factors in the training images cost each method: differences within seeds, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.figures.axes import runs_of, trained
from bench.figures.correlated import SCORES, families
from bench.formatting import csv_table, escape_markdown, heading, interval, markdown_table, number
from bench.results.study import Study
from bench.results.summary import score_info
from bench.stats import Comparison, compare_paired

HOW_TO_READ = (
    "Score of runs on correlated training images minus that of the same seed in the first column, mean over n seeds, "
    "with its 95 % interval (Student's, paired by seed) in brackets: one that holds 0 shows no change. Intervals "
    "aren't corrected for their number. Scores are of the same images throughout, in which the factors are independent."
)


@dataclass(frozen=True)
class Change:
    """One method's change by one score.

    Attributes
    ----------
    score, label : str
        Column, and the method's label.
    strength : float
        Of the correlation; the smaller, the closer the two factors are tied.
    loosest : float
        Mean over the same seeds where the factors are tied the least.
    paired : Comparison
        Of the tied images minus the loosest.
    """

    score: str
    label: str
    strength: float
    loosest: float
    paired: Comparison


@dataclass(frozen=True)
class Fall:
    """Changes on one data set with one pair of factors.

    Attributes
    ----------
    data, pair : str
        The data set with its options, and the two factors, in words.
    strengths : tuple of float
        Loosest first; infinite where the factors are independent.
    changes : tuple of Change
        In the order of scores, methods and strengths; those whose runs have no seed in common are left out.
    """

    data: str
    pair: str
    strengths: tuple[float, ...]
    changes: tuple[Change, ...]


def falls(study: Study) -> list[Fall]:
    """Changes on every data set and pair of factors that were run at two strengths at least."""
    found = []
    for (name, other, pair), by in families(study).items():
        if len(by) < 2:
            continue
        strengths, datasets = tuple(by), list(by.values())
        labels = dict.fromkeys(label for dataset in datasets for label in trained(study, dataset))
        changes = []
        for score in (each for each in SCORES if each in study.scores):
            for label in labels:
                loosest = _by_seed(study, datasets[0], label, score)
                for strength, dataset in zip(strengths[1:], datasets[1:], strict=True):
                    tied = _by_seed(study, dataset, label, score)
                    if common := sorted(tied.keys() & loosest.keys()):
                        mean = sum(loosest[seed] for seed in common) / len(common)
                        changes.append(Change(score, label, strength, mean, compare_paired(tied, loosest)))
        if changes:
            data = f"{name}[{other}]" if other else name
            found.append(Fall(data, pair.replace(":", " and "), strengths, tuple(changes)))
    return found


def printed(fall: Fall) -> tuple[list[str], list[list[str]]]:
    """Headings and rows, one for each score and method; nothing is escaped."""
    by = {(change.score, change.label, change.strength): change for change in fall.changes}
    head = ["score", "method", f"at {_strength(fall.strengths[0])}", *(f"{_strength(s)}" for s in fall.strengths[1:])]
    rows = []
    for score, label in dict.fromkeys((change.score, change.label) for change in fall.changes):
        info = score_info(score)
        each = [by.get((score, label, strength)) for strength in fall.strengths[1:]]
        known = [change for change in each if change is not None]
        digits = 3 if info.high <= 1 else 2
        loosest = number(known[0].loosest, digits)
        rows.append([heading(info.label, info.higher_is_better), label, loosest, *(_cell(c, digits) for c in each)])
    return head, rows


def markdown(fall: Fall) -> str:
    """The table in Markdown."""
    head, rows = printed(fall)
    cells = [[escape_markdown(text) for text in row] for row in rows]
    return markdown_table([escape_markdown(text) for text in head], cells, "llr", style="spaced")


def title(fall: Fall) -> str:
    """Heading of a table; nothing is escaped."""
    return f"What correlation costs ({fall.data}, {fall.pair})"


def to_csv(found: Sequence[Fall]) -> str:
    """Every change, full precision."""
    head = [
        "dataset", "factors", "score", "label", "strength", "loosest_strength", "loosest_mean", "difference", "low",
        "high", "n_pairs", "effect",
    ]  # fmt: skip
    rows = [
        [
            fall.data, fall.pair, c.score, c.label, c.strength, fall.strengths[0], c.loosest,
            c.paired.difference.estimate, c.paired.difference.low, c.paired.difference.high, c.paired.difference.n,
            c.paired.effect,
        ]
        for fall in found
        for c in fall.changes
    ]  # fmt: skip
    return csv_table(head, rows)


def _by_seed(study: Study, dataset: str, label: str, score: str) -> dict[int, float]:
    runs = runs_of(study, dataset, label)
    known = runs[runs[score].notna()]
    return {int(seed): float(value) for seed, value in zip(known["seed"], known[score], strict=True)}


def _strength(strength: float) -> str:
    return "no correlation" if strength == float("inf") else f"σ = {strength:g}"


def _cell(change: Change | None, digits: int) -> str:
    if change is None:
        return "–"
    found = change.paired.difference
    bounds = interval(found.low, found.high, digits, sign=True)
    return " ".join(filter(None, [number(found.estimate, digits, sign=True), bounds, f"(n = {found.n})"]))
