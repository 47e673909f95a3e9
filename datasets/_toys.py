"""Toys of five categories, five instances each, put together from solids: x is ahead, y up, z to the side."""

from __future__ import annotations

from collections.abc import Callable

from bench.datasets._solids import Solid, rod, solid

#: Names of the categories, in order.
CATEGORIES = ("animal", "human", "plane", "chair", "car")


def animal(instance: int) -> list[Solid]:
    """Four legs, a body, neck, head and tail: horse, dog, elephant, giraffe, pig."""
    length, girth, legs, neck, head = [
        (0.50, 0.17, 0.42, (0.22, 0.36), 0.11),
        (0.38, 0.15, 0.27, (0.14, 0.15), 0.13),
        (0.52, 0.30, 0.36, (0.14, 0.08), 0.22),
        (0.40, 0.17, 0.50, (0.20, 0.62), 0.09),
        (0.50, 0.24, 0.18, (0.14, 0.04), 0.17),
    ][instance]
    middle = legs + 0.8 * girth
    front = (0.85 * length, middle + 0.4 * girth, 0.0)
    top = (front[0] + neck[0], front[1] + neck[1], 0.0)
    parts = [
        solid("ellipsoid", (0, middle, 0), (length, girth, 0.8 * girth)),
        rod(front, top, 0.5 * head),
        solid("ellipsoid", (top[0] + 0.5 * head, top[1], 0), (1.5 * head, head, 0.8 * head), pitch=-20),
        rod((-0.9 * length, middle + 0.3 * girth, 0), (-1.25 * length, middle - 0.6 * girth, 0), 0.035),
    ]
    for x in (-0.65 * length, 0.65 * length):
        for z in (-0.5 * girth, 0.5 * girth):
            parts.append(rod((x, 0, z), (x, middle, z), 0.05 + 0.1 * girth))
    if instance == 2:
        parts.append(rod((top[0] + head, top[1], 0), (top[0] + 1.8 * head, 0.08, 0), 0.06))
    return parts


def human(instance: int) -> list[Solid]:
    """Head, trunk, two arms, two legs, in five poses; the last two carry something."""
    arms = [(0.08, 0.52), (0.34, 0.98), (0.36, 0.80), (0.25, 0.62), (0.12, 0.55)][instance]
    stride = (0.05, 0.0, 0.22, 0.12, 0.28)[instance]
    bulk = (1.0, 0.9, 1.05, 1.35, 0.85)[instance]
    parts = [
        solid("ellipsoid", (0, 1.26, 0), (0.12, 0.14, 0.12)),
        solid("ellipsoid", (0, 0.86, 0), (0.15 * bulk, 0.32, 0.22 * bulk)),
    ]
    for side, ahead in ((-1, -1), (1, 1)):
        parts.append(rod((0, 0.7, 0.1 * side), (stride * ahead, 0, 0.13 * side), 0.075 * bulk))
        parts.append(
            rod((0, 1.06, 0.2 * side * bulk), (-stride * ahead, arms[1], (0.26 + arms[0]) * side), 0.055 * bulk)
        )
    if instance == 3:
        parts.append(solid("box", (-0.24, 0.9, 0), (0.12, 0.24, 0.18)))
    if instance == 4:
        parts.append(rod((0.3, 0.05, 0.38), (0.3, 1.35, 0.38), 0.035))
    return parts


