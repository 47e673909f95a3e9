"""Disentanglement, completeness and informativeness of Eastwood and Williams (2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.metric import Floats, Ints, Score, check_codes, register_metric
from bench.metrics._halves import at_least_one_row, draw_halves, error_of_halves, largest_share
from bench.metrics._samples import count_active, cut_continuous, left_out, per_factor, per_pair, scorable_factors
from bench.metrics._splits import split_rows

Predictor = Literal["hist_gbt", "sklearn_gbt", "linear"]
N_BINS = 64
#: Importances (D, F), and the function that predicts classes (N, F) from codes.
Fitted = tuple[Floats, Callable[[Floats], Ints]]


@register_metric(
    "dci",
    version=2,
    inputs=("codes", "factors"),
    scores={
        "dci_disentanglement": Score("DCI-D ({predictor})"),
        "dci_completeness": Score("DCI-C ({predictor})"),
        "dci_informativeness": Score("DCI-I ({predictor})"),
    },
    cost="seconds",
    groups=("all", "core"),
)
def dci(
    codes: Any,
    factors: Any,
    *,
    n_train: int = 10_000,
    n_test: int = 5_000,
    predictor: Predictor = "hist_gbt",
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Disentanglement, completeness and informativeness, from the importances of boosted trees or of a regression.

    Every factor is predicted from all codes by gradient boosting (100 rounds, depth 3, learning rate 0.1);
    column k of R holds the importances, which sum to 1. Code j is disentangled by ``D_j = 1 - H_F(R_j / sum
    R_j)`` and factor k complete by ``C_k = 1 - H_D(R_k)``, entropies to the base of their number of terms; D
    weights codes by their share of R, C factors by theirs. I is the mean test accuracy. Because columns sum
    to 1 even for a factor that can't be predicted, D and C should be read next to I per factor. All three
    depend on the predictor and on `n_train`: compare like with like only.

    The errors are those of having `n_train` rows and no more (and `n_test`, for I), from predictors fitted to half of
    them: noise, and bias that falls at least with the root of the rows. They cost about a third of the time. What trees
    still learn from more rows can be larger, so take it for a lower bound there, and the difference of 64 bins to exact
    splits isn't in them: finer bins aren't nearer to exact splits, so that no other number of bins tells it. See
    `predictor`.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite; N at least 3.
    factors : array-like of shape (N, F)
        Factor classes. A factor with one value among the training rows is left out.
    n_train, n_test : int
        Rows to fit and to test on, drawn without replacement; a table with fewer rows in all is split 2:1.
    predictor : {"hist_gbt", "sklearn_gbt", "linear"}
        Boosting on 64 quantile bins, or scikit-learn's exact ``GradientBoostingClassifier()`` as in
        disentanglement_lib, some thirty times slower. At 10,000 training rows D and C differ by about 0.01;
        on a few hundred the bins smooth noise that exact splits fit, and they differ by up to 0.07. "linear" is
        least squares: importances are the absolute coefficients for codes and factors of unit variance, which
        needn't sum to 1, and predicted is the class nearest to the fit. It needs classes in their natural order,
        and has a closed form on linear-Gaussian codes, `bench.analytic.measures.dci`.
    rng : numpy.random.Generator
        Splits the rows and breaks ties between codes.

    Returns
    -------
    dict
        ``dci_disentanglement``, ``dci_completeness``, ``dci_informativeness`` in [0, 1]; the first is None
        with one scored factor and the second with one code, where the entropy has no base; each with its ``_error``;
        ``disentanglement_per_latent``, ``completeness_per_factor``, ``informativeness_per_factor`` (None for
        factors left out); ``informativeness_train``, the mean accuracy on the training rows;
        ``chance_per_factor``, test accuracy of always naming the commonest training class; ``importance``, D
        rows of F; ``n_active``, the codes that aren't constant; ``factors_cut`` and ``factors_left_out``; ``n_train``,
        ``n_test``, ``predictor``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, fewer than three rows, an unknown predictor, or if no
        factor has two values among the training rows.

    References
    ----------
    Eastwood, Williams: A Framework for the Quantitative Evaluation of Disentangled Representations, ICLR
    2018, section 2; aggregation and predictor of disentanglement_lib (Locatello et al. 2019).
    """
    table, classes = check_codes(codes, factors)
    classes, cut, notes = cut_continuous(classes, n_train + n_test)
    if predictor not in PREDICTORS:
        raise ValueError(f"predictor must be 'hist_gbt', 'sklearn_gbt' or 'linear', got {predictor!r}")
    train, test = split_rows(len(table), n_train, n_test, rng, metric="DCI")
    columns = scorable_factors(classes[train], metric="DCI")
    used = classes[:, columns]
    importance, predict = PREDICTORS[predictor](table[train], used[train], rng)
    right = predict(table[test]) == used[test]
    accuracy = right.mean(axis=0)
    commonest = [
        values[counts.argmax()]
        for values, counts in (np.unique(column, return_counts=True) for column in used[train].T)
    ]
    disentanglement, per_latent = disentanglement_score(importance)
    completeness, per_column = disentanglement_score(importance.T)
    errors = _errors(predictor, importance, right, (table[train], used[train]), (table[test], used[test]), rng)
    n_factors = classes.shape[1]
    return {
        "dci_disentanglement": disentanglement,
        "dci_completeness": completeness,
        "dci_informativeness": float(accuracy.mean()),
        **errors,
        "disentanglement_per_latent": None if per_latent is None else per_latent.tolist(),
        "completeness_per_factor": None if per_column is None else per_factor(per_column, columns, n_factors),
        "informativeness_per_factor": per_factor(accuracy, columns, n_factors),
        "informativeness_train": float((predict(table[train]) == used[train]).mean()),
        "chance_per_factor": per_factor((used[test] == commonest).mean(axis=0), columns, n_factors),
        "importance": per_pair(importance, columns, n_factors),
        "n_active": count_active(table[np.concatenate([train, test])]),
        "factors_cut": cut,
        "factors_left_out": left_out(columns, n_factors),
        "n_train": len(train),
        "n_test": len(test),
        "predictor": predictor,
        "settings": {
            "n_train": n_train,
            "n_test": n_test,
            "predictor": predictor,
            "n_bins": N_BINS if predictor == "hist_gbt" else None,
        },
        "marks": dict.fromkeys(("dci_disentanglement", "dci_completeness", "dci_informativeness"), notes),
    }


