"""The ring around a mean that is partly of runs which missed their set point: it isn't where its label says."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.results.control_outcomes import labels_not_met
from bench.results.study import Study

RING: dict[str, Any] = {
    "marker": "o",
    "markersize": 11,
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "markeredgewidth": 1.0,
    "linestyle": "none",
}


def missed(study: Study, dataset: str) -> set[str]:
    """Labels of which some run never arrived at its set point, or latched at a limit of its weight."""
    return set(labels_not_met(study, dataset))


def ring(axes: Axes, x: float, y: float, **options: Any) -> None:
    """Draw the ring around a point; `options` are those of a line."""
    axes.plot([x], [y], zorder=5, **RING, **options)


def handle() -> Line2D:
    """What the ring means, for a legend."""
    return Line2D([], [], label="set point missed", **RING)
