"""InfoMEC of Hsu et al. (2023): modularity, explicitness and compactness from information."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.metric import Floats, Ints, NotApplicableError, Score, check_codes, register_metric
from bench.metrics._halves import at_least_one_row, draw_halves, error_of_halves, largest_share
from bench.metrics._samples import cut_continuous, draw_rows, left_out, per_factor, per_pair, scorable_factors
from bench.metrics.beta_vae_score import fit_logistic


@register_metric(
    "infomec",
    version=2,
    inputs=("codes", "factors"),
    scores={
        "infom": Score("InfoM"),
        # The regression is balanced over classes and its loss isn't: on uneven factors it can be worse than chance.
        "infoe": Score("InfoE", low=-math.inf),
        "infoc": Score("InfoC"),
    },
    cost="seconds",
)
def infomec(
    codes: Any,
    factors: Any,
    *,
    n_neighbours: int = 10,
    active_threshold: float = 0.05,
    compat: bool = False,
    n_samples: int = 10_000,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """InfoMEC: whether codes tell of one factor (M), factors can be read off (E) and sit in one code (C).

    With ``NMI_kj = I(v_k; z_j) / H(v_k)`` by the nearest-neighbour estimator of Ross (2014), over A active codes:
    ``InfoM = (mean_j max_k NMI_kj / sum_k NMI_kj - 1/F) / (1 - 1/F)`` and ``InfoC = (mean_k max_j NMI_kj / sum_j
    NMI_kj - 1/A) / (1 - 1/A)``. ``InfoE = mean_k (1 - CE_k / log n_k)`` with the cross-entropy of an unpenalised
    logistic regression, balanced over classes, from all standardised codes, on the rows it was fitted to.

    The authors' choice of active codes depends on scale and keeps noise, whose tiny estimates then count as much as
    informative codes (InfoM of pure noise is above 0.5), and a code without information makes the score NaN. Here
    a code is active if it tells of some factor; a ratio without information is 0; and InfoC of a single active
    code is 1. ``compat=True`` restores the authors' rules, None for their NaN. Without any active code M and C are 0.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite; N at least 4.
    factors : array-like of shape (N, F)
        Factor classes.
    n_neighbours : int
        Of the estimator of information, at least 1.
    active_threshold : float
        A code is active if ``max_k NMI_kj`` is above this.
    compat : bool
        A code is active if its range is above a twentieth of the widest code's, as in the authors' code.
    n_samples : int
        Rows to use, drawn without replacement; all of them where there are no more.
    rng : numpy.random.Generator
        Draws the rows, and the jitter by which the estimator breaks ties.

    Returns
    -------
    dict
        ``infom`` and ``infoc`` in [0, 1], the first None with one scored factor; ``infoe``, at most 1; each with its
        ``_error``, from what half of the rows would change: the noise and bias of nearest neighbours among finitely
        many rows, and what a regression gains on the rows it was fitted to;
        ``infom_per_latent`` (None for codes that aren't active), ``infoc_per_factor``, ``infoe_per_factor`` before
        chance is taken off M and C (None for factors left out); ``nmi``, D rows of F; ``active``, column
        numbers; ``n_active``; ``converged``, whether all regressions did within their 100 iterations;
        ``factors_cut`` and ``factors_left_out``; ``n_samples``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, settings out of range, fewer than four rows, if no factor has two
        values, or if one has no value that two rows share.

    References
    ----------
    Hsu, Dorrell, Whittington, Wu, Finn: Disentanglement via Latent Quantization, NeurIPS 2023, section 5; their
    published code for `compat`.
    """
    table, classes = check_codes(codes, factors)
    classes, cut, notes = cut_continuous(classes, n_samples)
    if n_neighbours < 1:
        raise ValueError(f"n_neighbours must be at least 1, got {n_neighbours}")
    if len(table) < 4:
        raise NotApplicableError(f"InfoMEC needs at least 4 rows, got {len(table)}")
    rows = draw_rows(len(table), n_samples, rng)
    table, classes = table[rows], classes[rows]
    columns = scorable_factors(classes, metric="InfoMEC")
    for k in columns:
        if np.unique(classes[:, k], return_counts=True)[1].max() < 2:
            raise NotApplicableError(f"InfoMEC needs neighbours: factor {k} has no value that two rows share")
    used = classes[:, columns]
    n_latents, n_factors = table.shape[1], classes.shape[1]
    moving = (table != table[0]).any(axis=0)
    scaled = np.zeros_like(table)
    scaled[:, moving] = (table[:, moving] - table[:, moving].mean(axis=0)) / table[:, moving].std(axis=0)
    nmi = np.zeros((n_latents, len(columns)))
    nmi[moving] = neighbour_information(scaled[:, moving], used, n_neighbours, rng) / entropies(used)
    extent = table.max(axis=0) - table.min(axis=0)
    wide = extent > extent.max() / 20
    found = ratios(nmi, wide if compat else active_threshold)
    explicit, converged = explicitness(scaled, used)
    return {
        "infom": found.infom,
        "infoe": float(explicit.mean()),
        "infoc": found.infoc,
        **_errors(scaled, moving, used, nmi, explicit, n_neighbours, wide if compat else active_threshold, rng),
        "infom_per_latent": per_factor(_nan_free(found.of_latent), found.active.tolist(), n_latents),
        "infoc_per_factor": per_factor(_nan_free(found.of_factor), columns, n_factors),
        "infoe_per_factor": per_factor(explicit, columns, n_factors),
        "nmi": per_pair(nmi, columns, n_factors),
        "active": found.active.tolist(),
        "n_active": len(found.active),
        "converged": converged,
        "factors_cut": cut,
        "factors_left_out": left_out(columns, n_factors),
        "n_samples": len(table),
        "settings": {
            "n_neighbours": n_neighbours,
            "active_threshold": None if compat else active_threshold,
            "compat": compat,
            "n_samples": n_samples,
        },
        "marks": dict.fromkeys(("infom", "infoe", "infoc"), notes),
    }


class Ratios(NamedTuple):
    """InfoM and InfoC, their ratios before chance is taken off, and the active codes they are of."""

    infom: float | None
    infoc: float | None
    of_latent: Floats
    of_factor: Floats
    active: Ints


def ratios(nmi: Floats, active: float | NDArray[np.bool_]) -> Ratios:
    """Compute InfoM and InfoC of a (codes x factors) matrix of normalised information.

    Parameters
    ----------
    nmi : ndarray of shape (D, F), float64
    active : float or ndarray of shape (D,), bool
        The threshold of our rules, or the active codes by those of the authors.
    """
    ours, n_factors = not isinstance(active, np.ndarray), nmi.shape[1]
    kept = np.flatnonzero(nmi.max(axis=1) > active if ours else active)
    of_latent, of_factor = shares(nmi[kept]), shares(nmi[kept].T)
    if ours:
        of_latent, of_factor = np.nan_to_num(of_latent), np.nan_to_num(of_factor)
    infom, infoc = above_chance(of_latent, n_factors), above_chance(of_factor, len(kept))
    if ours and len(kept) == 1:
        infoc = 1.0
    elif ours and len(kept) == 0:
        infom, infoc = None if n_factors < 2 else 0.0, 0.0
    return Ratios(infom, infoc, of_latent, of_factor, kept)


def _errors(
    codes: Floats,
    moving: NDArray[np.bool_],
    classes: Ints,
    nmi: Floats,
    explicit: Floats,
    n_neighbours: int,
    active: float | NDArray[np.bool_],
    rng: np.random.Generator,
) -> dict[str, float]:
    """Errors of the scores that have a value, from another half of the rows for each factor."""
    n_rows = len(codes)
    halves = draw_halves(classes, rng)
    share = largest_share(halves, n_rows)
    if any(np.unique(classes[rows, k], return_counts=True)[1].max() < 2 for k, rows in enumerate(halves)):
        share = 1.0  # a half without neighbours tells nothing
        halves = [np.arange(n_rows)] * len(halves)
    half = []
    for k, rows in enumerate(halves):
        column = np.zeros(len(nmi))
        own = classes[rows][:, [k]]
        column[moving] = (neighbour_information(codes[rows][:, moving], own, n_neighbours, rng) / entropies(own))[:, 0]
        half.append((column, explicitness(codes[rows], own)[0][0]))

    def infom(columns: Sequence[Floats]) -> float | None:
        return ratios(np.stack(columns, axis=1), active).infom

    def infoc(columns: Sequence[Floats]) -> float | None:
        return ratios(np.stack(columns, axis=1), active).infoc

    whole = list(nmi.T)
    errors = {
        f"{score.__name__}_error": error_of_halves(score, whole, [column for column, _ in half], share)
        for score in (infom, infoc)
        if score(whole) is not None
    }
    errors["infoe_error"] = error_of_halves(
        lambda parts: float(np.mean(parts)), explicit.tolist(), [float(score) for _, score in half], share
    )
    return {key: at_least_one_row(error, n_rows) for key, error in errors.items()}


def neighbour_information(codes: Floats, classes: Ints, n_neighbours: int, rng: np.random.Generator) -> Floats:
    """Information in nats of every code with every factor by scikit-learn's estimator, shape (D, F), at least 0."""
    from sklearn.feature_selection import mutual_info_classif

    if codes.shape[1] == 0:
        return np.zeros((0, classes.shape[1]))
    return np.stack(
        [
            mutual_info_classif(
                codes,
                column,
                discrete_features=False,
                n_neighbors=n_neighbours,
                random_state=int(rng.integers(2**31)),
            )
            for column in classes.T
        ],
        axis=1,
    )


def entropies(classes: Ints) -> Floats:
    """Plug-in entropy in nats of every factor."""
    from scipy.special import entr

    counts = [np.unique(column, return_counts=True)[1] for column in classes.T]
    return np.array([entr(c / len(classes)).sum() for c in counts])


def shares(information: Floats) -> Floats:
    """Largest entry of each row over its sum; NaN where the row is 0 or empty."""
    total = information.sum(axis=1)
    largest = information.max(axis=1, initial=0.0)
    return np.asarray(np.divide(largest, total, out=np.full_like(total, np.nan), where=total > 0))


def above_chance(of_rows: Floats, n: int) -> float | None:
    """Mean over rows, with 1/n as 0 and 1 as 1; None where that has no value."""
    if n < 2 or len(of_rows) == 0 or np.isnan(of_rows).any():
        return None
    return float(np.clip((of_rows.mean() - 1 / n) / (1 - 1 / n), 0.0, 1.0))


def explicitness(codes: Floats, classes: Ints) -> tuple[Floats, bool]:
    """Predictive information per factor over log n_k, shape (F,), and whether the regressions converged."""
    score, all_converged = np.empty(classes.shape[1]), True
    for k, column in enumerate(classes.T):
        model, converged = fit_logistic(codes, column, C=np.inf, class_weight="balanced", max_iter=100)
        # As scikit-learn's `log_loss`, which in 1.4 warns of rows that sum to one within rounding only.
        own = model.predict_proba(codes)[np.arange(len(column)), np.searchsorted(model.classes_, column)]
        eps = np.finfo(own.dtype).eps
        loss = -np.log(own.clip(eps, 1 - eps)).mean()
        # The regression on nothing says 1/n_k whatever the row, because classes are balanced.
        score[k] = 1 - loss / np.log(len(model.classes_))
        all_converged &= converged
    return score, all_converged


def _nan_free(values: Floats) -> Any:
    """Values of which NaN are None, for JSON."""
    return np.where(np.isnan(values), None, values)  # type: ignore[call-overload]
