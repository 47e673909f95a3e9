"""Gradient boosting on binned codes, for the importances of DCI.

The same model as scikit-learn's ``GradientBoostingClassifier()`` (Friedman 2001: multinomial deviance, trees
of depth 3 on the residuals, one Newton step per leaf), but on quantile bins and with the trees of all classes
of a round grown together. Where features are equally good one is drawn for every split, as scikit-learn does
by shuffling features: taking the first would give a duplicated code all of the importance and its twin none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.metric import Floats, Ints

Bins = NDArray[np.uint8]

#: Splits whose gain differs by less than this fraction are tied: sums of mirrored halves differ by rounding
#: alone.
TIE = 1e-9


def quantile_edges(codes: Floats, n_bins: int) -> list[Floats]:
    """Edges that cut every code into bins of equal counts.

    Parameters
    ----------
    codes : ndarray of shape (N, D), float64
        Training codes.
    n_bins : int
        At most this many bins per code, 2 to 256. A code with no more distinct values has one bin for each.

    Returns
    -------
    list of ndarray
        Per code the inner edges, ascending, midway between neighbouring values; a value equal to an edge is
        below it.
    """
    if not 2 <= n_bins <= 256:
        raise ValueError(f"n_bins must be between 2 and 256, got {n_bins}")
    edges = []
    for column in codes.T:
        values = np.unique(column)
        if len(values) <= n_bins:
            below, above = values[:-1], values[1:]
        else:
            # Rounded towards the ends, so that a code and its negative are cut in the same places.
            cuts = np.arange(1, n_bins) * len(column) // n_bins
            cuts = np.where(np.arange(1, n_bins) * 2 < n_bins, cuts, len(column) - cuts[::-1])
            ordered = np.sort(column)
            below, above = ordered[cuts - 1], ordered[cuts]
        middle = below / 2 + above / 2
        # Between neighbouring floats the midpoint may round up to the upper value, which would then fall
        # below it.
        edges.append(np.unique(np.where(middle < above, middle, below)))
    return edges


def to_bins(codes: Floats, edges: list[Floats]) -> Bins:
    """Bin of every code, shape (D, N), uint8: the layout in which the trees read them."""
    return np.stack(
        [np.searchsorted(cuts, column, side="left") for cuts, column in zip(edges, codes.T, strict=True)]
    ).astype(np.uint8)


@dataclass(frozen=True)
class Boosted:
    """A fitted ensemble; K trees per round, or one when there are two classes.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,), int64
        The classes of the training sample, ascending.
    prior : ndarray of shape (K,), float64
        Raw predictions before the first round.
    features : ndarray of shape (n_rounds, 2**depth - 1, K), intp
        Code that every inner node splits on, nodes in breadth-first order.
    thresholds : same shape, uint8
        Bins up to this one go left.
    values : ndarray of shape (n_rounds, 2**depth, K), float64
        What every leaf adds to the raw prediction, learning rate included.
    importances : ndarray of shape (D,), float64
        Summed decrease of impurity, normalised to sum 1; all zero if nothing was ever split.
    """

    classes: Ints
    prior: Floats
    features: NDArray[np.intp]
    thresholds: Bins
    values: Floats
    importances: Floats

    def predict(self, bins: Bins) -> Ints:
        """Most probable class of every row of `bins`, shape (N,), int64."""
        raw = np.tile(self.prior, (bins.shape[1], 1))
        for features, thresholds, values in zip(self.features, self.thresholds, self.values, strict=True):
            node = np.zeros((len(self.prior), bins.shape[1]), dtype=np.uint8)
            for inner in _levels(len(features)):
                node = _descend(bins, node, features[inner], thresholds[inner])
            raw += np.take_along_axis(values, node.T.astype(np.intp), axis=0)
        best = (raw[:, 0] >= 0).astype(np.intp) if raw.shape[1] == 1 else raw.argmax(axis=1)
        return np.asarray(self.classes[best])


def fit_boosted(
    bins: Bins,
    target: Ints,
    *,
    rng: np.random.Generator,
    n_rounds: int = 100,
    learning_rate: float = 0.1,
    depth: int = 3,
) -> Boosted:
    """Boost trees that predict `target` from binned codes.

    Parameters
    ----------
    bins : ndarray of shape (D, N), uint8
        From `to_bins`.
    target : ndarray of shape (N,), int64
        Classes; at least two.
    rng : numpy.random.Generator
        Draws among equally good codes.
    n_rounds, learning_rate, depth
        As scikit-learn's ``n_estimators``, ``learning_rate``, ``max_depth``, with its defaults.

    Returns
    -------
    Boosted
        The ensemble.
    """
    classes, label = np.unique(target, return_inverse=True)
    if len(classes) < 2:
        raise ValueError("boosting needs at least two classes in the training sample")
    n_rows = len(target)
    share = np.bincount(label) / n_rows
    if len(classes) == 2:
        truth = label[:, None] == 1
        prior, shrink = np.log(share[1:] / share[:1]), 1.0
    else:
        truth = label[:, None] == np.arange(len(classes))
        # Friedman's factor (K - 1) / K of the multinomial step, which scikit-learn keeps.
        prior, shrink = np.log(share), (len(classes) - 1) / len(classes)

    sums = _BinSums(bins)
    raw = np.tile(prior, (n_rows, 1))
    importances = np.zeros(len(bins))
    grown = []
    for _ in range(n_rounds):
        residual = truth - _probability(raw)
        features, thresholds, leaf, gained = _grow(bins, sums, residual, depth, rng)
        importances += gained
        cell = leaf.T.astype(np.intp) * len(prior) + np.arange(len(prior))
        size = 2**depth * len(prior)
        step = np.bincount(cell.ravel(), residual.ravel(), size)
        # p(1 - p) written in the residual: it is 1 - p for the true class and -p for the others.
        curvature = np.bincount(cell.ravel(), (np.abs(residual) * (1 - np.abs(residual))).ravel(), size)
        flat = np.where(curvature < 1e-150, 0.0, learning_rate * shrink * step / np.maximum(curvature, 1e-150))
        raw += flat[cell]
        grown.append((features, thresholds, flat.reshape(2**depth, -1)))
    total = importances.sum()
    return Boosted(
        classes=classes,
        prior=prior,
        features=np.stack([trees[0] for trees in grown]),
        thresholds=np.stack([trees[1] for trees in grown]),
        values=np.stack([trees[2] for trees in grown]),
        importances=importances / total if total > 0 else importances,
    )


def _probability(raw: Floats) -> Floats:
    from scipy.special import expit

    if raw.shape[1] == 1:
        return np.asarray(expit(raw))
    power = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(power / power.sum(axis=1, keepdims=True))


class _BinSums:
    """Counts and sums of residuals per bin, by one sparse product for all trees of a level.

    Count and residual travel in one float64, residuals rounded to fixed point below it. That halves the work,
    and since every partial sum is an integer under 2**53 it is exact: equal codes have bit-equal sums in any
    order. For 10,000 rows the residuals keep 24 binary places; ten times the rows cost seven of them.
    """

    def __init__(self, bins: Bins) -> None:
        from scipy.sparse import csr_array

        n_codes, n_rows = bins.shape
        self.shape = (n_codes, int(bins.max()) + 1)
        order = np.argsort(bins, axis=1, kind="stable")
        counts = np.stack([np.bincount(row, minlength=self.shape[1]) for row in bins])
        pointers = np.concatenate([[0], np.cumsum(counts.ravel())])
        ones = np.ones(order.size)
        self.table = csr_array((ones, order.ravel(), pointers), shape=(counts.size, n_rows))
        width = int(n_rows).bit_length()
        self.unit = float(2 ** (53 - width))
        self.scale = float(2 ** max(52 - 2 * width, 1))

    def pack(self, residual: Floats) -> Floats:
        """One number per row and tree that stands for (1, residual)."""
        return np.asarray(np.rint(residual * self.scale) + self.unit)

    def cumulate(self, packed: Floats) -> Floats:
        """Packed sums over all rows up to and including each bin, shape (D, B, columns of `packed`)."""
        sums = (self.table @ packed).reshape(*self.shape, -1)
        return np.asarray(np.cumsum(sums, axis=1, out=sums))

    def unpack(self, total: Floats) -> tuple[Floats, Floats]:
        """Split packed sums into counts and sums of residuals."""
        count = np.rint(total / self.unit)
        return count, (total - count * self.unit) / self.scale


def _grow(
    bins: Bins, sums: _BinSums, residual: Floats, depth: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], Bins, Bins, Floats]:
    """Grow a tree per column of `residual`; return splits, the leaf of every row (K, N), gain per code."""
    n_trees = residual.shape[1]
    packed = sums.pack(residual)
    node: Bins = np.zeros((n_trees, len(residual)), dtype=np.uint8)
    below = sums.cumulate(packed)[:, :, None, :]  # codes, bins, nodes of this level, trees
    gained = np.zeros(len(bins))
    features, thresholds = [], []
    for level in range(depth):
        feature, threshold, gain = _best_splits(sums, below, rng)
        gained += np.bincount(feature.ravel(), gain.ravel(), len(bins))
        node = _descend(bins, node, feature, threshold)
        features.append(feature)
        thresholds.append(threshold)
        if level + 1 < depth:
            lefts = [np.ascontiguousarray((node == 2 * i).T) for i in range(2**level)]
            masked = np.concatenate([packed * left for left in lefts], axis=1)
            left_sums = sums.cumulate(masked).reshape(below.shape)
            children = np.stack([left_sums, below - left_sums], axis=3)
            below = children.reshape(*below.shape[:2], 2 ** (level + 1), n_trees)
    return np.concatenate(features), np.concatenate(thresholds), node, gained


def _best_splits(sums: _BinSums, below: Floats, rng: np.random.Generator) -> tuple[NDArray[np.intp], Bins, Floats]:
    """Find every node's best split: code, last bin that goes left, decrease of impurity, each (nodes, K).

    A node that can't be split sends everything left, with gain 0. One whose best gain is 0 is split all the
    same, as scikit-learn does: two codes may predict together what neither does alone.
    """
    count, total = sums.unpack(below)
    n_node, mean = count[:, -1:], total[:, -1:] / np.maximum(count[:, -1:], 1)
    between = count * (n_node - count)
    total -= count * mean
    gain = np.where(between > 0, total * total * n_node / np.maximum(between, 1), -1.0)
    per_code = gain.max(axis=1)
    best = per_code.max(axis=0)
    enough = best * (1 - TIE)
    feature = np.where(per_code >= enough, rng.random(per_code.shape), -1.0).argmax(axis=0)
    nodes, trees = np.indices(best.shape)
    threshold = (gain[feature, :, nodes, trees] >= enough[:, :, None]).argmax(axis=2)
    splits = best >= 0
    last = below.shape[1] - 1
    return feature, np.where(splits, threshold, last).astype(np.uint8), np.where(splits, best, 0.0)


def _descend(bins: Bins, node: Bins, feature: NDArray[np.intp], threshold: Bins) -> Bins:
    """Move every row from its node to the left (2i) or right (2i + 1) child; `node` is (K, N)."""
    right = np.zeros(node.shape, dtype=bool)
    for i in range(len(feature)):
        right |= (node == i) & (bins[feature[i]] > threshold[i][:, None])
    return node * np.uint8(2) + right


def _levels(n_inner: int) -> list[slice]:
    """Return slices of the inner nodes, level by level."""
    depth = (n_inner + 1).bit_length() - 1
    return [slice(2**level - 1, 2 ** (level + 1) - 1) for level in range(depth)]
