"""The ratios of all sections as horizontal bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from bench.errors import BenchError, reason
from bench.figures.axes import DOUBLE, new_figure, style, wrapped
from bench.figures.palette import GREY
from bench.formatting import three_digits
from bench.reporting.figure_files import save_figure
from bench.speed.timing import Row, Section

#: Faster and slower than what they are compared with; told apart in grey by the hatching.
FASTER: dict[str, Any] = {"facecolor": "#56B4E9"}
SLOWER: dict[str, Any] = {"facecolor": "white", "hatch": "/////"}


def draw(sections: Sequence[Section], path: Path) -> None:
    """Draw a bar per ratio on a logarithmic axis, a panel per section, with the quartiles.

    Parameters
    ----------
    sections : sequence of Section
        Those without ratios have no panel.
    path : Path
        ``<path>.png`` and ``<path>.pdf`` are written.

    Raises
    ------
    BenchError
        If there is no ratio at all, or the files can't be written.
    """
    parts = [(section, [row for row in section.rows if row.ratio is not None]) for section in sections]
    parts = [(section, rows) for section, rows in parts if rows]
    if not parts:
        raise BenchError("no figure: these sections have no ratios; `bench speed metrics` has")
    labels = {row.name: wrapped(row.name, 38) for _, rows in parts for row in rows}
    heights = [sum(0.14 + 0.12 * labels[row.name].count("\n") + 0.12 for row in rows) + 0.3 for _, rows in parts]
    with style():
        figure = new_figure(DOUBLE, sum(heights) + 0.35)
        panels = figure.subplots(len(parts), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (section, rows) in zip(panels, parts, strict=True):
            axes.set_title(f"{section.title}", loc="left", fontweight="bold")
            _bars(axes, rows, labels)
        _axis(panels[-1], [row for _, rows in parts for row in rows])
        try:
            save_figure(figure, path)
        except OSError as error:
            raise BenchError(f"'{path}' can't be written: {reason(error)}") from None


def _bars(axes: Axes, rows: Sequence[Row], labels: dict[str, str]) -> None:
    for place, row in enumerate(rows):
        ratio = float(row.ratio or 0)
        low, high = row.ratio_low or ratio, row.ratio_high or ratio
        looks = FASTER if ratio >= 1 else SLOWER
        axes.barh(place, ratio - 1, left=1, height=0.62, edgecolor="black", linewidth=0.5, **looks)
        axes.plot([low, high], [place, place], color="black", marker="|", markersize=5, linewidth=1.0)
        text, beside = f"{three_digits(ratio)}×, against {row.versus}", (max(high, 1.0), place)
        axes.annotate(text, xy=beside, xytext=(4, 0), textcoords="offset points", va="center", fontsize=7)
    axes.axvline(1, color=GREY, linewidth=0.8)
    axes.set_yticks(range(len(rows)), [labels[row.name] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _axis(axes: Axes, rows: Sequence[Row]) -> None:
    ratios = [float(row.ratio or 1) for row in rows]
    low, high = min(1.0, *ratios), max(1.0, *ratios)
    axes.set_xscale("log")
    # Room on the right for the longest line of text beside the longest bar.
    axes.set_xlim(low / 1.15, high * math.exp(0.8 * math.log(10 * high / low)))
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in ((1, 2, 5) if len(decades) < 5 else (1,))]
    axes.set_xticks([tick for tick in ticks if low / 1.1 <= tick <= high * 1.5], minor=False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("times as fast  → better")
