"""Mutual information gap on sampled codes, by quadrature of the posteriors instead of sampling."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bench.metric import Floats, Ints, Score, check_codes, register_metric
from bench.metrics._samples import draw_rows, left_out, per_factor, per_pair, scorable_factors

#: Posteriors evaluated at once: 4 MB at 1,000 points.
BLOCK = 512
#: The grid ends this many standard deviations beyond the outermost posteriors.
REACH = 8.0


@register_metric(
    "mig_sampled",
    version=1,
    inputs=("codes", "logvar", "factors"),
    scores={"mig_sampled": Score("MIG (sampled codes)")},
    cost="seconds",
)
def mig_sampled(
    codes: Any,
    logvar: Any,
    factors: Any,
    *,
    exclude: tuple[int, ...] = (),
    n_points: int = 1_000,
    n_samples: int | None = None,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Mutual information gap between factors and codes drawn from the posteriors.

    ``I(z_j; v_k) = H(z_j) - H(z_j | v_k)`` of ``z_j ~ q(z_j | x)`` with x uniform over the rows: the entropy of
    the mixture of all posteriors less the mean entropy of the mixtures over the rows with one value of the
    factor. The gap is ``mean_k (I_(1)k - I_(2)k) / H(v_k)``. Where the original estimates the entropies from
    10,000 samples, the mixtures are evaluated here on a grid of points per code and integrated by the
    trapezoidal rule, which has no sampling noise and is exact to about 1e-4 nats.

    The noise of the posterior counts, so a well regularised model scores far lower than on its means: the two
    mustn't be compared. Values of a factor weigh by their share of the rows and the gap is divided by the
    factor's entropy in them, which on a full grid is the original's ``log n_k``. On a sample of a grid the
    mixtures within one value are of fewer posteriors than in truth; narrow ones then overstate information, so
    the score depends on the number of rows.

    Parameters
    ----------
    codes : array-like of shape (N, D)
        Posterior means, finite. With D = 1 the second largest information counts as 0.
    logvar : array-like of shape (N, D)
        Posterior log-variances, finite. A posterior narrower than the spacing of the grid is widened to it.
    factors : array-like of shape (N, F), integer
        Factor classes, in any coding.
    exclude : tuple of int
        Columns of `factors` to leave out, such as shape on dSprites as in the code of Chen et al. and of
        ControlVAE.
    n_points : int
        Points of the grid per code, at least 100.
    n_samples : int, optional
        Rows to use, drawn without replacement; all of them by default.
    rng : numpy.random.Generator
        Draws the rows; unused where all are used.

    Returns
    -------
    dict
        ``mig_sampled`` in [0, 1]; ``mig_per_factor`` (None for factors left out, which ``factors_left_out``
        lists); ``mutual_information`` in nats, D rows of F; ``entropy`` of the factors and
        ``entropy_per_latent`` (differential) in nats; ``widened``, the share of posteriors that were;
        ``n_active``, the codes with an information of more than 0.01 nats about the row, by ``E KL(q(z_j|x) ||
        q(z_j))``; ``n_samples``; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, log-variances of another shape or not finite, settings out
        of range, or if no factor that isn't excluded has two values.

    References
    ----------
    Chen, Li, Grosse, Duvenaud: Isolating Sources of Disentanglement in VAEs, NeurIPS 2018, section 4.1 and
    appendix C.
    """
    table, spread, classes = check_posteriors(codes, logvar, factors)
    n_factors = classes.shape[1]
    if n_points < 100:
        raise ValueError(f"n_points must be at least 100, got {n_points}")
    if not set(exclude) <= set(range(n_factors)):
        raise ValueError(f"exclude must hold column numbers from 0 to {n_factors - 1}, got {exclude}")
    rows = draw_rows(len(table), max(len(table), 2) if n_samples is None else n_samples, rng)
    table, spread, classes = table[rows], spread[rows], classes[rows]
    kept = [k for k in range(n_factors) if k not in exclude]
    columns = [kept[k] for k in scorable_factors(classes[:, kept], metric="sampled MIG")]
    labels = Labels(classes[:, columns])
    information = np.empty((table.shape[1], len(columns)))
    of_latent, about_row = np.empty(table.shape[1]), np.empty(table.shape[1])
    widened = 0.0
    for j, (mean, sigma) in enumerate(zip(table.T, spread.T, strict=True)):
        points, sigma, narrow = quadrature(mean, sigma, n_points)
        whole, parts = labels.mixtures(partial(_densities, points, mean, sigma))
        step = points[1] - points[0]
        of_latent[j] = entropy(whole, step)
        about_row[j] = of_latent[j] - (np.log(sigma).mean() + (1 + np.log(2 * np.pi)) / 2)
        information[j] = of_latent[j] - labels.mean(entropy(parts, step))
        widened += narrow / table.shape[1]
    information = np.maximum(information, 0.0)
    gaps = gap(information, labels.entropy)
    return {
        "mig_sampled": float(gaps.mean()),
        "mig_per_factor": per_factor(gaps, columns, n_factors),
        "mutual_information": per_pair(information, columns, n_factors),
        "entropy": per_factor(labels.entropy, columns, n_factors),
        "entropy_per_latent": of_latent.tolist(),
        "widened": widened,
        "factors_left_out": left_out(columns, n_factors),
        "n_active": int((about_row > 0.01).sum()),
        "n_samples": len(table),
        "settings": {"exclude": list(exclude), "n_points": n_points, "n_samples": n_samples},
    }


