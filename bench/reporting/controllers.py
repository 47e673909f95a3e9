"""The table of controllers: a row per method that steers its KL to a set point."""

from __future__ import annotations

import pandas as pd

from bench.formatting import csv_table, number
from bench.results.control_outcomes import NOT_RECORDED, control_outcomes, not_met
from bench.results.study import Study

#: Columns of the CSV; numbers are medians over the runs that have a record of their controller.
HEAD = (
    "dataset", "method", "n", "n_recorded", "n_arrived", "n_latched",
    "arrival_step", "mean_error", "rms_error", "overshoot", "floor_share", "ceiling_share",
)  # fmt: skip
Row = list[str | int | float | None]

HOW_TO_READ = (
    "Arrived: from some step on the set point has its end value and the KL, smoothed, stays within 0.1 nats of it. "
    "Latched: through the last 5 % of the steps the weight stands at its floor with the KL above the set point, or at "
    "its ceiling below it. Numbers are medians over runs; errors are KL minus set point over the last 5 % of the steps."
)


def rows(study: Study) -> list[Row]:
    """A row per data set and method with a set point, as `HEAD` says; no controller, no row."""
    found: list[Row] = []
    for dataset in study.datasets:
        for (where, label), runs in study.ended_well.items():
            outcome = control_outcomes(runs)
            if where != dataset or not outcome.any():
                continue
            known = runs[(outcome != NOT_RECORDED) & (outcome != "")]
            arrived = int(known["control.arrived"].sum()) if len(known) else 0
            latched = int(outcome.str.startswith("latched").sum())
            counts: Row = [dataset, label, int((outcome != "").sum()), len(known), arrived, latched]
            found.append(counts + [_median(known, f"control.{name}") for name in HEAD[len(counts) :]])
    return found


def to_csv(study: Study) -> str:
    """Print as CSV, full precision; empty cells where nothing is recorded or there is no such limit."""
    return csv_table(list(HEAD), rows(study))


def printed(study: Study) -> tuple[list[str], list[list[str]]]:
    """Headings and cells for a reader."""
    head = ["method", "arrived", "latched", "step of arrival", "mean error (nats)", "RMS error (nats)",
            "overshoot (nats)", "at the floor", "at the ceiling"]  # fmt: skip
    many, out = len(study.datasets) > 1, []
    for dataset, label, n, recorded, arrived, latched, step, *rest in rows(study):
        mean, error, overshoot, floor, ceiling = (each if isinstance(each, float) else None for each in rest)
        counts = [f"{arrived} of {n}", f"{latched} of {n}"] if recorded == n else [NOT_RECORDED] * 2
        if recorded != n and recorded:
            counts = [f"{each} of {recorded} ({n} runs)" for each in (arrived, latched)]
        cells = [str(label), *counts, f"{step:,.0f}" if isinstance(step, float) else "–"]
        cells += [number(mean, 2, sign=True, missing="–")]
        cells += [number(each, 2, missing="–") for each in (error, overshoot)]
        cells += [f"{100 * each:.0f} %" if each is not None else "–" for each in (floor, ceiling)]
        out.append([str(dataset), *cells] if many else cells)
    return ["data set", *head] if many else head, out


def not_met_lines(study: Study) -> list[str]:
    """A line for each run that never arrived or latched; names of runs stand between backticks."""
    runs = study.runs[study.runs["status"] == "ok"]
    found = runs[not_met(runs)]
    return [
        f"`{run}` {outcome}: KL {number(error, 2, sign=True)} nats from its set point"
        for run, outcome, error in zip(
            found["run"], control_outcomes(found), found.get("control.mean_error", ()), strict=True
        )
    ]


def _median(runs: pd.DataFrame, column: str) -> float | None:
    return float(runs[column].median()) if column in runs and runs[column].notna().any() else None
