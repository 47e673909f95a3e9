"""A stand-in for SmallNORB: lit toys on a table, of the same factors and sizes, from a ray-caster of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Index, register_dataset
from bench.datasets._composed import Composed
from bench.datasets._solids import Floats, mean_of_rays, rotation, screen, shadowed, visible
from bench.datasets._toys import BUILDERS, CATEGORIES
from bench.levels import Levels
from bench.neutral import neutral
from bench.world import LikelihoodOptions

#: Rays along each side of a pixel.
RAYS = 2
#: Distance of the camera's screen from -1 to 1, of the camera from the point it looks at, and how high that is.
FOCAL, DISTANCE, AIM = 4.3, 5.03, 0.46
#: Classes of elevation are 30 to 70 degrees, those of azimuth 0 to 340.
FIRST_ELEVATION, ELEVATION_STEP, AZIMUTH_STEP = 30, 5, 20
#: Share of the light that table and toys reflect.
TABLE, TOY = 0.857, 0.523
#: Towards the lamps, which stay where they are when the toy turns: from the left, the right and behind the camera.
LAMPS = np.array([[-0.71, 0.83, 0.31], [0.77, 0.66, 0.23], [0.13, 0.79, 0.91]])
LAMPS /= np.linalg.norm(LAMPS, axis=1, keepdims=True)
#: Of each lighting: strength of the light from all around and of the three lamps, in 255ths; at most 255 together.
LIGHTINGS = np.array(
    [[80, 175, 0, 0], [80, 0, 175, 0], [80, 0, 0, 175], [65, 95, 95, 0], [65, 0, 85, 105], [96, 53, 53, 53]], np.float32
)


@dataclass(frozen=True, kw_only=True)
class SmallNORBLikeOptions(LikelihoodOptions):
    """Options of `SmallNORBLike`: `size` and `grey` of `bench.world.LikelihoodOptions`, and the levels of each factor.

    Attributes
    ----------
    category : tuple of int
        Classes that are used of animal, human, plane, chair and car.
    instance : tuple of int
        Of 5 toys a category.
    elevation : tuple of int
        Of 9, the camera 30 to 70 degrees above the table.
    azimuth : tuple of int
        Of 18, the toy turned by 0 to 340 degrees.
    lighting : tuple of int
        Of 6 mixtures of three lamps.
    """

    coloured: ClassVar[bool] = False
    full: ClassVar[Mapping[str, int]] = {"category": 5, "instance": 5, "elevation": 9, "azimuth": 18, "lighting": 6}

    category: Levels = neutral("all")
    instance: Levels = neutral("all")
    elevation: Levels = neutral("all")
    azimuth: Levels = neutral("all")
    lighting: Levels = neutral("all")


@register_dataset("smallnorb_like", label="SmallNORB stand-in", groups=("like",))
class SmallNORBLike(Composed):
    """Stand-in for one split of SmallNORB: 24,300 rendered grey images of toys over viewpoint and lighting.

    Not the authors' photographs, and their trucks are chairs here; scores on it are no scores on SmallNORB. Nothing is
    rendered before images are asked for, and then only the chosen ones of 4,050 geometries; the lamps are mixed image
    by image. The whole set keeps 63 MiB at 64 px.
    """

    Options = SmallNORBLikeOptions
    channels = 1
    label_names: tuple[str, ...] = CATEGORIES
    small: ClassVar[Mapping[str, object]] = {"instance": 2, "elevation": 2, "azimuth": 3, "lighting": 3, "size": 32}
    licence = "Apache-2.0 (rendered by this file)"
    citation = (
        "Modelled on Y. LeCun, F. J. Huang, L. Bottou: Learning Methods for Generic Object Recognition with Invariance "
        "to Pose and Lighting, CVPR 2004; rendered anew"
    )
    geometries = 5 * 5 * 9 * 18
    layers = 4

    def labels(self, index: Index) -> NDArray[np.int64]:
        """Category of the given rows, its place in `label_names`, shape (n,)."""
        categories: NDArray[np.int64] = np.array(self.levels[0])[self.factors(index)[:, 0]]
        return categories

    def render(self, geometry: int) -> NDArray[np.uint8]:
        """Layers of a geometry; see `bench.datasets._composed.Composed.render`."""
        category, instance, elevation, azimuth = (int(each) for each in np.unravel_index(geometry, (5, 5, 9, 18)))
        angle = float(np.deg2rad(AZIMUTH_STEP * azimuth + 7.3))
        toy = [each.turned(angle) for each in BUILDERS[category](instance)]
        tilt = rotation(0, -float(np.deg2rad(FIRST_ELEVATION + ELEVATION_STEP * elevation)))
        eye = np.array([0.0, AIM, 0.0]) + tilt @ np.array([0.0, 0.0, DISTANCE])
        rays = tilt @ screen(self.options.size, RAYS, FOCAL)
        distance, normals = visible(toy, eye, rays)
        # Every ray looks down by 16 degrees or more, so it meets the table.
        table = -eye[1] / rays[1]
        on_toy = distance < table
        points = eye[:, None] + np.minimum(distance, table) * rays
        normals = np.where(on_toy, normals, np.array([[0.0], [1.0], [0.0]]))
        reflected = np.where(on_toy, TOY, TABLE)
        layers: list[Floats] = [reflected * (0.71 + 0.283 * normals[1])]
        for lamp in LAMPS:
            facing = np.maximum(lamp @ normals, 0)
            lit = np.flatnonzero(facing > 0)
            facing[lit[shadowed(toy, points[:, lit], lamp)]] = 0
            layers.append(reflected * facing)
        return mean_of_rays(np.stack(layers), self.options.size, RAYS)

    def compose(self, rows: Index) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Geometries and lamps of rows; see `bench.datasets._composed.Composed.compose`."""
        geometry, lighting = np.divmod(rows, len(LIGHTINGS))
        return geometry, LIGHTINGS[lighting, None]
