"""Fairness of predictions, as in Locatello et al. (2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.metric import Floats, Ints, Score, check_codes, register_metric
from bench.metrics._predictors import Predictor, check_predictor, predict
from bench.metrics._samples import count_active, cut_continuous, left_out, per_factor, per_pair, scorable_factors
from bench.metrics._splits import split_rows

#: Parts of the test rows, each measured with what the others decide.
N_FOLDS = 5


@register_metric(
    "fairness",
    version=1,
    inputs=("codes", "factors"),
    scores={"unfairness": Score("Unfairness ({predictor})", higher_is_better=False)},
    cost="seconds",
)
def fairness(
    codes: Any,
    factors: Any,
    *,
    n_train: int = 10_000,
    n_test: int = 5_000,
    predictor: Predictor = "hist_gbt",
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Unfairness: how much the prediction of one factor depends on another that it should ignore.

    A classifier is fitted to all codes for every factor, the target. Against every other factor, the sensitive one, its
    predictions are held by their total variation ``TV = sum_y |p(y | s) - p(y)| / 2``, mean over the sensitive factor's
    values s by their frequency; the score is the mean over all pairs of a target and a sensitive factor. 0 is fair
    (demographic parity), 1 means that the target is predicted from the sensitive factor alone.

    It can't see whether a prediction is right: one that is always the same is fair, so that a code which
    tells nothing scores 0. Where factors are correlated in the table, correct predictions are unfair.

    Shares of few rows differ by chance, so that the total variation of shares is too large: 0.2 for a fair prediction
    of 32 values and 5,000 rows of 40 values. The score avoids this: which answers a value favours is decided on
    four fifths of its test rows and measured on the fifth, five times. It is 0 on average where predictions are fair
    and otherwise rather too small, while the plug-in estimate, ``unfairness_plug_in``, is too large; the error is what
    lies between them, or the standard error over the fifths where that is larger. (disentanglement_lib sets the
    sensitive factor of 100 images to each of its values, which needs new images.)

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite; N at least 3.
    factors : array-like of shape (N, F)
        Factor classes. A factor with one value among the training rows is left out; two must be left.
    n_train, n_test : int
        Rows to fit and to test on, drawn without replacement; a table with fewer rows in all is split 2:1.
    predictor : {"hist_gbt", "sklearn_gbt", "logistic"}
        Boosted trees as in `dci`, or scikit-learn's ``LogisticRegression()`` on codes of variance 1.
    rng : numpy.random.Generator
        Splits the rows, draws fifths and breaks ties.

    Returns
    -------
    dict
        ``unfairness`` in [0, 1], lower is better, with its ``_error``; ``unfairness_plug_in``; ``total_variation``, the
        estimate for every target (rows) and sensitive factor (None on the diagonal and for factors left out), which
        may be below 0 by chance; ``unfairness_per_factor``, mean over sensitive factors for each target;
        ``accuracy_per_factor`` on the test rows; ``n_active``, the codes that aren't constant; ``factors_cut`` and
        ``factors_left_out``; ``n_train``, ``n_test``, ``predictor``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, an unknown predictor, fewer than three rows, or fewer than two
        factors with two values among the training rows.

    References
    ----------
    Locatello, Abbati, Rainforth, Bauer, Schölkopf, Bachem: On the Fairness of Disentangled Representations, NeurIPS
    2019, section 4; ``mean_fairness:mean_pred:mean_sens`` of disentanglement_lib.
    """
    table, classes = check_codes(codes, factors)
    check_predictor(predictor)
    classes, cut, notes = cut_continuous(classes, n_train + n_test)
    train, test = split_rows(len(table), n_train, n_test, rng, metric="fairness")
    columns = scorable_factors(classes[train], least=2, metric="fairness")
    used = classes[:, columns]
    guesses = np.stack([predict(predictor, table[train], column[train], table[test], rng) for column in used.T], axis=1)
    n = len(columns)
    crossed, plugged, chance = np.full((3, n, n), np.nan)
    for s, sensitive in enumerate(used[test].T):
        fold = draw_folds(sensitive, rng)
        for y in range(n):
            if y != s:
                plugged[y, s] = total_variation(guesses[:, y], sensitive)
                parts = crossed_parts(guesses[:, y], sensitive, fold)
                crossed[y, s] = parts.sum() / len(test)
                chance[y, s] = np.std(parts, ddof=1) * np.sqrt(len(parts)) / len(test) if len(parts) > 1 else np.nan
    n_factors = classes.shape[1]
    matrix: list[list[float | None]] = [[None] * n_factors for _ in range(n_factors)]
    for y, row in zip(columns, per_pair(crossed, columns, n_factors), strict=True):
        matrix[y] = [None if value is None or np.isnan(value) else value for value in row]
    plug_in = float(np.nanmean(plugged))
    unfairness = min(max(float(np.nanmean(crossed)), 0.0), plug_in)
    return {
        "unfairness": unfairness,
        # The pairs share their test rows, so that their chance errors don't average out.
        "unfairness_error": max(
            plug_in - unfairness, float(np.nan_to_num(chance[~np.eye(n, dtype=bool)]).mean()), 1 / len(test)
        ),
        "unfairness_plug_in": plug_in,
        "unfairness_per_factor": per_factor(np.nanmean(crossed, axis=1), columns, n_factors),
        "total_variation": matrix,
        "accuracy_per_factor": per_factor((guesses == used[test]).mean(axis=0), columns, n_factors),
        "n_active": count_active(table[np.concatenate([train, test])]),
        "factors_cut": cut,
        "factors_left_out": left_out(columns, n_factors),
        "n_train": len(train),
        "n_test": len(test),
        "predictor": predictor,
        "settings": {"n_train": n_train, "n_test": n_test, "predictor": predictor},
        "marks": {"unfairness": notes},
    }


