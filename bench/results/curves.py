"""Stored curves of a study's runs: losses and scores against steps."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import pandas as pd

from bench.errors import BenchError, reason
from bench.files import sha256
from bench.results import scores_by_step
from bench.results.record import AGAIN, OTHER
from bench.results.study import Study


def read_curves(study: Study, run: str) -> pd.DataFrame:
    """Training curves of one run: step, reconstruction, kl, beta, set_point, kl_0, ... (nats per image).

    Each row is the mean over the interval that ends at its step; ``set_point`` is NaN for methods without
    one. Several figures read the same curves, so they are kept, and not to be changed.

    Raises
    ------
    BenchError
        If the file is missing or damaged.
    """
    if run not in study.curves:
        _read_together(study, run)
    file = study.path / "runs" / run / "curves.csv"
    try:
        if run not in study.curves:
            study.curves[run] = pd.read_csv(io.BytesIO(_checked(study, file)), dtype=float)
        return study.curves[run]
    except (OSError, ValueError) as error:
        raise BenchError(f"{file} can't be read: {reason(error)}; {AGAIN}") from error


def read_scores_by_step(study: Study, run: str) -> pd.DataFrame:
    """Scores during training (``step``, scores, ``<detail>.<factor>``); empty where they were taken at the end only.

    Raises
    ------
    BenchError
        If the file is damaged.
    """
    file = study.path / "runs" / run / scores_by_step.NAME
    if not file.is_file():
        return pd.DataFrame()
    try:
        return pd.read_csv(io.BytesIO(_checked(study, file)), dtype=float)
    except (OSError, ValueError) as error:
        raise BenchError(f"{file} can't be read: {reason(error)}; {AGAIN}") from error


def _checked(study: Study, file: Path) -> bytes:
    """A file's content, after it was compared with what its run recorded of it, if it did."""
    content = file.read_bytes()
    if (recorded := study.files.get(file.parent.name, {}).get(file.name)) and sha256(content) != recorded:
        raise BenchError(f"{file} {OTHER}; {AGAIN}")
    return content


def _read_together(study: Study, run: str) -> None:
    """Read the curves of all seeds of a run's configuration at once: most of the time goes per table, not per row.

    Where something is wrong nothing is read: reading one by one says what.
    """
    dataset, label = study.runs.loc[study.runs["run"] == run, ["dataset_label", "label"]].iloc[0]
    found = study.ended_well.get((dataset, label))
    files = [] if found is None else [study.path / "runs" / each / "curves.csv" for each in found["run"]]
    try:
        texts = {file.parent.name: _checked(study, file).decode() for file in files if file.is_file()}
        heads = {text.partition("\n")[0] for text in texts.values()}
        bodies = [text.partition("\n")[2] for text in texts.values()]
        # A file that was cut off would run into the next one.
        if len(heads) != 1 or not all(body.endswith("\n") for body in bodies):
            return
        table = pd.read_csv(io.StringIO("\n".join([*heads, "".join(bodies)])), dtype=float)
    except (OSError, ValueError, BenchError):
        return
    ends = list(itertools.accumulate(body.count("\n") for body in bodies))
    if ends[-1] == len(table):
        starts = [0, *ends[:-1]]
        parts = (table.iloc[a:b].reset_index(drop=True) for a, b in zip(starts, ends, strict=True))
        study.curves.update(zip(texts, parts, strict=True))
