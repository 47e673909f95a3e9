"""Modularity and explicitness of Ridgeway and Mozer (2018)."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.metric import Floats, Ints, Score, check_codes, register_metric
from bench.metrics._samples import count_active, cut_continuous, left_out, per_factor, per_pair, scorable_factors
from bench.metrics._splits import split_rows
from bench.metrics.beta_vae_score import fit_logistic
from bench.metrics.mig import equal_width_bins, plug_in_information

#: Nats; a pure noise code has some 1e-3.
ROUNDING = 1e-12


@register_metric(
    "modularity",
    version=2,
    inputs=("codes", "factors"),
    scores={"modularity": Score("Modularity"), "explicitness": Score("Explicitness")},
    cost="seconds",
)
def modularity(
    codes: Any,
    factors: Any,
    *,
    n_train: int = 10_000,
    n_test: int = 5_000,
    n_bins: int = 20,
    active_threshold: float = 0.05,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Modularity, whether a code tells of one factor only, and explicitness, whether factors can be read off linearly.

    Modularity of code j is ``1 - sum_{k != k*} I(j, k)**2 / (I(j, k*)**2 (F - 1))`` with k* the factor it tells
    most of and plug-in information on codes cut into bins of equal width, as in MIG; a code that tells nothing
    counts as 0, and the score is the mean over all codes. It is dominated by unused codes: the tiny estimates of
    a pure noise code have a largest one too and score near 1, a constant code scores 0. Read
    ``modularity_active``, the mean over codes that tell of something, next to it.

    Explicitness is the area under the ROC curve of a logistic regression (scikit-learn's defaults) from all
    standardised codes, one class against the rest, mean over classes, then over factors; 0.5 is chance.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite; N at least 3.
    factors : array-like of shape (N, F)
        Factor classes. A factor with one value among the training rows is left out.
    n_train, n_test : int
        Rows to fit (and to estimate information) and to test on, drawn without replacement; a table with fewer
        rows in all is split 2:1.
    n_bins : int
        Bins per code, at least 2.
    active_threshold : float
        Codes whose largest ``I(j, k) / H(v_k)`` is above this make up the ``_active`` variants.
    rng : numpy.random.Generator
        Splits the rows.

    Returns
    -------
    dict
        ``modularity`` in [0, 1], None with one scored factor; ``modularity_error``, what it would change by if the
        bias of the information were taken off to first order, much where codes are noise; ``modularity_active`` and
        ``explicitness_active`` over active codes (None where there are none); ``modularity_per_latent``;
        ``explicitness`` in [0, 1] on the test rows, ``explicitness_train``; ``explicitness_per_factor`` (None for
        a factor left out, or of which the test rows hold one value); ``mutual_information`` in nats, D rows of F;
        ``entropy`` of the factors; ``n_active``, the codes that aren't constant; ``n_informative``, those above
        the threshold; ``converged``, whether all regressions did within their 100 iterations;
        ``factors_cut`` and ``factors_left_out``; ``n_train``, ``n_test``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, settings out of range, fewer than three rows, or if no factor
        has two values among the training rows.

    References
    ----------
    Ridgeway, Mozer: Learning Deep Disentangled Embeddings With the F-Statistic Loss, NeurIPS 2018, section 2;
    settings of disentanglement_lib (Locatello et al. 2019), which raises an error on a constant code where this
    one leaves it out.
    """
    table, classes = check_codes(codes, factors)
    classes, cut, notes = cut_continuous(classes, n_train + n_test)
    if n_bins < 2:
        raise ValueError(f"n_bins must be at least 2, got {n_bins}")
    train, test = split_rows(len(table), n_train, n_test, rng, metric="modularity")
    columns = scorable_factors(classes[train], metric="modularity")
    used = classes[:, columns]
    found = plug_in_information(equal_width_bins(table[train], n_bins), used[train])
    information, entropy = found.information, found.entropy
    informative = (information / entropy).max(axis=1) > active_threshold
    per_latent = modularity_of_codes(information)
    corrected = modularity_of_codes(np.maximum(information - found.bias, 0.0))
    area, area_train, converged = explicitness_of_factors(table, used, train, test)
    if informative.all():
        area_active: Floats | None = area
    elif informative.any():
        area_active, _, _ = explicitness_of_factors(table[:, informative], used, train, test)
    else:
        area_active = None
    n_factors = classes.shape[1]
    return {
        "modularity": None if per_latent is None else float(per_latent.mean()),
        **_error(per_latent, corrected),
        "modularity_active": None if per_latent is None else _mean(per_latent[informative]),
        "modularity_per_latent": None if per_latent is None else per_latent.tolist(),
        "explicitness": _mean(area),
        "explicitness_active": None if area_active is None else _mean(area_active),
        "explicitness_train": _mean(area_train),
        "explicitness_per_factor": [
            None if v is None or np.isnan(v) else v for v in per_factor(area, columns, n_factors)
        ],
        "mutual_information": per_pair(information, columns, n_factors),
        "entropy": per_factor(entropy, columns, n_factors),
        "n_active": count_active(table[np.concatenate([train, test])]),
        "n_informative": int(informative.sum()),
        "converged": converged,
        "factors_cut": cut,
        "factors_left_out": left_out(columns, n_factors),
        "n_train": len(train),
        "n_test": len(test),
        "settings": {
            "n_train": n_train,
            "n_test": n_test,
            "n_bins": n_bins,
            "active_threshold": active_threshold,
        },
        "marks": dict.fromkeys(("modularity", "explicitness"), notes),
    }


