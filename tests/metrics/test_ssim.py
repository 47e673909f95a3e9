import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit

from bench.metrics import ssim
from bench.metrics.ssim import similarity
from helpers.rng import rng


def pictures(key: int = 1, shape: tuple[int, ...] = (4, 1, 24, 20)) -> np.ndarray:
    return rng(key).uniform(0.05, 0.95, size=shape)


def brute_force(x: np.ndarray, y: np.ndarray, size: int = 11, sigma: float = 1.5) -> float:
    """Return the formula of the paper at every full window of one channel."""
    offset = np.arange(size) - size // 2
    w = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * sigma**2))
    w /= w.sum()
    values = []
    for i in range(x.shape[0] - size + 1):
        for j in range(x.shape[1] - size + 1):
            a, b = x[i : i + size, j : j + size], y[i : i + size, j : j + size]
            ma, mb = (w * a).sum(), (w * b).sum()
            va, vb, cov = (w * (a - ma) ** 2).sum(), (w * (b - mb) ** 2).sum(), (w * (a - ma) * (b - mb)).sum()
            c1, c2 = 0.01**2, 0.03**2
            values.append((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    return float(np.mean(values))


def test_equals_the_formula_of_the_paper():
    x, y = pictures(1, (2, 2, 15, 13)), pictures(2, (2, 2, 15, 13))
    y = 0.6 * x + 0.4 * y
    expected = [[brute_force(x[m, c], y[m, c]) for c in range(2)] for m in range(2)]
    result = ssim(x, logit(y), rng=rng())
    assert result["ssim"] == pytest.approx(np.mean(expected), abs=1e-10)
    assert result["ssim_per_channel"] == pytest.approx(np.mean(expected, axis=0), abs=1e-10)
    # Negative controls: a narrower window, a wider bell, and scores of logits instead of images.
    assert ssim(x, logit(y), window=7)["ssim"] != pytest.approx(result["ssim"], abs=1e-3)
    assert brute_force(x[0, 0], y[0, 0], sigma=3.0) != pytest.approx(expected[0][0], abs=1e-3)
    assert ssim(x, y)["ssim"] < result["ssim"] - 0.1
    json.dumps(result, allow_nan=False)


def test_equal_images_score_one_and_the_inverse_less_than_zero():
    x = pictures()
    assert ssim(x, logit(x))["ssim"] == pytest.approx(1, abs=1e-12)
    assert ssim(x, logit(1 - x))["ssim"] < -0.5
    binary = (x > 0.5).astype(np.float32)
    assert ssim(binary, np.where(binary > 0, 50.0, -50.0))["ssim"] == pytest.approx(1, abs=1e-9)


def test_flat_images_compare_by_their_means():
    x, y = np.full((1, 1, 16, 16), 0.4), np.full((1, 1, 16, 16), 0.6)
    expected = (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    assert ssim(x, logit(y))["ssim"] == pytest.approx(expected, abs=1e-9)
    assert ssim(np.zeros((1, 1, 16, 16)), np.full((1, 1, 16, 16), -800.0))["ssim"] == pytest.approx(1)


def test_mean_is_over_images_of_any_number():
    x = pictures(3, (300, 1, 11, 11))
    y = logit(pictures(4, (300, 1, 11, 11)))
    values = [ssim(x[m : m + 1], y[m : m + 1])["ssim"] for m in range(300)]
    whole = ssim(x, y)
    assert whole["ssim"] == pytest.approx(np.mean(values), abs=1e-12)
    assert whole["standard_deviation"] == pytest.approx(np.std(values), abs=1e-12)
    assert similarity(x, x).shape == (300, 1, 1, 1)


def test_blur_costs_more_than_a_shift_of_brightness_of_the_same_error():
    stripes = np.zeros((1, 1, 32, 32))
    stripes[..., ::2] = 0.6
    stripes += 0.2
    blurred = np.full_like(stripes, stripes.mean())
    shifted = np.clip(stripes + 0.15, 0, 1)
    assert ssim(stripes, logit(blurred))["ssim"] < 0.1
    assert ssim(stripes, logit(np.minimum(shifted, 0.999)))["ssim"] > 0.9


def test_small_images_shrink_the_window():
    for side, expected in ((3, 3), (8, 7), (9, 9), (12, 11)):
        x = pictures(5, (2, 1, side, 20))
        result = ssim(x, logit(x))
        assert (result["window"], result["ssim"]) == (expected, pytest.approx(1))


def test_reshaping_where_channels_are_moved_is_noticed():
    x = pictures(6, (2, 3, 16, 16))
    last = np.moveaxis(x, 1, 3).reshape(x.shape)
    assert ssim(x, logit(last))["ssim"] < 0.5


@pytest.mark.parametrize(
    ("images", "decoded", "options", "message"),
    [
        (np.zeros((2, 1, 8, 8)), np.zeros((2, 1, 8, 9)), {}, "shape"),
        (np.zeros((2, 8, 8)), np.zeros((2, 8, 8)), {}, "shape"),
        (np.zeros((0, 1, 8, 8)), np.zeros((0, 1, 8, 8)), {}, "shape"),
        (np.full((1, 1, 8, 8), 2.0), np.zeros((1, 1, 8, 8)), {}, r"\[0, 1\]"),
        (np.full((1, 1, 8, 8), np.nan), np.zeros((1, 1, 8, 8)), {}, r"\[0, 1\]"),
        (np.zeros((1, 1, 8, 8)), np.full((1, 1, 8, 8), np.nan), {}, "NaN"),
        (np.zeros((1, 1, 2, 8)), np.zeros((1, 1, 2, 8)), {}, "3 pixels"),
        (np.zeros((1, 1, 8, 8)), np.zeros((1, 1, 8, 8)), {"window": 4}, "window"),
    ],
)
def test_refuses(images, decoded, options, message):
    with pytest.raises(ValueError, match=message):
        ssim(images, decoded, **options)


@settings(deadline=None, max_examples=20)
@given(key=st.integers(0, 2**32))
def test_is_bounded_and_symmetric_and_ignores_mirrors(key):
    x, y = pictures(key, (1, 1, 12, 13)), pictures(key + 1, (1, 1, 12, 13))
    value = ssim(x, logit(y))["ssim"]
    assert -1 <= value <= 1
    assert ssim(y, logit(x))["ssim"] == pytest.approx(value, abs=1e-9)
    assert ssim(x[..., ::-1], logit(y)[..., ::-1])["ssim"] == pytest.approx(value, abs=1e-9)
