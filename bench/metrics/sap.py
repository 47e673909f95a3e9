"""Separated attribute predictability of Kumar et al. (2018)."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.factors import factor_values
from bench.metric import Floats, Ints, NotApplicableError, Score, check_codes, register_metric
from bench.metrics._samples import (
    count_active,
    cut_continuous,
    left_out,
    per_factor,
    per_pair,
    scorable_factors,
    small_codes,
    standardised,
)
from bench.metrics._splits import split_rows

#: Footnote of a correlation with something that isn't a number.
UNORDERED = "a factor's values are no numbers: taken as 0, 1, 2, ... in their order"
#: Newton steps at most; the sets of support vectors settle after about ten.
MAX_STEPS = 100


@register_metric(
    "sap",
    version=2,
    inputs=("codes", "factors"),
    scores={"sap": Score("SAP"), "sap_continuous": Score("SAP (continuous)")},
)
def sap(
    codes: Any,
    factors: Any,
    *,
    n_train: int = 10_000,
    n_test: int = 5_000,
    c: float = 0.01,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """SAP: how far the code that predicts a factor best on its own is ahead of the second best.

    ``SAP = mean_k (S_(1)k - S_(2)k)`` with two choices of S. ``sap``: test accuracy of a linear support vector
    machine on one code (squared hinge, one class against the rest, weight `c`, balanced classes), as in
    disentanglement_lib. ``sap_continuous``: squared correlation on the training rows. The machines are solved
    to the optimum by Newton steps on sorted prefix sums. scikit-learn's ``LinearSVC`` stops at a tolerance instead:
    at its default, which disentanglement_lib uses, an accuracy was up to 1.6e-3 from ours, at 1e-12 they agree.

    The discrete form stays well below 1 even for a perfect code, because a linear rule on one number isolates
    few of many classes and the second code keeps chance accuracy, and it depends on the scale of the codes
    through the penalty: below a standard deviation of 0.1 it is marked. The continuous form needs classes in their
    natural order and misses circular factors.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite; N at least 3, D at least 2.
    factors : array-like of shape (N, F)
        Factor classes; their numeric values matter for the continuous form only, which takes fractions as they are. A
        factor with one value among the training rows is left out.
    n_train, n_test : int
        Rows to fit and to test on, drawn without replacement; a table with fewer rows in all is split 2:1.
    c : float
        Weight of the loss against the penalty, positive.
    rng : numpy.random.Generator
        Splits the rows.

    Returns
    -------
    dict
        ``sap`` and ``sap_continuous`` in [0, 1]; ``sap_per_factor``, ``sap_continuous_per_factor`` (None for
        factors left out); ``accuracy`` and ``squared_correlation``, D rows of F; ``n_active``, the codes that
        aren't constant; ``factors_cut`` and ``factors_left_out``; ``n_train``, ``n_test``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, settings out of range, fewer than three rows or two codes,
        or if no factor has two values among the training rows.

    References
    ----------
    Kumar, Sattigeri, Balakrishnan: Variational Inference of Disentangled Latent Concepts from Unlabeled
    Observations, ICLR 2018, section 3; settings of disentanglement_lib (Locatello et al. 2019).
    """
    table, classes = check_codes(codes, factors)
    classes, cut, notes = cut_continuous(classes, n_train + n_test)
    if not c > 0:
        raise ValueError(f"c must be positive, got {c}")
    if table.shape[1] < 2:
        raise NotApplicableError("SAP needs at least two codes: it is the gap between the best and the second best")
    train, test = split_rows(len(table), n_train, n_test, rng, metric="SAP")
    columns = scorable_factors(classes[train], metric="SAP")
    used = classes[:, columns]
    accuracy = np.array(
        [
            [one_code_accuracy(code[train], factor[train], code[test], factor[test], c) for factor in used.T]
            for code in table.T
        ]
    )
    values, nameless = factor_values(factors)
    squared = squared_correlation(table[train], values[train][:, columns])
    unordered = [UNORDERED] * any(k in columns for k in nameless)
    discrete, continuous = _gap(accuracy), _gap(squared)
    n_factors = classes.shape[1]
    return {
        "sap": float(discrete.mean()),
        "sap_continuous": float(continuous.mean()),
        "sap_per_factor": per_factor(discrete, columns, n_factors),
        "sap_continuous_per_factor": per_factor(continuous, columns, n_factors),
        "accuracy": per_pair(accuracy, columns, n_factors),
        "squared_correlation": per_pair(squared, columns, n_factors),
        "n_active": count_active(table[np.concatenate([train, test])]),
        "factors_cut": cut,
        "factors_left_out": left_out(columns, n_factors),
        "n_train": len(train),
        "n_test": len(test),
        "settings": {"n_train": n_train, "n_test": n_test, "c": c},
        "marks": {"sap": notes + small_codes(table), "sap_continuous": unordered},
    }


def squared_correlation(codes: Floats, factors: Floats | Ints) -> Floats:
    """Squared Pearson correlation of every code with every factor, shape (D, F); 0 for a constant code.

    Whatever the scale: disentanglement_lib takes codes with a variance of at most 1e-12 for constant.
    """
    z, v = standardised(codes), standardised(factors)
    return np.asarray(np.minimum((z.T @ v / len(codes)) ** 2, 1.0))


def one_code_accuracy(train: Floats, seen: Ints, test: Floats, unseen: Ints, c: float) -> float:
    """Test accuracy of the linear support vector machine on one code.

    Parameters
    ----------
    train, test : ndarray of shape (n,), float64
        The code.
    seen, unseen : ndarray of shape (n,), int64
        The factor; at least two values among `seen`.
    c : float
        As scikit-learn's ``C``, with ``class_weight="balanced"``.
    """
    names, label = np.unique(seen, return_inverse=True)
    slope, intercept = fit_machines(train, label.astype(np.int64), c)
    if len(names) == 2:
        guess = (test * slope[1] + intercept[1] > 0).astype(np.int64)
    else:
        guess = (test[:, None] * slope + intercept).argmax(axis=1)
    return float((names[guess] == unseen).mean())


def fit_machines(x: Floats, label: Ints, c: float) -> tuple[Floats, Floats]:
    """Fit one machine per class against the rest on a single number.

    Minimises ``(w**2 + b**2) / 2 + sum_i C_i max(0, 1 - y_i (w x_i + b))**2``. As in liblinear, the weight of a
    class, ``n / (K n_k)``, multiplies C for its own rows; the rows of the rest have C itself, except with two
    classes, where both are weighted.

    Parameters
    ----------
    x : ndarray of shape (n,), float64
    label : ndarray of shape (n,), int64
        Classes from 0 to K - 1, each with a row.
    c : float

    Returns
    -------
    w, b : ndarray of shape (K,), float64
        Slope and intercept per class.
    """
    order = np.argsort(x, kind="stable")
    sums = _Prefix(x[order], label[order])
    n_rows, n_classes = len(x), len(sums.counts)
    balanced = n_rows / (n_classes * sums.counts)
    own = c * balanced
    rest = c * balanced[::-1] if n_classes == 2 else np.full(n_classes, c)
    theta = np.zeros((n_classes, 2))
    value, target = _newton(theta, sums, own, rest)
    for _ in range(MAX_STEPS):
        step = target - theta
        length = np.ones(n_classes)
        # Full steps unless they go uphill, which near the optimum only rounding does.
        for _ in range(30):
            trial = theta + length[:, None] * step
            reached, following = _newton(trial, sums, own, rest)
            uphill = reached > value + 1e-12 * np.abs(value)
            if not uphill.any():
                break
            length = np.where(uphill, length / 2, length)
        moved = np.abs(trial - theta).max()
        theta, value, target = trial, reached, following
        if moved <= 1e-12 * (1 + np.abs(theta).max()):
            break
    return theta[:, 0], theta[:, 1]


class _Prefix:
    """Sums of 1, x and x**2 over the rows of a class, and over the rest, below or above any threshold."""

    def __init__(self, x: Floats, label: Ints) -> None:
        n_rows = len(x)
        self.x = x
        self.counts = np.bincount(label)
        self.n_rows = n_rows
        by_class = np.argsort(label, kind="stable")
        # Rows sorted by class, then by x: one number per row in which a class and a place in x can be looked up.
        self.key = label[by_class] * (n_rows + 1) + by_class
        self.first = np.arange(len(self.counts)) * (n_rows + 1)
        self.start = np.cumsum(self.counts) - self.counts
        self.all = _running(x)
        self.own = _running(x[by_class])

    def below(self, place: Ints) -> tuple[Floats, Floats]:
        """Sums over the first `place` rows in order of x, those of the class and those of the rest: (K, 3) each."""
        inside = self.own[np.searchsorted(self.key, self.first + place)] - self.own[self.start]
        return inside, self.all[place] - inside

    def active(self, theta: Floats) -> tuple[Floats, Floats]:
        """Sums over the rows inside the margin, of the class and of the rest."""
        w, b = theta.T
        total_own, total_rest = self.below(np.full(len(w), self.n_rows))
        with np.errstate(divide="ignore", invalid="ignore"):
            upper, lower = (1 - b) / w, (-1 - b) / w
        flat = w == 0
        up = np.where(flat, 0.0, upper)
        low = np.where(flat, 0.0, lower)
        positive = self.below(np.searchsorted(self.x, up))[0]
        negative = self.below(np.searchsorted(self.x, low))[1]
        rising = (w > 0)[:, None]
        own = np.where(rising, positive, total_own - positive)
        rest = np.where(rising, total_rest - negative, negative)
        flat_own = total_own * (b < 1)[:, None]
        flat_rest = total_rest * (b > -1)[:, None]
        return np.where(flat[:, None], flat_own, own), np.where(flat[:, None], flat_rest, rest)


def _running(x: Floats) -> Floats:
    """Sums of 1, x and x**2 over the first i numbers, shape (n + 1, 3)."""
    powers = np.stack([np.ones_like(x), x, x**2], axis=1)
    return np.concatenate([np.zeros((1, 3)), powers.cumsum(axis=0)])


def _newton(theta: Floats, sums: _Prefix, own: Floats, rest: Floats) -> tuple[Floats, Floats]:
    """Return the objective at theta and the minimum of its quadratic piece there, per class."""
    positive, negative = sums.active(theta)
    positive, negative = positive * own[:, None], negative * rest[:, None]
    n, s, q = (positive + negative).T
    n_signed, s_signed, _ = (positive - negative).T
    w, b = theta.T
    loss = n - 2 * (w * s_signed + b * n_signed) + w**2 * q + 2 * w * b * s + b**2 * n
    value = (w**2 + b**2) / 2 + loss
    # (I + 2 [[q, s], [s, n]]) (w, b) = 2 (s_signed, n_signed), by Cramer's rule.
    a, d, e = 1 + 2 * q, 1 + 2 * n, 2 * s
    determinant = a * d - e**2
    target = np.stack(
        [(2 * s_signed * d - e * 2 * n_signed) / determinant, (a * 2 * n_signed - e * 2 * s_signed) / determinant],
        axis=1,
    )
    return value, target


def _gap(scores: Floats) -> Floats:
    ordered = np.sort(scores, axis=0)
    return np.asarray(ordered[-1] - ordered[-2])
