"""What `bench score` prints: the scores of representations side by side, then each factor's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from bench.external.score import Scored
from bench.files import json_text
from bench.formatting import (
    DAGGER,
    csv_table,
    decimals_for,
    escape_name,
    heading,
    markdown_table,
    number,
)
from bench.metric import Score
from bench.metrics.measure import find_metric
from bench.results.summary import place, score_info

#: Libraries whose version may move a score in its last digits.
LIBRARIES = ("disbench", "numpy", "scipy", "scikit-learn")


def render(scored: Sequence[Scored], suffix: str, *, seed: int, udr: Mapping[str, Any] | None = None) -> str:
    """Print as ``.md``, ``.csv`` or ``.json``, with UDR where it was asked for."""
    if suffix == ".json":
        return to_json(scored, seed=seed, udr=udr)
    if suffix == ".csv":
        return to_csv(scored, udr=udr)
    if udr is None:
        return markdown(scored)
    rows = [[heading("UDR", True) + " (agreement of seeds)", *map(_number, udr["udr"])]]
    rows += [["informative codes", *map(str, udr["n_informative"])]]
    rows += [["images compared", *[str(udr["n_images"])] * len(scored)]]
    table = _table(["without labels", *(escape_name(item.representation.name) for item in scored)], rows)
    warning = f"\n{DAGGER} UDR: {udr['warning']}.\n" if udr["warning"] else ""
    return f"{markdown(scored)}\n{table}\n{warning}"


def markdown(scored: Sequence[Scored]) -> str:
    """Print a table with a row per score, a table per representation with a column per factor, and what is missing."""
    columns = _columns(scored)
    heads = [escape_name(item.representation.name) for item in scored]
    rows = [[_heading(column), *(_marked(item, column) for item in scored), *_about(column)] for column in columns]
    lines = [_table(["score", *heads, "range", "version"], rows)]
    for item in scored:
        where = f" ({escape_name(item.representation.name)})" if len(scored) > 1 else ""
        names = map(escape_name, item.representation.factor_names)
        factors = _per_factor(item)
        if factors:
            table = _table(["value", *names], [[label, *map(_number, values)] for label, values in factors])
            lines += ["", f"Per factor{where}:", "", table]
        reasons: dict[str, list[str]] = {}
        for name, reason in item.evaluation.not_applicable.items():
            reasons.setdefault(reason, []).append(name)
        for reason, missing in reasons.items():
            lines += ["", f"n/a{where}: {', '.join(missing)}: {reason}."]
        notes: dict[str, list[str]] = {}
        for column, sentences in item.evaluation.marks.items():
            for sentence in sentences if column in item.evaluation.scores else ():
                notes.setdefault(sentence, []).append(column)
        for sentence, marked in notes.items():
            lines += ["", f"{DAGGER}{where} {', '.join(marked)}: {sentence}."]
        if item.representation.warning:
            lines += ["", f"{DAGGER}{where} {escape_name(item.representation.warning)}."]
    return "\n".join(lines) + "\n"


def to_csv(scored: Sequence[Scored], *, udr: Mapping[str, Any] | None = None) -> str:
    """Print a row per representation and score, full precision; empty where there is no value."""
    head = ["representation", "score", "value", "low", "high", "higher_is_better", "version", "marks"]
    rows: list[list[Any]] = []
    for item in scored:
        for column in _columns(scored):
            info, value = score_info(column), item.evaluation.scores.get(column)
            bounds = [None if math.isinf(bound) else bound for bound in (info.low, info.high)]
            better = None if info.higher_is_better is None else str(info.higher_is_better).lower()
            notes = [*item.evaluation.marks.get(column, ()), *filter(None, [item.representation.warning])]
            marks = None if value is None else "; ".join(notes) or None
            rows.append([item.representation.name, column, value, *bounds, better, _version(column), marks])
    if udr is not None:
        for item, value in zip(scored, udr["udr"], strict=True):
            rows.append([item.representation.name, "udr", value, 0.0, 1.0, "true", None, udr["warning"] or None])
    return csv_table(head, rows)


def to_json(scored: Sequence[Scored], *, seed: int, udr: Mapping[str, Any] | None = None) -> str:
    """Print everything: scores, reasons, and each metric's details (per factor, matrices, settings, sample sizes)."""
    found = [
        {
            "name": item.representation.name,
            "source": item.representation.source,
            "warning": item.representation.warning,
            "note": item.representation.note,
            "shapes": {name: list(array.shape) for name, array in item.representation.inputs.items()},
            "factor_names": list(item.representation.factor_names),
            "scores": item.evaluation.scores,
            "not_applicable": item.evaluation.not_applicable,
            "details": item.evaluation.details,
        }
        for item in scored
    ]
    content: dict[str, Any] = {
        "seed": seed,
        "versions": {name: version(name) for name in LIBRARIES},
        "representations": found,
    }
    content |= {} if udr is None else {"udr": udr}
    return json_text(content)


def _columns(scored: Sequence[Scored]) -> list[str]:
    return sorted({column for item in scored for column in item.evaluation.scores}, key=place)


def _marked(item: Scored, column: str) -> str:
    value = item.evaluation.scores.get(column)
    marked = column in item.evaluation.marks or item.representation.warning
    mark = f" {DAGGER}" if value is not None and marked else ""
    return _number(value) + mark


def _heading(column: str) -> str:
    info: Score = score_info(column)
    return heading(info.label, info.higher_is_better)


def _about(column: str) -> list[str]:
    info = score_info(column)
    low, high = ("∞" if math.isinf(bound) else f"{bound:g}" for bound in (info.low, info.high))
    return [f"{'-' if math.isinf(info.low) else ''}{low} to {high}", _version(column)]


def _version(column: str) -> str:
    from bench.registry import METRICS

    base = column.partition("[")[0]
    return next(str(entry.version) for entry in METRICS if base in entry.info.scores)


def _per_factor(item: Scored) -> list[tuple[str, list[Any]]]:
    """What metrics report factor by factor, headed by the metric's name and the key."""
    rows = []
    for name, details in item.evaluation.details.items():
        for key, values in details.items():
            if key.endswith("_per_factor") and isinstance(values, list):
                what = key.removesuffix("_per_factor")
                metric = find_metric(name)
                # A predictor belongs to the name of every number that depends on it.
                label = name if metric.base.startswith(what) else f"{name} {what}"
                rows.append((f"{label} ({details['predictor']})" if "predictor" in details else label, values))
    return rows


def _table(head: list[str], rows: list[list[str]]) -> str:
    return markdown_table(head, rows, "lr", style="padded")


def _number(value: float | None) -> str:
    return number(value, decimals_for(abs(value), 4, most=3) if value else 3)
