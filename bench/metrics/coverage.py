"""How well images decoded from the prior stand for the training images: density, coverage, and distance from copies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench.metric import Floats, NotApplicableError, Score, register_metric
from bench.metrics.generation import squared_distances, truth_and_decoded
from bench.seeds import stream

#: The feature space, a part of the metric's version: filters, their width and stride, and cells each way.
FILTERS, WIDTH, STRIDE, CELLS = 32, 5, 2, 4
#: Images worked on at once.
CHUNK = 128


@register_metric(
    "coverage",
    version=1,
    inputs=("train_images", "generated"),
    scores={
        "coverage": Score("Coverage"),
        "density": Score("Density", high=math.inf, higher_is_better=None),
        "training_distance": Score("Distance to training images", high=math.inf, higher_is_better=None),
        "training_distance_ratio": Score(
            "Distance to training images (of theirs)", high=math.inf, higher_is_better=None
        ),
    },
    cost="seconds",
)
def coverage(
    train_images: Any, generated: Any, *, k: int = 5, n_images: int = 2_000, rng: np.random.Generator | None = None
) -> dict[str, Any]:
    """Coverage and density of images decoded from the prior, and how far they are from being copies.

    Each training image has a ball that reaches to its k-th nearest other one. Coverage is the share of these balls with
    a generated image in them: it falls where modes are dropped. Density is the mean number of balls around a generated
    image over k: about 1 if both kinds of images are alike, 0 far from all data, above 1 where generated images crowd
    in dense places. Balls include their surface, so that copies of the data cover it.

    Distances for both are in a space of random features, which knows of no other data: the image is convolved with 32
    Gaussian filters of unit norm, 5 pixels wide, 2 pixels apart, what is negative becomes 0, and each map is averaged
    over 4 x 4 cells. The filters are the stream ``random_features`` of seed 0, the same for all images of as many
    channels. They tell shape and place, and overlook noise; they don't see what people see, and no published value
    compares.

    The distance to training images is that in pixels, which `bench.metrics.generation` measures to the images that
    are evaluated. Its ratio is to the same distance of training images from their nearest others: far below 1, the
    decoder copies what it was trained on.

    Parameters
    ----------
    train_images : array-like of shape (N, C, H, W)
        In [0, 1]; of equal ones one counts.
    generated : array-like of shape (G, C, H, W)
        Logits: the images are their sigmoid.
    k : int
        Neighbours, at least 1.
    n_images : int
        Training images to use, the first ones, which are a random sample already; more than `k`.
    rng : numpy.random.Generator, optional
        Unused; here because every metric takes one.

    Returns
    -------
    dict
        ``coverage``, from 0 to 1; ``density``, at least 0; ``training_distance``, the squared error to the nearest
        training image, summed over pixels, mean over generated images; ``training_distance_ratio``;
        ``expected_coverage``, which images of the training images' own distribution would have; ``n_images``,
        ``n_generated``; ``settings``.

    Raises
    ------
    ValueError
        Other numbers of dimensions, different sizes, images outside [0, 1], values that aren't finite, `k` below 1.
    NotApplicableError
        If there are no more than `k` different training images.

    References
    ----------
    Naeem et al.: Reliable Fidelity and Diversity Metrics for Generative Models, ICML 2020 (arXiv 2002.09797), equations
    for density and coverage and lemma 2; in random features as there in section 5, though others. Their code leaves
    out the balls' surface. The ratio is this suite's own.
    """
    from scipy.spatial.distance import cdist

    truth, made = truth_and_decoded(train_images, generated, "train_images")
    if k < 1 or n_images <= k:
        raise ValueError(f"k must be at least 1 and n_images more than k, got {k} and {n_images}")
    places: dict[bytes, int] = {}
    for place, image in enumerate(truth):
        places.setdefault(image.tobytes(), place)
    real = truth[list(places.values())[:n_images]]
    if len(real) <= k:
        raise NotApplicableError(f"{len(real)} different training images are too few for {k} neighbours")
    data, drawn = random_features(real), random_features(made)
    # The nearest of all is the image itself.
    radius = np.partition(cdist(data, data), k, axis=1)[:, k]
    inside = cdist(data, drawn) <= radius[:, None]
    flat, far = real.reshape(len(real), -1), made.reshape(len(made), -1)
    apart = squared_distances(flat, flat)
    np.fill_diagonal(apart, np.inf)
    distance = float(squared_distances(far, flat).min(axis=1).mean())
    n, g = len(real), len(made)
    return {
        "coverage": float(inside.any(axis=1).mean()),
        "density": float(inside.sum() / (k * g)),
        "training_distance": distance,
        "training_distance_ratio": distance / float(apart.min(axis=1).mean()),
        "expected_coverage": 1 - math.prod((n - i) / (n + g - i) for i in range(1, k + 1)),
        "n_images": n,
        "n_generated": g,
        "settings": {"k": k, "n_images": n_images},
    }


def random_features(images: Floats) -> Floats:
    """Images in the space in which `coverage` measures.

    Parameters
    ----------
    images : ndarray of shape (n, C, H, W), float64
        In [0, 1].

    Returns
    -------
    ndarray of shape (n, FILTERS * CELLS * CELLS), float64
        Of images smaller than 11 pixels fewer cells, and below 5 pixels narrower filters.

    Examples
    --------
    >>> random_features(np.zeros((3, 1, 64, 64))).shape
    (3, 512)
    """
    _, channels, height, width = images.shape
    tall, wide = min(WIDTH, height), min(WIDTH, width)
    filters = stream(0, "random_features").standard_normal((FILTERS, channels, WIDTH, WIDTH))[:, :, :tall, :wide]
    weights = filters.reshape(FILTERS, -1)
    weights = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    parts = []
    for start in range(0, len(images), CHUNK):
        windows = np.lib.stride_tricks.sliding_window_view(images[start : start + CHUNK], (tall, wide), axis=(2, 3))
        patches = windows[:, :, ::STRIDE, ::STRIDE].transpose(0, 2, 3, 1, 4, 5)
        maps = np.maximum(patches.reshape(*patches.shape[:3], -1) @ weights.T, 0)
        parts.append(_averaged(_averaged(maps, 1), 2).reshape(len(maps), -1))
    return np.concatenate(parts)


def _averaged(maps: Floats, axis: int) -> Floats:
    """Means over at most `CELLS` neighbouring pieces of an axis, as equal as can be."""
    pieces = np.array_split(maps, min(CELLS, maps.shape[axis]), axis=axis)
    return np.stack([piece.mean(axis=axis) for piece in pieces], axis=axis)
