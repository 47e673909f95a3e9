"""Linear probe: whether class labels can be read off the codes by a linear classifier."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench.metric import Floats, Ints, NotApplicableError, Score, check_codes, register_metric
from bench.metrics._halves import at_least_one_row
from bench.metrics._samples import count_active
from bench.metrics._splits import split_rows
from bench.metrics.beta_vae_score import fit_logistic

#: Held-out rows whose codes are kept for a picture, and their significant digits.
SHOWN, DIGITS = 500, 4


@register_metric(
    "linear_probe",
    version=1,
    inputs=("codes", "labels"),
    scores={"linear_probe": Score("Linear probe (accuracy)")},
    cost="seconds",
)
def linear_probe(
    codes: Any,
    labels: Any,
    *,
    rng: np.random.Generator,
    n_train: int = 10_000,
    n_test: int = 5_000,
) -> dict[str, Any]:
    """Accuracy of a logistic regression from codes to class labels, on rows it wasn't fitted to.

    For data of which the class of an image is known but not the factors that made it. It tells how much of the class
    can be read off all codes together, and nothing of whether one code holds one thing: a rotation of the codes leaves
    it as it is, but for the penalty. Read it beside chance, the accuracy of always naming the commonest class. The
    regression is scikit-learn's (multinomial, L2 penalty, C = 1) on codes standardised by the training rows.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Finite numbers.
    labels : array-like of shape (N,)
        Class of each row, any whole numbers.
    rng : numpy.random.Generator
        Splits the rows.
    n_train, n_test : int
        Rows to fit and to test on; a smaller table is split 2:1.

    Returns
    -------
    dict
        ``linear_probe`` in [0, 1]; ``linear_probe_error``, its standard error over test rows; ``linear_probe_train``,
        on the training rows; ``chance``, of naming the training rows' commonest class on the test rows;
        ``classes``, the labels among the training rows; ``recall_per_class`` on the test rows, None for a class that
        none of them has; ``n_active``, the codes that aren't constant; ``converged``; ``scatter``, the two latents of
        which the class explains most of the variance (``latents``), that share of each (``explained``), and codes and
        labels of up to 500 test rows; ``n_train``, ``n_test``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, labels that aren't one whole number a row, fewer than three rows,
        or if the training rows have one class only.

    References
    ----------
    Alain, Bengio: Understanding intermediate layers using linear classifier probes, 2016, arXiv 1610.01644.
    """
    given = np.asarray(labels)
    table, _ = check_codes(codes)
    if given.shape != table.shape[:1] or given.dtype.kind not in "biu":
        needs = f"labels must be whole numbers of shape ({len(table)},)"
        raise ValueError(f"{needs}, one a row of the codes, got {given.dtype} of shape {given.shape}")
    classes = given.astype(np.int64)
    train, test = split_rows(len(table), n_train, n_test, rng, metric="linear_probe")
    names, counts = np.unique(classes[train], return_counts=True)
    if len(names) < 2:
        raise NotApplicableError("linear_probe needs two classes among the rows it is fitted to")
    mean, spread = table[train].mean(axis=0), table[train].std(axis=0)
    # The deviation of a constant code is rounding, which must not be blown up to 1.
    live = (table[train] != table[train][0]).any(axis=0)
    scaled = np.where(live, (table - mean) / np.where(live, spread, 1.0), 0.0)
    model, converged = fit_logistic(scaled[train], classes[train], max_iter=1_000)
    right = model.predict(scaled[test]) == classes[test]
    accuracy = float(right.mean())
    error = math.sqrt(accuracy * (1 - accuracy) / len(test))
    recalls = [right[classes[test] == name] for name in names]
    return {
        "linear_probe": accuracy,
        "linear_probe_error": at_least_one_row(error, len(test)),
        "linear_probe_train": float((model.predict(scaled[train]) == classes[train]).mean()),
        "chance": float((classes[test] == names[counts.argmax()]).mean()),
        "classes": names.tolist(),
        "recall_per_class": [float(found.mean()) if len(found) else None for found in recalls],
        "n_active": count_active(table[np.concatenate([train, test])]),
        "converged": converged,
        "scatter": _scatter(table, classes, train, test[:SHOWN]),
        "n_train": len(train),
        "n_test": len(test),
        "settings": {"n_train": n_train, "n_test": n_test},
    }


def explained_by_class(codes: Floats, classes: Ints) -> Floats:
    """Share of each code's variance that lies between classes, (N, D) and (N,) to (D,); 0 for a constant code."""
    names, numbers, counts = np.unique(classes, return_inverse=True, return_counts=True)
    centred = codes - codes.mean(axis=0)
    sums = np.zeros((len(names), codes.shape[1]))
    np.add.at(sums, numbers, centred)
    between = (sums**2 / counts[:, None]).sum(axis=0)
    total = (centred**2).sum(axis=0)
    live = (codes != codes[0]).any(axis=0)
    return np.asarray(np.where(live, np.clip(between / np.where(live, total, 1.0), 0.0, 1.0), 0.0))


def _scatter(codes: Floats, classes: Ints, train: Ints, shown: Ints) -> dict[str, Any]:
    explained = explained_by_class(codes[train], classes[train])
    latents = np.argsort(-explained, kind="stable")[:2]
    rounded = [[float(f"{value:.{DIGITS}g}") for value in codes[shown, latent]] for latent in latents]
    return {
        "latents": latents.tolist(),
        "explained": explained[latents].tolist(),
        "codes": rounded,
        "labels": classes[shown].tolist(),
    }
