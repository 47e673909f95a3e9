"""Reconstructions, latent traversals and samples of one run, as raw montages that the report's figures are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.special import expit

from bench.data.images import ImageStore
from bench.dataset import Dataset, sample_rows
from bench.evaluation.codes import CHUNK, PRIOR, decode, decoder_input, encode
from bench.seeds import stream
from bench.training.state import Model

#: Values of a latent along a traversal: -3 to 3 in steps of 2/3, as the DynamicVAE authors' figures have.
TRAVERSAL = np.linspace(-3.0, 3.0, 10)
#: Images in the reconstruction montage.
N_RECONSTRUCTIONS = 10
#: Images over which a latent's KL is averaged to sort the traversals.
N_SAMPLE = 2048
#: Rows and columns of the montage of samples.
SAMPLES = (2, 10)

Bytes = NDArray[np.uint8]


def write(model: Model, dataset: Dataset, store: ImageStore, folder: Path) -> None:
    """Write ``reconstructions.png``, ``traversals.png`` and ``samples.png`` by the model of one run into `folder`.

    All latents are traversed, sorted by their mean KL, largest first: no hand-picked rows. Codes without noise have no
    KL, and their latents keep their order. Samples are of codes from the prior, the same for every method and seed with
    as many latents; codes without noise have no prior, and there is no such file.
    """
    rows = sample_rows(dataset, N_SAMPLE)
    mean, logvar = encode(model, store, rows)
    shown = slice(N_RECONSTRUCTIONS)
    originals = store.gather(rows[shown]).cpu().numpy()
    decoded = expit(decode(model, decoder_input(model, mean[shown], logvar[shown])))
    _save(grid(np.stack([originals, decoded])), folder / "reconstructions.png")

    codes = decoder_input(model, *encode(model, store, dataset.query_indices()))
    order = np.arange(codes.shape[1])
    if model.method.stochastic:
        kl = 0.5 * (mean**2 + np.exp(logvar) - 1 - logvar).mean(axis=0)
        order = np.argsort(-kl, kind="stable")
    # (latent, query, value, K): one row per latent, the queries side by side.
    varied = np.tile(codes[None, :, None, :], (len(order), 1, len(TRAVERSAL), 1))
    for row, latent in enumerate(order):
        varied[row, :, :, latent] = TRAVERSAL
    flat = varied.reshape(-1, codes.shape[1])
    # Part by part: as floats, the images of many latents would take gigabytes.
    images = np.concatenate([as_bytes(expit(decode(model, flat[k : k + CHUNK]))) for k in range(0, len(flat), CHUNK)])
    _save(grid(images.reshape(len(order), -1, *images.shape[1:])), folder / "traversals.png")

    if model.method.stochastic:
        drawn = stream(0, PRIOR).standard_normal((SAMPLES[0] * SAMPLES[1], codes.shape[1]))
        made = expit(decode(model, drawn))
        _save(grid(made.reshape(*SAMPLES, *made.shape[1:])), folder / "samples.png")


def as_bytes(images: NDArray[Any]) -> Bytes:
    """Images in [0, 1] in 256 levels."""
    levels: Bytes = np.rint(255 * images).astype(np.uint8)
    return levels


def grid(images: NDArray[Any]) -> Bytes:
    """Montage with a 1-pixel light gap.

    Parameters
    ----------
    images : ndarray of shape (rows, columns, C, H, W), float in [0, 1] or uint8

    Returns
    -------
    ndarray of shape (rows * (H + 1) - 1, columns * (W + 1) - 1, C), uint8
    """
    rows, columns, channels, height, width = images.shape
    canvas = np.full((rows, height + 1, columns, width + 1, channels), 200, dtype=np.uint8)
    canvas[:, :height, :, :width] = (images if images.dtype == np.uint8 else as_bytes(images)).transpose(0, 3, 1, 4, 2)
    return canvas.reshape(rows * (height + 1), columns * (width + 1), channels)[:-1, :-1]


def _save(image: Bytes, path: Path) -> None:
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(path, optimize=True)
