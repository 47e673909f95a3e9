"""Tier 0: texts that follow from what is registered. ``bench check --record`` writes them in a checkout.

They are the types of `bench.metrics` (nothing that reads types sees functions that files bring along by themselves),
the table of all metrics in ``docs/metrics.md`` and the data sets of ``docs/datasets.md``.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import bench
from bench import metrics
from bench.check import data_page
from bench.check.baselines import baseline_folder, in_checkout
from bench.check.finding import Finding
from bench.check.request import Request
from bench.errors import BenchError
from bench.files import write_text
from bench.formatting import markdown_table
from bench.info import Score
from bench.registry import METRICS, is_plugin

#: Where a page's table begins and ends.
BEGIN, END = "<!-- begin: written by bench check --record -->\n", "<!-- end -->\n"


def texts() -> dict[str, str]:
    """What follows from what is registered: path in the repository to the file's whole text."""
    pages = {"docs/metrics.md": table(), "docs/datasets.md": data_page.sections()}
    return {"bench/metrics/__init__.pyi": stub()} | {
        page: with_table((_root() / page).read_text(encoding="utf-8"), content, page) for page, content in pages.items()
    }


def stub() -> str:
    """The types of `bench.metrics`."""
    lines = [f"from bench.metrics.{name} import {name} as {name}" for name in sorted(metrics.__all__)]
    head = '"""Types of the metrics, which `bench.metrics` has from its files; written by ``bench check --record``."""'
    return "\n".join([head, "", *lines, "", "__all__: list[str]", ""])


def table() -> str:
    """Every metric that comes with Disbench: its columns, what it needs and costs, as a table in Markdown."""
    rows = [
        [
            f"`{entry.name}`",
            entry.summary.rstrip("."),
            "; ".join(_column(name, score) for name, score in entry.info.scores.items()),
            ", ".join([*entry.info.inputs, *(f"({need})" for need in entry.info.optional)]),
            entry.info.cost,
            str(entry.version),
        ]
        for entry in METRICS
        if not is_plugin(entry.value)
    ]
    return markdown_table(["metric", "what it is", "columns", "needs", "cost", "version"], rows, "lllllr")


def with_table(page: str, content: str, name: str) -> str:
    """The page with what stands between `BEGIN` and `END` replaced.

    Raises
    ------
    BenchError
        If the page has no such place.
    """
    new, n = re.subn(f"(?<={re.escape(BEGIN)}).*?(?={re.escape(END)})", lambda _: f"{content}\n", page, flags=re.DOTALL)
    if n != 1:
        raise BenchError(f"{name} has {n} places for the table: it goes between '{BEGIN.strip()}' and '{END.strip()}'")
    return new


def check(request: Request) -> list[Finding]:
    """Tier 0 of the texts: only in a checkout, and where nothing was chosen."""
    if not (request.everything and in_checkout() and request.baselines == baseline_folder()):
        return []
    found = []
    for name, text in texts().items():
        file, subject = _root() / name, f"file {name}"
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            found.append(Finding(0, subject, "text", "same", f"{name} says what is registered"))
        elif request.mode == "compare":
            message = f"{name} doesn't say what is registered: bench check --record writes it"
            found.append(Finding(0, subject, "text", "moved", message))
        else:
            write_text(file, text)
            found.append(Finding(0, subject, "text", "new", f"{name}: written"))
    return found


def _root() -> Path:
    return Path(bench.__file__).resolve().parent.parent


def _column(name: str, score: Score) -> str:
    low, high = (math.isfinite(bound) for bound in (score.low, score.high))
    ends = [f"{score.low:g} to {score.high:g}", f"from {score.low:g}", f"to {score.high:g}", "any number"]
    span = ends[2 * (not low) + (not high)]
    better = {True: ", higher is better", False: ", lower is better", None: ""}[score.higher_is_better]
    return f"`{name}` ({span}{better})"
