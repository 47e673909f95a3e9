"""Outcomes of controllers in words, for one run and for several: arrived, never arrived, latched at a limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.results.study import Study

ARRIVED, MISSED, NOT_RECORDED = "arrived", "never arrived", "not recorded"


def control_outcome(record: Mapping[str, Any] | None) -> str:
    """`ARRIVED`, `MISSED` or where a run latched, from a `bench.results.control.controller_record`; "" without one."""
    if not record:
        return ""
    if record["latched"]:
        return f"latched at the {'floor' if record['floor_share'] == 1 else 'ceiling'}"
    return ARRIVED if record["arrived"] else MISSED


def control_outcomes(runs: pd.DataFrame) -> pd.Series:
    """`control_outcome` of each row of `Study.runs`; `NOT_RECORDED` of runs that have a set point and no record."""
    return pd.Series([_of_row(row) for row in runs.to_dict("records")], index=runs.index, dtype=object)


def not_met(runs: pd.DataFrame) -> pd.Series:
    """Which rows of `Study.runs` are known to have missed their set point: never arrived, or latched at a limit."""
    return ~control_outcomes(runs).isin(["", ARRIVED, NOT_RECORDED])


def not_met_in_words(runs: pd.DataFrame) -> str:
    """How many of some rows of `Study.runs` never arrived or latched; empty if none did.

    Such as "3 of 10 runs never arrived at the set point, 2 latched at the floor". A run that latched beside its set
    point is counted in both.
    """
    found, arrived = control_outcomes(runs), runs.get("control.arrived")
    latched = found[found.str.startswith("latched")].value_counts()
    missed = 0 if arrived is None else int((~arrived.dropna().astype(bool)).sum())
    counts = [f"{missed} never arrived at the set point"] if missed else []
    counts += [f"{count} {where}" for where, count in latched.items()]
    if not counts:
        return ""
    number, _, rest = ", ".join(counts).partition(" ")
    return f"{number} of {len(runs)} runs {rest}"


def labels_not_met(study: Study, dataset: str) -> dict[str, str]:
    """`not_met_in_words` by label, of those rows of a data set's table that have anything to say."""
    said = {label: not_met_in_words(runs) for (where, label), runs in study.ended_well.items() if where == dataset}
    return {label: text for label, text in said.items() if text}


def _of_row(row: Mapping[Any, Any]) -> str:
    arrived, target = row.get("control.arrived"), row.get("final.set_point")
    if arrived is None or pd.isna(arrived):
        return NOT_RECORDED if row["status"] == "ok" and target is not None and not pd.isna(target) else ""
    return control_outcome({key: row[f"control.{key}"] for key in ("arrived", "latched", "floor_share")})
