"""What held-out images cost more than training ones."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metrics import generalisation, kl, reconstruction
from helpers.rng import rng

IMAGES = (rng(1).random((30, 1, 4, 5)) < 0.5).astype(np.float32)
LOGITS = rng(2).normal(size=IMAGES.shape)
CODES, LOGVAR = rng(3).normal(size=(30, 3)), rng(4).normal(size=(30, 3)) - 2


def test_the_same_images_have_no_gap():
    found = generalisation(CODES, IMAGES, LOGITS, CODES, IMAGES, LOGITS, train_logvar=LOGVAR, logvar=LOGVAR)
    assert (found["generalisation_gap"], found["reconstruction_gap"]) == (0, 0)
    assert found["train_bce"] == reconstruction(IMAGES, LOGITS)["reconstruction_bce"]
    assert found["train_kl"] == kl(CODES, LOGVAR)["kl"]
    assert found["held_out_elbo"] == found["train_elbo"] == -found["train_bce"] - found["train_kl"]
    assert found["train_active_units"] == 3


def test_a_memory_has_a_gap_of_what_it_knows_of_the_single_image():
    pixels = 20
    sure = np.where(IMAGES > 0.5, 60.0, -60.0)
    found = generalisation(
        CODES, IMAGES, sure, CODES[:7], IMAGES[:7], np.zeros((7, 1, 4, 5)),
        train_logvar=LOGVAR, logvar=np.zeros((7, 3)),
    )  # fmt: skip
    nats = pixels * np.log(2)
    assert found["reconstruction_gap"] == pytest.approx(nats)
    held = kl(CODES[:7], np.zeros((7, 3)))["kl"]
    assert found["generalisation_gap"] == pytest.approx(nats + held - found["train_kl"])
    assert (found["n_train"], found["n_held_out"]) == (30, 7)


def test_codes_without_noise_have_a_gap_of_reconstruction_alone():
    found = generalisation(CODES, IMAGES, LOGITS, CODES, IMAGES, -LOGITS)
    assert [found[key] for key in ("generalisation_gap", "held_out_elbo", "train_elbo", "train_kl")] == [None] * 4
    expected = (
        reconstruction(IMAGES, -LOGITS)["reconstruction_bce"] - reconstruction(IMAGES, LOGITS)["reconstruction_bce"]
    )
    assert found["reconstruction_gap"] == pytest.approx(expected)
