import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.metrics import reconstruction
from bench.registry import METRICS
from helpers.rng import rng

SHAPE = (2, 3, 4, 5)


def logit(p):
    return np.log(p) - np.log1p(-np.asarray(p))


def test_is_registered_with_the_columns_it_returns():
    entry = METRICS.get("reconstruction")
    result = reconstruction(np.zeros(SHAPE), np.zeros(SHAPE))
    assert set(entry.info.scores) <= set(result)
    assert [s.higher_is_better for s in entry.info.scores.values()] == [False, False, True]
    json.dumps(result, allow_nan=False)


def test_grey_output_by_hand():
    images = (rng().random(SHAPE) < 0.5).astype(np.float32)
    result = reconstruction(images, np.zeros(SHAPE, dtype=np.float32))
    # Summed over the 60 values of an image, not averaged.
    assert result["reconstruction_bce"] == pytest.approx(60 * np.log(2), abs=1e-12)
    assert result["reconstruction_mse"] == 0.25
    assert result["psnr_db"] == pytest.approx(-10 * np.log10(0.25), abs=1e-12)
    assert (result["bce_floor"], result["n_images"]) == (0, 2)


def test_perfect_output_is_capped_at_100_db():
    images = (rng(1).random(SHAPE) < 0.5).astype(np.float32)
    result = reconstruction(images, np.where(images > 0, 1e4, -1e4).astype(np.float32))
    assert result["reconstruction_bce"] == 0
    assert (result["reconstruction_mse"], result["psnr_db"]) == (0, 100)


def test_confidently_wrong_output_is_finite():
    result = reconstruction(np.ones((1, 1, 2, 2)), np.full((1, 1, 2, 2), -1e4))
    assert result["reconstruction_bce"] == 4e4
    assert (result["reconstruction_mse"], result["psnr_db"]) == (1, 0)


def test_equals_the_plain_formula():
    images, p = rng(2).random(SHAPE), rng(3).uniform(0.01, 0.99, SHAPE)
    result = reconstruction(images, logit(p))
    plain = -(images * np.log(p) + (1 - images) * np.log(1 - p))
    assert result["reconstruction_bce"] == pytest.approx(plain.sum() / 2, rel=1e-12)
    assert result["reconstruction_mse"] == pytest.approx(((images - p) ** 2).mean(), rel=1e-12)
    # Negative control: outputs that are already probabilities aren't logits.
    assert reconstruction(images, p)["reconstruction_bce"] != pytest.approx(plain.sum() / 2, rel=0.01)


def test_psnr_is_the_mean_over_images_not_that_of_the_batch():
    images = np.zeros((2, 1, 1, 1))
    result = reconstruction(images, logit(np.array([0.1, 0.5])).reshape(2, 1, 1, 1))
    assert result["psnr_db"] == pytest.approx((20 - 10 * np.log10(0.25)) / 2, abs=1e-12)
    assert result["psnr_db"] != pytest.approx(-10 * np.log10(result["reconstruction_mse"]), abs=0.5)


def test_floor_is_reached_by_the_image_itself():
    images = rng(4).uniform(0.05, 0.95, SHAPE)
    result = reconstruction(images, logit(images))
    assert result["reconstruction_bce"] == pytest.approx(result["bce_floor"], rel=1e-12)
    assert reconstruction(images, logit(images) + 0.1)["reconstruction_bce"] > result["bce_floor"] + 0.01


def test_chunks_do_not_show():
    images, decoded = rng(5).random((600, 1, 2, 2)), rng(6).normal(size=(600, 1, 2, 2))
    whole = reconstruction(images, decoded)
    each = [reconstruction(images[i : i + 1], decoded[i : i + 1]) for i in range(600)]
    for name in ("reconstruction_bce", "reconstruction_mse", "psnr_db", "bce_floor"):
        assert whole[name] == pytest.approx(np.mean([one[name] for one in each]), rel=1e-12)


def test_single_precision_input_is_summed_in_double():
    images = np.zeros((300, 1, 64, 64), dtype=np.float32)
    result = reconstruction(images, np.full_like(images, 0.1))
    expected = 4096 * np.log1p(np.exp(np.float64(np.float32(0.1))))
    assert result["reconstruction_bce"] == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    ("images", "decoded", "message"),
    [
        (np.zeros((2, 1, 4, 4)), np.zeros((2, 4, 4, 1)), "shape"),
        (np.zeros((4, 4)), np.zeros((4, 4)), "shape"),
        (np.zeros((0, 1, 4, 4)), np.zeros((0, 1, 4, 4)), "shape"),
        (np.full((1, 1, 2, 2), 255.0), np.zeros((1, 1, 2, 2)), r"\[0, 1\]"),
        (np.full((1, 1, 2, 2), np.nan), np.zeros((1, 1, 2, 2)), r"\[0, 1\]"),
        (np.zeros((1, 1, 2, 2)), np.full((1, 1, 2, 2), np.inf), "infinite"),
    ],
)
def test_refuses(images, decoded, message):
    with pytest.raises(ValueError, match=message):
        reconstruction(images, decoded)


@settings(deadline=None, max_examples=30)
@given(
    images=arrays(np.float32, (3, 1, 2, 2), elements=st.floats(0, 1, width=32)),
    decoded=arrays(np.float32, (3, 1, 2, 2), elements=st.floats(-1e4, 1e4, width=32)),
)
def test_is_bounded_and_symmetric_in_black_and_white(images, decoded):
    result = reconstruction(images, decoded)
    assert result["reconstruction_bce"] >= result["bce_floor"] - 1e-9 >= -1e-9
    assert 0 <= result["reconstruction_mse"] <= 1
    assert 0 <= result["psnr_db"] <= 100
    inverted = reconstruction(1 - images.astype(np.float64), -decoded)
    assert inverted["reconstruction_bce"] == pytest.approx(result["reconstruction_bce"], rel=1e-9, abs=1e-9)
