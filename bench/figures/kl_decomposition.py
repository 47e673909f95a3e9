"""What the KL consists of during training."""

from __future__ import annotations

from matplotlib.figure import Figure

from bench.figures import _by_step
from bench.figures.axes import per_dataset
from bench.registry import FIGURES
from bench.results.study import Study

LINES = (
    ("kl", "KL"),
    ("elbo_index_code_mi", "index-code MI"),
    ("elbo_tc", "total correlation"),
    ("elbo_dimension_wise_kl", "dimension-wise KL"),
)


@FIGURES.register("kl_decomposition", version=1, order=12.2)
def kl_decomposition(study: Study) -> Figure | dict[str, Figure]:
    """KL during training and its three parts: index-code mutual information, total correlation, dimension-wise KL.

    Mean over seeds and the range of all of them, in nats per image, on the evaluation sample. The three parts add up to
    the KL. For runs that were scored during training (`train.score_every`) with the metric `elbo`.

    Parameters
    ----------
    study : Study
        Stored runs.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set.
    """
    return per_dataset(study, _draw)


def _draw(study: Study, dataset: str) -> Figure | None:
    tables = {label: table for label, table in _by_step.stacks(study, dataset).items() if "elbo_tc" in table}
    return _by_step.draw(tables, LINES, "nats per image") if tables else None
