"""Representations measured side by side: the metrics of a run, without the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.errors import BenchError
from bench.external.align import aligned_rows
from bench.external.codes import Representation
from bench.metrics import kl, udr
from bench.metrics.measure import Evaluation, match_metrics, measure
from bench.seeds import stream

#: Codes beyond this, squared and summed, are infinite.
LARGEST = 1e140


@dataclass(frozen=True)
class Scored:
    """A representation and what was measured on it."""

    representation: Representation
    evaluation: Evaluation


def score(
    representations: Sequence[Representation],
    metrics: Sequence[str],
    *,
    seed: int = 0,
    tell: Callable[[str], None] | None = None,
) -> list[Scored]:
    """Measure representations.

    Parameters
    ----------
    representations : sequence of Representation
    metrics : sequence of str
        As `bench.metrics.measure.match_metrics` takes them.
    seed : int
        Of the metrics' streams, the same for all representations.
    tell : callable, optional
        Called with the representation and the metric that is about to run.

    Raises
    ------
    BenchError
        Unknown metrics, or codes that a metric refuses (NaN, another number of rows), or too large to compute with.
    """
    names = list(dict.fromkeys(name for item in metrics for name in match_metrics(item)))
    scored = []
    for item in representations:
        size = float(np.abs(item.inputs["codes"]).max(initial=0, where=np.isfinite(item.inputs["codes"])))
        if size > LARGEST:
            raise BenchError(f"{item.name}: codes of up to {size:.0e} are too large to be squared: scale them")
        try:
            found = Evaluation({}, {}, {})
            for name in names:
                if tell is not None:
                    tell(f"{item.name}: {name}")
                one = measure(item.inputs, [name], seed=seed, reasons=item.reasons)
                found.scores.update(one.scores)
                found.not_applicable.update(one.not_applicable)
                found.details.update(one.details)
        except ValueError as error:
            raise BenchError(f"{item.name}: {error}") from None
        scored.append(Scored(item, found))
    return scored


def rank_without_labels(representations: Sequence[Representation], *, seed: int = 0) -> dict[str, Any]:
    """UDR of representations that differ in their seed only; see `bench.metrics.udr`.

    Returns
    -------
    dict
        As `bench.metrics.udr` gives it, on the images that all have (`bench.external.align`); ``n_images``, how many
        these are; ``warning``, what may be wrong with their order, or an empty string.

    Raises
    ------
    BenchError
        Fewer than two, different images, or no log-variances, from which UDR tells which codes are informative.
    """
    for item in representations:
        if "logvar" not in item.inputs:
            raise BenchError(f"--udr: {item.name} has no log-variances, which tell the informative codes")
    try:
        rows, warning = aligned_rows(representations)
        tables, nats = [], []
        for item, part in zip(representations, rows, strict=True):
            tables.append(item.inputs["codes"][part])
            nats.append(kl(tables[-1], item.inputs["logvar"][part])["kl_per_latent"])
        found = udr(tables, nats, rng=stream(seed, "metric:udr"))
    except (ValueError, BenchError) as error:
        raise BenchError(f"--udr: {error}") from None
    return found | {"n_images": len(rows[0]), "warning": warning}
