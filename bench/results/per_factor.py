"""What metrics say of each factor: importances sum to one even where a factor can't be predicted at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.formatting import escape_name, interval, markdown_table, number
from bench.registry import DATASETS
from bench.results.schemas import SHOWN
from bench.results.study import Study
from bench.results.summary import resampling, score_info
from bench.stats import summary

#: Headings, and rows of as many cells.
Table = tuple[list[str], list[list[str]]]


def tables(study: Study, dataset: str) -> list[Table]:
    """Tables with a column per factor: mean over seeds [95 % bootstrap interval].

    Parameters
    ----------
    study : Study
    dataset : str
        One of ``study.datasets``.

    Returns
    -------
    list of (list of str, list of lists of str)
        Headings and rows of DCI informativeness, below it the accuracy of always naming the commonest class, and of
        MIG; those that no run has are left out.
    """
    runs = study.runs[(study.runs["dataset_label"] == dataset) & (study.runs["status"] == "ok")]
    results = {run: study.result(run) for run in runs["run"]}
    found: list[Table] = []
    for metric, key, score in SHOWN:
        rows, width = [], 0
        for label, group in runs.groupby("label", sort=False):
            details = [results[run].get("details", {}).get(metric, {}).get(key) for run in group["run"]]
            values = [value for value in details if value]
            if not values:
                continue
            width = max(width, *map(len, values))
            if score:
                known = group[list(map(bool, details))]
                rows.append([str(label), *_cells(values, known, score)])
            elif not rows:
                # Chance is the data's, not the method's.
                rows.append(["chance", *(number(_mean(column), 3) for column in zip(*values, strict=True))])
        if not rows:
            continue
        rows = [cells + ["n/a"] * (1 + width - len(cells)) for cells in rows]
        if score:
            names = factor_names(results[runs["run"].iloc[0]], str(runs["dataset"].iloc[0]), width)
            found.append(([score_info(score).label, *names], rows))
        elif found:
            found[-1][1].append(rows[0])
    return found


def markdown(found: Sequence[Table]) -> str:
    """What `tables` found in Markdown; empty where that is nothing."""
    return "\n\n".join(
        markdown_table(list(map(escape_name, head)), [[escape_name(label), *cells] for label, *cells in rows], "lr")
        for head, rows in found
    )


def _cells(values: list[list[float | None]], runs: pd.DataFrame, score: str) -> list[str]:
    cells = []
    for k, column in enumerate(zip(*values, strict=True)):
        known = [value is not None for value in column]
        numbers = np.array([value for value in column if value is not None])
        found = summary(numbers, rng=resampling(runs[known], f"{score} of factor {k}"))
        cells.append(f"{number(found.mean, 3)} {interval(found.low, found.high, 3)}".rstrip())
    return cells


def factor_names(result: dict[str, Any], dataset: str, n: int) -> list[str]:
    """Names of a run's factors as it stored them, or as its data set has them, or numbers."""
    names = result.get("factor_names") or ()
    if not names and dataset in DATASETS:
        names = getattr(DATASETS.get(dataset).value, "factor_names", ())
    return [str(name) for name in names] if len(names) == n else [f"factor {k}" for k in range(n)]


def _mean(values: tuple[float | None, ...]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
