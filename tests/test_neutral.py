"""What does nothing at its default is left out of specs there, and found again by who compares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, model_serializer

from bench.errors import BenchError
from bench.neutral import Neutral, neutral, neutral_values, with_neutral, without_neutral
from bench.settings import validate_dataclass


@dataclass(frozen=True)
class Options:
    """Of a data set."""

    size: int = 64
    window: str = neutral("")
    share: Annotated[float, Field(ge=0)] = neutral(0.0)


class Settings(BaseModel):
    """Of a spec."""

    lr: float = 0.1
    average: Annotated[float, Field(ge=0, le=1), Neutral] = 0.0

    @model_serializer(mode="wrap")
    def _as_in_a_spec(self, handler: Any) -> dict[str, Any]:
        return without_neutral(handler(self), neutral_values(type(self)))


class Longer(Settings):
    """With what it inherits."""

    schedule: Annotated[str, Neutral] = "constant"


def test_dataclasses_and_models_say_what_is_neutral():
    assert neutral_values(Options) == {"window": "", "share": 0.0}
    assert neutral_values(Longer) == {"average": 0.0, "schedule": "constant"}


def test_only_neutral_settings_at_their_value_are_left_out():
    values = {"b": 1, "a": 0, "c": 0}
    assert list(without_neutral(values, {"a": 0, "b": 0}).items()) == [("b", 1), ("c", 0)]


def test_what_was_left_out_is_found_again_and_what_was_set_stays():
    unset = neutral_values(Options)
    for values in ({"size": 1, "window": "a", "share": 0.0}, {"size": 1, "window": "", "share": 0.5}):
        assert with_neutral(without_neutral(values, unset), unset) == values


@pytest.mark.parametrize(("given", "spec"), [({"share": 0}, {"size": 64}), ({"share": 1}, {"size": 64, "share": 1.0})])
def test_settings_are_checked_and_completed_as_a_spec_holds_them(given, spec):
    assert validate_dataclass(Options, given, where="dataset 'mine'", what="option") == spec


def test_an_unknown_setting_is_refused_with_the_nearest_one():
    with pytest.raises(BenchError, match="dataset 'mine': unknown option 'windw'; did you mean 'window'"):
        validate_dataclass(Options, {"windw": "a"}, where="dataset 'mine'", what="option")


def test_a_model_that_serialises_by_the_rule_is_read_back_as_it_was():
    for model in (Longer(), Longer(average=0.5), Longer(schedule="one_cycle", lr=1)):
        assert Longer.model_validate_json(model.model_dump_json()) == model
    assert Longer().model_dump() == {"lr": 0.1}
    assert Longer(average=1).model_dump(mode="json") == {"lr": 0.1, "average": 1.0}


@pytest.mark.parametrize("default", [(), None, {}])
def test_only_scalars_can_be_neutral(default):
    """A tuple comes back from a spec as a list, which isn't equal to it."""
    with pytest.raises(TypeError, match="a neutral default is a number, a string or a truth value"):
        neutral(default)
    model = type("Other", (BaseModel,), {"__annotations__": {"x": Annotated[Any, Neutral]}, "x": default})
    with pytest.raises(TypeError, match="a neutral default is a number, a string or a truth value"):
        neutral_values(model)
