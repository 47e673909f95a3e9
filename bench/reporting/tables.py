"""The table of a data set, one row per method, as Markdown, LaTeX (booktabs) and CSV."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.formatting import (
    DAGGER,
    DOUBLE_DAGGER,
    csv_table,
    escape_markdown,
    escape_terminal,
    escape_tex,
    heading,
    interval,
    latex_table,
    markdown_table,
    number,
)
from bench.metric import Score
from bench.reporting.data_notes import data_notes
from bench.results.control_outcomes import labels_not_met
from bench.results.labels import CONTROL
from bench.results.scored_on import scored_on
from bench.results.study import Study
from bench.results.summary import score_info
from bench.stats import MIN_SEEDS, Summary, stands_above

TOO_FEW = f"Too few seeds to compare (fewer than {MIN_SEEDS}): nothing is marked as best."


@dataclass(frozen=True)
class Row:
    """One method of one data set: how many runs it has, and each score's summary."""

    label: str
    control: bool
    n_ok: int
    n_diverged: int
    n_failed: int
    scores: Mapping[str, Summary]


@dataclass(frozen=True)
class Table:
    """What all three formats print.

    Attributes
    ----------
    dataset : str
        Label of the data set.
    rows : list of Row
        The untrained control last.
    scores : dict of str to Score
        Columns in order, with heading, range and direction.
    best : dict of str to str
        Score to the label of the row that stands clear of all others, where there is one.
    notes : list of str
        What a reader must know.
    marked : set of tuple
        Rows' labels and scores whose values carry a `DAGGER`.
    not_met : dict of str to str
        Labels of the rows that carry a `DOUBLE_DAGGER`, and how many of their runs missed their set point.
    """

    dataset: str
    rows: list[Row]
    scores: dict[str, Score]
    best: dict[str, str]
    notes: list[str]
    marked: frozenset[tuple[str, str]] = frozenset()
    not_met: Mapping[str, str] = field(default_factory=dict)


def make_table(study: Study, dataset: str) -> Table:
    """Collect the table of one data set.

    Parameters
    ----------
    study : Study
        As `bench.results.study.read_study` returns it.
    dataset : str
        One of ``study.datasets``.

    Returns
    -------
    Table
        A score is marked as best only if its interval lies wholly on the better side of every other one's,
        the untrained row's included, at least one other trained method has that score, and nobody has fewer
        than `MIN_SEEDS` seeds.
    """
    columns = {score: score_info(score) for score in study.scores}
    summary = study.summary[study.summary["dataset_label"] == dataset]
    rows = []
    for label, group in summary.groupby("label", sort=False):
        cells = {record["score"]: _summary(record) for record in group.to_dict("records")}
        first = group.iloc[0]
        ok, diverged, failed = (int(first[key]) for key in ("n_ok", "n_diverged", "n_failed"))
        rows.append(Row(str(label), first["method"] == CONTROL, ok, diverged, failed, cells))
    best = {score: found for score, info in columns.items() if (found := _best(rows, score, info))}
    notes, marked = _footnotes(study, dataset, rows)
    about = data_notes(study, dataset, columns)
    not_met = labels_not_met(study, dataset)
    notes += [f"{DOUBLE_DAGGER} {label}: {text}." for label, text in not_met.items()]
    return Table(dataset, rows, columns, best, _notes(study, dataset, rows) + about + notes, marked, not_met)


def markdown(table: Table, *, intervals: bool = True) -> str:
    """Print as Markdown: mean ± sd [95 % interval].

    Parameters
    ----------
    table : Table
        From `make_table`.
    intervals : bool
        Without them the table is narrow enough for a terminal.
    """
    head, rows = printed(table, intervals=intervals)
    cells = [
        [escape_markdown(label), *(f"**{text}**" if best else text for text, best in others)]
        for (label, _), *others in rows
    ]
    shown = markdown_table([escape_markdown(text) for text in head], cells, "lr", style="spaced")
    notes = (f"\n{' '.join(note.splitlines())}" for note in table.notes)
    return escape_terminal("\n".join([shown, *notes])) + "\n"