def plane(instance: int) -> list[Solid]:
    """Fuselage, wings, tail; propeller plane, jet, biplane, airliner with engines, glider."""
    length, girth, span, chord, sweep = [
        (0.70, 0.15, 0.75, 0.17, 0),
        (0.85, 0.13, 0.50, 0.20, 38),
        (0.60, 0.17, 0.72, 0.17, 0),
        (0.95, 0.15, 0.60, 0.15, 28),
        (0.75, 0.10, 1.00, 0.10, 6),
    ][instance]
    y = 0.36
    parts = [
        solid("ellipsoid", (0, y, 0), (length, girth, girth)),
        solid("box", (-0.85 * length, y + 0.2, 0), (0.11, 0.18, 0.025), pitch=-15),
        solid("box", (-0.85 * length, y + 0.08, 0), (0.10, 0.022, 0.28)),
        rod((0.3, 0, -0.18), (0.2, y, -0.06), 0.035),
        rod((0.3, 0, 0.18), (0.2, y, 0.06), 0.035),
    ]
    for side in (-1, 1):
        place = (0.12 - 0.008 * sweep, y, side * span / 2)
        parts.append(solid("box", place, (chord, 0.028, span / 2), yaw=side * -sweep))
    if instance == 0:
        parts.append(solid("box", (length, y, 0), (0.02, 0.28, 0.035), roll=25))
    if instance == 2:
        parts.append(solid("box", (0.12, y + 0.34, 0), (chord, 0.028, span)))
        parts.extend(rod((0.12, y, z), (0.12, y + 0.34, z), 0.025) for z in (-0.5, 0.5))
    if instance == 3:
        parts.extend(rod((-0.1, y - 0.1, z), (0.2, y - 0.1, z), 0.075) for z in (-0.32, 0.32))
    return parts


def chair(instance: int) -> list[Solid]:
    """Seat, back and legs: kitchen chair, armchair, bar stool, swivel chair, bench."""
    seat, wide, deep, back = [
        (0.50, 0.33, 0.32, 0.55),
        (0.36, 0.40, 0.42, 0.50),
        (0.88, 0.26, 0.26, 0.20),
        (0.52, 0.34, 0.34, 0.48),
        (0.42, 0.75, 0.26, 0.38),
    ][instance]
    thick = 0.16 if instance == 1 else 0.05
    parts = [solid("box", (-deep, seat + back / 2, 0), (thick * 0.7, back / 2, wide), pitch=7)]
    if instance == 2:
        parts.append(solid("cylinder", (0, seat, 0), (deep, thick, wide)))
    else:
        parts.append(solid("box", (0, seat, 0), (deep, thick, wide)))
    if instance == 3:
        parts.append(rod((0, 0.06, 0), (0, seat, 0), 0.06))
        parts.extend(solid("box", (0, 0.06, 0), (0.36, 0.05, 0.05), yaw=yaw) for yaw in (20, 80, 140))
    else:
        spread = 1.2 if instance == 2 else 0.95
        for x in (-deep, deep):
            for z in (-wide, wide):
                parts.append(rod((0.88 * x, seat, 0.88 * z), (spread * x, 0, spread * z), 0.045))
    if instance == 1:
        parts.extend(solid("box", (0.02, seat + 0.2, z), (deep, 0.08, 0.09)) for z in (-wide, wide))
    return parts


def car(instance: int) -> list[Solid]:
    """Body, cabin and four wheels: saloon, beetle, van, sports car, pick-up."""
    length, height, wide, wheel = [
        (0.78, 0.15, 0.33, 0.14),
        (0.68, 0.20, 0.34, 0.15),
        (0.72, 0.32, 0.34, 0.14),
        (0.82, 0.10, 0.36, 0.15),
        (0.80, 0.16, 0.33, 0.17),
    ][instance]
    y = wheel + height
    parts = [solid("ellipsoid" if instance == 1 else "box", (0, y, 0), (length, height, wide))]
    if instance == 0:
        parts.append(solid("box", (-0.08, y + 0.26, 0), (0.38, 0.12, 0.28)))
    elif instance == 1:
        parts.append(solid("ellipsoid", (-0.08, y + 0.12, 0), (0.42, 0.33, 0.30)))
    elif instance == 2:
        parts.append(solid("box", (-0.12, y + height + 0.06, 0), (0.56, 0.08, 0.31)))
    elif instance == 3:
        parts.append(solid("ellipsoid", (-0.12, y + 0.07, 0), (0.42, 0.22, 0.27)))
    else:
        parts.append(solid("box", (0.18, y + 0.28, 0), (0.26, 0.14, 0.30)))
    for x in (-0.62 * length, 0.62 * length):
        for z in (-wide, wide):
            parts.append(rod((x, wheel, z - 0.06), (x, wheel, z + 0.06), wheel))
    return parts


BUILDERS: tuple[Callable[[int], list[Solid]], ...] = (animal, human, plane, chair, car)
