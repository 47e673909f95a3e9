"""What `bench compare` prints: a table per data set, and everything as CSV and JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bench.comparison.compare import SIDES, Comparisons, Row
from bench.comparison.difference import ALPHA, DIFFERENT, HIGHER, LOWER
from bench.files import json_text
from bench.formatting import csv_table, decimals_for, heading, interval, markdown_table, number
from bench.results.study import Study
from bench.results.summary import score_info
from bench.stats import MIN_SEEDS

HEAD = ("method", "score", "n", "A", "B", "B − A", "95 % interval", "effect", "p (Holm)", "seen")
ALIGN = "llrrrrrrrl"


def render(found: Comparisons, suffix: str) -> str:
    """Print as ``.md``, ``.csv`` or ``.json``."""
    return {".json": to_json, ".csv": to_csv}.get(suffix, markdown)(found)


def markdown(found: Comparisons) -> str:
    """Print a table per data set, then what the numbers are and what sets the two studies apart."""
    blocks = [f"A: {_about(found.a)}  \nB: {_about(found.b)}"]
    for dataset in dict.fromkeys(row.a[0] for row in found.rows):
        rows = [row for row in found.rows if row.a[0] == dataset]
        blocks += [f"## {dataset}", markdown_table(HEAD, map(_cells, rows), ALIGN, style="padded")]
    lines = [_how(found.rows), *found.notes]
    lines += [f"Only in {side}: {'; '.join(found.only[side])}." for side in SIDES if found.only[side]]
    return "\n\n".join([*blocks, "\n".join(f"- {line}" for line in lines)]) + "\n"


def to_csv(found: Comparisons) -> str:
    """Print a row per difference, full precision; empty where there is no value."""
    records = to_rows(found)
    return csv_table(list(records[0]), [list(record.values()) for record in records])


def to_rows(found: Comparisons) -> list[dict[str, Any]]:
    """A record per difference: what is compared, both means, the difference with its interval, and the verdict."""
    return [_record(row) for row in found.rows]


def to_json(found: Comparisons) -> str:
    """Print everything."""
    content = {
        **{side.lower(): _source(study) for side, study in zip(SIDES, (found.a, found.b), strict=True)},
        "confidence": 0.95,
        "least_seeds": MIN_SEEDS,
        "tests": sum(row.p_holm is not None for row in found.rows),
        "rows": [_record(row) for row in found.rows],
        "only": found.only,
        "notes": found.notes,
    }
    return json_text(content)


def _record(row: Row) -> dict[str, Any]:
    names = {"dataset": row.a[0], "method": row.a[1], "dataset_b": row.b[0], "method_b": row.b[1], "score": row.score}
    return names | asdict(row.found) | {"p_holm": row.p_holm}


def _source(study: Study) -> dict[str, Any]:
    return {"study": study.name, "path": str(study.path), "runs": study.finished}


def _about(study: Study) -> str:
    return f"{study.name}, {study.finished} runs ({study.path})"


def _cells(row: Row) -> list[str]:
    found, info = row.found, score_info(row.score)
    size = max(abs(found.mean_a), abs(found.mean_b))
    # Four digits of the means but never fewer than one decimal; a difference is smaller than what differs.
    digits = decimals_for(size, 4, least=1) if size else 1
    fine = digits + 1
    return [
        row.a[1] if row.a[1] == row.b[1] else f"{row.a[1]} / {row.b[1]}",
        heading(info.label, info.higher_is_better),
        str(found.n) if found.paired else f"{found.n_a} and {found.n_b}, unpaired",
        number(found.mean_a, digits),
        number(found.mean_b, digits),
        number(found.difference, fine, sign=True),
        interval(found.low, found.high, fine, sign=True) or "–",
        number(found.effect, 2, sign=True, missing="–"),
        "< 0.001" if row.p_holm is not None and row.p_holm < 0.001 else number(row.p_holm, 3, missing="–"),
        _words(row),
    ]


def _words(row: Row) -> str:
    found = row.found
    text = found.verdict
    if text == DIFFERENT:
        text += f": {HIGHER if found.difference > 0 else LOWER}"
    if found.judgement:
        text += f" ({found.judgement})"
    return text if found.margin is None else f"{text} (margin {found.margin:g})"


def _how(rows: list[Row]) -> str:
    text = (
        "B − A with 95 % intervals: Student's t of the differences within seeds; Welch's where it says unpaired, with "
        f"fewer than {MIN_SEEDS} seeds in common. Effects are in standard deviations: of the differences, or unpaired, "
        "within a side."
    )
    tested = [row for row in rows if row.p_holm is not None]
    if not tested:
        return text
    apart = [row for row in tested if not _contains_zero(row)]
    remain = sum((row.p_holm or 0) <= ALPHA for row in tested)
    same = sum(row.found.low == row.found.high == 0 for row in tested)
    text += (
        f"\n- {len(apart)} of {len(tested)} intervals exclude zero, as 1 in 20 does where nothing differs; {remain} of "
        "the tests hold at 5 % after Holm's correction over all: the others are undecided, which is no evidence that "
        "there is no difference"
    )
    return text + (f". {same} of the {len(tested)} are the same number at every seed." if same else ".")


def _contains_zero(row: Row) -> bool:
    low, high = row.found.low, row.found.high
    return low is None or high is None or low <= 0 <= high
