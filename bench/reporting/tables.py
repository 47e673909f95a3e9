"""The table of a data set, one row per method, as Markdown, LaTeX (booktabs) and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bench.metric import Score
from bench.results.labels import CONTROL
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
    """

    dataset: str
    rows: list[Row]
    scores: dict[str, Score]
    best: dict[str, str]
    notes: list[str]


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
    return Table(dataset, rows, columns, best, _notes(study, dataset, rows))


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
    lines = [_md_row([_escape_md(text) for text in head]), _md_row(["---", *["---:"] * (len(head) - 1)])]
    for (label, _), *cells in rows:
        lines.append(_md_row([_escape_md(label), *(f"**{text}**" if best else text for text, best in cells)]))
    return "\n".join([*lines, *(f"\n{note}" for note in table.notes)]) + "\n"


def printed(table: Table, *, intervals: bool = True) -> tuple[list[str], list[list[tuple[str, bool]]]]:
    """Headings, and row by row each cell's text with whether it is marked as best; nothing is escaped."""
    counts = _counts(table)
    head = ["method", *counts, *(_heading(info, "↑", "↓") for info in table.scores.values())]
    digits = decimals(table)
    rows = []
    for row in table.rows:
        cells = [(text, False) for text in (row.label, *(str(getattr(row, key)) for key in counts.values()))]
        for score in table.scores:
            text = _cell(row, score, digits[score], "±", intervals=intervals)
            cells.append((text, table.best.get(score) == row.label))
        rows.append(cells)
    return head, rows


def latex(table: Table) -> str:
    """Print as a LaTeX ``table*`` for booktabs: mean ± sd, and the interval in a second, smaller line."""
    counts = _counts(table)
    headings = [_escape_tex(_heading(info, "↑", "↓")) for info in table.scores.values()]
    digits = decimals(table)
    notes = "".join(f" {_escape_tex(note)}" for note in table.notes)
    lines = [
        "% \\usepackage{booktabs}; \\usepackage{graphicx}",
        "\\begin{table*}",
        "\\centering",
        f"\\caption{{{_escape_tex(table.dataset)}: mean $\\pm$ sd over seeds,",
        f"  95\\,\\% bootstrap interval below.{notes}}}",
        "\\resizebox{\\textwidth}{!}{%",
        f"\\begin{{tabular}}{{l{'r' * (len(counts) + len(headings))}}}",
        "\\toprule",
        " & ".join(["method", *counts, *headings]) + r" \\",
        "\\midrule",
    ]
    for row in table.rows:
        upper = [_escape_tex(row.label), *(str(getattr(row, key)) for key in counts.values())]
        lower = [""] * len(upper)
        for score in table.scores:
            text = _cell(row, score, digits[score], "\\pm", intervals=False)
            text = f"${text}$" if "\\pm" in text else _escape_tex(text)
            upper.append(f"\\textbf{{\\boldmath{text}}}" if table.best.get(score) == row.label else text)
            lower.append(f"{{\\scriptsize {_interval(row.scores[score], digits[score])}}}".replace("−", "$-$"))
        if row.control:
            lines.append("\\midrule")
        lines += [" & ".join(upper) + r" \\", " & ".join(lower) + r" \\"]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}}", "\\end{table*}"]) + "\n"


def to_csv(table: Table) -> str:
    """Print as CSV, full precision: per score n, mean, sd, median, low, high (empty where undefined)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    parts = ("n", "mean", "sd", "median", "low", "high")
    writer.writerow(
        [
            "dataset",
            "method",
            "n_ok",
            "n_diverged",
            "n_failed",
            *(f"{s}_{p}" for s in table.scores for p in parts),
        ]
    )
    for row in table.rows:
        cells: list[Any] = [table.dataset, row.label, row.n_ok, row.n_diverged, row.n_failed]
        for score in table.scores:
            for part in parts:
                value = getattr(row.scores[score], part)
                cells.append("" if value is None or math.isnan(value) else repr(value))
        writer.writerow(cells)
    return out.getvalue()


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
    notes = []
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


def _counts(table: Table) -> dict[str, str]:
    """Heading to attribute of the columns that count runs; diverged and failed only where there are any."""
    counts = {"seeds": "n_ok"}
    for heading in ("diverged", "failed"):
        if any(getattr(row, f"n_{heading}") for row in table.rows):
            counts[heading] = f"n_{heading}"
    return counts


def decimals(table: Table) -> dict[str, int]:
    """Decimals per score: three in [0, 1] (four if all are small), else by the size of the trained means."""
    digits = {}
    for score in table.scores:
        means = [abs(row.scores[score].mean) for row in table.rows if row.scores[score].n and not row.control]
        size = max(means, default=1.0)
        digits[score] = 1 if size >= 100 else 2 if size > 1 else 3 if size >= 0.1 else 4
    return digits


def _heading(info: Score, up: str, down: str) -> str:
    arrow = {True: f" {up}", False: f" {down}", None: ""}[info.higher_is_better]
    return f"{info.label}{arrow}"


def _cell(row: Row, score: str, digits: int, plus_minus: str, *, intervals: bool) -> str:
    item = row.scores[score]
    if item.n == 0:
        # A run that ended well and has no value: the score doesn't apply. Else there is no such run.
        return "n/a" if row.n_ok else "–"
    spread = "" if item.n < 2 else f" {plus_minus} {_number(item.sd, digits)}"
    interval = f" {_interval(item, digits)}" if intervals and item.low is not None else ""
    # Runs without this score must not vanish: a collapsed network may be the one that has none.
    fewer = f" (n = {item.n})" if item.n < row.n_ok else ""
    return f"{_number(item.mean, digits)}{spread}{interval}{fewer}"


def _interval(item: Summary, digits: int) -> str:
    if item.low is None or item.high is None:
        return ""
    return f"[{_number(item.low, digits)}, {_number(item.high, digits)}]"


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    # A rounded negative number must not read as "-0.00".
    return text.lstrip("-") if not float(text) else text


def _md_row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escape_md(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\|*_`<>[]" else c for c in text)


_TEX = {
    **{c: f"\\{c}" for c in "#$%&_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    **{c: f"$\\{name}$" for c, name in {
        "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "λ": "lambda", "μ": "mu", "σ": "sigma", "×":
        "times", "±": "pm", "↑": "uparrow", "↓": "downarrow", "−": "mathord{-}", "≥": "geq", "≤": "leq",
    }.items()},
    "–": "--", "…": "\\ldots{}", "²": "$^2$",
}  # fmt: skip


def _escape_tex(text: str) -> str:
    return "".join(_TEX.get(c, c) for c in text)
