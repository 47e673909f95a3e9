"""Rays against ellipsoids, boxes and cylinders: what the rendered stand-ins are made of.

All is float64, and what is stored of it is rounded to whole levels. The scenes keep clear of ties, where another
machine's last bit could move a level; a test shifts the camera by far more than such a bit, and nothing moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Kind = Literal["ellipsoid", "box", "cylinder"]

#: Nothing that is nearer to a ray's start than this counts: a surface doesn't hide itself.
NEAR = 1e-6
#: Local axes along which a solid is round, and those along which it is cut off.
ROUND = {"ellipsoid": [0, 1, 2], "box": [], "cylinder": [0, 2]}
FLAT = {"ellipsoid": [], "box": [0, 1, 2], "cylinder": [1]}
#: In place of 0 below a fraction line.
TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Solid:
    """A convex solid.

    Attributes
    ----------
    kind : {"ellipsoid", "box", "cylinder"}
        A cylinder stands on its local y axis.
    centre : ndarray of shape (3,)
        x to the right, y up, z towards the viewer.
    half : ndarray of shape (3,)
        Half of its extent along its local axes.
    axes : ndarray of shape (3, 3)
        Its local axes in the world, one a column.
    """

    kind: Kind
    centre: Floats
    half: Floats
    axes: Floats

    @property
    def radius(self) -> float:
        """Of the sphere about the centre that holds it."""
        if self.kind == "ellipsoid":
            return float(self.half.max())
        if self.kind == "box":
            return float(np.linalg.norm(self.half))
        return float(np.hypot(self.half[[0, 2]].max(), self.half[1]))

    def turned(self, angle: float) -> Solid:
        """The same, turned by an angle (rad) about the world's y axis."""
        turn = rotation(1, angle)
        return Solid(self.kind, turn @ self.centre, self.half, turn @ self.axes)


def solid(
    kind: Kind,
    centre: Sequence[float],
    half: Sequence[float],
    *,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
) -> Solid:
    """A solid, turned in degrees about its x axis (roll), then the world's z (pitch) and y (yaw)."""
    axes = rotation(1, np.deg2rad(yaw)) @ rotation(2, np.deg2rad(pitch)) @ rotation(0, np.deg2rad(roll))
    return Solid(kind, np.array(centre, dtype=float), np.array(half, dtype=float), axes)


