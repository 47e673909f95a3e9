"""Codes and reconstructions by weights trained elsewhere, in a network of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.images import ImageStore
from bench.dataset import Dataset, sample_rows
from bench.errors import BenchError
from bench.evaluation.codes import decode_codes, encode_images
from bench.external.codes import MAX_MEMORY, Representation
from bench.external.weight_files import HEADS, KeyMap, State, read_key_map, read_state
from bench.external.weights import load_vae
from bench.files import sha256
from bench.metrics import reconstruction
from bench.nn.networks import VAE
from bench.npz import GIB

#: Images by whose reconstruction the layout of the encoder's last layer is told.
PROBE = 256


def encode_with_weights(
    path: Path,
    network: str,
    dataset: Dataset,
    *,
    keys: Path | None = None,
    n_codes: int,
    n_images: int,
    max_memory: float = MAX_MEMORY,
) -> Representation:
    """Encode and decode a sample of a dataset with weights that were trained elsewhere.

    Parameters
    ----------
    path : Path
        safetensors, or a state dict that torch can load without running code.
    network : str
        Registered network whose layers these are.
    dataset : Dataset
    keys : Path, optional
        Key map, see `bench.external.weight_files.read_key_map`. If it doesn't say how the encoder's last layer is laid
        out, that is found out by reconstructing a few images, see `choose_head`.
    n_codes, n_images : int
        Images to encode, and how many of them are decoded as well.
    max_memory : float
        GiB that the file's tensors may take.

    Raises
    ------
    BenchError
        As `bench.external.weights` says; or weights for other images.
    """
    key_map = read_key_map(keys) if keys is not None else KeyMap()
    state = read_state(path, key_map.inside, max_bytes=round(max_memory * GIB))
    rows = sample_rows(dataset, n_codes)
    store = ImageStore(dataset)
    vae, head, note = choose_head(network, dataset, state, key_map, store)
    mean, logvar = encode_images(vae, store, rows)
    part = slice(min(n_images, len(rows)))
    inputs: dict[str, NDArray[Any]] = {"codes": mean, "logvar": logvar}
    inputs |= {"images": store.gather(rows[part]).numpy(), "decoded": decode_codes(vae, mean[part])}
    if dataset.factor_names:
        inputs["factors"] = dataset.factors(rows)
    if (labels := dataset.labels(rows)) is not None:
        inputs["labels"] = labels
    for name in ("codes", "logvar", "decoded"):
        if not np.isfinite(inputs[name]).all():
            raise BenchError(f"{state.where}: {name} of these images by network '{network}' are NaN or infinite")
    source = {"weights": path.name, "sha256": sha256(path), "network": network, "rows": len(rows), "head": head}
    ours, least = nats(inputs["images"], inputs["decoded"])
    warning = ""
    if ours > least:
        warning = (
            f"{path}: reconstructs worse ({ours:.1f} nats per image) than the mean image does ({least:.1f}): "
            "untrained, trained on other images, or in need of a key map (--keys: head, order of layers)"
        )
    return Representation(path.stem, inputs, dataset.factor_names, {}, source, warning, note, rows)


def choose_head(
    network: str, dataset: Dataset, state: State, key_map: KeyMap, store: ImageStore
) -> tuple[VAE, str, str]:
    """The network with a file's weights, its encoder's last layer read as reconstructs best.

    Shapes can't tell K means followed by K log-variances from the two by turns. A layer that is read the wrong way
    gives the decoder log-variances for half of the means, and images that are worse than the mean image.

    Returns
    -------
    vae : VAE
    head : str
        One of `HEADS`, or "two layers".
    note : str
        What was found; empty where the key map says it, or where neither way reconstructs better than the mean image:
        then the layer is read as stacked.
    """
    if key_map.mean or "head" in key_map.model_fields_set:
        said = "two layers" if key_map.mean else key_map.head
        return load_vae(network, dataset.image_shape, state, key_map), said, ""
    rows = sample_rows(dataset, PROBE)
    images = store.gather(rows).numpy()
    found: dict[str, tuple[float, VAE]] = {}
    for head in HEADS:
        vae = load_vae(network, dataset.image_shape, state, key_map.model_copy(update={"head": head}))
        ours, least = nats(images, decode_codes(vae, encode_images(vae, store, rows)[0]))
        if ours <= least:
            found[head] = (ours, vae)
    if not found:
        return load_vae(network, dataset.image_shape, state, key_map), HEADS[0], ""
    head = min(found, key=lambda each: found[each][0])
    (other,) = set(HEADS) - {head}
    than = f"{found[other][0]:.1f}" if other in found else "worse than the mean image"
    words = {"stacked": "means, then log-variances", "interleaved": "means and log-variances by turns"}
    note = (
        f"{state.where}: the encoder's last layer is read as {head} ({words[head]}): {found[head][0]:.1f} nats per "
        f"image, {other}: {than}"
    )
    return found[head][1], head, note


def nats(images: NDArray[Any], decoded: NDArray[Any]) -> tuple[float, float]:
    """Reconstruction error of logits, and that of the mean image, in nats per image; what isn't finite is infinite."""
    mean = np.clip(images.mean(axis=0, dtype=np.float64), 1e-6, 1 - 1e-6)
    plain = np.broadcast_to(np.log(mean / (1 - mean)), images.shape)
    if not np.isfinite(decoded).all():
        return float("inf"), reconstruction(images, plain)["reconstruction_bce"]
    ours, least = (reconstruction(images, logits)["reconstruction_bce"] for logits in (decoded, plain))
    return ours, least