def _densities(points: Floats, mean: Floats, sigma: Floats, part: slice) -> Floats:
    return gaussian(points, mean[part], sigma[part])


def check_posteriors(codes: Any, logvar: Any, factors: Any | None = None) -> tuple[Floats, Floats, Ints]:
    """Validate means and log-variances, and return means, standard deviations and factors.

    Raises
    ------
    ValueError
        For what `bench.metric.check_codes` rejects, log-variances of another shape, or standard deviations that
        aren't finite numbers above 0.
    """
    mean, classes = check_codes(codes, factors)
    spread = np.asarray(logvar, dtype=np.float64)
    if spread.shape != mean.shape:
        raise ValueError(f"logvar must have the shape of the codes, {mean.shape}, got {spread.shape}")
    if not np.isfinite(spread).all():
        raise ValueError("logvar holds NaN or infinite values")
    if np.abs(spread).max() > 1000:
        raise ValueError(f"log-variances must be between -1000 and 1000, they reach {np.abs(spread).max():.3g}")
    return mean, np.exp(spread / 2), classes


class Labels:
    """Values of several factors, for averages over the rows that share one.

    Attributes
    ----------
    entropy : ndarray of shape (F,), float64
        Of each factor in the rows, in nats.
    n_values : ndarray of shape (F,), int64
        Values of each factor in the rows.
    """

    def __init__(self, classes: Ints) -> None:
        from scipy.sparse import csr_array

        found = [np.unique(column, return_inverse=True, return_counts=True)[1:] for column in classes.T]
        self.n_rows = len(classes)
        self.n_values = np.array([len(counts) for _, counts in found], dtype=np.int64)
        self.counts = np.concatenate([counts for _, counts in found]).astype(np.float64)
        self.starts = np.cumsum(self.n_values) - self.n_values
        shares = self.counts / self.n_rows
        self.entropy: Floats = -np.add.reduceat(shares * np.log(shares), self.starts)
        value = np.stack([label for label, _ in found], axis=1) + self.starts
        n_factors = classes.shape[1]
        # One row per image and one column per value, transposed when multiplied.
        self.one_hot: Any = csr_array(
            (np.ones(value.size), value.ravel(), np.arange(self.n_rows + 1) * n_factors),
            shape=(self.n_rows, len(self.counts)),
        )

    def mixtures(self, evaluate: Callable[[slice], Floats]) -> tuple[Floats, Floats]:
        """Average something over all rows and over the rows with each value.

        Parameters
        ----------
        evaluate : callable
            Given a slice of rows, their table of shape (rows, G).

        Returns
        -------
        whole : ndarray of shape (G,)
        parts : ndarray of shape (sum of n_values, G)
            The values of the first factor, then those of the second, and so on.
        """
        sums: Any = 0.0
        for start in range(0, self.n_rows, BLOCK):
            part = slice(start, start + BLOCK)
            sums = sums + self.one_hot[part].T @ evaluate(part)
        whole = sums[: self.n_values[0]].sum(axis=0) / self.n_rows
        return whole, sums / self.counts[:, None]

    def mean(self, of_values: Floats) -> Floats:
        """Mean over the rows of a number per value, shape (F,)."""
        return np.asarray(np.add.reduceat(of_values * self.counts, self.starts) / self.n_rows)


def quadrature(mean: Floats, sigma: Floats, n_points: int) -> tuple[Floats, Floats, float]:
    """Choose the grid for the posteriors of one code.

    Parameters
    ----------
    mean, sigma : ndarray of shape (N,), float64
        Means and standard deviations.
    n_points : int
        Points, more than 17, equally spaced from `REACH` deviations below the lowest posterior to as many above
        the highest.

    Returns
    -------
    points : ndarray of shape (n_points,)
    sigma : ndarray of shape (N,)
        At least the spacing: the trapezoidal rule is exact to 1e-8 for a Gaussian no narrower than that and
        arbitrarily wrong for a much narrower one.
    narrow : float
        Share of the posteriors that were widened.
    """
    low, high = (mean - REACH * sigma).min(), (mean + REACH * sigma).max()
    # Room for the reach of those that will be widened, and points that float64 can tell apart.
    step = max((high - low) / (n_points - 1 - 2 * REACH), 1e-9 * max(abs(low), abs(high)))
    narrow = sigma < step
    wide = np.maximum(sigma, step)
    low, high = (mean - REACH * wide).min(), (mean + REACH * wide).max()
    return np.linspace(low, high, n_points), wide, float(narrow.mean())


def gaussian(points: Floats, mean: Floats, sigma: Floats) -> Floats:
    """Densities of N(mean, sigma**2) at the points, shape (len(mean), len(points))."""
    density: Floats = (points - mean[:, None]) * (np.sqrt(0.5) / sigma)[:, None]
    np.square(density, out=density)
    np.negative(density, out=density)
    np.exp(density, out=density)
    density *= (1 / (np.sqrt(2 * np.pi) * sigma))[:, None]
    return density


def entropy(density: Floats, step: float) -> Any:
    """Differential entropy in nats of densities on points `step` apart, over the last axis."""
    from scipy.special import entr

    return entr(density).sum(axis=-1) * step


def gap(information: Floats, of_factor: Floats) -> Floats:
    """Return the gap between the largest and second largest information per factor, over its entropy."""
    # The added row of zeros is the second largest of a single code and changes nothing for more.
    ordered = np.sort(np.vstack([information, np.zeros_like(of_factor)]), axis=0)
    return np.asarray(np.minimum((ordered[-1] - ordered[-2]) / of_factor, 1.0))