def rod(start: Sequence[float], end: Sequence[float], radius: float) -> Solid:
    """A round cylinder from one point to another."""
    begin, along = np.array(start, dtype=float), np.subtract(end, start).astype(float)
    length = float(np.linalg.norm(along))
    up = along / length
    side = np.cross(up, [0.0, 0.0, 1.0] if abs(up[2]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    axes = np.stack([side, up, np.cross(side, up)], axis=1)
    return Solid("cylinder", begin + along / 2, np.array([radius, length / 2, radius]), axes)


def rotation(axis: int, angle: float) -> Floats:
    """Matrix that turns by an angle (rad) about a coordinate axis, right-handed."""
    matrix = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[j, i] = np.sin(angle)
    matrix[i, j] = -matrix[j, i]
    return matrix


def visible(solids: Sequence[Solid], eye: Floats, rays: Floats) -> tuple[Floats, Floats]:
    """Nearest surface along each ray.

    Parameters
    ----------
    solids : sequence of Solid
    eye : ndarray of shape (3,)
        Where the rays start, outside of all solids.
    rays : ndarray of shape (3, n)
        Directions, of length 1.

    Returns
    -------
    distance : ndarray of shape (n,)
        Infinite where a ray meets nothing.
    normals : ndarray of shape (3, n)
        Outwards, of length 1; 0 where a ray meets nothing.
    """
    distance = np.full(rays.shape[1], np.inf)
    normals = np.zeros_like(rays)
    for each in solids:
        towards = each.centre - eye
        ahead = towards @ rays
        near_ray = np.flatnonzero(ahead**2 > towards @ towards - each.radius**2)
        enter, leave, face, start, step = _crossing(each, eye[:, None], rays[:, near_ray])
        seen = np.flatnonzero((enter < leave) & (enter > NEAR) & (enter < distance[near_ray]))
        distance[near_ray[seen]] = enter[seen]
        normals[:, near_ray[seen]] = _normals(each, start + enter[seen] * step[:, seen], face[seen])
    return distance, normals


def shadowed(solids: Sequence[Solid], points: Floats, light: Floats) -> Bools:
    """Which points a solid hides from a light that is infinitely far away.

    Parameters
    ----------
    solids : sequence of Solid
    points : ndarray of shape (3, n)
    light : ndarray of shape (3,)
        Direction towards the light, of length 1.

    Returns
    -------
    ndarray of shape (n,), bool
    """
    dark = np.zeros(points.shape[1], dtype=bool)
    side = np.cross(light, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    plane = np.stack([side, np.cross(light, side)])
    across = plane @ points
    for each in solids:
        x, y = plane @ each.centre
        close = np.flatnonzero((across[0] - x) ** 2 + (across[1] - y) ** 2 < each.radius**2)
        enter, leave, *_ = _crossing(each, points[:, close], light[:, None])
        dark[close] |= (enter < leave) & (leave > NEAR)
    return dark


def _crossing(each: Solid, start: Floats, step: Floats) -> tuple[Floats, Floats, NDArray[np.int64], Floats, Floats]:
    """Where lines enter and leave, the flat axis by which they enter (-1: the round part), and the lines locally."""
    local = each.axes.T / each.half[:, None]
    start, step = local @ (start - each.centre[:, None]), local @ step
    n = max(start.shape[1], step.shape[1])
    enter, leave, face = np.full(n, -np.inf), np.full(n, np.inf), np.full(n, -1)
    if around := ROUND[each.kind]:
        a = np.maximum((step[around] ** 2).sum(axis=0), TINY)
        b = (start[around] * step[around]).sum(axis=0)
        inside = b**2 - a * ((start[around] ** 2).sum(axis=0) - 1)
        root = np.sqrt(np.maximum(inside, 0))
        enter = np.where(inside > 0, (-b - root) / a, np.inf)
        leave = np.where(inside > 0, (-b + root) / a, -np.inf)
    for axis in FLAT[each.kind]:
        inverse = 1 / np.where(step[axis] == 0, TINY, step[axis])
        low, high = (-1 - start[axis]) * inverse, (1 - start[axis]) * inverse
        first = np.minimum(low, high)
        face = np.where(first > enter, axis, face)
        enter = np.maximum(enter, first)
        leave = np.minimum(leave, np.maximum(low, high))
    return enter, leave, face, start, step


def _normals(each: Solid, points: Floats, face: NDArray[np.int64]) -> Floats:
    """Outward normals in the world at local points of the surface."""
    local = np.zeros_like(points)
    around = ROUND[each.kind]
    local[around] = np.where(face < 0, points[around], 0)
    for axis in FLAT[each.kind]:
        local[axis] = np.where(face == axis, np.sign(points[axis]), local[axis])
    world = each.axes @ (local / each.half[:, None])
    return np.asarray(world / np.linalg.norm(world, axis=0))


def mean_of_rays(values: Floats, size: int, rays: int) -> NDArray[np.uint8]:
    """Levels of pixels, 0 to 255 for 0 to 1: the mean of their rays.

    Parameters
    ----------
    values : ndarray of shape (k, size * rays * size * rays)
    size : int
        Width and height in pixels.
    rays : int
        Rays along each side of a pixel.

    Returns
    -------
    ndarray of shape (k, size * size), uint8
    """
    means = values.reshape(-1, size, rays, size, rays).mean(axis=(2, 4))
    return np.rint(255 * means).astype(np.uint8).reshape(len(values), -1)


def screen(size: int, rays: int, focal: float) -> Floats:
    """Directions of a camera's rays that looks along -z, row by row from the top left, of length 1.

    Parameters
    ----------
    size, rays : int
        Pixels along a side, and rays along a pixel's.
    focal : float
        Distance of a screen that goes from -1 to 1.

    Returns
    -------
    ndarray of shape (3, (size * rays) ** 2)
    """
    n = size * rays
    place = (2 * np.arange(n) + 1 - n) / n
    y, x = np.meshgrid(-place, place, indexing="ij")
    directions = np.stack([x.ravel(), y.ravel(), np.full(n * n, -focal)])
    return np.asarray(directions / np.linalg.norm(directions, axis=0))
