"""Entropies of mixtures of one-dimensional Gaussians, on panels as narrow as the Gaussians that reach them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.metric import Floats, Ints

#: A Gaussian is 0 this many standard deviations from its mean: there it has 1e-15 of its mass.
REACH = 8.0
#: A panel is at most this many of the smallest standard deviation that reaches it wide. Fifteen points then integrate
#: the mixtures' entropies to 1e-9 nats, and the seven of them that estimate the error to about 1e-5.
WIDTH = 4.0
#: Halvings of the whole range: a Gaussian narrower than ``WIDTH * range / 2**DEPTH`` is widened to about that, where
#: float64 still tells the points of a panel apart.
DEPTH = 40
#: Panels worked on at once, and densities: 8 MB.
PANELS, CELLS = 64, 1_000_000
#: Densities that are evaluated at most for one code, some ten seconds; above it entropies are estimated from samples.
BUDGET = 2_000_000_000

#: Kronrod's 15 points on [-1, 1] from 0 up, their weights, and those of Gauss's 7 points among them (QUADPACK).
_POINTS = (
    0.0, 0.207784955007898467600689403773245, 0.405845151377397166906606412076961, 0.586087235467691130294144691693132,
    0.741531185599394439863864773280788, 0.864864423359769072789712788640926, 0.949107912342758524526189684047851,
    0.991455371120812639206854697526329,
)  # fmt: skip
_KRONROD = (
    0.209482141084727828012999174891714, 0.204432940075298892414161999234649, 0.190350578064785409913256402421014,
    0.169004726639267902826583426598550, 0.140653259715525918745189590510238, 0.104790010322250183839876322541518,
    0.063092092629978553290700663189204, 0.022935322010529224963732008058970,
)  # fmt: skip
_GAUSS = (
    0.417959183673469387755102040816327, 0.0, 0.381830050505118944950369775488975, 0.0,
    0.279705391489276667901467771423780, 0.0, 0.129484966168869693270611432679082, 0.0,
)  # fmt: skip


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
        #: Number of each row's value of each factor, (N, F): the values of the first factor, then the second's, ...
        self.value = np.stack([label for label, _ in found], axis=1) + self.starts
        n_factors = classes.shape[1]
        # One row per image and one column per value, transposed when multiplied.
        self.one_hot: Any = csr_array(
            (np.ones(self.value.size), self.value.ravel(), np.arange(self.n_rows + 1) * n_factors),
            shape=(self.n_rows, len(self.counts)),
        )

    def mixtures(self, evaluate: Callable[[slice], Floats], block: int = 512) -> tuple[Floats, Floats]:
        """Average something over all rows and over the rows with each value.

        Parameters
        ----------
        evaluate : callable
            Given a slice of rows, their table of shape (rows, G).
        block : int
            Rows at once.

        Returns
        -------
        whole : ndarray of shape (G,)
        parts : ndarray of shape (sum of n_values, G)
            The values of the first factor, then those of the second, and so on.
        """
        sums: Any = 0.0
        for start in range(0, self.n_rows, block):
            part = slice(start, start + block)
            sums = sums + self.one_hot[part].T @ evaluate(part)
        whole = sums[: self.n_values[0]].sum(axis=0) / self.n_rows
        return whole, sums / self.counts[:, None]

    def mean(self, of_values: Floats) -> Floats:
        """Mean over the rows of a number per value, shape (F,)."""
        return np.asarray(np.add.reduceat(of_values * self.counts, self.starts) / self.n_rows)


@dataclass(frozen=True)
class Entropies:
    """Differential entropies of one code drawn from its posteriors, in nats.

    Attributes
    ----------
    whole : float
        Of the mixture of all posteriors.
    information : ndarray of shape (F,), float64
        ``whole`` less the mean entropy of the mixtures within the values of each factor; rounding and, where it is
        sampled, chance may take it below 0.
    error, information_error : float, ndarray of shape (F,)
        Estimates of the error of both: what fewer points would change, or a standard error.
    sampled : bool
        Whether they are estimates from samples.
    log_sigma : float
        Mean of the logarithms of the standard deviations, after widening.
    widened : float
        Share of the posteriors too narrow for float64, which were widened.
    """

    whole: float
    information: Floats
    error: float
    information_error: Floats
    sampled: bool
    log_sigma: float
    widened: float


def mixture_entropies(
    mean: Floats, sigma: Floats, labels: Labels, *, n_draws: int, rng: np.random.Generator
) -> Entropies:
    """Entropies of ``z ~ N(mean_n, sigma_n**2)`` with n uniform, and with n uniform over the rows of each value.

    Integrated on panels; where posteriors are so unlike that more than `BUDGET` densities would be needed, estimated
    from samples.

    Parameters
    ----------
    mean, sigma : ndarray of shape (N,), float64
        Finite; sigma positive.
    labels : Labels
        Of the N rows.
    n_draws : int
        Samples at most, if there are to be any.
    rng : numpy.random.Generator
        Draws samples; unused where entropies are integrated.
    """
    centred = mean - np.median(mean)
    extent = (centred + REACH * sigma).max() - (centred - REACH * sigma).min()
    floor = WIDTH * extent / 2.0**DEPTH
    wide = np.maximum(sigma, floor)
    log_sigma, widened = float(np.log(wide).mean()), float((sigma < floor).mean())
    grid = _Grid(centred, wide)
    if grid.cost + len(grid.left) * len(_WEIGHTS) * len(labels.counts) > BUDGET:
        whole, information, error, of_information = _sample(centred, wide, labels, n_draws, rng)
        return Entropies(whole, information, error, of_information, True, log_sigma, widened)
    n_values = len(labels.counts)
    total, doubt = np.zeros(1 + n_values), np.zeros(1 + n_values)
    for densities, step in grid.blocks(labels):
        by_panel = _plogp(densities).reshape(1 + n_values, len(step), -1)
        fine, coarse = np.moveaxis(by_panel @ _WEIGHTS, 2, 0)
        total += fine @ step
        doubt += np.abs(fine - coarse) @ step
    return Entropies(
        float(total[0]),
        total[0] - labels.mean(total[1:]),
        float(doubt[0]),
        doubt[0] + labels.mean(doubt[1:]),
        False,
        log_sigma,
        widened,
    )


class _Grid:
    """Panels that cover what the posteriors of one code reach, and the rows that reach them."""

    def __init__(self, mean: Floats, sigma: Floats) -> None:
        low = (mean - REACH * sigma).min()
        extent = (mean + REACH * sigma).max() - low
        # The coarsest halving whose panels are narrow enough for this row.
        level = np.clip(np.ceil(np.log2(extent / (WIDTH * sigma))), 0, DEPTH).astype(np.int64)
        self.left, self.width = _panels(mean - low, sigma, level, extent)
        self.left += low
        # By level, then mean: the rows that reach an interval are one run of each level.
        self.order = np.lexsort((mean, level))
        self.mean, self.sigma = mean[self.order], sigma[self.order]
        ends = np.flatnonzero(np.diff(level[self.order], append=-1)) + 1
        first = np.arange(0, len(self.left), PANELS)
        last = np.minimum(first + PANELS, len(self.left)) - 1
        starts, stops = [], []
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            reach = REACH * self.sigma[start:end].max()
            starts.append(start + np.searchsorted(self.mean[start:end], self.left[first] - reach))
            stops.append(start + np.searchsorted(self.mean[start:end], (self.left + self.width)[last] + reach))
        self.runs = np.stack([starts, stops], axis=-1)  # levels, blocks, (start, stop)
        n_points = len(_WEIGHTS) * (last - first + 1)
        self.cost = float((np.diff(self.runs, axis=-1)[..., 0].sum(axis=0) * n_points).sum())

    def blocks(self, labels: Labels) -> Iterator[tuple[Floats, Floats]]:
        """Densities of the mixtures, (1 + values, points), and half the widths of the panels, block by block."""
        nodes = np.array([*(-point for point in _POINTS[:0:-1]), *_POINTS])
        for number, start in enumerate(range(0, len(self.left), PANELS)):
            part = slice(start, start + PANELS)
            half = self.width[part] / 2
            points = (self.left[part] + half)[:, None] + half[:, None] * nodes
            rows = np.concatenate([np.arange(a, b) for a, b in self.runs[:, number]])
            sums = np.zeros((len(labels.counts), points.size))
            size = max(CELLS // points.size, 1)
            for begin in range(0, len(rows), size):
                some = rows[begin : begin + size]
                density = gaussian(points.ravel(), self.mean[some], self.sigma[some])
                sums += labels.one_hot[self.order[some]].T @ density
            whole = sums[: labels.n_values[0]].sum(axis=0) / labels.n_rows
            yield np.vstack([whole, sums / labels.counts[:, None]]), half


def _panels(place: Floats, sigma: Floats, level: Ints, extent: float) -> tuple[Floats, Floats]:
    """Left ends and widths, in order, of dyadic panels of ``[0, extent]``.

    Every panel is as narrow as the finest row that reaches it asks for; where no row reaches there is none.
    """
    wanted: dict[int, Ints] = {}
    for at in np.unique(level):
        width = extent / 2.0**at
        some = level == at
        begin = np.maximum(np.floor((place[some] - REACH * sigma[some]) / width), 0).astype(np.int64)
        end = np.minimum(np.floor((place[some] + REACH * sigma[some]) / width), 2.0**at - 1).astype(np.int64)
        span = np.arange(int((end - begin).max()) + 1)
        every = begin[:, None] + span
        wanted[int(at)] = np.unique(every[every <= end[:, None]])
    none = np.empty(0, dtype=np.int64)
    finest = max(wanted)
    # Panels with a finer one inside have to be halved.
    halved = {finest: none}
    for at in range(finest, 0, -1):
        halved[at - 1] = np.unique(np.concatenate([wanted.get(at, none), halved[at]]) >> 1)
    covered, left, width = none, [], []
    for at in range(min(wanted), finest + 1):
        covered = np.union1d(covered, wanted.get(at, none))
        whole = np.isin(covered, halved[at], assume_unique=True)
        leaves = covered[~whole]
        left.append(leaves * (extent / 2.0**at))
        width.append(np.full(len(leaves), extent / 2.0**at))
        covered = (2 * covered[whole][:, None] + np.arange(2)).ravel()
    lefts, widths = np.concatenate(left), np.concatenate(width)
    order = np.argsort(lefts)
    return lefts[order], widths[order]


def _sample(
    mean: Floats, sigma: Floats, labels: Labels, n_draws: int, rng: np.random.Generator
) -> tuple[float, Floats, float, Floats]:
    """Entropy and information from samples of all rows' mixture, and their standard errors."""
    n_rows, n_factors = labels.value.shape
    n_draws = int(np.clip(BUDGET // n_rows, 2, n_draws))
    rows = rng.permutation(n_rows)[np.arange(n_draws) % n_rows]
    z = mean[rows] + sigma[rows] * rng.normal(size=n_draws)
    logs = np.empty((n_draws, 1 + n_factors))
    size = max(CELLS // n_rows, 1)
    for start in range(0, n_draws, size):
        part = slice(start, start + size)
        log = -(((z[part, None] - mean) / sigma) ** 2) / 2 - np.log(sigma)
        top = log.max(axis=1, keepdims=True)
        sums = (labels.one_hot.T @ np.exp(log - top).T).T / labels.counts
        own = np.take_along_axis(sums, labels.value[rows[part]], axis=1)
        whole = sums[:, : labels.n_values[0]] @ labels.counts[: labels.n_values[0]] / n_rows
        # A sample is never without its own row's density, however small beside another's.
        logs[part] = top + np.log(np.maximum(np.column_stack([whole, own]), np.finfo(np.float64).tiny))
    logs -= np.log(2 * np.pi) / 2
    gain = logs[:, 1:] - logs[:, :1]
    error = logs[:, 0].std(ddof=1) / np.sqrt(n_draws)
    return -float(logs[:, 0].mean()), gain.mean(axis=0), float(error), gain.std(axis=0, ddof=1) / np.sqrt(n_draws)


def gaussian(points: Floats, mean: Floats, sigma: Floats) -> Floats:
    """Densities of N(mean, sigma**2) at the points, shape (len(mean), len(points))."""
    density: Floats = (points - mean[:, None]) * (np.sqrt(0.5) / sigma)[:, None]
    np.square(density, out=density)
    np.negative(density, out=density)
    np.exp(density, out=density)
    density *= (1 / (np.sqrt(2 * np.pi) * sigma))[:, None]
    return density


def _plogp(density: Floats) -> Floats:
    """Integrand of the entropy."""
    from scipy.special import entr

    return np.asarray(entr(density))


def _mirrored(half: tuple[float, ...]) -> Floats:
    return np.array([*half[:0:-1], *half])


#: Weights of the fifteen points, and of the seven among them: shape (15, 2).
_WEIGHTS: Floats = np.stack([_mirrored(_KRONROD), _mirrored(_GAUSS)], axis=1)
