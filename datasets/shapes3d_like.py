"""A stand-in for Shapes3D: the same factors, sizes and order, from a ray-caster of our own."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Index, register_dataset
from bench.datasets._composed import Composed
from bench.datasets._solids import Bools, Floats, Solid, mean_of_rays, rotation, screen, shadowed, solid, visible
from bench.datasets.shapes3d import Shapes3DOptions

#: Rays along each side of a pixel.
RAYS = 3
#: The camera looks along -z, level: distance of its screen from -1 to 1, and where it stands over the object's foot.
FOCAL = 2.0
EYE = np.array([0.0, 0.84, 2.63])
#: The square room: half of its width, and how high the walls are.
HALF_WIDTH, HEIGHT = 3.6, 2.3
#: The room turns with the object by up to this angle to both sides, in degrees.
MAX_TURN = 30.0
SKY = (153, 226, 249)
#: Towards the light. It turns with neither room nor object: the shadow falls to the right.
LIGHT = np.array([-0.62, 0.66, 0.43]) / np.linalg.norm([-0.62, 0.66, 0.43])
#: How bright the floor is, and how much of that is left in the shadow.
FLOOR, SHADE = 0.947, 0.637

OBJECT, FLOOR_LAYER, WALL_LAYER, SKY_LAYER = range(4)


@dataclass(frozen=True, kw_only=True)
class Shapes3DLikeOptions(Shapes3DOptions):
    """Options of `Shapes3DLike`: `size` and `grey` of `bench.world.WorldOptions`, and the levels of each factor.

    Attributes
    ----------
    floor_hue, wall_hue, object_hue : tuple of int
        Classes that are used of 10: hue ``class / 10``, fully saturated.
    scale : tuple of int
        Of 8, 0 the smallest.
    shape : tuple of int
        Of cube, cylinder, sphere and capsule.
    orientation : tuple of int
        Of 15, from -30 to 30 degrees.
    """


@register_dataset("shapes3d_like", label="Shapes3D stand-in", groups=("like",))
class Shapes3DLike(Composed):
    """Stand-in for Shapes3D: 480,000 rendered colour images of a solid in a room, its factors in its order.

    Not the authors' images: camera, room and colours were read off published pictures, nothing was fitted pixel by
    pixel, and scores on it are no scores on Shapes3D. Nothing is rendered before images are asked for, and then only
    the chosen ones of 480 geometries, which keep 7.5 MiB at 64 px; colours are put in image by image.
    """

    Options = Shapes3DLikeOptions
    small: ClassVar[Mapping[str, object]] = {
        "floor_hue": 2, "wall_hue": 2, "object_hue": 3, "scale": 2, "orientation": 3, "size": 32,
    }  # fmt: skip
    licence = "Apache-2.0 (rendered by this file)"
    citation = (
        "Modelled on C. Burgess, H. Kim: 3D Shapes Dataset, 2018, https://github.com/google-deepmind/3d-shapes; "
        "rendered anew"
    )
    geometries = 8 * 4 * 15
    layers = 4

    def render(self, geometry: int) -> NDArray[np.uint8]:
        """Layers of a geometry; see `bench.datasets._composed.Composed.render`."""
        scale, shape, orientation = (int(each) for each in np.unravel_index(geometry, (8, 4, 15)))
        angle = float(np.deg2rad(MAX_TURN * (orientation - 7) / 7))
        parts = [each.turned(angle) for each in solids(shape, scale)]
        rays = screen(self.options.size, RAYS, FOCAL)
        return mean_of_rays(_layers(parts, rays, angle), self.options.size, RAYS)

    def compose(self, rows: Index) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Geometries and colours of rows; see `bench.datasets._composed.Composed.compose`."""
        hues, geometry = np.divmod(rows, self.geometries)
        floor, wall, thing = np.unravel_index(hues, (10, 10, 10))
        colours = np.empty((len(rows), 3, self.layers), dtype=np.float32)
        for layer, hue in ((OBJECT, thing), (FLOOR_LAYER, floor), (WALL_LAYER, wall)):
            colours[:, :, layer] = HUES[hue]
        colours[:, :, SKY_LAYER] = SKY
        return geometry, colours


def _hues() -> NDArray[np.float32]:
    return np.array([[round(255 * part) for part in colorsys.hsv_to_rgb(i / 10, 1, 1)] for i in range(10)], np.float32)


HUES = _hues()


def solids(shape: int, scale: int) -> list[Solid]:
    """What the object is made of, standing on the floor, before it is turned."""
    radius = 0.5 * (0.75 + 0.5 * scale / 7)
    if shape == 0:
        side = 0.8 * radius
        return [solid("box", (0, side, 0), (side, side, side))]
    if shape == 1:
        return [solid("cylinder", (0, 0.9 * radius, 0), (0.8 * radius, 0.9 * radius, 0.8 * radius))]
    if shape == 2:
        return [solid("ellipsoid", (0, radius, 0), (radius, radius, radius))]
    width, straight = 0.62 * radius, 0.62 * radius
    ends = [solid("ellipsoid", (0, y, 0), (width, width, width)) for y in (width, width + 2 * straight)]
    return [*ends, solid("cylinder", (0, width + straight, 0), (width, straight, width))]


def _layers(parts: list[Solid], rays: Floats, angle: float) -> Floats:
    """How much each layer adds along each ray, shape (4, n)."""
    layers = np.zeros((4, rays.shape[1]))
    distance, normals = visible(parts, EYE, rays)
    facing = normals.T @ LIGHT
    layers[OBJECT] = np.where(np.isfinite(distance), 0.493 + 0.457 * np.maximum(facing, 0) + 0.047 * normals[1], 0)
    room, wall, on_floor, sky = _room(rays, angle)
    free = np.isinf(distance)
    points = EYE[:, None] + room * rays
    candidates = np.flatnonzero(free & ~sky)
    dark = np.zeros(rays.shape[1], dtype=bool)
    dark[candidates] = shadowed(parts, points[:, candidates], LIGHT)
    lit = np.where(dark, SHADE, 1.0)
    layers[FLOOR_LAYER] = np.where(free & on_floor, FLOOR * lit, 0)
    layers[WALL_LAYER] = np.where(free & ~on_floor & ~sky, wall * lit, 0)
    layers[SKY_LAYER] = free & sky
    return layers


def _room(rays: Floats, angle: float) -> tuple[Floats, Floats, Bools, Bools]:
    """Of the empty room: distances, brightness of walls, and which rays meet the floor and the sky."""
    turn = rotation(1, -angle)
    eye, local = turn @ EYE, turn @ rays
    reach = (HALF_WIDTH * np.sign(local[[0, 2]]) - eye[[0, 2], None]) / local[[0, 2]]
    side = np.argmin(reach, axis=0)
    wall = reach.min(axis=0)
    floor = np.where(rays[1] < 0, -EYE[1] / np.minimum(rays[1], -1e-9), np.inf)
    on_floor = floor < wall
    distance = np.where(on_floor, floor, wall)
    sky = ~on_floor & (EYE[1] + wall * rays[1] > HEIGHT)
    inward = np.zeros_like(local)
    inward[[0, 2]] = np.where(np.arange(2)[:, None] == side, -np.sign(local[[0, 2]]), 0)
    facing = (turn @ LIGHT) @ inward
    return distance, 0.787 + 0.19 * facing, on_floor, sky
