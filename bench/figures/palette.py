"""How each method looks: its colour, marker and line style are what it registers, in every figure of every study.

Those of our methods are Okabe and Ito's palette and darker colours beside it, each with a marker and a line style of
its own, for print in grey and for colour-blind readers.
"""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from matplotlib.colors import to_rgb

from bench.registry import METHODS, is_plugin
from bench.results.labels import CONTROL
from bench.results.study import Study

GREY = "#6f6f6f"


Dashes = str | tuple[float, tuple[float, ...]]


#: For methods that register no look of their own, chosen by a hash of the name.
_OTHERS: tuple[tuple[str, str, Dashes], ...] = (
    ("#CC79A7", ">", (0, (2, 1))),
    ("#B8A800", "h", (0, (6, 1, 1, 1))),
    ("#8C564B", "p", (0, (3, 2))),
    ("#5E4FA2", "8", (0, (1, 2))),
    ("#1B7F8C", "d", (0, (8, 2, 2, 2))),
)


#: For the second, third, ... configuration of a method.
_DASHES: tuple[Dashes, ...] = (
    "solid",
    (0, (1, 1)),
    (0, (3, 1, 1, 1)),
    (0, (7, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (2, 3)),
)


#: Lines of one panel that are told apart by order: colour, and dashes for those who don't see it.
CYCLE: tuple[tuple[str, Dashes], ...] = (
    ("#000000", "solid"),
    ("#0072B2", (0, (5, 1.5))),
    ("#D55E00", (0, (1, 1))),
    ("#009E73", (0, (5, 1.5, 1, 1.5))),
    ("#CC79A7", (0, (3, 1, 1, 1, 1, 1))),
    ("#E69F00", (0, (7, 2))),
    ("#56B4E9", (0, (2, 1))),
    ("#8C564B", (0, (6, 1, 1, 1))),
)


@dataclass(frozen=True)
class Look:
    """How one configuration is drawn."""

    colour: tuple[float, float, float]
    marker: str
    dashes: Dashes
    hollow: bool

    @property
    def line(self) -> dict[str, Any]:
        """Keywords of a line."""
        return {"color": self.colour, "linestyle": self.dashes}

    @property
    def point(self) -> dict[str, Any]:
        """Keywords of a marker."""
        face = "white" if self.hollow else self.colour
        return {"marker": self.marker, "markerfacecolor": face, "markeredgecolor": self.colour}


def looks(study: Study) -> dict[str, Look]:
    """Label to look. Configurations of a method share marker and hue, not lightness, filling and dashes."""
    out: dict[str, Look] = {}
    alone = len(set(study.runs["method"]) - {CONTROL}) == 1
    for method, group in study.runs.groupby("method", sort=False):
        name = str(method)
        labels = list(dict.fromkeys(group["label"]))
        if alone and name != CONTROL and len(labels) > 2:
            # Variations of one method: shades of its colour can't be told apart, and no other method needs the rest.
            own_looks = [entry.name for entry in METHODS if entry.info.colour and not is_plugin(entry.value)]
            others = [_look(key) for key in own_looks if key not in (name, CONTROL)]
            for label, (own, shape, line) in zip(labels, cycle([_look(name), *others]), strict=False):
                out[label] = Look(to_rgb(own), shape, line, hollow=False)
            continue
        out |= looks_of(name, labels)
    return out


def looks_of(method: str, labels: Sequence[str]) -> dict[str, Look]:
    """Look of each of several things of one method: the first is the method's own."""
    colour, marker, dashes = _look(method)
    out = {}
    for index, label in enumerate(labels):
        fade = 0.5 * index / max(len(labels) - 1, 1)
        line = dashes if index == 0 else _DASHES[index % len(_DASHES)]
        out[label] = Look(_lighter(to_rgb(colour), fade), marker, line, hollow=index % 2 == 1)
    return out


def method_look(method: str) -> tuple[str, str]:
    """Colour and marker of a method, whatever its configuration."""
    return _look(method)[:2]


def method_dashes(method: str) -> Dashes:
    """Line style of a method, whatever its configuration."""
    return _look(method)[2]


def _look(method: str) -> tuple[str, str, Dashes]:
    pick = int(hashlib.sha256(method.encode()).hexdigest(), 16) % len(_OTHERS)
    colour, marker, dashes = _OTHERS[pick]
    if method not in METHODS:
        return colour, marker, dashes
    info = METHODS.get(method).info
    own = dashes if info.dashes is None else (0.0, info.dashes) if info.dashes else "solid"
    return info.colour or colour, info.marker or marker, own


def _lighter(colour: tuple[float, float, float], by: float) -> tuple[float, float, float]:
    hue, light, saturation = colorsys.rgb_to_hls(*colour)
    return colorsys.hls_to_rgb(hue, light + (0.85 - light) * by, saturation)