def modularity_of_codes(information: Floats) -> Floats | None:
    """Modularity of every row of a (codes x factors) matrix of information; None with one factor."""
    n_factors = information.shape[1]
    if n_factors < 2:
        return None
    # Information of a constant code comes out as rounding, of which one factor's is the largest.
    squares = np.where(information > ROUNDING, information, 0.0) ** 2
    best = squares.max(axis=1)
    rest = squares.sum(axis=1) - best
    live = best > 0
    score = 1 - rest / (np.where(live, best, 1.0) * (n_factors - 1))
    return np.asarray(np.where(live, np.clip(score, 0.0, 1.0), 0.0))


def explicitness_of_factors(codes: Floats, classes: Ints, train: Ints, test: Ints) -> tuple[Floats, Floats, bool]:
    """Area under the ROC curve per factor on test and training rows (NaN without two values), and convergence."""
    mean, spread = codes[train].mean(axis=0), codes[train].std(axis=0)
    # The deviation of a constant code is rounding, which must not be blown up to 1.
    live = (codes[train] != codes[train][0]).any(axis=0)
    scaled = np.where(live, (codes - mean) / np.where(live, spread, 1.0), 0.0)
    area: list[float] = []
    area_train: list[float] = []
    all_converged = True
    for column in classes.T:
        model, converged = fit_logistic(scaled[train], column[train])
        all_converged &= converged
        for rows, into in ((test, area), (train, area_train)):
            into.append(one_against_rest(model.predict_proba(scaled[rows]), column[rows], model.classes_))
    return np.array(area), np.array(area_train), all_converged


def one_against_rest(probabilities: Floats, truth: Ints, names: Ints) -> float:
    """Mean over classes of the area under the ROC curve, by ranks.

    Parameters
    ----------
    probabilities : ndarray of shape (n, K), float64
    truth : ndarray of shape (n,), int64
    names : ndarray of shape (K,), int64
        The class of each column. Classes that none or all of the rows have don't count; with none left the
        result is NaN.
    """
    from scipy.stats import rankdata

    own = truth[:, None] == names
    n_own = own.sum(axis=0)
    n_rest = len(truth) - n_own
    counted = (n_own > 0) & (n_rest > 0)
    if not counted.any():
        return float("nan")
    ranks = rankdata(probabilities[:, counted], axis=0)
    n_own, n_rest = n_own[counted], n_rest[counted]
    areas = ((ranks * own[:, counted]).sum(axis=0) - n_own * (n_own + 1) / 2) / (n_own * n_rest)
    return float(areas.mean())


def _error(per_latent: Floats | None, corrected: Floats | None) -> dict[str, float]:
    """What the score would change by without the bias of the information, where there is a score."""
    if per_latent is None or corrected is None:
        return {}
    return {"modularity_error": abs(float(corrected.mean() - per_latent.mean()))}


def _mean(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
