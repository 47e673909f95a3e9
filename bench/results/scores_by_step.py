"""Scores during training: what a run's metrics say every so many steps, as one small table in its folder."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from bench.files import write_text
from bench.formatting import csv_table
from bench.metrics.measure import Evaluation

NAME = "scores_by_step.csv"

Row = dict[str, float]


def row(step: int, measured: Evaluation, factor_names: Sequence[str]) -> Row:
    """Scores at a step, and as ``<detail>.<factor>`` what metrics report ``..._per_factor``.

    What has no value, a factor that can't be scored for instance, is left out.
    """
    out: Row = {"step": step, **measured.scores}
    for name, details in measured.details.items():
        options = "".join(name.partition("[")[1:])
        for key, values in details.items():
            if key.endswith("_per_factor") and len(values) == len(factor_names):
                pairs = zip(factor_names, values, strict=True)
                out |= {f"{key}{options}.{factor}": value for factor, value in pairs if value is not None}
    return out


def add(path: Path, new: Row) -> None:
    """Add a row, in the place of one of the same step, and of any later one that a killed process left."""
    rows = [*read(path, before=new["step"]), new]
    columns = dict.fromkeys(column for each in rows for column in each)
    cells = [[f"{each[column]:.7g}" if column in each else "" for column in columns] for each in rows]
    # As a whole: a process that is killed here must not lose the earlier rows, which aren't measured again.
    write_text(path, csv_table([*columns], cells))


def read(path: Path, *, before: float) -> list[Row]:
    """Rows of the steps before a step, in order; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{key: float(value) for key, value in each.items() if value} for each in csv.DictReader(file)]
    return [each for each in rows if each["step"] < before]