def total_variation(guess: Ints, sensitive: Ints) -> float:
    """Plug-in estimate of the mean total variation between predictions given a value and predictions at large."""
    joint = _joint(guess, sensitive) / len(guess)
    weight = joint.sum(axis=1, keepdims=True)
    return float(np.abs(joint - weight * joint.sum(axis=0)).sum() / 2)


def crossed_parts(guess: Ints, sensitive: Ints, fold: Ints) -> Floats:
    """What each part of the rows adds to the total variation, favoured answers decided on the other parts.

    Parameters
    ----------
    guess, sensitive : ndarray of shape (n,), int64
        Predictions, and values of the sensitive factor.
    fold : ndarray of shape (n,), int64
        Each part is measured with what the rest decides. A value that one part alone has counts as 0.

    Returns
    -------
    ndarray of float64
        One value per part, in rows: their sum over n lies from -1 to 1, is on average 0 where predictions are fair,
        and nowhere above the total variation.
    """
    whole = _joint(guess, sensitive)
    apart = []
    for number in np.unique(fold):
        part = _joint(guess, sensitive, fold == number)
        rest = whole - part
        # p(y | s) > p(y) in the rest, without a division.
        favoured = rest * rest.sum() > rest.sum(axis=1, keepdims=True) * rest.sum(axis=0)
        excess = part - part.sum(axis=1, keepdims=True) * (part.sum(axis=0) / part.sum())
        apart.append(float(excess[favoured].sum()))
    return np.asarray(apart, dtype=np.float64)


def draw_folds(column: Ints, rng: np.random.Generator) -> Ints:
    """Number of the part that each row falls to, `N_FOLDS` of them with equal shares of every value."""
    order = rng.permutation(len(column))
    order = order[np.argsort(column[order], kind="stable")]
    fold = np.empty(len(column), dtype=np.int64)
    fold[order] = np.arange(len(column)) % N_FOLDS
    return fold


def _joint(guess: Ints, sensitive: Ints, counted: NDArray[np.bool_] | None = None) -> Ints:
    """Rows with a value of the sensitive factor (first axis) and a prediction, of those that are counted."""
    _, y = np.unique(guess, return_inverse=True)
    _, s = np.unique(sensitive, return_inverse=True)
    counts = np.zeros((int(s.max()) + 1, int(y.max()) + 1), dtype=np.int64)
    np.add.at(counts, (s, y), 1 if counted is None else counted.astype(np.int64))
    return counts