def disentanglement_score(importance: Floats) -> tuple[float | None, Floats | None]:
    """Compute the entropy score of the rows of an importance matrix, and its mean weighted by their sums.

    Parameters
    ----------
    importance : ndarray of shape (D, F), float64
        Not negative. The transpose gives completeness.

    Returns
    -------
    score : float or None
        In [0, 1]; 0 if all importances are 0, None where F = 1.
    per_row : ndarray of shape (D,) or None
        ``1 - H_F`` of every row.
    """
    n_columns = importance.shape[1]
    if n_columns < 2:
        return None, None
    # The offset of disentanglement_lib makes an empty row uniform, which is 0.
    raised = importance + 1e-11
    share = raised / raised.sum(axis=1, keepdims=True)
    per_row = np.clip(1 + (share * np.log(share)).sum(axis=1) / np.log(n_columns), 0.0, 1.0)
    total = importance.sum()
    weight = importance.sum(axis=1) / total if total > 0 else np.full(len(importance), 1 / len(importance))
    return min(float(weight @ per_row), 1.0), per_row


def _errors(
    predictor: Predictor,
    importance: Floats,
    right: NDArray[np.bool_],
    train: tuple[Floats, Ints],
    test: tuple[Floats, Ints],
    rng: np.random.Generator,
) -> dict[str, float]:
    """Errors of the scores that have a value, from predictors that are fitted to half of the training rows."""
    codes, classes = train
    n_train, n_test = len(codes), len(right)
    halves = draw_halves(classes, rng)
    share = largest_share(halves, n_train)
    columns, accuracy = [], []
    for k, rows in enumerate(halves):
        column, predict = PREDICTORS[predictor](codes[rows], classes[rows][:, [k]], rng)
        columns.append(column[:, 0])
        accuracy.append(float((predict(test[0])[:, 0] == test[1][:, k]).mean()))

    def disentanglement(parts: Sequence[Floats]) -> float | None:
        return disentanglement_score(np.stack(parts, axis=1))[0]

    def completeness(parts: Sequence[Floats]) -> float | None:
        return disentanglement_score(np.stack(parts))[0]

    whole = list(importance.T)
    errors = {
        f"dci_{score.__name__}_error": at_least_one_row(error_of_halves(score, whole, columns, share), n_train)
        for score in (disentanglement, completeness)
        if score(whole) is not None
    }
    fitting = error_of_halves(lambda parts: float(np.mean(parts)), right.mean(axis=0).tolist(), accuracy, share)
    # One row more that is wrong throughout and one that is right, so that no mistake in few rows isn't no error.
    testing = np.append(right.mean(axis=1), [0.0, 1.0]).std() / np.sqrt(n_test + 2)
    return errors | {"dci_informativeness_error": float(np.hypot(fitting, testing))}


