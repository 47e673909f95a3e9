"""What a decoder makes of the prior: how varied its images are, and how near to those of the data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench.metric import Floats, NotApplicableError, Score, register_metric

#: Generated images compared with the data at once: 80 MB of distances to 10,000 images.
CHUNK = 1_000


@register_metric(
    "generation",
    version=1,
    inputs=("images", "generated"),
    scores={
        "generated_variance": Score("Variance of generated images (share)", high=math.inf, higher_is_better=None),
        "generated_distance": Score("Distance of generated images", high=math.inf, higher_is_better=False),
    },
    cost="seconds",
)
def generation(images: Any, generated: Any, *, rng: np.random.Generator | None = None) -> dict[str, Any]:
    """Images decoded from the prior: their variance per pixel, and their distance to the nearest image of the data.

    The first is the variance over generated images, summed over pixels, as a share of that of the data's images: 0 for
    a decoder that always shows the same. The second is the squared error to the nearest image of the data, summed over
    pixels, mean over generated images: 0 for copies of them, large for blurred or broken ones. A decoder that copies
    one image is perfect by the second, so read both.

    Parameters
    ----------
    images : array-like of shape (M, C, H, W)
        In [0, 1]; those that the run is evaluated on, which stand for the data: of more images the nearest is nearer.
    generated : array-like of shape (G, C, H, W)
        Logits of what the decoder makes of draws from N(0, I): the images are their sigmoid.
    rng : numpy.random.Generator, optional
        Unused; here because every metric takes one.

    Returns
    -------
    dict
        ``generated_variance``, at least 0; ``generated_distance`` in units of a pixel's squared error, from 0 to the
        number of pixels; ``n_images``, ``n_generated``; ``settings``.

    Raises
    ------
    ValueError
        Other numbers of dimensions, different sizes, images outside [0, 1], outputs that aren't finite.
    NotApplicableError
        If the data's images are all the same.

    References
    ----------
    Both measures are this suite's own, after the question that Li et al. 2022 (arXiv 2209.14783) raise.
    """
    truth, decoded = truth_and_decoded(images, generated, "images")
    data, made = truth.reshape(len(truth), -1), decoded.reshape(len(decoded), -1)
    variance = float(data.var(axis=0).sum())
    if not variance > 0:
        raise NotApplicableError("the data's images are all the same, and have no variance to be a share of")
    chunks = (made[start : start + CHUNK] for start in range(0, len(made), CHUNK))
    nearest = np.concatenate([squared_distances(chunk, data).min(axis=1) for chunk in chunks])
    return {
        "generated_variance": float(made.var(axis=0).sum()) / variance,
        "generated_distance": float(nearest.mean()),
        "n_images": len(data),
        "n_generated": len(made),
        "settings": {"chunk": CHUNK},
    }


def truth_and_decoded(truth: Any, logits: Any, name: str) -> tuple[Floats, Floats]:
    """Images of the data and those that a decoder's outputs stand for, as float64 of shapes (n, C, H, W) and in [0, 1].

    Parameters
    ----------
    truth, logits : array-like
    name : str
        What messages call the data's images.

    Raises
    ------
    ValueError
        Other numbers of dimensions, different sizes, images outside [0, 1], values that aren't finite.
    """
    from scipy.special import expit

    images, outputs = np.asarray(truth, dtype=np.float64), np.asarray(logits, dtype=np.float64)
    shapes = images.shape, outputs.shape
    if images.ndim != 4 or outputs.ndim != 4 or shapes[0][1:] != shapes[1][1:] or 0 in shapes[0] + shapes[1]:
        raise ValueError(f"{name} and generated must have shapes (n, C, H, W), got {shapes[0]} and {shapes[1]}")
    if not np.isfinite(images).all() or not np.isfinite(outputs).all():
        raise ValueError(f"{name} or generated hold NaN or infinite values")
    if images.min() < 0 or images.max() > 1:
        raise ValueError(f"{name} must lie in [0, 1], they reach from {images.min():.3g} to {images.max():.3g}")
    return images, expit(outputs)


def squared_distances(a: Floats, b: Floats) -> Floats:
    """Squared distances of rows, not below 0, by one product: pixels are too many to go through pair by pair."""
    found: Floats = np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T, 0.0)
    return found
