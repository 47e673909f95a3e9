"""What is claimed, how far it is, and how many seeds would decide it."""

from __future__ import annotations

from typing import Any

import pytest

from bench.claims.outcome import Outcome, claimed, seeds_needed
from bench.claims.schema import ClaimTest
from bench.stats import smallest_detectable
from helpers.claims import TEST, pair, verdict_of, with_test
from helpers.synthetic import Build


@pytest.mark.parametrize("paired", [True, False])
def test_the_seeds_asked_for_are_just_enough(*, paired: bool) -> None:
    test = ClaimTest.model_validate({**TEST, "margin": 0.05})
    outcome = Outcome(test, "a", "b", "", effect=0.12, sd=0.2, n=10)
    needed = seeds_needed(outcome, 0.05, paired=paired)
    assert needed is not None
    assert (
        smallest_detectable(0.2, needed, paired=paired).raw
        <= 0.07
        < smallest_detectable(0.2, needed - 1, paired=paired).raw
    )


def test_an_effect_at_its_bar_asks_for_no_number_of_seeds(study_builder: Build) -> None:
    verdict = verdict_of(pair(study_builder(), 0.1), with_test(margin=0.1001))
    assert verdict.status == "undecided"
    assert verdict.next == "more than 1,000 seeds: an effect lies at its bar"


def test_an_undecided_claim_asks_for_the_seeds_of_its_hardest_test(study_builder: Build) -> None:
    verdict = verdict_of(pair(study_builder(), 0.05))
    outcome = verdict.outcomes[0]
    assert verdict.status == "undecided"
    assert outcome.seeds_needed == 34  # a t test of d = 0.5 has a power of 80 % from 34 pairs on
    assert verdict.next == "bench run toy --preset quick --seeds 34"


@pytest.mark.parametrize(
    ("changes", "words", "gap"),
    [
        ({"margin": 0.1}, "> 0.1", 0.2),
        ({"margin": 0.1, "direction": "less"}, "< -0.1", -0.4),
        ({"kind": "noninferiority", "margin": 0.1}, "> -0.1", 0.4),
        ({"kind": "noninferiority", "margin": 0.1, "direction": "less"}, "< 0.1", -0.2),
        ({"kind": "equivalence", "margin": 0.1, "direction": None}, "within ±0.1", -0.2),
        ({"kind": "threshold", "bar": 1.0}, "> 1", -0.7),
        ({"kind": "threshold", "bar": 1.0, "direction": "less"}, "< 1", 0.7),
    ],
)
def test_what_is_claimed_and_how_far_it_is(changes: dict[str, Any], words: str, gap: float) -> None:
    test = ClaimTest.model_validate({**TEST, **changes})
    assert claimed(test) == words
    assert Outcome(test, "a", "b", "", effect=0.3).gap == pytest.approx(gap)
