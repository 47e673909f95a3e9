"""Reconstruction error: Bernoulli cross-entropy, mean squared error, peak signal-to-noise ratio."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench.metric import Floats, Score, register_metric

#: Images worked on at once: 130 MB of float64 temporaries at 64 x 64 x 3.
CHUNK = 256
PSNR_CAP = 100.0


@register_metric(
    "reconstruction",
    version=1,
    inputs=("images", "decoded"),
    scores={
        "reconstruction_bce": Score("BCE (nats/image)", high=math.inf, higher_is_better=False),
        "reconstruction_mse": Score("MSE (per pixel)", higher_is_better=False),
        "psnr_db": Score("PSNR (dB)", high=PSNR_CAP),
    },
    groups=("all", "core"),
)
def reconstruction(images: Any, decoded: Any, *, rng: np.random.Generator | None = None) -> dict[str, Any]:
    """Reconstruction error of decoder outputs, three ways.

    Parameters
    ----------
    images : array-like of shape (M, C, H, W)
        In [0, 1].
    decoded : array-like of shape (M, C, H, W)
        Decoder outputs for the same rows as logits: the reconstruction is their sigmoid.
    rng : numpy.random.Generator, optional
        Unused; here because every metric takes one.

    Returns
    -------
    dict
        ``reconstruction_bce``: cross-entropy in nats per image, summed over pixels and channels, mean over
        images; ``reconstruction_mse``: mean over pixels, channels and images; ``psnr_db``: mean of ``-10
        log10 MSE`` per image, each capped at 100 dB; ``bce_floor``: the least cross-entropy possible, in nats
        per image, which is the Bernoulli entropy of the pixels and 0 only for binary images; ``n_images``;
        ``settings``.

    Raises
    ------
    ValueError
        No images, other numbers of dimensions, unequal shapes, images outside [0, 1], outputs that aren't
        finite.

    References
    ----------
    The cross-entropy is the Bernoulli decoder's negative log-likelihood: Kingma & Welling, "Auto-Encoding
    Variational Bayes", ICLR 2014, appendix C.1.
    """
    truth, logits = np.asarray(images), np.asarray(decoded)
    if truth.ndim != 4 or truth.shape != logits.shape or 0 in truth.shape:
        raise ValueError(
            "images and decoded must both have shape (n_images, channels, height, width), "
            f"got {truth.shape} and {logits.shape}"
        )
    sums = np.zeros(4)
    for start in range(0, len(truth), CHUNK):
        part = slice(start, start + CHUNK)
        flat = (len(truth[part]), -1)
        sums += _sums(truth[part].reshape(flat).astype(np.float64), logits[part].reshape(flat).astype(np.float64))
    bce, mse, psnr, floor = (sums / len(truth)).tolist()
    return {
        "reconstruction_bce": bce,
        "reconstruction_mse": mse,
        "psnr_db": psnr,
        "bce_floor": floor,
        "n_images": len(truth),
        "settings": {"psnr_cap_db": PSNR_CAP},
    }


def _sums(x: Floats, logit: Floats) -> Floats:
    """Sum over the rows of a chunk (n, pixels): BCE, MSE, PSNR, floor of the BCE."""
    from scipy.special import entr, expit

    # The comparison is written so that NaN fails it.
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError("images must be in [0, 1]")
    if not np.isfinite(logit).all():
        raise ValueError("decoded images hold NaN or infinite values")
    # log(1 + e^l) - x l, in the form that neither overflows nor cancels.
    bce = (np.maximum(logit, 0) - x * logit + np.log1p(np.exp(-np.abs(logit)))).sum(axis=1)
    mse = ((x - expit(logit)) ** 2).mean(axis=1)
    psnr = -10 * np.log10(np.maximum(mse, 10 ** (-PSNR_CAP / 10)))
    return np.array([bce.sum(), mse.sum(), psnr.sum(), (entr(x) + entr(1 - x)).sum()])
