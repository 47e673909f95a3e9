"""Tier 0: the strips of images in ``docs/datasets.md``. ``bench check --record`` draws them in a checkout."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import bench
from bench.check.baselines import baseline_folder, in_checkout
from bench.check.finding import Finding
from bench.check.request import Request
from bench.dataset import Dataset, load_dataset, sample_rows
from bench.evaluation.montages import as_bytes, grid
from bench.files import write_bytes
from bench.registry import DATASETS, is_plugin

#: Images of a strip.
N_IMAGES = 8
#: Folder of the strips, in the repository.
FOLDER = "docs/datasets"


def drawn_without_files() -> list[str]:
    """Data sets that come with Disbench and are images at their defaults, without a file of anybody's."""
    return [
        entry.name
        for entry in DATASETS
        if not is_plugin(entry.value) and not _needs_files(entry.value) and entry.value.likelihood != "gaussian_unit"
    ]


def strip(name: str) -> NDArray[np.uint8]:
    """The first images of a data set's evaluation sample side by side, shape (h, w) or (h, w, 3)."""
    dataset = load_dataset(name, {})
    images = as_bytes(dataset.images(sample_rows(dataset, N_IMAGES)) / dataset.image_max)
    pixels = grid(images[None])
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def check(request: Request) -> list[Finding]:
    """Tier 0 of the strips: only in a checkout, and where nothing was chosen. Pixels are compared, not files."""
    if not (request.everything and in_checkout() and request.baselines == baseline_folder()):
        return []
    found = []
    for name in drawn_without_files():
        path = f"{FOLDER}/{name}.png"
        file, pixels, subject = _root() / path, strip(name), f"file {path}"
        if _shows(file, pixels):
            found.append(Finding(0, subject, "image", "same", f"{path} shows what the code draws"))
        elif request.mode == "compare":
            message = f"{path} doesn't show what the code draws: bench check --record draws it"
            found.append(Finding(0, subject, "image", "moved", message))
        else:
            file.parent.mkdir(exist_ok=True)
            write_bytes(file, _png(pixels))
            found.append(Finding(0, subject, "image", "new", f"{path}: drawn"))
    return found


def _root() -> Path:
    return Path(bench.__file__).resolve().parent.parent


def _needs_files(cls: type[Dataset]) -> bool:
    return bool(getattr(cls, "files", ())) or "path" in cls.paths


def _shows(file: Path, pixels: NDArray[np.uint8]) -> bool:
    if not file.is_file():
        return False
    with Image.open(file) as image:
        return np.array_equal(np.asarray(image), pixels)


def _png(pixels: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
