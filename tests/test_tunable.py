"""Ranges that methods declare: the values they give, and what is refused when a method is registered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from pydantic import Field

from bench.errors import BenchError
from bench.method import Method, Objective, register_method
from bench.registry import METHODS
from bench.tunable import Choice, Integer, Linear, Log, Percent, ends, in_words


class Tuned(Method):
    """An objective with hyper-parameters of every kind."""

    @dataclass(frozen=True)
    class Hyper:
        """weight, width, kind, share."""

        weight: Annotated[float, Field(ge=0, le=50)] = 1.0
        width: Annotated[int, Field(ge=1)] = 8
        kind: Literal["a", "b"] = "a"

    def loss(self, terms, state, step):
        return Objective(loss=terms.reconstruction, beta=self.full(0.0))


def test_a_share_of_the_way_becomes_a_value():
    assert Linear(0.0, 10.0).at(0.25) == 2.5
    assert Log(1.0, 100.0).at(0.5) == 10.0
    assert Log(1.0, 16.0).at(0.123456) == 1.408  # four digits
    assert Percent(20, 110).at(0.5) == "65%"
    assert [Integer(2, 4).at(share) for share in (0, 0.34, 0.67, 0.999)] == [2, 3, 4, 4]
    assert Integer(1, 100, scale="log").at(0.5) == 10
    assert [Choice(("a", "b", "c")).at(share) for share in (0, 0.34, 0.999)] == ["a", "b", "c"]


def test_every_value_lies_within_its_range():
    for chosen in (Linear(0.3, 0.7), Log(0.001, 0.1), Integer(3, 9), Integer(3, 900, scale="log")):
        for number in range(1000):
            assert chosen.low <= chosen.at(number / 1000) <= chosen.high


def test_ranges_read_as_words():
    assert in_words(Log(1.0, 16.0)) == "1 to 16, log"
    assert in_words(Percent(20, 110)) == "20 % to 110 %"
    assert in_words(Choice(("I", "II"))) == "I or II"
    assert ends(Choice(("I", "II"))) == ("I", "II")


@pytest.mark.parametrize(
    ("tuning", "words"),
    [
        ({"wieght": Log(1.0, 2.0)}, "'wieght': there is no such hyper-parameter; did you mean 'weight'?"),
        ({"weight": Log(2.0, 1.0)}, "low must lie below high"),
        ({"weight": Linear(1.0, float("inf"))}, "low must lie below high"),
        ({"weight": Log(0.0, 1.0)}, "on a logarithmic scale low must be above 0"),
        ({"weight": Log(1.0, 100.0)}, "weight=100.0: Input should be less than or equal to 50"),
        ({"width": Integer(0, 4)}, "width=0: Input should be greater than or equal to 1"),
        ({"width": Integer(1.5, 4)}, "the ends must be whole numbers"),
        ({"kind": Choice(("a", "c"))}, "kind='c'"),
        ({"kind": Choice(("a",))}, "a choice needs at least two values"),
        ({"weight": Percent(20, 110)}, "it can't be a share: write Linear or Log"),
        ({"weight": (1.0, 2.0)}, "(1.0, 2.0) is no range"),
    ],
)
def test_a_range_that_does_not_fit_is_refused_in_one_line(tuning, words):
    with METHODS.override(), pytest.raises(BenchError) as caught:
        register_method("my_vae", tuning=tuning)(Tuned)
    assert str(caught.value).startswith("method 'my_vae': tuning range of '")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "my_vae" not in METHODS


def test_a_range_that_fits_is_known_of_the_method():
    with METHODS.override():
        register_method("my_vae", tuning={"weight": Log(1.0, 50.0)})(Tuned)
        assert METHODS.get("my_vae").info.tuning == {"weight": Log(1.0, 50.0)}
