"""Montages as runs store them, read back and labelled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import matplotlib.image
import numpy as np
from numpy.typing import NDArray

from bench.aggregate import Study
from bench.errors import BenchError
from bench.figures._style import runs_of


@dataclass(frozen=True)
class Montage:
    """One run's montage.

    Attributes
    ----------
    title : str
        Method and seed.
    run : str
        Its id.
    pixels : ndarray of shape (H, W) or (H, W, C), float32 in [0, 1]
        Cells with gaps of one pixel.
    """

    title: str
    run: str
    pixels: NDArray[Any]

    def grid(self, rows: int) -> tuple[int, float]:
        """Return the number of columns and the pitch of the cells in pixels, given the number of rows."""
        pitch = (self.pixels.shape[0] + 1) / rows
        return max(1, round((self.pixels.shape[1] + 1) / pitch)), pitch


def read_montages(study: Study, dataset: str, labels: list[str], name: str) -> list[Montage]:
    """Read the montage `name` of the lowest seed of every configuration in `labels` that has one.

    Raises
    ------
    BenchError
        If a picture is damaged.
    """
    out = []
    for label in labels:
        for run, seed in runs_of(study, dataset, label)[["run", "seed"]].itertuples(index=False):
            file = study.path / "runs" / run / name
            if not file.exists():
                continue
            try:
                pixels = matplotlib.image.imread(file)
            except (OSError, SyntaxError, ValueError) as error:
                raise BenchError(
                    f"{file} is no picture ({error}); remove that run's folder and run it again"
                ) from error
            out.append(Montage(f"{label}, seed {seed}", run, np.asarray(pixels)))
            break
    return out


def final_kl(study: Study, run: str) -> list[float] | None:
    """KL of every latent on the evaluation sample (nats), largest first; None where it wasn't measured."""
    result = json.loads((study.path / "runs" / run / "result.json").read_bytes())
    per_latent = result.get("details", {}).get("kl", {}).get("kl_per_latent")
    return None if per_latent is None else sorted(map(float, per_latent), reverse=True)
