"""Downstream accuracy and its sample efficiency, as in Locatello et al. (2019)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.metric import Floats, Ints, Score, check_codes, register_metric
from bench.metrics._predictors import Predictor, check_predictor, predict
from bench.metrics._samples import count_active, cut_continuous, left_out, per_factor, scorable_factors
from bench.metrics._splits import split_rows

#: Draws of labels at most, where there are rows for so many that share none.
MOST_DRAWS = 5
#: Rows to draw them from, unless more labels are asked for.
POOL = 10_000


@register_metric(
    "downstream",
    version=1,
    inputs=("codes", "factors"),
    scores={
        "downstream_accuracy": Score("Downstream accuracy ({predictor}, {n_labels} labels)"),
        "downstream_efficiency": Score("Sample efficiency ({predictor}, {n_few} of {n_labels} labels)", high=np.inf),
    },
    cost="seconds",
)
def downstream(
    codes: Any,
    factors: Any,
    *,
    n_labels: int = 10_000,
    n_few: int = 100,
    n_test: int = 5_000,
    predictor: Predictor = "logistic",
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Downstream accuracy: how well a classifier that saw so many labels names the factors, and what few labels give.

    For every factor a classifier is fitted to all codes of `n_labels` rows; ``downstream_accuracy`` is its accuracy on
    other rows, mean over factors. ``downstream_efficiency`` is the accuracy with `n_few` labels over that with
    `n_labels`: 100 over 10,000 as Locatello et al. have it. Several numbers of labels are several columns:
    ``downstream[n_labels=10,100,1000,10000,predictor=logistic,hist_gbt]``.

    Accuracy can't see disentanglement: a rotated code serves logistic regression as well. It
    isn't comparable between data sets, because chance is one over the number of values, nor between predictors. An
    efficiency near 1 may mean that little was learnt from many labels either, as from noise: read it beside the
    accuracy.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite; N at least 3.
    factors : array-like of shape (N, F)
        Factor classes. A factor with one value among the training rows is left out.
    n_labels : int
        Labelled rows to fit to, at least 1: five times as many are set aside, as far as 10,000 go, for draws that share
        none. A table with too few rows for these and `n_test` is split 2:1; where that leaves fewer labels than were
        asked for, the scores are marked.
    n_few : int
        Labelled rows for the numerator of the efficiency, at least 1; where the denominator doesn't have more of them
        there is none.
    n_test : int
        Rows to test on.
    predictor : {"logistic", "hist_gbt", "sklearn_gbt"}
        scikit-learn's ``LogisticRegression()`` on codes of variance 1, or boosted trees as in `dci`.
        (disentanglement_lib chooses the penalty of the regression by cross-validation.)
    rng : numpy.random.Generator
        Splits the rows, draws the labels and breaks ties.

    Returns
    -------
    dict
        ``downstream_accuracy`` in [0, 1]; ``downstream_efficiency``, 0 or more, None where `n_few` isn't fewer or no
        answer was right; each with its ``_error``: of drawing other labels, and other rows to test on;
        ``accuracy_per_factor`` and ``accuracy_few_per_factor`` (None for factors left out); ``chance_per_factor``, the
        accuracy of always naming the commonest training class; ``n_draws`` and ``n_draws_few``, the draws of labels
        that an accuracy is the mean of, up to five that share no row; ``n_active``, the codes that aren't constant;
        ``factors_cut`` and ``factors_left_out``; ``n_train``, the labels used; ``n_test``; ``predictor``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, settings out of range, fewer than three rows, or if no factor has
        two values among the training rows.

    References
    ----------
    Locatello, Bauer, Lucic, Rätsch, Gelly, Schölkopf, Bachem: Challenging Common Assumptions in the Unsupervised
    Learning of Disentangled Representations, ICML 2019, section 5.5; disentanglement_lib, ``downstream_task``.
    """
    table, classes = check_codes(codes, factors)
    if min(n_labels, n_few, n_test) < 1:
        raise ValueError(f"n_labels, n_few and n_test must be at least 1, got {n_labels}, {n_few} and {n_test}")
    check_predictor(predictor)
    pool = max(n_labels, min(MOST_DRAWS * n_labels, POOL))
    classes, cut, notes = cut_continuous(classes, pool + n_test)
    rows, test = split_rows(len(table), pool, n_test, rng, metric="downstream accuracy")
    columns = scorable_factors(classes[rows], metric="downstream accuracy")
    used = classes[:, columns]
    n_used = min(n_labels, len(rows))
    if n_used < n_labels:
        notes = [*notes, f"fitted to {n_used} labels instead of {n_labels}: the table has no more"]
    many = measure_accuracy(predictor, table, used, rows, test, n_used, rng)
    few = measure_accuracy(predictor, table, used, rows, test, n_few, rng) if n_few < n_used else None
    commonest = [np.unique(column, return_counts=True) for column in used[rows].T]
    chance = [(used[test, k] == values[counts.argmax()]).mean() for k, (values, counts) in enumerate(commonest)]
    n_factors = classes.shape[1]
    return {
        "downstream_accuracy": many.mean,
        "downstream_accuracy_error": many.error,
        **_efficiency(few, many),
        "accuracy_per_factor": per_factor(many.of_factors, columns, n_factors),
        "accuracy_few_per_factor": None if few is None else per_factor(few.of_factors, columns, n_factors),
        "chance_per_factor": per_factor(np.array(chance), columns, n_factors),
        "n_draws": many.n_draws,
        "n_draws_few": None if few is None else few.n_draws,
        "n_active": count_active(table[np.concatenate([rows, test])]),
        "factors_cut": cut,
        "factors_left_out": left_out(columns, n_factors),
        "n_train": n_used,
        "n_test": len(test),
        "predictor": predictor,
        "settings": {"n_labels": n_labels, "n_few": n_few, "n_test": n_test, "predictor": predictor},
        "marks": dict.fromkeys(("downstream_accuracy", "downstream_efficiency"), notes),
    }


