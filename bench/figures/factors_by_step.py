"""Disentanglement of every factor during training."""

from __future__ import annotations

from matplotlib.figure import Figure

from bench.figures import _by_step
from bench.figures.axes import per_dataset
from bench.figures.palette import CYCLE
from bench.registry import FIGURES
from bench.results.study import Study
from bench.results.summary import score_info

#: Scores that metrics report factor by factor, best first.
SCORES = ("rmig", "mig", "mig_sampled")


@FIGURES.register("factors_by_step", version=1, order=12.1)
def factors_by_step(study: Study) -> Figure | dict[str, Figure]:
    """Disentanglement during training, factor by factor: RMIG where it was measured, MIG otherwise.

    Mean over seeds and the range of all of them; the black line is the score itself, the mean over factors. For runs
    that were scored during training (`train.score_every`), with their metrics as they are at the end.

    Parameters
    ----------
    study : Study
        Stored runs.

    Returns
    -------
    Figure or dict of str to Figure
        One per data set with factors.
    """
    return per_dataset(study, _draw)


def _draw(study: Study, dataset: str) -> Figure | None:
    tables = _by_step.stacks(study, dataset)
    for score in SCORES:
        prefix = f"{score}_per_factor."
        columns = dict.fromkeys(str(column) for table in tables.values() for column in table)
        found = [column for column in columns if column.startswith(prefix)]
        if found:
            label = score_info(score).label
            lines = [
                (score, f"{label}, mean"),
                *((column, column.removeprefix(prefix).replace("_", " ")) for column in found),
            ]
            return _by_step.draw(tables, lines[: len(CYCLE)], label, (-0.02, 1.02))
    return None
