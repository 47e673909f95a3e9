"""Means over seeds with their intervals, and what is known of each score."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pandas as pd

from bench.metric import Score
from bench.metrics.measure import column_info
from bench.registry import METRICS
from bench.results.schemas import DOTTED, FACTS
from bench.seeds import stream
from bench.stats import Summary, summary


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean, spread and 95 % bootstrap interval of every score of every configuration.

    Parameters
    ----------
    runs : DataFrame
        `Study.runs` or some of its rows.

    Returns
    -------
    DataFrame
        One row per data set x label x score, with n, n_diverged, n_failed, n_ok, mean, sd, median, low, high
        and interval. Only runs that ended well count towards the numbers; NaN where there is none.
    """
    rows = []
    columns = score_columns(runs)
    for (dataset, label), group in runs.groupby(["dataset_label", "label"], sort=False):
        count = group["status"].value_counts()
        ok = group[group["status"] == "ok"]
        base = {
            "dataset_label": dataset,
            "label": label,
            "method": group["method"].iloc[0],
            "n_ok": len(ok),
            "n_diverged": int(count.get("diverged", 0)),
            "n_failed": int(count.get("failed", 0)),
        }
        for score in columns:
            rows.append({**base, "score": score, **asdict(summary_of(ok, score))})
    names = ["dataset_label", "label", "method", "n_ok", "n_diverged", "n_failed", "score"]
    table = pd.DataFrame(rows, columns=[*names, "n", "mean", "sd", "median", "low", "high", "interval"])
    return table.astype(dict.fromkeys(["mean", "sd", "median", "low", "high"], float))


def summary_of(runs: pd.DataFrame, score: str) -> Summary:
    """Summarise one score of some runs, those that have it; the same in whatever study they stand."""
    known = runs[runs[score].notna()].sort_values(["seed", "run"])
    return summary(known[score].to_numpy(dtype=float), rng=resampling(known, score))


def resampling(runs: pd.DataFrame, what: str) -> np.random.Generator:
    """Generator of the stream that is named by what is resampled, not by the study or the report that asks.

    Parameters
    ----------
    runs : DataFrame
        Rows of `Study.runs` in the order of the values.
    what : str
        The score.
    """
    chosen = " ".join(f"{config}-s{seed}" for config, seed in zip(runs["config"], runs["seed"], strict=True))
    return stream(0, f"bootstrap:{what}:{chosen}")


def score_columns(runs: pd.DataFrame) -> list[str]:
    """Names of the score columns of `Study.runs`."""
    return [str(column) for column in runs.columns if column not in FACTS and not str(column).startswith(DOTTED)]


def score_info(column: str) -> Score:
    """Heading, range and direction of a score; one that no metric registers is headed by its own name."""
    base, bracket, options = column.partition("[")
    for entry in METRICS:
        if base in entry.info.scores:
            return column_info(entry.name + bracket + options)[column]
    return Score(column, low=-math.inf, high=math.inf, higher_is_better=None)


def place(column: str) -> tuple[int, str, int, str]:
    """Reconstruction, KL beside it, what needs no factors, what needs them, what nobody registered."""
    base, _, options = column.partition("[")
    for entry in METRICS:
        scores = list(entry.info.scores)
        if base in scores:
            inputs, index = entry.info.inputs, scores.index(base)
            leads = index == 0 and "train_codes" not in inputs
            kind = (0 if leads else 2) if "decoded" in inputs else 4 if "factors" in inputs else 3
            return 1 if base == "kl" else kind, entry.name, index, options
    return 5, column, 0, ""
