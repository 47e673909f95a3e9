"""Images decoded from the prior."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metric import NotApplicableError
from bench.metrics import generation
from bench.metrics.generation import CHUNK
from helpers.rng import rng

IMAGES = (rng(1).random((30, 1, 4, 5)) < 0.5).astype(np.float32)


def logits(images: np.ndarray) -> np.ndarray:
    return np.where(images > 0.5, 60.0, -60.0)


def test_copies_of_the_data_are_as_varied_and_at_no_distance():
    result = generation(IMAGES, logits(IMAGES))
    assert result["generated_variance"] == pytest.approx(1)
    assert result["generated_distance"] == pytest.approx(0, abs=1e-9)


def test_a_decoder_that_shows_one_image_has_no_variance_and_the_mean_image_is_far():
    one = generation(IMAGES, logits(IMAGES[:1].repeat(7, axis=0)))
    assert one["generated_variance"] == pytest.approx(0, abs=1e-9)
    assert one["generated_distance"] == pytest.approx(0, abs=1e-9)
    grey = generation(IMAGES, np.zeros((7, 1, 4, 5)))
    assert (grey["generated_variance"], grey["generated_distance"]) == (0.0, pytest.approx(20 / 4))


def test_a_wrong_pixel_counts_as_one():
    wrong = IMAGES[:3].copy()
    wrong[:, 0, 0, 0] = 1 - wrong[:, 0, 0, 0]
    squares = [((IMAGES - image) ** 2).sum(axis=(1, 2, 3)).min() for image in wrong]
    assert generation(IMAGES, logits(wrong))["generated_distance"] == pytest.approx(np.mean(squares), abs=1e-9)
    assert max(squares) == 1


def test_chunks_change_nothing():
    many = rng(2).normal(size=(CHUNK + 5, 1, 4, 5))
    whole = generation(IMAGES, many)
    parts = [generation(IMAGES, part)["generated_distance"] * len(part) for part in (many[:CHUNK], many[CHUNK:])]
    assert whole["generated_distance"] == pytest.approx(sum(parts) / len(many))
    assert whole["n_generated"] == CHUNK + 5


@pytest.mark.parametrize(
    ("images", "made", "message"),
    [
        (IMAGES, np.zeros((3, 1, 4, 4)), "must have shapes"),
        (IMAGES, np.zeros((0, 1, 4, 5)), "must have shapes"),
        (IMAGES, np.full((3, 1, 4, 5), np.inf), "NaN or infinite"),
        (IMAGES + 1, np.zeros((3, 1, 4, 5)), r"must lie in \[0, 1\]"),
    ],
)
def test_what_is_wrong_is_said(images, made, message):
    with pytest.raises(ValueError, match=message):
        generation(images, made)


def test_data_without_variance_has_no_share():
    with pytest.raises(NotApplicableError, match="all the same"):
        generation(IMAGES[:1].repeat(3, axis=0), logits(IMAGES))