def _fit_hist_gbt(train: Floats, classes: Ints, rng: np.random.Generator) -> Fitted:
    from bench.metrics._boosting import fit_boosted, quantile_edges, to_bins

    edges = quantile_edges(train, N_BINS)
    seen = to_bins(train, edges)
    models = [fit_boosted(seen, column, rng=rng) for column in classes.T]

    def predict(codes: Floats) -> Ints:
        bins = to_bins(codes, edges)
        return np.stack([model.predict(bins) for model in models], axis=1)

    return np.stack([model.importances for model in models], axis=1), predict


def _fit_sklearn_gbt(train: Floats, classes: Ints, rng: np.random.Generator) -> Fitted:
    from sklearn.ensemble import GradientBoostingClassifier

    models = [
        GradientBoostingClassifier(random_state=int(rng.integers(2**31))).fit(train, column) for column in classes.T
    ]

    def predict(codes: Floats) -> Ints:
        return np.stack([model.predict(codes) for model in models], axis=1)

    return np.stack([model.feature_importances_ for model in models], axis=1), predict


def _fit_linear(train: Floats, classes: Ints, _rng: np.random.Generator) -> Fitted:
    # A constant code stays at 0, where least squares of the smallest norm gives it nothing.
    live = (train != train[0]).any(axis=0)
    centre, scale = train.mean(axis=0), np.where(live, train.std(axis=0), np.inf)
    level, unit = classes.mean(axis=0), classes.std(axis=0)
    weight = np.linalg.lstsq((train - centre) / scale, (classes - level) / unit, rcond=None)[0]
    known = [np.unique(column) for column in classes.T]

    def predict(codes: Floats) -> Ints:
        fitted = level + unit * (((codes - centre) / scale) @ weight)
        return np.stack([_nearest(column, names) for column, names in zip(fitted.T, known, strict=True)], axis=1)

    return np.abs(weight), predict


def _nearest(values: Floats, classes: Ints) -> Ints:
    """Of the classes, ascending, the one nearest to each value."""
    return np.asarray(classes[np.searchsorted((classes[1:] + classes[:-1]) / 2, values)])


PREDICTORS: dict[Predictor, Callable[[Floats, Ints, np.random.Generator], Fitted]] = {
    "hist_gbt": _fit_hist_gbt,
    "sklearn_gbt": _fit_sklearn_gbt,
    "linear": _fit_linear,
}
