"""Scores of two studies to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.comparison.compare import Comparisons, compare, load_study

#: Six seeds each, B a little higher.
A = [0.21, 0.25, 0.19, 0.30, 0.27, 0.22]
B = [0.24, 0.29, 0.20, 0.36, 0.31, 0.23]


def by_seed(values: Mapping[int, float] | Sequence[float]) -> dict[int, float]:
    """Return scores by seed; of a list, of the seeds 0, 1, ..."""
    return dict(values) if isinstance(values, Mapping) else dict(enumerate(values))


def comparison_of(a: Path, b: Path, **options: Any) -> Comparisons:
    """Return the comparison of two folders or archives."""
    return compare(load_study(a), load_study(b), **options)
