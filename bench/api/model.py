"""A trained network out of a run's folder, with NumPy in and out."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from bench.arrays import as_numpy
from bench.dataset import Dataset
from bench.errors import BenchError
from bench.evaluation.codes import decode_codes, decoder_input, encode_images
from bench.evaluation.montages import TRAVERSAL
from bench.execution.load import data_of
from bench.results.record import WEIGHTS
from bench.results.store import Store
from bench.spec import RunSpec
from bench.training.state import Model
from bench.training.trained import restore

Floats = NDArray[np.float64]


class Posterior(NamedTuple):
    """Of n images.

    Attributes
    ----------
    mean, logvar : ndarray of shape (n, K), float64
        Parameters of q(z|x) per latent.
    """

    mean: Floats
    logvar: Floats


class TrainedModel:
    """What a run has trained, on a CPU.

    Images are arrays of shape (n, C, H, W), or one image (C, H, W), with values in [0, 1]; integers are divided by the
    data set's largest value (1 for binary images). Vectors (`linear_gaussian`) are (n, 1, 1, d).

    Attributes
    ----------
    spec : bench.spec.RunSpec
    dataset : bench.dataset.Dataset
        What it was trained on.
    latent_dim : int
        K.
    """

    def __init__(self, spec: RunSpec, model: Model, dataset: Dataset) -> None:
        self.spec = spec
        self.dataset = dataset
        self.latent_dim = model.method.latent_dim
        self._model = model

    def __repr__(self) -> str:
        return f"<{self.spec.run_id}: {self.spec.train.network}, {self.latent_dim} latents>"

    def encode(self, images: ArrayLike) -> Posterior:
        """Posterior means and log-variances, (n, K) each. Of a code without noise the log-variance means nothing.

        Raises
        ------
        ValueError
            Images of another shape, or with values outside of [0, 1].
        """
        given = self._images(images)
        return Posterior(*encode_images(self._model.vae, _Given(given), np.arange(len(given))))

    def decode(self, codes: ArrayLike) -> NDArray[np.float32]:
        """Mean images of codes (n, K): (n, C, H, W), in [0, 1]; of vectors the mean, any value.

        Raises
        ------
        ValueError
            Codes of another shape, or that aren't finite.
        """
        table = np.asarray(as_numpy(codes), dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != self.latent_dim:
            raise ValueError(f"codes must have shape (n, {self.latent_dim}), got {table.shape}")
        if not np.isfinite(table).all():
            raise ValueError("codes hold NaN or infinite values")
        decoded = decode_codes(self._model.vae, table)
        return decoded if self.dataset.likelihood == "gaussian_unit" else expit(decoded)

    def reconstruct(self, images: ArrayLike) -> NDArray[np.float32]:
        """Images through encoder and decoder, the code without noise as in the evaluation: (n, C, H, W)."""
        return self.decode(decoder_input(self._model, *self.encode(images)))

    def sample(self, n: int, *, rng: np.random.Generator | int | None = None) -> NDArray[np.float32]:
        """Mean images of n codes drawn from the prior N(0, I): (n, C, H, W).

        Parameters
        ----------
        n : int
        rng : Generator or int, optional
            Draws the codes; 0 by default, so that two calls give the same images.
        """
        return self.decode(np.random.default_rng(0 if rng is None else rng).standard_normal((n, self.latent_dim)))

    def traverse(self, image: ArrayLike, *, values: ArrayLike = TRAVERSAL) -> NDArray[np.float32]:
        """One image decoded with one latent at a time set to each value.

        Parameters
        ----------
        image : array-like of shape (C, H, W) or (1, C, H, W)
            Its posterior mean is what all other latents keep.
        values : array-like of shape (v,)
            By default ten from -3 to 3.

        Returns
        -------
        ndarray of shape (K, v, C, H, W), float32
        """
        given = self._images(image)
        if len(given) != 1:
            raise ValueError(f"one image is traversed, got {len(given)}")
        at = np.asarray(values, dtype=np.float64).reshape(-1)
        code = decoder_input(self._model, *self.encode(given))
        codes = np.tile(code, (self.latent_dim, len(at), 1)).astype(np.float64)
        for latent in range(self.latent_dim):
            codes[latent, :, latent] = at
        decoded = self.decode(codes.reshape(-1, self.latent_dim))
        return decoded.reshape(self.latent_dim, len(at), *decoded.shape[1:])

    def _images(self, images: ArrayLike) -> NDArray[np.float32]:
        given = np.asarray(as_numpy(images))
        shape = tuple(self.dataset.image_shape)
        given = given[None] if given.ndim == len(shape) and given.shape == shape else given
        if given.shape[1:] != shape:
            raise ValueError(f"images must have shape (n, {', '.join(map(str, shape))}), got {given.shape}")
        if given.dtype.kind not in "fiub":
            raise ValueError(f"images are {given.dtype}, not numbers")
        if self.dataset.likelihood == "gaussian_unit":
            return given.astype(np.float32)
        scaled = given / self.dataset.image_max if given.dtype.kind in "iu" else given
        if not ((scaled >= 0) & (scaled <= 1)).all():
            wanted = f"integers from 0 to {self.dataset.image_max}" if given.dtype.kind in "iu" else "in [0, 1]"
            raise ValueError(f"images must be {wanted}, got values from {given.min():g} to {given.max():g}")
        return scaled.astype(np.float32)


class _Given:
    """Images in the hand of a caller, where an `ImageStore` is asked for."""

    def __init__(self, images: NDArray[np.float32]) -> None:
        self.images = torch.from_numpy(images)

    def gather(self, index: NDArray[np.int64]) -> torch.Tensor:
        """Images of these rows."""
        return self.images[index]


def load_model(study: Path, run: str) -> TrainedModel:
    """Rebuild what a run of a study's folder has trained; raises as `bench.api.study.Study.model` says."""
    store = Store(study)
    if not store.has_weights(run):
        why = "diverged or failed" if not store.is_done(run) else "is stored without its weights, as archives are"
        raise BenchError(f"run '{run}' {why}: there is no trained model to load; train it with `bench run`")
    weights = store.checked(run, WEIGHTS)
    spec = store.spec(run).with_train(device="cpu")
    dataset = data_of(spec)
    model = restore(spec, dataset, weights)
    return TrainedModel(spec, model, dataset)
