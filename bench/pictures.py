"""Reconstructions and latent traversals of one run, as raw montages that the report's figures are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.batches import ImageStore
from bench.data import Dataset
from bench.evaluate import decode, encode, sample_rows
from bench.networks import VAE

#: Values of a latent along a traversal: -3 to 3 in steps of 2/3, as the DynamicVAE authors' figures have.
TRAVERSAL = np.linspace(-3.0, 3.0, 10)
#: Images in the reconstruction montage.
N_RECONSTRUCTIONS = 10

Bytes = NDArray[np.uint8]


def write(
    vae: VAE, dataset: Dataset, store: ImageStore, kl_per_latent: NDArray[Any], folder: Path, device: str
) -> None:
    """Write ``reconstructions.png`` and ``traversals.png`` into `folder`.

    Parameters
    ----------
    vae : VAE
        With R = 1.
    kl_per_latent : ndarray of shape (K,)
        All latents are shown, sorted by it, largest first: no hand-picked rows.
    """
    rows = sample_rows(dataset, N_RECONSTRUCTIONS)
    originals = store.gather(rows).numpy()
    mean, _ = encode(vae, store, rows, device)
    decoded = sigmoid(decode(vae, mean, device))
    _save(grid(np.stack([originals, decoded])), folder / "reconstructions.png")

    queries = dataset.query_indices()
    codes, _ = encode(vae, store, queries, device)
    order = np.argsort(-kl_per_latent, kind="stable")
    varied = np.repeat(codes[:, None, None, :], len(order), axis=1).repeat(len(TRAVERSAL), axis=2)
    for row, latent in enumerate(order):
        varied[:, row, :, latent] = TRAVERSAL
    # (query, latent, value) to (latent, query, value): one row per latent, the queries side by side.
    images = sigmoid(decode(vae, varied.transpose(1, 0, 2, 3).reshape(-1, codes.shape[1]), device))
    _save(
        grid(images.reshape(len(order), len(queries) * len(TRAVERSAL), *images.shape[1:])),
        folder / "traversals.png",
    )


def sigmoid(logits: NDArray[Any]) -> NDArray[Any]:
    """Logistic function, without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * logits))


def grid(images: NDArray[Any]) -> Bytes:
    """Montage with a 1-pixel light gap.

    Parameters
    ----------
    images : ndarray of shape (rows, columns, C, H, W), float in [0, 1]

    Returns
    -------
    ndarray of shape (rows * (H + 1) - 1, columns * (W + 1) - 1, C), uint8
    """
    rows, columns, channels, height, width = images.shape
    canvas = np.full((rows, height + 1, columns, width + 1, channels), 200, dtype=np.uint8)
    canvas[:, :height, :, :width] = np.rint(255 * images).astype(np.uint8).transpose(0, 3, 1, 4, 2)
    return canvas.reshape(rows * (height + 1), columns * (width + 1), channels)[:-1, :-1]


def _save(image: Bytes, path: Path) -> None:
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(path, optimize=True)
