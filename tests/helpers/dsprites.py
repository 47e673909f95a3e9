"""The data set dSprites, by its options."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets.dsprites import DSprites, DSpritesOptions

#: 2 scales, 4 orientations, 4 and 3 positions of all three shapes: 288 images.
SMALL = {"scale": "2,5", "orientation": 4, "pos_x": "0:32:8", "pos_y": 3}


def dsprites(**options: Any) -> DSprites:
    """Return the images of these options; of none, all 737,280."""
    return DSprites(DSpritesOptions(**options))


def everything(data: DSprites) -> NDArray[Any]:
    """Return all images."""
    return data.images(np.arange(len(data)))