def printed(table: Table, *, intervals: bool = True) -> tuple[list[str], list[list[tuple[str, bool]]]]:
    """Headings, and row by row each cell's text with whether it is marked as best; nothing is escaped."""
    counts = _counts(table)
    head = ["method", *counts, *_headings(table)]
    digits = decimals(table)
    rows = []
    for row in table.rows:
        cells = [(text, False) for text in (_name(table, row), *(str(getattr(row, key)) for key in counts.values()))]
        for score in table.scores:
            text = _cell(row, score, digits[score], intervals=intervals)
            text += f" {DAGGER}" if (row.label, score) in table.marked else ""
            cells.append((text, table.best.get(score) == row.label))
        rows.append(cells)
    return head, rows


def latex(table: Table) -> str:
    """Print as a LaTeX ``table*`` for booktabs: mean ± sd, and the interval in a second, smaller line."""
    counts, digits = _counts(table), decimals(table)
    notes = "".join(f" {escape_tex(note)}" for note in table.notes)
    groups: list[list[list[str]]] = [[]]
    for row in table.rows:
        upper = [escape_tex(_name(table, row)), *(str(getattr(row, key)) for key in counts.values())]
        lower = [""] * len(upper)
        for score in table.scores:
            text = _cell(row, score, digits[score], intervals=False)
            text = "$" + text.replace("±", "\\pm") + "$" if "±" in text else escape_tex(text)
            text += escape_tex(DAGGER) if (row.label, score) in table.marked else ""
            upper.append(f"\\textbf{{\\boldmath{text}}}" if table.best.get(score) == row.label else text)
            item = row.scores[score]
            lower.append(f"{{\\scriptsize {interval(item.low, item.high, digits[score])}}}".replace("−", "$-$"))
        if row.control:
            groups.append([])
        groups[-1] += [upper, lower]
    return latex_table(
        ["method", *counts, *map(escape_tex, _headings(table))],
        groups,
        align=f"l{'r' * (len(counts) + len(table.scores))}",
        caption=f"{escape_tex(table.dataset)}: mean $\\pm$ sd over seeds,\n  95\\,\\% bootstrap interval below.{notes}",
    )


def to_csv(table: Table) -> str:
    """Print as CSV, full precision: per score n, mean, sd, median, low, high (empty where undefined).

    ``set_point`` says in words how many runs missed theirs.
    """
    parts = ("n", "mean", "sd", "median", "low", "high")
    head = [
        "dataset",
        "method",
        "n_ok",
        "n_diverged",
        "n_failed",
        "set_point",
        *(f"{s}_{p}" for s in table.scores for p in parts),
    ]
    rows = [
        [table.dataset, row.label, row.n_ok, row.n_diverged, row.n_failed, table.not_met.get(row.label, "")]
        + [getattr(row.scores[score], part) for score in table.scores for part in parts]
        for row in table.rows
    ]
    return csv_table(head, rows)


def _name(table: Table, row: Row) -> str:
    return f"{row.label} {DOUBLE_DAGGER}" if row.label in table.not_met else row.label


def _summary(record: Mapping[Any, Any]) -> Summary:
    low, high = (None if math.isnan(record[key]) else float(record[key]) for key in ("low", "high"))
    kind: Literal["bca", "percentile", "none"] = record["interval"]
    return Summary(int(record["n"]), record["mean"], record["sd"], record["median"], low, high, kind)


def _best(rows: list[Row], score: str, info: Score) -> str | None:
    if info.higher_is_better is None:
        return None
    trained = [row for row in rows if not row.control and row.scores[score].n]
    if len(trained) < 2:
        return None
    sign = 1 if info.higher_is_better else -1
    first = max(trained, key=lambda row: sign * row.scores[score].mean)
    others = [row.scores[score] for row in rows if row is not first]
    clear = stands_above(first.scores[score], others, higher_is_better=info.higher_is_better)
    return first.label if clear else None


