"""Structural similarity of reconstructions, of Wang et al. (2004)."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.metric import Floats, Score, register_metric

#: Images worked on at once: 25 MB a float64 table at 64 x 64 x 3.
CHUNK = 256
SIGMA = 1.5
K1, K2 = 0.01, 0.03


@register_metric(
    "ssim",
    version=1,
    inputs=("images", "decoded"),
    scores={"ssim": Score("SSIM", low=-1.0)},
    cost="seconds",
)
def ssim(images: Any, decoded: Any, *, window: int = 11, rng: np.random.Generator | None = None) -> dict[str, Any]:
    """Structural similarity: local means, contrasts and correlation compared in a Gaussian window.

    ``(2 m_x m_y + C_1) (2 s_xy + C_2) / ((m_x^2 + m_y^2 + C_1) (s_x^2 + s_y^2 + C_2))`` with local moments in a
    Gaussian window of 11 pixels and standard deviation 1.5, ``C = (K L)^2``, K of 0.01 and 0.03, L = 1; mean over the
    pixels whose window lies in the image, then over channels and images. That is the original's form; scikit-image's
    default (a flat window of 7 pixels, sample covariance) gives other numbers. Where both images are flat, as around a
    sprite, it is close to 1 whatever the sprite.

    Parameters
    ----------
    images : array-like of shape (M, C, H, W)
        In [0, 1].
    decoded : array-like of shape (M, C, H, W)
        Decoder outputs for the same rows as logits: the reconstruction is their sigmoid.
    window : int
        Pixels across the window, odd, at least 3. For images with a smaller side, the largest odd number
        that fits.
    rng : numpy.random.Generator, optional
        Unused; here because every metric takes one.

    Returns
    -------
    dict
        ``ssim`` in [-1, 1], 1 for equal images; ``ssim_per_channel``; ``standard_deviation`` over images; ``window``
        that was used; ``n_images``; ``settings``.

    Raises
    ------
    ValueError
        No images, other numbers of dimensions, unequal shapes, images outside [0, 1], outputs that aren't finite, a
        side of less than 3 pixels, or a window that is even or too small.

    References
    ----------
    Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment: From Error Visibility to Structural Similarity, IEEE
    Transactions on Image Processing 13(4), 2004, section III.
    """
    from scipy.special import expit

    truth, logits = np.asarray(images), np.asarray(decoded)
    if truth.ndim != 4 or truth.shape != logits.shape or 0 in truth.shape:
        raise ValueError(
            "images and decoded must both have shape (n_images, channels, height, width), "
            f"got {truth.shape} and {logits.shape}"
        )
    if window < 3 or window % 2 == 0:
        raise ValueError(f"window must be odd and at least 3, got {window}")
    side = min(truth.shape[2:])
    if side < 3:
        raise ValueError(f"images must be at least 3 pixels high and wide, got {truth.shape[2:]}")
    used = min(window, side - 1 + side % 2)
    parts = []
    for start in range(0, len(truth), CHUNK):
        x = truth[start : start + CHUNK].astype(np.float64)
        y = logits[start : start + CHUNK].astype(np.float64)
        # The comparison is written so that NaN fails it.
        if not ((x >= 0) & (x <= 1)).all():
            raise ValueError("images must be in [0, 1]")
        if not np.isfinite(y).all():
            raise ValueError("decoded images hold NaN or infinite values")
        parts.append(similarity(x, expit(y), used).mean(axis=(2, 3)))
    per_image = np.concatenate(parts)
    return {
        "ssim": float(np.clip(per_image.mean(), -1.0, 1.0)),  # outside only by rounding
        "ssim_per_channel": per_image.mean(axis=0).tolist(),
        "standard_deviation": float(per_image.mean(axis=1).std()),
        "window": used,
        "n_images": len(truth),
        "settings": {"window": window, "sigma": SIGMA, "k1": K1, "k2": K2},
    }


def similarity(x: Floats, y: Floats, window: int = 11) -> Floats:
    """Map of structural similarity of images in [0, 1].

    Parameters
    ----------
    x, y : ndarray of shape (M, C, H, W), float64
    window : int
        Odd, at most H and W.

    Returns
    -------
    ndarray of shape (M, C, H - window + 1, W - window + 1)
    """
    radius = window // 2
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / SIGMA) ** 2)
    weights /= weights.sum()

    def blur(image: Floats) -> Floats:
        from scipy.ndimage import correlate1d

        # Borders are cut off, so how the image is continued beyond them doesn't matter.
        for axis in (2, 3):
            image = correlate1d(image, weights, axis=axis, mode="reflect")
        return image[:, :, radius : image.shape[2] - radius, radius : image.shape[3] - radius]

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = K1**2, K2**2
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return np.asarray(above / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)))
