"""The linear control against scikit-learn's, and where there is little to decompose."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from bench.data.images import ImageStore
from bench.dataset import Dataset
from bench.evaluation import codes as evaluation_codes
from bench.training import loop, state
from bench.training.trained import take
from helpers.specs import run_spec

MARGIN = 1e-3


def dataset_of(given: np.ndarray) -> Dataset:
    class Given(Dataset):
        factor_names = ("image",)
        factor_sizes = (len(given),)
        image_shape = given.shape[1:]
        image_max = 255

        def images(self, index):
            return given[index]

    return Given(None)


def smooth(n: int, seed: int = 0) -> np.ndarray:
    """Grey 6x6 images with a few strong directions."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(6, 36)) * np.array([3, 2, 1, 0.5, 0.25, 0.1])[:, None]
    pixels = 128 + 12 * rng.normal(size=(n, 6)) @ directions + rng.normal(size=(n, 36))
    return pixels.clip(0, 255).astype(np.uint8).reshape(n, 1, 6, 6)


def fitted(images: np.ndarray, latent_dim: int):
    dataset = dataset_of(images)
    measured = {"n_codes": max(2, len(images)), "n_images": len(images), "metrics": {"reconstruction": 1, "kl": 1}}
    spec = run_spec("pca", latent_dim=latent_dim, batch_size=1, steps=0, log_every=1, evaluation=measured)
    store = ImageStore(dataset)
    training = state.prepare([spec], dataset.image_shape, len(images))
    loop.train(training, dataset, store)
    codes, logvar = evaluation_codes.encode(training.model, store, np.arange(len(images)))
    logits = evaluation_codes.decode(training.model, evaluation_codes.decoder_input(training.model, codes, logvar))
    return training, codes, 1 / (1 + np.exp(-logits.astype(np.float64)))


def sklearns(images: np.ndarray, latent_dim: int) -> tuple[PCA, np.ndarray]:
    x = images.reshape(len(images), -1) / 255
    pca = PCA(latent_dim, svd_solver="full").fit(x)
    return pca, pca.inverse_transform(pca.transform(x)).clip(MARGIN, 1 - MARGIN).reshape(images.shape)


@pytest.mark.parametrize("latent_dim", [1, 4, 10])
def test_reconstruction_equals_scikit_learns(latent_dim):
    images = smooth(200)
    _, _, decoded = fitted(images, latent_dim)
    pca, expected = sklearns(images, latent_dim)
    np.testing.assert_allclose(decoded, expected, rtol=0, atol=1e-4)
    assert np.abs(expected - pca.mean_.reshape(1, 1, 6, 6)).max() > 0.05, "more than the mean image"


def test_codes_are_the_components_scores_at_unit_variance():
    images = smooth(200)
    _, codes, _ = fitted(images, 4)
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(codes.T), np.eye(4), atol=1e-3)
    pca, _ = sklearns(images, 4)
    scores = pca.transform(images.reshape(200, -1) / 255) / np.sqrt(pca.explained_variance_)
    np.testing.assert_allclose(np.abs(np.corrcoef(codes.T, scores.T)[:4, 4:]), np.eye(4), atol=1e-3)


def test_pixels_are_kept_inside_the_open_interval():
    images = smooth(50)
    images[:, :, :3] = 0
    images[:, :, 3] = 255
    _, _, decoded = fitted(images, 3)
    np.testing.assert_allclose(decoded[:, :, :3], MARGIN, rtol=1e-4)
    np.testing.assert_allclose(decoded[:, :, 3], 1 - MARGIN, rtol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_fewer_images_than_latents(n):
    """n images span n - 1 directions: the rest of the latents are dead, not amplified rounding."""
    images = smooth(n)
    _, codes, decoded = fitted(images, 6)
    np.testing.assert_allclose(decoded, (images / 255).clip(MARGIN, 1 - MARGIN), rtol=0, atol=1e-3)
    if n > 1:
        np.testing.assert_allclose(codes[:, : n - 1].std(axis=0, ddof=1), 1, atol=1e-3)
    np.testing.assert_allclose(codes[:, n - 1 :], 0, atol=1e-3)


def test_directions_that_do_not_vary_are_dead():
    """Two shades of one picture: many images, one direction."""
    images = np.full((30, 1, 6, 6), 60, dtype=np.uint8)
    images[::2, :, 2:4] = 200
    _, codes, decoded = fitted(images, 4)
    np.testing.assert_allclose(decoded, images / 255, rtol=0, atol=1e-3)
    assert codes[:, 0].std(ddof=1) == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(codes[:, 1:], 0, atol=1e-3)


def test_has_no_kl_and_is_the_same_for_every_seed():
    training, _, _ = fitted(smooth(50), 3)
    measured = evaluation_codes.evaluate(take(training, 0), dataset_of(smooth(50)), ImageStore(dataset_of(smooth(50))))
    assert measured.not_applicable["kl"] == "the codes carry no noise"
    assert "kl" not in measured.scores
    assert training.log.rows == []
