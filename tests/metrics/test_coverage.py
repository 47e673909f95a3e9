"""Density, coverage and distance from copies of images decoded from the prior."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from bench.metric import NotApplicableError
from bench.metrics import coverage
from bench.metrics.coverage import CHUNK, random_features
from helpers.rng import rng

IMAGES = rng(1).random((60, 1, 16, 16))


def logits(images: np.ndarray) -> np.ndarray:
    return logit(np.clip(images, 1e-9, 1 - 1e-9))


def test_copies_of_the_data_cover_it_at_no_distance():
    binary = np.rint(IMAGES)
    found = coverage(binary, np.where(binary > 0.5, 800.0, -800.0))
    assert found["coverage"] == 1
    assert found["training_distance"] == pytest.approx(0, abs=1e-9)
    assert found["training_distance_ratio"] == pytest.approx(0, abs=1e-9)
    # Every image lies in its own ball, and in k others on average.
    assert found["density"] == pytest.approx((60 + 60 * 5) / (5 * 60))


def test_one_copied_image_covers_next_to_nothing_however_often():
    found = coverage(IMAGES, logits(IMAGES[:1].repeat(200, axis=0)))
    assert 1 / 60 <= found["coverage"] < 0.5
    assert found["training_distance"] == pytest.approx(0, abs=1e-9)


def test_images_far_from_all_data_cover_nothing():
    found = coverage(0.1 * IMAGES, np.full((40, 1, 16, 16), 50.0))
    assert (found["coverage"], found["density"]) == (0, 0)
    squares = ((1 - 0.1 * IMAGES) ** 2).sum(axis=(1, 2, 3))
    assert found["training_distance"] == pytest.approx(squares.min())
    assert found["training_distance_ratio"] > 10


def test_images_of_the_same_distribution_cover_as_much_as_they_should():
    data, more = rng(2).random((2, 400, 1, 12, 12))
    found = coverage(data, logits(more), k=3)
    assert found["coverage"] == pytest.approx(found["expected_coverage"], abs=0.05)
    assert found["density"] == pytest.approx(1, abs=0.15)
    assert found["training_distance_ratio"] == pytest.approx(1, abs=0.05)
    # Lemma 2 of Naeem et al.
    n = 400
    lemma = 1 - (n - 1) * (n - 2) * (n - 3) / ((2 * n - 1) * (2 * n - 2) * (2 * n - 3))
    assert found["expected_coverage"] == pytest.approx(lemma)


def test_equal_images_count_once_and_only_the_first_are_used():
    twice = coverage(np.concatenate([IMAGES, IMAGES[:20]]), logits(IMAGES[::-1]))
    once = coverage(IMAGES, logits(IMAGES[::-1]))
    assert twice["coverage"] == once["coverage"]
    assert twice["n_images"] == 60
    assert coverage(IMAGES, logits(IMAGES), n_images=20)["n_images"] == 20


def test_the_space_is_pinned_and_chunks_change_nothing():
    many = rng(3).random((CHUNK + 3, 3, 20, 12))
    features = random_features(many)
    assert features.shape == (CHUNK + 3, 512)
    np.testing.assert_allclose(random_features(many[-2:]), features[-2:], rtol=1e-12)
    assert random_features(many[:, :, :4, :3]).shape == (CHUNK + 3, 32)
    ramp = np.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    np.testing.assert_allclose(random_features(ramp)[0, :8], PINNED, rtol=1e-9)


@pytest.mark.parametrize(
    ("images", "made", "options", "message"),
    [
        (IMAGES, np.zeros((3, 1, 4, 4)), {}, "must have shapes"),
        (IMAGES, np.full((3, 1, 16, 16), np.inf), {}, "NaN or infinite"),
        (IMAGES + 1, np.zeros((3, 1, 16, 16)), {}, r"must lie in \[0, 1\]"),
        (IMAGES, np.zeros((3, 1, 16, 16)), {"k": 0}, "k must be at least 1"),
        (IMAGES, np.zeros((3, 1, 16, 16)), {"n_images": 5}, "more than k"),
    ],
)
def test_what_is_wrong_is_said(images, made, options, message):
    with pytest.raises(ValueError, match=message):
        coverage(images, made, **options)


def test_too_few_different_images_have_no_neighbours():
    with pytest.raises(NotApplicableError, match="2 different training images"):
        coverage(IMAGES[:2].repeat(9, axis=0), logits(IMAGES))


#: First features of a ramp: the stream and the space may not change within a version.
PINNED = [0.005182425778603183, 0.0, 0.0, 0.0, 0.0, 0.5351398028058433, 0.2962761265212163, 0.0]
