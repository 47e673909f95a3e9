"""Every run for the page of a report: its row in the table, and what the page shows when it is opened."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.aggregate import Study, read_curves
from bench.figures._style import runs_of, shown
from bench.report_facts import run_command, run_facts
from bench.tables import Table, decimals

#: Points of a run's curves, and of all runs' together: what bounds the size of the page.
MOST_POINTS, ALL_POINTS = 200, 60_000
#: Bytes of montages in the page; what comes after them is only named.
MOST_PICTURES = 3 * 2**20

CURVES = ("reconstruction", "kl", "beta", "set_point")
PICTURES = ("reconstructions", "traversals")


@dataclass(frozen=True)
class Row:
    """A run in the table: each cell after the first four has a text and the number to sort by (empty: none)."""

    run: str
    label: str
    dataset: str
    seed: int
    status: str
    cells: list[tuple[str, str]]


def headings(tables: Sequence[Table]) -> list[str]:
    """Headings of `Row.cells`: steps, scores with the arrow of the better direction, seconds."""
    arrows = {True: " ↑", False: " ↓", None: ""}
    infos = (tables[0].scores if tables else {}).values()
    return ["Steps", *(f"{info.label}{arrows[info.higher_is_better]}" for info in infos), "Time (s)"]


def rows(study: Study, tables: Sequence[Table]) -> list[Row]:
    """All runs of a study, diverged and failed ones included, in the order of the tables."""
    digits = {table.dataset: decimals(table) for table in tables}
    # A count has decimals as a mean over seeds only.
    counts = {score for score in study.scores if (study.runs[score].dropna() % 1 == 0).all()}
    out = []
    for record in study.runs.to_dict("records"):
        places = digits[record["dataset_label"]]
        cells = [_steps(record)]
        cells += [_number(record[score], 0 if score in counts else places[score]) for score in places]
        cells.append(_number(record["wall_s"], 1))
        run, label, dataset, status = (str(record[key]) for key in ("run", "label", "dataset_label", "status"))
        out.append(Row(run, label, dataset, int(record["seed"]), status, cells))
    return out


def details(study: Study) -> dict[str, dict[str, Any]]:
    """What the page shows of each run, as JSON holds it: curves, pictures, origin, command.

    Curves are thinned to at most `MOST_POINTS` of their rows and rounded to four digits; the montages of the lowest
    seed of each configuration are embedded until there are `MOST_PICTURES` bytes of them.
    """
    points = max(20, min(MOST_POINTS, ALL_POINTS // max(1, len(study.runs))))
    pictures = _pictures(study)
    errors = {item["run"]: str(item["error"]) for item in study.failures}
    out: dict[str, dict[str, Any]] = {}
    for run, status in study.runs[["run", "status"]].itertuples(index=False):
        stored = [name for name in PICTURES if (study.path / "runs" / run / f"{name}.png").is_file()]
        out[run] = {
            "error": errors.get(run, ""),
            "curves": _curves(study, run, points) if status != "failed" else None,
            "pictures": pictures.get(run, {}),
            "files": [f"runs/{run}/{name}.png" for name in stored],
            "facts": run_facts(study, run),
            "command": run_command(study, run),
        }
    return out


def thinned(curves: pd.DataFrame, points: int) -> dict[str, list[float | None]]:
    """Columns of at most `points` rows, evenly spaced with the first and the last, rounded to four digits.

    Columns without a number are left out.
    """
    kept = np.unique(np.linspace(0, len(curves) - 1, min(points, len(curves))).round().astype(int))
    chosen = curves.iloc[kept]
    out: dict[str, list[float | None]] = {"step": [float(step) for step in chosen["step"]]}
    for name in CURVES:
        if name in chosen and np.isfinite(chosen[name]).any():
            out[name] = [float(f"{value:.4g}") if math.isfinite(value) else None for value in chosen[name]]
    return out


def _curves(study: Study, run: str, points: int) -> dict[str, list[float | None]] | None:
    if not (study.path / "runs" / run / "curves.csv").is_file():
        return None
    curves = read_curves(study, run)
    return None if curves.empty else thinned(curves, points)


def _pictures(study: Study) -> dict[str, dict[str, str]]:
    """Montages of the lowest seed of each configuration that the figures show too."""
    out: dict[str, dict[str, str]] = {}
    left = MOST_PICTURES
    for dataset in study.datasets:
        for label in shown(study, dataset):
            run = str(runs_of(study, dataset, label)["run"].iloc[0])
            for name in PICTURES:
                file = study.path / "runs" / run / f"{name}.png"
                if file.is_file() and file.stat().st_size <= left:
                    left -= file.stat().st_size
                    out.setdefault(run, {})[name] = data_uri(file)
    return out


def data_uri(file: Path) -> str:
    """The content of a PNG or GIF as an address of its own."""
    return f"data:image/{file.suffix[1:]};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _steps(record: dict[Any, Any]) -> tuple[str, str]:
    done, asked = record["steps_done"], record["steps"]
    if pd.isna(done):
        return "", ""
    text = f"{done:,}" if pd.isna(asked) or done == asked else f"{done:,} of {asked:,}"
    return text, str(done)


def _number(value: float, digits: int) -> tuple[str, str]:
    # "z": a rounded negative number must not read as "-0.00".
    return ("", "") if math.isnan(value) else (f"{value:z.{digits}f}", repr(float(value)))
