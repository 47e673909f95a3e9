"""BetaVAE score of Higgins et al. (2017), with the pairs drawn from a table of codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.metric import Floats, Ints, Score, check_codes, register_metric
from bench.metrics._samples import count_active, cut_continuous, left_out, per_factor, scorable_factors, small_codes
from bench.metrics._votes import CHUNK, Slices


@register_metric(
    "beta_vae_score",
    version=2,
    inputs=("codes", "factors"),
    scores={"beta_vae_score": Score("BetaVAE score")},
    cost="seconds",
)
def beta_vae_score(
    codes: Any,
    factors: Any,
    *,
    n_train: int = 10_000,
    n_test: int = 5_000,
    batch_size: int = 64,
    standardise: bool = False,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """BetaVAE score: how well a linear classifier tells which factor pairs of images have in common.

    For one point a factor k is drawn uniformly, then `batch_size` random rows and for each of them a random
    row with the same value of factor k. The point is the mean of ``|z - z'|`` over these pairs, its label is
    k. A logistic regression (scikit-learn's defaults) is fitted to the training points, and the score is its
    accuracy on fresh ones. Chance is one over the number of factors that vary. Rotated and merged codes score
    almost as high as perfect ones, and the penalty of the regression makes the score fall with the scale of
    the codes: where no standard deviation reaches 0.1 it is marked.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite.
    factors : array-like of shape (N, F)
        Factor classes of the same rows. A factor with one value is never drawn. On the full grid of factors
        the other factors of a pair are independent, as in the paper; on other tables they are what the rows
        with the same value hold.
    n_train, n_test : int
        Points to fit and to test on.
    batch_size : int
        Pairs per point.
    standardise : bool
        Divide every code by its standard deviation in the table first, which makes the score independent of
        scale but no longer disentanglement_lib's.
    rng : numpy.random.Generator
        Draws factors, rows and pairs.

    Returns
    -------
    dict
        ``beta_vae_score`` in [0, 1], test accuracy; ``beta_vae_score_train``; ``accuracy_per_factor`` on the
        test points (None for a factor without points); ``chance``, one over the number of factors drawn;
        ``converged``, whether the regression did within its 100 iterations; ``n_active``, the codes that
        aren't constant; ``factors_cut`` and ``factors_left_out``; ``n_rows``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, settings below 1, training points of a single factor, or
        fewer than two factors with two values: with one factor every answer would be right.

    References
    ----------
    Higgins et al.: beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework, ICLR
    2017, section 3; settings of disentanglement_lib (Locatello et al. 2019).
    """
    table, classes = check_codes(codes, factors)
    classes, cut, notes = cut_continuous(classes, len(table))
    if min(n_train, n_test, batch_size) < 1:
        raise ValueError(f"n_train, n_test and batch_size must be at least 1, got {n_train}, {n_test} and {batch_size}")
    columns = scorable_factors(classes, least=2, metric="BetaVAE score")
    if standardise:
        spread = np.where((table != table[0]).any(axis=0), table.std(axis=0), 0.0)
        table = table / np.where(spread > 0, spread, 1.0)
    slices = [Slices(classes[:, k]) for k in columns]
    train, seen = _points(table, slices, n_train, batch_size, rng)
    test, unseen = _points(table, slices, n_test, batch_size, rng)
    if (seen == seen[0]).all():
        raise ValueError(f"all {n_train} training points hold the same factor fixed: draw more of them")
    model, converged = fit_logistic(train, seen)
    right = model.predict(test) == unseen
    asked = np.bincount(unseen, minlength=len(columns))
    accuracy = per_factor(
        np.bincount(unseen, right, len(columns)) / np.maximum(asked, 1), columns, n_factors := classes.shape[1]
    )
    for k, count in zip(columns, asked, strict=True):
        if count == 0:
            accuracy[k] = None
    return {
        "beta_vae_score": float(right.mean()),
        "beta_vae_score_train": float((model.predict(train) == seen).mean()),
        "accuracy_per_factor": accuracy,
        "chance": 1 / len(columns),
        "converged": converged,
        "n_active": count_active(table),
        "factors_cut": cut,
        "factors_left_out": left_out(columns, n_factors),
        "n_rows": len(table),
        "settings": {
            "n_train": n_train,
            "n_test": n_test,
            "batch_size": batch_size,
            "standardise": standardise,
        },
        "marks": {"beta_vae_score": notes + ([] if standardise else small_codes(table))},
    }


def fit_logistic(features: Floats, target: Ints, **options: Any) -> tuple[Any, bool]:
    """Fit scikit-learn's ``LogisticRegression(**options)``; whether it converged is told instead of warned about.

    Parameters
    ----------
    features : ndarray of shape (n, d), float64
    target : ndarray of shape (n,), int64
        At least two classes.

    Returns
    -------
    model : sklearn.linear_model.LogisticRegression
    converged : bool
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = LogisticRegression(**options).fit(features, target)
    converged = True
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            converged = False
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return model, converged


def _points(
    codes: Floats, slices: list[Slices], n_points: int, batch_size: int, rng: np.random.Generator
) -> tuple[Floats, Ints]:
    """Draw points, shape (n_points, D), and the factor each pair of theirs shares, shape (n_points,)."""
    points = np.empty((n_points, codes.shape[1]))
    labels = rng.integers(len(slices), size=n_points)
    for start in range(0, n_points, CHUNK):
        part = labels[start : start + CHUNK]
        for k, group in enumerate(slices):
            where = np.flatnonzero(part == k)
            first = rng.integers(len(codes), size=len(where) * batch_size)
            second = group.draw(first, 1, rng)[:, 0]
            apart = np.abs(codes[first] - codes[second]).reshape(len(where), batch_size, codes.shape[1])
            points[start + where] = apart.mean(axis=1)
    return points, labels
