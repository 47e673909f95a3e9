"""Montages as runs store them, read back and labelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib.image
import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.figures.axes import runs_of
from bench.results.study import Study

#: Grey of the gaps between cells, as `bench.evaluation.montages.grid` leaves them.
GAP = 200


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

    def grid(self, rows: int) -> tuple[int, float, int]:
        """Number of columns, and height and width of a cell with its gap in pixels, given the number of rows."""
        height, width = (side + 1 for side in self.pixels.shape[:2])
        grey = np.rint(255 * self.pixels) == GAP
        gaps = np.flatnonzero(grey.all(axis=tuple(axis for axis in range(grey.ndim) if axis != 1)))
        pitch = int(gaps[0]) + 1 if len(gaps) else width
        return width // pitch, height / rows, pitch


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
    result = study.result(run)
    per_latent = result.get("details", {}).get("kl", {}).get("kl_per_latent")
    return None if per_latent is None else sorted(map(float, per_latent), reverse=True)
