"""What correlated factors in the training images do to scores."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.dataset import has_row_options
from bench.figures.axes import (
    DOUBLE,
    better,
    cell,
    control_label,
    legend_below,
    literal,
    new_figure,
    slug,
    trained,
)
from bench.figures.palette import GREY, looks
from bench.registry import FIGURES
from bench.results.study import Study
from bench.results.summary import score_info
from bench.rows import parse_correlated

SCORES = ("mig", "dci_disentanglement", "factor_vae_score", "reconstruction_bce")
#: A data set whose images are trained on: its name, options but for the correlation, and the two factors.
Family = tuple[str, str, str]


@FIGURES.register("correlated", version=1, order=2.5)
def correlated(study: Study) -> Figure | dict[str, Figure]:
    """Scores against how closely two factors are tied in the training images: mean and 95 % interval of each method.

    Independent factors stand at the left; towards the right the strength falls, in units of the factors' ranges, and
    the two are tied the closer. Scores are of the same images throughout, in which they are independent. The dashed
    line is the untrained network. A line that falls is what the correlation costs.

    Parameters
    ----------
    study : Study
        Stored runs.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set and pair of factors that were run at two strengths at least, none among them.
    """
    found = {family: by for family, by in families(study).items() if len(by) > 1}
    drawn = {family: _draw(study, family, by) for family, by in found.items()}
    if len(drawn) == 1:
        return next(iter(drawn.values()))
    return {slug("-".join((name, pair.replace(":", "-"), other))): each for (name, other, pair), each in drawn.items()}


def families(study: Study) -> dict[Family, dict[float, str]]:
    """Labels of data sets by the strength of their correlation, loosest first; infinite: none."""
    plain: dict[tuple[str, str], str] = {}
    tied: dict[Family, dict[float, str]] = {}
    for run, label in zip(study.runs["run"], study.runs["dataset_label"], strict=True):
        data: dict[str, Any] = study.specs[run]["dataset"]
        options = dict(data.get("options", {}))
        text = options.pop("correlated", "") if has_row_options(data["name"]) else ""
        other = ",".join(f"{key}={value}" for key, value in sorted(options.items()))
        if text:
            first, second, strength = parse_correlated(text)
            tied.setdefault((data["name"], other, f"{first}:{second}"), {})[strength] = str(label)
        else:
            plain[data["name"], other] = str(label)
    for (name, other, _), by in tied.items():
        if (name, other) in plain:
            by[float("inf")] = plain[name, other]
    return {family: dict(sorted(by.items(), reverse=True)) for family, by in tied.items()}


def _draw(study: Study, family: Family, by: dict[float, str]) -> Figure:
    datasets, look = list(by.values()), looks(study)
    labels = list(dict.fromkeys(label for dataset in datasets for label in trained(study, dataset)))
    scores = [s for s in SCORES if any(cell(study, d, label, s) for d in datasets for label in labels)]
    figure = new_figure(DOUBLE, 2.3 * -(-len(scores) // 2) + 0.6)
    panels = figure.subplots(-(-len(scores) // 2), min(2, len(scores)), squeeze=False).ravel()
    for axes, score in zip(panels, scores, strict=False):
        for place, label in enumerate(labels):
            shift = 0.04 * (place - (len(labels) - 1) / 2)
            points = [(x + shift, found) for x, d in enumerate(datasets) if (found := cell(study, d, label, score))]
            if not points:
                continue
            places, means = [x for x, _ in points], [found["mean"] for _, found in points]
            bars = [
                [max(found["mean"] - found["low"], 0) if found["low"] == found["low"] else 0 for _, found in points],
                [max(found["high"] - found["mean"], 0) if found["high"] == found["high"] else 0 for _, found in points],
            ]
            axes.errorbar(
                places, means, yerr=bars, color=look[label].colour, capsize=2, elinewidth=0.8, linewidth=1.1,
                **look[label].point,
            )  # fmt: skip
        control = control_label(study, datasets[0])
        if control is not None and score != "reconstruction_bce" and (item := cell(study, datasets[0], control, score)):
            axes.axhline(item["mean"], color=GREY, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
        info = score_info(score)
        axes.set_ylabel(literal(info.label))
        better(axes, higher=bool(info.higher_is_better), axis="y")
        axes.set_xticks(range(len(datasets)), ["none" if each == float("inf") else f"{each:g}" for each in by])
        axes.set_xlabel(literal(f"Correlation of {family[2].replace(':', ' and ')} (strength σ)"))
    for axes in panels[len(scores) :]:
        axes.set_visible(False)
    handles = [Line2D([], [], color=look[label].colour, **look[label].point, label=label) for label in labels]
    if (control := control_label(study, datasets[0])) is not None:
        handles.append(Line2D([], [], color=GREY, linestyle=(0, (4, 3)), label=control))
    legend_below(figure, handles, 3)
    return figure
