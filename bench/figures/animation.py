"""Latent traversals, moving."""

from __future__ import annotations

import numpy as np
from PIL import Image

from bench.figures._montage import Montage, read_montages
from bench.figures.axes import per_dataset, shown, slug
from bench.figures.frames import Animation
from bench.figures.traversals import STEPS
from bench.registry import FIGURES
from bench.results.study import Study

#: Pixels of a frame for one of the montage's: as many as make it this wide, but at least two; one for images of more
#: than 64 pixels, whose cells have more than this with their gap.
WIDTH, LEAST = 240, 2
LARGE = 65
#: Steps of grey above black, which make a GIF a third as long and can hardly be seen.
LEVELS = 15


@FIGURES.register("animation", version=1, order=20)
def animation(study: Study) -> Animation | dict[str, Animation]:
    """Latent traversals as a film, lowest seed of each method: every row moves its latent from −3 to 3 and back.

    Rows and images as in the figure of traversals: all latents, largest KL first; one column per query image.

    Parameters
    ----------
    study : Study
        Stored runs.

    Returns
    -------
    dict of str to Animation
        One per method and data set with stored traversals.
    """
    return per_dataset(study, _draw)


def _draw(study: Study, dataset: str) -> dict[str, Animation] | None:
    out = {}
    for label in shown(study, dataset):
        for montage in read_montages(study, dataset, [label], "traversals.png"):
            out[slug(label)] = _film(montage, study.specs[montage.run]["network"]["latent_dim"])
    return out or None


def _film(montage: Montage, n_latents: int) -> Animation:
    columns, height, width = montage.grid(n_latents)
    pixels = (255 // LEVELS * np.rint(LEVELS * montage.pixels)).astype(np.uint8)
    frames = []
    for value in [*range(STEPS), *range(STEPS - 2, 0, -1)]:
        starts = [(block + value) * width for block in range(0, columns, STEPS)]
        frame = np.concatenate([pixels[:, start : start + width - 1] for start in starts], axis=1)
        zoom = 1 if max(height, width) > LARGE + 1 else max(LEAST, WIDTH // frame.shape[1])
        frames.append(Image.fromarray(frame.repeat(zoom, axis=0).repeat(zoom, axis=1)))
    return Animation(tuple(frames))
