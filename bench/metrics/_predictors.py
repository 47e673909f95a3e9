"""Predictors of one factor from all codes, for the metrics that ask what can be learnt from a code."""

from __future__ import annotations

from typing import Literal

import numpy as np

from bench.metric import Floats, Ints
from bench.metrics.beta_vae_score import fit_logistic
from bench.metrics.dci import PREDICTORS

Predictor = Literal["logistic", "hist_gbt", "sklearn_gbt"]
#: What `predict` takes, in the order of the documentation.
NAMES: tuple[Predictor, ...] = ("logistic", "hist_gbt", "sklearn_gbt")


def check_predictor(name: str) -> None:
    """Refuse a name that isn't a predictor's with a ValueError."""
    if name not in NAMES:
        raise ValueError(f"predictor must be 'logistic', 'hist_gbt' or 'sklearn_gbt', got {name!r}")


def predict(name: Predictor, train: Floats, seen: Ints, test: Floats, rng: np.random.Generator) -> Ints:
    """Fit a predictor and apply it.

    Parameters
    ----------
    name : {"logistic", "hist_gbt", "sklearn_gbt"}
        scikit-learn's ``LogisticRegression()`` on codes of variance 1 in the training rows, or boosted trees as in
        `bench.metrics.dci`.
    train, test : ndarray of shape (n, D) and (m, D), float64
        Codes.
    seen : ndarray of shape (n,), int64
        The factor on the training rows. With one value that is the prediction.
    rng : numpy.random.Generator
        Breaks ties of the trees.

    Returns
    -------
    ndarray of shape (m,), int64
    """
    if (seen == seen[0]).all():
        return np.full(len(test), seen[0])
    if name != "logistic":
        _, apply = PREDICTORS[name](train, seen[:, None], rng)
        return apply(test)[:, 0]
    live = (train != train[0]).any(axis=0)
    # Differences from a row first: what is far from 0 keeps its digits.
    moved, others = train - train[0], test - train[0]
    unit = np.where(live, np.abs(moved).max(axis=0), 1.0)
    moved, others = np.where(live, moved / unit, 0.0), np.where(live, others / unit, 0.0)
    centre, spread = moved.mean(axis=0), np.where(live, moved.std(axis=0), 1.0)
    model, _ = fit_logistic((moved - centre) / spread, seen)
    return np.asarray(model.predict((others - centre) / spread))
