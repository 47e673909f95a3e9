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
    from scipy.special import expit

    truth, logits = np.asarray(images, dtype=np.float64), np.asarray(generated, dtype=np.float64)
    if truth.ndim != 4 or logits.ndim != 4 or truth.shape[1:] != logits.shape[1:] or 0 in truth.shape + logits.shape:
        raise ValueError(f"images and generated must have shapes (n, C, H, W), got {truth.shape} and {logits.shape}")
    if not np.isfinite(truth).all() or not np.isfinite(logits).all():
        raise ValueError("images or generated hold NaN or infinite values")
    if truth.min() < 0 or truth.max() > 1:
        raise ValueError(f"images must lie in [0, 1], they reach from {truth.min():.3g} to {truth.max():.3g}")
    data, made = truth.reshape(len(truth), -1), expit(logits.reshape(len(logits), -1))
    variance = float(data.var(axis=0).sum())
    if not variance > 0:
        raise NotApplicableError("the data's images are all the same, and have no variance to be a share of")
    nearest = np.concatenate([_nearest(made[start : start + CHUNK], data) for start in range(0, len(made), CHUNK)])
    return {
        "generated_variance": float(made.var(axis=0).sum()) / variance,
        "generated_distance": float(nearest.mean()),
        "n_images": len(data),
        "n_generated": len(made),
        "settings": {"chunk": CHUNK},
    }


def _nearest(made: Floats, data: Floats) -> Floats:
    """Squared distance of each row to the nearest row of the data."""
    squares = (made**2).sum(axis=1)[:, None] + (data**2).sum(axis=1) - 2 * made @ data.T
    nearest: Floats = np.maximum(squares.min(axis=1), 0.0)
    return nearest