@dataclass(frozen=True)
class Accuracy:
    """Accuracy with so many labels, mean over draws of them.

    Attributes
    ----------
    of_factors : ndarray of shape (F,), float64
    mean : float
        Over factors.
    error : float
        Standard error: of the labels, from draws that share none or, where there is one draw, from its two halves;
        and of the rows to test on.
    n_draws : int
    """

    of_factors: Floats
    mean: float
    error: float
    n_draws: int


def measure_accuracy(
    predictor: Predictor, codes: Floats, classes: Ints, rows: Ints, test: Ints, n_labels: int, rng: np.random.Generator
) -> Accuracy:
    """Fit to `n_labels` of the rows at a time, as often as there are others of them, and test.

    Parameters
    ----------
    predictor : str
        See `bench.metrics._predictors.predict`.
    codes : ndarray of shape (N, D), float64
    classes : ndarray of shape (N, F), int64
    rows, test : ndarray of int64
        Rows to draw labels from, at least `n_labels`, and rows to test on.
    n_labels : int
    rng : numpy.random.Generator
    """

    def right(labelled: Sequence[Ints]) -> Floats:
        """Whether an answer is right, shape (draws, rows to test on, factors)."""
        answers = [
            [predict(predictor, codes[part], column[part], codes[test], rng) == column[test] for part in labelled]
            for column in classes.T
        ]
        return np.array(answers, dtype=np.float64).transpose(1, 2, 0)

    n_draws = min(len(rows) // n_labels, MOST_DRAWS)
    found = right([rows[i * n_labels : (i + 1) * n_labels] for i in range(n_draws)])
    of_factors = np.asarray(found.mean(axis=(0, 1)))
    if n_draws > 1:
        labels = found.mean(axis=(1, 2)).std(ddof=1) / math.sqrt(n_draws)
    elif n_labels > 1:
        # A half has twice the variance, and the difference of two halves four times that of the whole.
        one, other = right(np.array_split(rows[:n_labels], 2)).mean(axis=1)
        labels = float(np.linalg.norm(one - other)) / len(of_factors) / 2
    else:
        labels = math.inf
    of_rows = found.mean(axis=(0, 2))
    # One row more that is wrong throughout and one that is right, so that no mistake in few rows isn't no error.
    testing = np.append(of_rows, [0.0, 1.0]).std() / math.sqrt(len(of_rows) + 2)
    return Accuracy(of_factors, float(of_factors.mean()), math.hypot(labels, testing), n_draws)


def _efficiency(few: Accuracy | None, many: Accuracy) -> dict[str, float | None]:
    if few is None or many.mean == 0:
        return {"downstream_efficiency": None}
    ratio = few.mean / many.mean
    error = math.hypot(few.error, ratio * many.error) / many.mean
    return {"downstream_efficiency": ratio, "downstream_efficiency_error": error}
