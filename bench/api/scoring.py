"""`score` and `compare`: metrics of codes made elsewhere, and two studies side by side, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.api.study import Study
from bench.arrays import as_numpy
from bench.comparison.compare import compare as compare_studies
from bench.comparison.compare import load_study as load_compared
from bench.comparison.render import to_rows
from bench.errors import BenchError
from bench.external.codes import represent
from bench.external.score import score as score_all
from bench.metrics.measure import find_metric
from bench.results.summary import place, score_info
from bench.selectors import split_list
from bench.sharing.opening import locate


def score(
    codes: Any,
    factors: Any = None,
    *,
    logvar: Any = None,
    labels: Any = None,
    factor_names: Sequence[str] = (),
    metrics: Sequence[str] | str = "all",
    seed: int = 0,
) -> pd.DataFrame:
    """Measure codes that were made elsewhere with the metrics of a run.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means; lists, DataFrames and tensors of any library do.
    factors : array-like of shape (N, F), optional
        Values of the factors in the same rows: whole numbers, strings, categories.
    logvar : array-like of shape (N, D), optional
        Log-variances of the posteriors, without which metrics of the code's noise aren't applicable.
    labels : array-like of shape (N,), optional
        Class of the image in the same rows, whole numbers: for the linear probe.
    factor_names : sequence of str
        For messages; by default a DataFrame's columns.
    metrics : sequence of str, or str
        "all", "core", names, globs, or names with options: ``"mig[n_bins=10]"``.
    seed : int
        Of the metrics' draws.

    Returns
    -------
    DataFrame
        A row per score, by its name: ``value`` (NaN where it isn't applicable), ``error`` (the metric's own estimate
        of its error, where it has one), ``higher_is_better``, ``version``, and ``note``, why there is no value or why
        it mustn't be read as it stands.

    Raises
    ------
    BenchError
        Unknown metrics, tables that don't fit each other, codes that aren't finite.

    Examples
    --------
    >>> import numpy as np
    >>> factors = np.stack(np.unravel_index(np.arange(64), (8, 8)), axis=1)
    >>> float(score(factors, factors, metrics="mig").loc["mig", "value"])
    1.0
    """
    try:
        seed = index(seed)
    except TypeError:
        raise BenchError(f"seed={seed!r}: give a whole number") from None
    named = tuple(factor_names) or tuple(map(str, getattr(factors, "columns", ())))
    given = {"codes": codes, "logvar": logvar, "factors": factors, "labels": labels}
    item = represent({name: _array(name, value) for name, value in given.items() if value is not None}, named)
    chosen = [part for text in ([metrics] if isinstance(metrics, str) else metrics) for part in split_list(text)]
    (scored,) = score_all([item], chosen, seed=seed)
    return _table(scored.evaluation)


def _array(name: str, value: Any) -> NDArray[Any]:
    array = as_numpy(value)
    # NumPy would take what stands behind a mask for values.
    if np.ma.is_masked(array):
        raise BenchError(f"score: {name} are masked in {int(np.ma.getmaskarray(array).sum()):,} places: leave rows out")
    return np.asarray(array)


def _table(found: Any) -> pd.DataFrame:
    rows: dict[str, dict[str, Any]] = {}
    for name, details in found.details.items():
        metric = find_metric(name)
        for key, column in metric.columns.items():
            if column not in found.scores:
                continue
            error = details.get(f"{key}_error")
            rows[column] = {
                "value": found.scores[column],
                "error": np.nan if error is None else float(error),
                "higher_is_better": score_info(column).higher_is_better,
                "version": metric.version,
                "note": "; ".join(found.marks.get(column, [])),
            }
    # By the name of a metric that didn't run, or of a score that one which did couldn't give.
    ran = {column: metric for metric in map(find_metric, found.details) for column in metric.columns.values()}
    for name, reason in found.not_applicable.items():
        metric = ran.get(name) or find_metric(name)
        for column in [name] if name in ran else metric.columns.values():
            rows[column] = {
                "value": np.nan,
                "error": np.nan,
                "higher_is_better": score_info(column).higher_is_better,
                "version": metric.version,
                "note": reason,
            }
    columns = ["value", "error", "higher_is_better", "version", "note"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.loc[sorted(table.index, key=place)].rename_axis("score")


def compare(
    a: Study | str | Path,
    b: Study | str | Path,
    *,
    margins: Mapping[str, float] | None = None,
    results: str | Path = "results",
    mixed: bool = False,
) -> pd.DataFrame:
    """Compare two studies, configuration by configuration and score by score: B minus A over seeds.

    Parameters
    ----------
    a, b : Study, or str or Path
        Open studies, or names, folders and archives.
    margins : mapping of str to float, optional
        Score to the difference that would matter: equivalence is asked for instead of a difference.
    results : str or Path
        Where names are looked for.
    mixed : bool
        Allow different versions of a method, data set, metric or protocol.

    Returns
    -------
    DataFrame
        A row per score of a configuration that both have: difference, 95 % interval, p with Holm's correction,
        verdict.

    Raises
    ------
    BenchError
        No such study, mixed versions, nothing in common.
    """
    sides = [
        side.stored if isinstance(side, Study) else load_compared(locate(str(side), Path(results))) for side in (a, b)
    ]
    return pd.DataFrame(to_rows(compare_studies(*sides, margins=margins, mixed=mixed)))
