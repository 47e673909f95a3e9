"""What the reconstruction term of a data set's runs is, and which score measures it."""

from __future__ import annotations

from bench.registry import DATASETS
from bench.results.study import Study

BCE, MSE = "reconstruction_bce", "reconstruction_mse"


def likelihood_of(study: Study, dataset: str) -> str:
    """The likelihood that runs on a data set were trained with; see `bench.dataset.Dataset`.

    Parameters
    ----------
    study : Study
    dataset : str
        One of ``study.datasets``.

    Returns
    -------
    str
        The data set's option where it has one, else what its class says; "bernoulli" for one that nobody registers.
    """
    runs = study.runs[study.runs["dataset_label"] == dataset]
    spec = study.specs[runs["run"].iloc[0]]["dataset"]
    given = spec.get("options", {}).get("likelihood")
    if given is None and spec["name"] in DATASETS:
        given = getattr(DATASETS.get(spec["name"]).value, "likelihood", None)
    return str(given or "bernoulli")


def reconstruction_score(study: Study, dataset: str) -> str:
    """The score of reconstruction that runs on a data set were trained for: the cross-entropy or the squared error."""
    squared = likelihood_of(study, dataset) == "gaussian" and MSE in study.scores
    return MSE if squared else BCE


def reconstruction_term(study: Study, dataset: str) -> str:
    """What the curves of the reconstruction are, with the unit."""
    squared = likelihood_of(study, dataset) == "gaussian"
    return "Reconstruction (squared error)" if squared else "Reconstruction (nats)"


def reconstruction_in_short(study: Study, dataset: str, value: float) -> str:
    """A value of `reconstruction_score` for a note in a figure, such as "BCE 1234" or "MSE 0.021"."""
    squared = reconstruction_score(study, dataset) == MSE
    return f"MSE {value:.2g}" if squared else f"BCE {value:.0f}"