def _notes(study: Study, dataset: str, rows: list[Row]) -> list[str]:
    runs = study.runs.loc[study.runs["dataset_label"] == dataset, "run"]
    notes = list(dict.fromkeys(line for run in runs for line in scored_on(study.specs[run])))
    if any(0 < row.n_ok < MIN_SEEDS for row in rows):
        notes.append(TOO_FEW)
    here = study.runs[(study.runs["dataset_label"] == dataset) & (study.runs["status"] != "failed")]
    imported = Counter(label for run, label in zip(here["run"], here["label"], strict=True) if study.imported_from(run))
    if imported:
        of = ", ".join(f"{label}: {count}" for label, count in imported.items())
        notes.append(f"{imported.total()} of {len(here)} runs were imported from somebody else's export ({of}).")
    if any(row.n_diverged or row.n_failed for row in rows):
        notes.append("Diverged and failed runs are counted but have no part in the means.")
    reasons: dict[tuple[str, str], list[str]] = {}
    for (where, score), reason in study.not_applicable.items():
        if where == dataset:
            what = "Missing in some runs" if any(row.scores[score].n for row in rows) else "n/a"
            reasons.setdefault((what, reason), []).append(score_info(score).label)
    notes += [f"{what} ({', '.join(labels)}): {reason}." for (what, reason), labels in reasons.items()]
    return notes


def _footnotes(study: Study, dataset: str, rows: list[Row]) -> tuple[list[str], frozenset[tuple[str, str]]]:
    """What metrics say of their own values, each sentence once, and the cells it belongs to."""
    where: dict[str, dict[str, list[str]]] = {}
    marked = set()
    for row in rows:
        for score in row.scores:
            for sentence in study.marks.get((dataset, row.label, score), ()):
                where.setdefault(sentence, {}).setdefault(score, []).append(row.label)
                marked.add((row.label, score))
    notes = []
    for sentence, scores in where.items():
        shown = []
        for score, labels in scores.items():
            everywhere = len(labels) == sum(row.scores[score].n > 0 for row in rows)
            shown.append(score_info(score).label + ("" if everywhere else f" of {', '.join(labels)}"))
        notes.append(f"{DAGGER} {'; '.join(shown)}: {sentence}.")
    return notes, frozenset(marked)


def _counts(table: Table) -> dict[str, str]:
    """Heading to attribute of the columns that count runs; diverged and failed only where there are any."""
    counts = {"seeds": "n_ok"}
    for status in ("diverged", "failed"):
        if any(getattr(row, f"n_{status}") for row in table.rows):
            counts[status] = f"n_{status}"
    return counts


def decimals(table: Table) -> dict[str, int]:
    """Decimals per score: three in [0, 1] (four if all are small), else by the size of the trained means."""
    digits = {}
    for score in table.scores:
        means = [abs(row.scores[score].mean) for row in table.rows if row.scores[score].n and not row.control]
        size = max(means, default=1.0)
        digits[score] = 1 if size >= 100 else 2 if size > 1 else 3 if size >= 0.1 else 4
    return digits


def _headings(table: Table) -> list[str]:
    return [heading(info.label, info.higher_is_better) for info in table.scores.values()]


def _cell(row: Row, score: str, digits: int, *, intervals: bool) -> str:
    item = row.scores[score]
    if item.n == 0:
        # A run that ended well and has no value: the score doesn't apply. Else there is no such run.
        return "n/a" if row.n_ok else "–"
    spread = "" if item.n < 2 else f" ± {number(item.sd, digits)}"
    bounds = interval(item.low, item.high, digits) if intervals else ""
    # Runs without this score must not vanish: a collapsed network may be the one that has none.
    fewer = f" (n = {item.n})" if item.n < row.n_ok else ""
    return f"{number(item.mean, digits)}{spread}{bounds and f' {bounds}'}{fewer}"
