"""Encoding and decoding as an evaluation does them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from bench.data.images import ImageStore
from bench.dataset import load_dataset
from bench.evaluation.codes import CHUNK, decode_codes, encode_images
from bench.execution import processes
from bench.nn import networks
from bench.speed.timing import Case, Row, Section, interleave, rows

NETWORKS = ("H", "B")
LATENT_DIM = 10
N_IMAGES = 2_048
#: 11,520 images of dSprites, kept as floats.
LEVELS = {"orientation": 10, "pos_x": 8, "pos_y": 8}


def measure(*, repeats: int, full: bool) -> Section:
    """Nets H and B on 64x64 images; one thread, in a process of its own."""
    section: Section = processes.call(_measure, repeats, threads=1)
    return section


def _measure(repeats: int) -> Section:
    from bench.training.torch_setup import settings

    settings(1)
    notes = [f"{N_IMAGES:,} images of dSprites at 64 px, {LATENT_DIM} latents, {CHUNK} images a call."]
    return Section("evaluation", "Encoding and decoding", passes(repeats, LEVELS, N_IMAGES, NETWORKS), notes)


def passes(repeats: int, levels: dict[str, int], n_images: int, names: Sequence[str]) -> list[Row]:
    """Encode and decode images of dSprites with untrained networks."""
    dataset = load_dataset("dsprites", dict(levels))
    store = ImageStore(dataset)
    rng = np.random.default_rng(0)
    index = rng.permutation(len(dataset))[:n_images]
    codes = rng.standard_normal((len(index), LATENT_DIM))
    cases = []
    for name in names:
        vae = networks.build(name, 1, dataset.image_shape, LATENT_DIM)
        networks.initialise(vae, "he", [0], "vae")
        cases += [
            Case(f"net {name} encodes", partial(encode_images, vae, store, index), len(index), "images"),
            Case(f"net {name} decodes", partial(decode_codes, vae, codes), len(index), "images"),
        ]
    return rows(cases, interleave(cases, repeats=repeats))
