"""Every run for the page of a report: its row in the table, and what the page shows when it is opened."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.figures.axes import runs_of, shown
from bench.formatting import heading, number
from bench.reporting.summary import run_command, run_summary
from bench.reporting.tables import Table, decimals
from bench.results.curves import read_curves
from bench.results.study import Study

#: Points of a run's curves, and of all runs' together: what bounds the size of the page.
MOST_POINTS, FEWEST_POINTS, ALL_POINTS = 200, 12, 24_000
#: Bytes of montages in the page; what comes after them is only named.
MOST_PICTURES = 3 * 2**20

#: Where a run's command names its seed.
SEEDS = "--seeds {}-{}"

#: Heading of the column that says through which file a run came from somebody else.
ORIGIN = "Imported from"
CURVES = ("reconstruction", "kl", "beta", "set_point")
PICTURES = ("reconstructions", "traversals")


@dataclass(frozen=True)
class Row:
    """A run in the table; `cells` are what comes after the first four."""

    run: str
    label: str
    dataset: str
    seed: int
    status: str
    cells: list[str]


def headings(study: Study, tables: Sequence[Table]) -> list[str]:
    """Headings of `Row.cells`: steps, scores with the arrow of the better direction, seconds, `ORIGIN` if need be."""
    infos = (tables[0].scores if tables else {}).values()
    scores = [heading(info.label, info.higher_is_better) for info in infos]
    return ["Steps", *scores, "Time (s)", *_origin(study)]


def _origin(study: Study) -> list[str]:
    return [ORIGIN] if any(map(study.imported_from, study.runs["run"])) else []


def rows(study: Study, tables: Sequence[Table]) -> list[Row]:
    """All runs of a study, diverged and failed ones included, in the order of the tables."""
    digits = {table.dataset: decimals(table) for table in tables}
    # A count has decimals as a mean over seeds only.
    counts = {score for score in study.scores if (study.runs[score].dropna() % 1 == 0).all()}
    origin = _origin(study)
    out = []
    for record in study.runs.to_dict("records"):
        places = digits[record["dataset_label"]]
        cells = [_steps(record)]
        cells += [number(record[score], 0 if score in counts else places[score], missing="") for score in places]
        cells.append(number(record["wall_s"], 1, missing=""))
        cells += [study.imported_from(record["run"]) for _ in origin]
        run, label, dataset, status = (str(record[key]) for key in ("run", "label", "dataset_label", "status"))
        out.append(Row(run, label, dataset, int(record["seed"]), status, cells))
    return out


def details(study: Study) -> dict[str, Any]:
    """What the page shows of each run, as JSON holds it.

    Curves are thinned to at most `MOST_POINTS` of their rows and rounded to four digits, or three where there are
    thousands of runs; the montages of the lowest seed of each configuration are embedded until there are
    `MOST_PICTURES` bytes of them.

    Returns
    -------
    dict
        ``lines``: pairs of heading and text, ``commands`` (`SEEDS` standing for the seeds) and ``steps``, each
        different one once; ``runs``: a dictionary per row of `rows`, in that order, with the ``id``, its ``lines``,
        ``command`` and ``steps`` as numbers of these, and ``curves``, ``pictures``, ``files`` and ``error`` where it
        has any.
    """
    points = max(FEWEST_POINTS, min(MOST_POINTS, ALL_POINTS // max(1, len(study.runs))))
    digits = 4 if points > FEWEST_POINTS else 3
    pictures = _pictures(study)
    errors = {item["run"]: str(item["error"]) for item in study.failures}
    lines: dict[tuple[str, str], int] = {}
    commands: dict[str, int] = {}
    steps: dict[tuple[float | None, ...], int] = {}
    runs = []
    for run, seed, status in study.runs[["run", "seed", "status"]].itertuples(index=False):
        folder = study.path / "runs" / run
        curves = (_curves(study, run, points, digits) if status != "failed" else None) or {}
        command = run_command(study, run).replace(f"--seeds {seed}-{seed}", SEEDS)
        entry: dict[str, Any] = {
            "id": run,
            "lines": [lines.setdefault(line, len(lines)) for line in run_summary(study, run)],
            "command": commands.setdefault(command, len(commands)),
            "error": errors.get(run),
            "pictures": pictures.get(run),
            "files": [f"runs/{run}/{name}.png" for name in PICTURES if (folder / f"{name}.png").is_file()],
            "steps": steps.setdefault(tuple(curves.pop("step")), len(steps)) if curves else None,
            "curves": curves,
        }
        runs.append({key: value for key, value in entry.items() if value or key in ("lines", "command", "steps")})
    return {"lines": [*lines], "commands": [*commands], "steps": [*steps], "runs": runs}


def thinned(curves: pd.DataFrame, points: int, digits: int = 4) -> dict[str, list[float | None]]:
    """Columns of at most `points` rows, evenly spaced with the first and the last, rounded to `digits` digits.

    Columns without a number are left out.
    """
    kept = np.unique(np.linspace(0, len(curves) - 1, min(points, len(curves))).round().astype(int))
    # Steps are whole, and shorter without a decimal point.
    out: dict[str, list[float | None]] = {"step": [int(step) for step in curves["step"].to_numpy()[kept]]}
    for name in CURVES:
        values = curves[name].to_numpy()[kept].tolist() if name in curves else []
        if any(map(math.isfinite, values)):
            out[name] = [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values]
    return out


def _curves(study: Study, run: str, points: int, digits: int) -> dict[str, list[float | None]] | None:
    if not (study.path / "runs" / run / "curves.csv").is_file():
        return None
    curves = read_curves(study, run)
    return None if curves.empty else thinned(curves, points, digits)


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
                    out.setdefault(run, {})[name] = data_uri(file.read_bytes(), "png")
    return out


def data_uri(content: bytes, kind: str) -> str:
    """The content of a PNG or GIF as an address of its own."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _steps(record: dict[Any, Any]) -> str:
    done, asked = record["steps_done"], record["steps"]
    if pd.isna(done):
        return ""
    return f"{done:,}" if pd.isna(asked) or done == asked else f"{done:,} of {asked:,}"
