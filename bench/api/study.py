"""A stored study in a notebook: its runs, summary, curves, claims, figures and trained models."""

from __future__ import annotations

import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.errors import BenchError, did_you_mean
from bench.registry import FIGURES
from bench.results.curves import read_curves
from bench.sharing.opening import locate, opened_study

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.api.model import TrainedModel
    from bench.results.study import Study as Stored


class Study:
    """A study as it is stored; `load_study` opens one.

    All tables are copies, which may be changed.

    Attributes
    ----------
    path : Path
        Folder or archive.
    name : str
        As it was recorded.
    stored : bench.results.study.Study
        What all else is read from, for those who need more than is here.
    """

    def __init__(self, path: Path, *, mixed: bool = False) -> None:
        self.path = path
        opened = ExitStack()
        self.stored: Stored = opened.enter_context(opened_study(path, mixed=mixed))
        # An archive's files lie in a temporary folder for as long as somebody has the study.
        weakref.finalize(self, opened.close)

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.stored.name

    def __repr__(self) -> str:
        n_failed = len(self.stored.failures)
        failed = f", {n_failed} failed" if n_failed else ""
        return f"<study '{self.name}': {self.stored.finished} runs{failed}, {self.path}>"

    @property
    def runs(self) -> pd.DataFrame:
        """One row per run that finished, diverged or failed (column ``status``), with every score as a column."""
        return self.stored.runs.copy()

    @property
    def failures(self) -> pd.DataFrame:
        """One row per run whose last attempt failed: run, error and number of the attempt."""
        rows = [{key: record.get(key) for key in ("run", "error", "attempt")} for record in self.stored.failures]
        return pd.DataFrame(rows, columns=["run", "error", "attempt"])

    def summary(self) -> pd.DataFrame:
        """One row per data set, configuration and score: mean, standard deviation and 95 % interval over seeds.

        Runs that diverged or failed have no part in the means; ``n`` says how many seeds have.
        """
        return self.stored.summary.copy()

    def curves(self, run: str | None = None) -> pd.DataFrame:
        """Training curves: one row per logged step.

        Parameters
        ----------
        run : str, optional
            A run's id; by default all runs that ended well, one after another.

        Returns
        -------
        DataFrame
            ``run``, ``dataset_label``, ``label``, ``seed``, ``step``, then nats per image, each the mean over the
            interval that ends at the step: ``reconstruction``, ``kl``, ``beta``, ``set_point``, ``kl_0``, ...

        Raises
        ------
        BenchError
            If there is no such run, or a file is missing or damaged.
        """
        about = ["run", "dataset_label", "label", "seed"]
        runs = self.stored.runs
        chosen = runs[runs["status"] == "ok"] if run is None else runs[runs["run"] == self._known(run)]
        if run is not None and chosen["status"].iloc[0] == "failed":
            raise BenchError(f"run '{run}' failed and has no curves; see `failures`")
        parts = []
        for row in chosen[about].to_dict("records"):
            parts.append(read_curves(self.stored, str(row["run"])).assign(**{str(key): row[key] for key in row}))
        if not parts:
            return pd.DataFrame(columns=[*about, "step"])
        table = pd.concat(parts, ignore_index=True)
        return table[[*about, *(column for column in table.columns if column not in about)]]

    def claims(self, papers: Iterable[str] | None = None) -> pd.DataFrame:
        """The published claims judged by this study's runs alone: one row per claim and test.

        Parameters
        ----------
        papers : iterable of str, optional
            Files of claims, such as "dynamicvae"; by default all.
        """
        from bench.claims.render import COLUMNS, to_rows
        from bench.claims.verdict import ledger_for

        return pd.DataFrame(to_rows(ledger_for(self.stored, names=papers)), columns=list(COLUMNS))

    def figure(self, name: str) -> Any:
        """One figure of the report, drawn anew.

        Parameters
        ----------
        name : str
            As `bench.list_figures` has it, for example "tradeoff".

        Returns
        -------
        matplotlib.figure.Figure, or dict of str to Figure
            Several where the figure is one per data set or method; None where the study lacks what it is about.
        """
        from bench.figures.axes import style

        entry = FIGURES.get(name)
        with style():
            drawn = entry.value(self.stored)
        if isinstance(drawn, dict) and len(drawn) == 1:
            return next(iter(drawn.values()))
        return drawn or None

    def model(self, run: str) -> TrainedModel:
        """The network that a run trained, to encode and decode with; see `bench.api.model.TrainedModel`.

        Raises
        ------
        BenchError
            If there is no such run, it has no weights (archives don't), they aren't what the run recorded, or its data
            can't be loaded.
        """
        from bench.api.model import load_model

        return load_model(self.stored.path, self._known(run))

    def report(self, folder: str | Path | None = None, *, n_jobs: int = 1) -> Path:
        """Write the report (tables, figures and one page); gives the path of ``report.md``.

        Parameters
        ----------
        folder : path, optional
            By default ``reports/<study>``.
        n_jobs : int
            Processes that draw.
        """
        from bench.reporting.render import render

        return render(self.stored, Path("reports") / self.name if folder is None else Path(folder), n_jobs=n_jobs)

    def _known(self, run: str) -> str:
        known = self.stored.runs["run"].tolist()
        if run not in known:
            raise BenchError(f"study '{self.name}' has no run '{run}'{did_you_mean(run, known)}; see `runs`")
        return run


def load_study(study: str | Path, *, results: str | Path = "results", mixed: bool = False) -> Study:
    """Open a stored study: a folder under `results`, or an archive of ``bench export``.

    Parameters
    ----------
    study : str or Path
        Name, or path of the folder or archive. The plug-ins that a study of one's own recorded are loaded with it.
    results : str or Path
        Where names are looked for.
    mixed : bool
        Allow runs of different versions of a method, data set or metric, kept apart by label.

    Raises
    ------
    BenchError
        No such study, a damaged one, or mixed versions.

    Examples
    --------
    >>> study = load_study("results/reference/quick-dsprites.tar.xz")
    >>> sorted(study.runs["method"].unique())
    ['beta_vae', 'control_vae', 'dynamic_vae', 'factor_vae', 'untrained', 'vae']
    """
    from bench.results.plugins import load_recorded

    path = locate(str(study), Path(results))
    load_recorded(path)
    return Study(path, mixed=mixed)
