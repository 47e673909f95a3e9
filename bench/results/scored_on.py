"""On which images scores were taken, in words."""

from __future__ import annotations

from bench.dataset import has_row_options
from bench.results.labels import Spec
from bench.rows import parse_correlated

#: Of data without a split.
ON_TRAINING = (
    "Scores are taken on images that the models were trained on, as in the papers: these data sets have no split."
)
ON_HELD_OUT = "Which images scores are taken on stands below each table: where a split is set, on held-out ones."


def scored_on(spec: Spec) -> list[str]:
    """What a reader must know of the images that a run was trained and scored on; empty for all images alike.

    Parameters
    ----------
    spec : mapping
        ``spec.json``.

    Examples
    --------
    >>> scored_on({"dataset": {"name": "dsprites", "options": {"split": 0.2}}})
    ['Scores are of held-out images (split=0.2), which no run was trained on; columns "training" are of the others.']
    """
    dataset = spec["dataset"]
    options = dataset.get("options", {}) if has_row_options(dataset["name"]) else {}
    lines = []
    if split := options.get("split"):
        lines.append(
            f"Scores are of held-out images (split={split:g}), which no run was trained on; "
            'columns "training" are of the others.'
        )
    if correlated := options.get("correlated"):
        first, second, strength = parse_correlated(correlated)
        where = "held-out images" if lines else "images of the full grid"
        lines.append(
            f"In the training images {first} and {second} correlate (strength {strength:g}); scores are of {where}, in "
            "which they don't."
        )
    return lines
