"""Representations measured side by side: the metrics of a run, without the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.errors import BenchError
from bench.measure import Evaluation, match_metrics, measure
from bench.representations import Representation


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
        As `bench.measure.match_metrics` takes them.
    seed : int
        Of the metrics' streams, the same for all representations.
    tell : callable, optional
        Called with the representation and the metric that is about to run.

    Raises
    ------
    BenchError
        Unknown metrics, or codes that a metric refuses (NaN, another number of rows).
    """
    names = list(dict.fromkeys(name for item in metrics for name in match_metrics(item)))
    scored = []
    for item in representations:
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
