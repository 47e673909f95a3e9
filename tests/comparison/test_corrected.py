"""A comparison is of many scores: what doesn't survive the correction for their number is undecided."""

from __future__ import annotations

from typing import Any

import pytest

from bench.comparison.render import markdown
from helpers.comparison import A, B, comparison_of
from helpers.rng import rng


def company(n: int) -> dict[str, list[float]]:
    """Scores of B that differ from A by noise alone."""
    draws = rng()
    scores = ("kl", "sap", "irs", "psnr_db", "reconstruction_bce", "active_units")[:n]
    return {score: [a + x for a, x in zip(A, draws.normal(0, 0.3, 6), strict=True)] for score in scores}


@pytest.mark.parametrize(
    ("mig_of_b", "n_others", "verdict", "judgement"),
    [
        (B, 0, "B higher", "better"),
        (B, 6, "undecided", None),
        ([2 * a - b for a, b in zip(A, B, strict=True)], 0, "B lower", "worse"),
        ([2 * a - b for a, b in zip(A, B, strict=True)], 6, "undecided", None),
        ([a + 0.1 + 0.001 * k for k, a in enumerate(A)], 6, "B higher", "better"),
        ([a - 0.1 - 0.001 * k for k, a in enumerate(A)], 6, "B lower", "worse"),
    ],
)
def test_what_does_not_survive_the_correction_is_undecided(
    studies: Any, mig_of_b: list[float], n_others: int, verdict: str, judgement: str | None
) -> None:
    others = company(n_others)
    found = comparison_of(*studies({"mig": A, **dict.fromkeys(others, A)}, {"mig": mig_of_b, **others}))
    row = next(row for row in found.rows if row.score == "mig")
    # By itself each is clear.
    assert row.found.p < 0.05
    assert row.found.low * row.found.high > 0
    assert (row.p_holm <= 0.05) == (verdict != "undecided")
    assert (row.found.verdict, row.found.judgement) == (verdict, judgement)
    words = f"{verdict} ({judgement})" if judgement else verdict
    assert next(line for line in markdown(found).splitlines() if "MIG" in line).split("|")[-2].strip() == words


def test_a_margin_is_no_way_around_the_correction(studies: Any) -> None:
    others = company(5)
    a, b = studies({"mig": A, **dict.fromkeys(others, A)}, {"mig": B, **others})
    found = comparison_of(a, b, margins={"mig": 0.01})
    row = next(row for row in found.rows if row.score == "mig")
    assert row.p_holm > 0.05
    assert (row.found.verdict, row.found.judgement) == ("undecided", None)
    assert "undecided (margin 0.01)" in markdown(found)
    wide = next(row for row in comparison_of(a, b, margins={"mig": 0.06}).rows if row.score == "mig")
    assert wide.found.verdict == "equivalent"
