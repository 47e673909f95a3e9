"""What is written down of a training: rows of its curves, and whether it diverged."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

#: Columns of the curves between the step and the per-latent KL.
COLUMNS = ("reconstruction", "kl", "beta", "set_point")

Rows = NDArray[np.float64]


@dataclass
class Log:
    """How far R runs have come.

    Attributes
    ----------
    step : int
        Last finished step.
    rows : list of ndarray of shape (R, 1 + 4 + K), float64
        Step, `COLUMNS`, KL per latent: means over the log interval that ends at that step.
    diverged : list of int or None
        Per run the last step at which all of a row was finite, None while all is well.
    """

    step: int = 0
    rows: list[Rows] = field(default_factory=list)
    diverged: list[int | None] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether every run has diverged."""
        return all(good is not None for good in self.diverged)

    def add(self, step: int, means: Rows, *, stochastic: bool) -> None:
        """Add a row per run, (R, 4 + K), and see which runs have diverged in it.

        Parameters
        ----------
        step : int
            Last step of the interval.
        means : ndarray
        stochastic : bool
            Whether the codes carry noise; without it there is no KL, and its columns are no numbers.
        """
        empty = [COLUMNS.index("set_point")]
        if not stochastic:
            empty += [COLUMNS.index("kl"), *range(len(COLUMNS), means.shape[1])]
        finite = np.isfinite(np.delete(means, empty, axis=1))
        for run, row in enumerate(finite):
            if not row.all() and self.diverged[run] is None:
                self.diverged[run] = self.step
        self.rows.append(np.concatenate([np.full((len(means), 1), float(step)), means], axis=1))
        self.step = step

    def of(self, run: int) -> Log:
        """The log of one run."""
        return Log(self.step, [rows[run : run + 1] for rows in self.rows], [self.diverged[run]])

    def curves(self, latent_dim: int) -> Rows:
        """All rows of all runs, (R, n_rows, 1 + 4 + K)."""
        width = 1 + len(COLUMNS) + latent_dim
        rows: Rows = np.array(self.rows, dtype=np.float64).reshape(-1, len(self.diverged), width)
        return np.ascontiguousarray(rows.swapaxes(0, 1))


def end_of(n_rows: int, share: float = 0.05) -> slice:
    """The last `share` of the rows of curves, one at least: what is called the end of a training."""
    return slice(max(n_rows - max(1, math.ceil(share * n_rows)), 0), n_rows)


def final(curves: Rows) -> dict[str, float | None]:
    """Means over the end of a run's rows, see `end_of`.

    Parameters
    ----------
    curves : ndarray of shape (n_rows, 1 + 4 + K)

    Returns
    -------
    dict
        By `COLUMNS`; None where there is no value (no set point, no rows, not finite).
    """
    tail = curves[end_of(len(curves)), 1 : 1 + len(COLUMNS)]
    means = tail.mean(axis=0) if len(tail) else np.full(len(COLUMNS), np.nan)
    return {name: float(value) if np.isfinite(value) else None for name, value in zip(COLUMNS, means, strict=True)}


def to_csv(curves: Rows) -> str:
    """A run's rows as ``curves.csv``; empty cells where there is no number."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["step", *COLUMNS, *(f"kl_{k}" for k in range(curves.shape[1] - 1 - len(COLUMNS)))])
    for row in curves:
        # 7 digits are what float32 holds.
        writer.writerow([int(row[0]), *("" if np.isnan(value) else f"{value:.7g}" for value in row[1:])])
    return file.getvalue()
