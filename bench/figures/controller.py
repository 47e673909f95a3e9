"""Block diagrams of the controllers of beta."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch

from bench.figures.axes import DOUBLE, literal, new_figure
from bench.registry import FIGURES, METHODS
from bench.results.labels import printed_name
from bench.results.study import Study

#: Height of the main line, of the two branches about it, and of the feedback below.
MIDDLE, UPPER, LOWER, BACK = 2.0, 2.75, 1.25, 0.35
#: Half the height of a block, and the radius of a sum.
HALF, RADIUS = 0.3, 0.17

Point = tuple[float, float]


@FIGURES.register("controller", version=1, order=14)
def controller(study: Study) -> Figure | None:
    """Block diagrams of the PI controllers of beta that this study trained with, as they are computed here.

    C is the set point, e the error in nats, S(e) = 1/(1 + exp(e)), R the reconstruction error. One round is one
    batch: its KL is measured before its gradient step, and no gradient passes through beta. ControlVAE's controller is
    positional: P and I give beta itself, and I stands still while the sum of the step before is below beta's floor.
    DynamicVAE's is incremental: P and I change beta, after the KL was averaged over T batches, and I is off below the
    floor.

    Parameters
    ----------
    study : Study
        Stored runs; only which methods it has is used.

    Returns
    -------
    Figure or None
        None without ControlVAE and DynamicVAE.
    """
    ran = set(study.runs.loc[study.runs["status"] == "ok", "method"])
    drawings = {"control_vae": _positional, "dynamic_vae": _incremental}
    drawn = {method: draw for method, draw in drawings.items() if method in ran}
    if not drawn:
        return None
    figure = new_figure(DOUBLE, 1.95 * len(drawn))
    panels = figure.subplots(len(drawn), 1, squeeze=False)[:, 0]
    for axes, (method, draw) in zip(panels, drawn.items(), strict=True):
        axes.set(xlim=(0, 14), ylim=(0, 3.3), aspect="equal")
        axes.set_axis_off()
        axes.set_title(literal(printed_name(METHODS, method)), loc="left", pad=2)
        draw(axes)
    return figure


def _positional(axes: Axes) -> None:
    _block(axes, 0.95, MIDDLE, 1.7, "staircase\nC(t)")
    _join(axes, 2.5, "")
    _block(axes, 5.4, UPPER, 2.6, "P(t) = $K_p$ S(e(t))")
    _block(axes, 5.4, LOWER, 2.6, "I(t) = I(t−1) − $K_i$ e(t)")
    _branches(axes, 2.5, 3.5, (4.1, 6.7), 7.5)
    _arrow(axes, [(7.5, 3.2), (7.5, MIDDLE + RADIUS)], "$\\beta_{\\min}$", at=(7.65, 3.05))
    _block(axes, 9.1, MIDDLE, 1.8, "max( · , $\\beta_{\\min}$)")
    _arrow(axes, [(7.5 + RADIUS, MIDDLE), (8.2, MIDDLE)])
    _model(axes, 10.0)
    _line(axes, [(12.55, MIDDLE - HALF), (12.55, BACK)])
    _arrow(axes, [(12.55, BACK), (2.5, BACK), (2.5, MIDDLE - RADIUS)], "KL(t) of the batch", at=(7.5, BACK + 0.07))


def _incremental(axes: Axes) -> None:
    _block(axes, 0.95, MIDDLE, 1.7, "hybrid: steps\nwith ramps, C(t)")
    _join(axes, 2.5, "mean")
    _block(axes, 5.0, UPPER, 2.6, "$K_p$ (S(e(t)) − S(e(t−1)))")
    _block(axes, 5.0, LOWER, 2.6, "−$K_i$ e(t)")
    _branches(axes, 2.5, 3.4, (3.7, 6.3), 6.75)
    _block(axes, 8.25, MIDDLE, 1.6, "u(t) =\nu(t−1) + Δ(t)")
    _arrow(axes, [(6.75 + RADIUS, MIDDLE), (7.45, MIDDLE)], "Δ(t)", at=(7.13, MIDDLE + 0.07))
    _block(axes, 10.1, MIDDLE, 1.5, "max( · ,\n$\\beta_{\\min}$)")
    _arrow(axes, [(9.05, MIDDLE), (9.35, MIDDLE)])
    _model(axes, 10.85)
    _line(axes, [(12.55, MIDDLE - HALF), (12.55, BACK)])
    _block(axes, 7.5, BACK, 2.6, "mean of the last T values")
    _arrow(axes, [(12.55, BACK), (8.8, BACK)], "KL(t) of the batch", at=(10.7, BACK + 0.07))
    _arrow(axes, [(6.2, BACK), (2.5, BACK), (2.5, MIDDLE - RADIUS)])


def _join(axes: Axes, x: float, name: str) -> None:
    """Compare the set point with the KL that comes back from below."""
    _sum(axes, x)
    _arrow(axes, [(1.8, MIDDLE), (x - RADIUS, MIDDLE)])
    axes.text(x - RADIUS - 0.05, MIDDLE + 0.05, "+", ha="right", va="bottom", fontsize=8)
    axes.text(x - 0.08, MIDDLE - RADIUS - 0.05, "−", ha="right", va="top", fontsize=8)
    axes.text(x + 0.1, 0.9, name, ha="left", va="center", fontsize=7)


def _branches(axes: Axes, start: float, fork: float, blocks: Point, end: float) -> None:
    """From the error through both branches to their sum."""
    _line(axes, [(start + RADIUS, MIDDLE), (fork, MIDDLE)])
    axes.text((start + RADIUS + fork) / 2, MIDDLE + 0.07, "e(t)", ha="center", va="bottom", fontsize=7)
    _sum(axes, end)
    for height, side in ((UPPER, 1), (LOWER, -1)):
        _arrow(axes, [(fork, MIDDLE), (fork, height), (blocks[0], height)])
        if side > 0 and end > 7:
            # The floor comes in from above.
            _arrow(axes, [(blocks[1], height), (end - 0.55, height), (end - 0.12, MIDDLE + 0.12)])
        else:
            _arrow(axes, [(blocks[1], height), (end, height), (end, MIDDLE + side * RADIUS)])


def _model(axes: Axes, start: float) -> None:
    _block(axes, 12.85, MIDDLE, 2.0, "gradient step on\nR + β(t) KL")
    _arrow(axes, [(start, MIDDLE), (11.85, MIDDLE)], "β(t)", at=((start + 11.85) / 2 - 0.05, MIDDLE + 0.07))


def _block(axes: Axes, x: float, y: float, width: float, text: str) -> None:
    corner = (x - width / 2, y - HALF)
    box = FancyBboxPatch(
        corner, width, 2 * HALF, "round,pad=0,rounding_size=0.08", facecolor="#eef3f8", edgecolor="black"
    )
    box.set_linewidth(0.8)
    axes.add_patch(box)
    axes.text(x, y, text, ha="center", va="center", fontsize=7, linespacing=1.15)


def _sum(axes: Axes, x: float) -> None:
    axes.add_patch(Circle((x, MIDDLE), RADIUS, facecolor="white", edgecolor="black", linewidth=0.8, zorder=3))
    axes.text(x, MIDDLE, "Σ", ha="center", va="center", fontsize=7, zorder=4)


def _line(axes: Axes, points: Sequence[Point]) -> None:
    axes.plot(*zip(*points, strict=True), color="black", linewidth=0.8, solid_joinstyle="miter", zorder=1)


def _arrow(axes: Axes, points: Sequence[Point], text: str = "", *, at: Point = (0, 0)) -> None:
    """Draw a line through all points, with a head at the last."""
    if len(points) > 2:
        _line(axes, points[:-1])
    head = {"arrowstyle": "-|>", "color": "black", "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7}
    axes.annotate("", xy=points[-1], xytext=points[-2], arrowprops=head)
    if text:
        axes.text(*at, text, ha="center" if points[-1][1] != MIDDLE + RADIUS else "left", va="bottom", fontsize=7)
