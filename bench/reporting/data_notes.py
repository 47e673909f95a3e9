"""What a reader of a data set's table must know of the data: remarks, likelihood, least cross-entropy, chance."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from bench.formatting import number
from bench.results.likelihood import BCE, MSE, likelihood_of
from bench.results.study import Study

#: Nats per image below which images count as binary: rounding of their entropy.
BINARY = 1e-6


def data_notes(study: Study, dataset: str, scores: Collection[str]) -> list[str]:
    """Sentences about one data set, for under its table.

    Parameters
    ----------
    study : Study
    dataset : str
        One of ``study.datasets``.
    scores : collection of str
        Columns of the table.

    Returns
    -------
    list of str
        Nothing on binary images without class labels and remarks.
    """
    runs = study.runs[(study.runs["dataset_label"] == dataset) & (study.runs["status"] == "ok")]
    results = [study.result(run) for run in runs["run"]]
    details = [result.get("details", {}) for result in results]
    remarks = dict.fromkeys(str(remark) for result in results for remark in result.get("remarks") or ())
    notes = [f"{remark[:1].upper()}{remark[1:]}." for remark in remarks]
    if likelihood_of(study, dataset) == "gaussian" and BCE in scores and MSE in scores:
        notes.append(
            "Trained on the squared error, summed over pixels and channels: the MSE is what reconstruction is to be "
            "read by, the BCE was measured and not minimised."
        )
    floor = _mean(details, "reconstruction", "bce_floor")
    if BCE in scores and floor is not None and floor > BINARY:
        notes.append(
            f"Pixels are more than black and white: no BCE is below {number(floor, 1)} nats per image here, which is "
            "their entropy."
        )
    chance = _mean(details, "linear_probe", "chance")
    if chance is not None and "linear_probe" in scores:
        classes = max(len(found.get("linear_probe", {}).get("classes", ())) for found in details)
        notes.append(
            f"Chance of the linear probe is {number(chance, 3)}: the share right if the commonest of {classes} classes "
            "is always named, among the images that the probe wasn't fitted to, as in its accuracy."
        )
    return notes


def _mean(details: list[dict[str, Any]], metric: str, key: str) -> float | None:
    found = [one[metric][key] for one in details if one.get(metric, {}).get(key) is not None]
    return float(np.mean(found)) if found else None
