"""Comparisons of fronts as a report prints them: tables, notes and CSV."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from bench.formatting import csv_table, escape_markdown, heading, interval, markdown_table, number
from bench.reporting.fronts import HIGHER, LOWER, OUTSIDE, FrontRow
from bench.results.fronts import RATE
from bench.results.summary import score_info

#: Headings, and rows of as many cells.
Table = tuple[list[str], list[list[str]]]


def to_csv(rows: Iterable[FrontRow]) -> str:
    """Print a row per comparison, full precision; empty where there is no value."""
    records = [asdict(row) for row in rows]
    return csv_table(list(records[0]), [list(record.values()) for record in records])


def front_tables(rows: Sequence[FrontRow]) -> list[tuple[str, Table]]:
    """Tables of one data set's rows as reports print them.

    Returns
    -------
    list of (str, (list of str, list of lists of str))
        What a table is about, its headings and its rows: for either x the areas, then the values at matched places.
    """
    out = []
    for x in dict.fromkeys(row.x for row in rows):
        here = [row for row in rows if row.x == x]
        name = "rate" if x == RATE else "distortion"
        scores = list(dict.fromkeys(row.y for row in here))
        heads = [heading(score_info(score).label, score_info(score).higher_is_better) for score in scores]
        base = here[0].reference
        areas = _lines([row for row in here if row.at is None], scores)
        title = f"At equal {name}: mean difference from {base} over the range that all seeds of both reach"
        out.append((title, (["method", score_info(x).label, *heads], areas)))
        matched = _lines([row for row in here if row.at is not None], scores)
        title = f"At matched {name}: the method's mean, and its difference from {base}"
        out.append((title, (["method", score_info(x).label, *heads], matched)))
    return [(title, table) for title, table in out if table[1]]


def _lines(rows: Sequence[FrontRow], scores: Sequence[str]) -> list[list[str]]:
    """A line per method and place, a cell per score; none where the method doesn't reach."""
    cells: dict[tuple[str, float | None], dict[str, FrontRow]] = {}
    for row in rows:
        if row.seen != OUTSIDE:
            cells.setdefault((row.method, row.at), {})[row.y] = row
    return [
        [method, _place(next(iter(found.values()))), *(_cell(found.get(score)) for score in scores)]
        for (method, _), found in cells.items()
    ]


def _place(row: FrontRow) -> str:
    if row.at is not None:
        return f"{row.at:.3g}"
    return "–" if row.range_low is None or row.range_high is None else f"{row.range_low:.3g} to {row.range_high:.3g}"


def _cell(row: FrontRow | None) -> str:
    if row is None:
        return "–"
    if row.difference is None:
        return row.seen
    digits = 3 if score_info(row.y).high <= 1 else 2
    value = "" if row.value is None else f"{number(row.value, digits)}, "
    if row.scale == "log":
        shares = [None if log is None else 100 * math.expm1(log) for log in (row.difference, row.low, row.high)]
        difference, bounds = f"{number(shares[0], 1, sign=True)} %", interval(shares[1], shares[2], 1, sign=True)
    else:
        difference = number(row.difference, digits, sign=True)
        bounds = interval(row.low, row.high, digits, sign=True)
    count = f" (n = {row.n})" if row.n_outside else ""
    judged = f" ({row.judgement})" if row.judgement else ""
    return " ".join(filter(None, (f"{value}{difference}", bounds, f"{row.seen}{judged}{count}")))


def notes(rows: Sequence[FrontRow]) -> list[str]:
    """How the tables are to be read, and what is counted in them."""
    tested = {kind: [row for row in rows if (row.at is None) == kind and row.p is not None] for kind in (True, False)}
    held = {kind: sum(row.seen in (HIGHER, LOWER) for row in tests) for kind, tests in tested.items()}
    lines = [
        "A front is a method over its strength, seed by seed: straight lines between its settings, nothing beyond the "
        f"first and the last. Differences are method − {rows[0].reference} within seeds, with Student's 95 % interval."
    ]
    if tested[True] or tested[False]:
        lines.append(
            f"“Higher” and “lower” hold at 5 % after Holm's correction: {held[True]} of {len(tested[True])} areas, "
            f"{held[False]} of {len(tested[False])} matched values, each a family of its own. Undecided is no evidence "
            "that there is no difference."
        )
    if any(row.scale == "log" for row in rows):
        lines.append("Distortion is taken by its logarithm, so its differences are in per cent.")
    turned = {row.method: row.n_pooled for row in rows if row.n_pooled}
    if turned:
        points = ", ".join(f"{name}: {count}" for name, count in turned.items())
        lines.append(f"Points averaged into a neighbour, because x turned back along the strengths: {points}.")
    missed = {row.method: row.n_missed for row in rows if row.n_missed}
    if missed:
        runs = ", ".join(f"{name}: {count}" for name, count in missed.items())
        lines.append(
            "Runs that never arrived at their set point, or latched at a limit, have a part with the rate and the "
            f"distortion that they ended with: {runs}."
        )
    if any(row.at is not None and row.n_outside for row in rows):
        lines.append("Places that no seed of a method reaches are left out; n is given where some don't.")
    return lines


def markdown(rows: Sequence[FrontRow]) -> str:
    """Print one data set's tables and notes."""
    blocks = []
    for title, (head, lines) in front_tables(rows):
        cells = [[escape_markdown(first), *others] for first, *others in lines]
        blocks += [f"**{escape_markdown(title)}**", markdown_table([*map(escape_markdown, head)], cells, "lr")]
    return "\n\n".join([*blocks, "\n".join(f"- {line}" for line in notes(rows))])
