"""What users are told about settings: every field of a method, a data set's options and a study file is described."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any

import pytest
from pydantic import Field

from bench.config.study import EvaluationSettings, StudySpec
from bench.config.tuning import TuningSettings
from bench.registry import DATASETS, METHODS
from bench.settings import descriptions
from bench.train_settings import TrainSettings

SHIPPED = [entry.value.Hyper for entry in METHODS] + [
    DATASETS.get(name).value.Options for name in ("dsprites", "linear_gaussian", "npz")
]


@dataclass(frozen=True)
class Base:
    """A base.

    Attributes
    ----------
    first, second : int
        Two of
        a kind.

    Notes
    -----
    last : not a field
        Of another section.
    """

    first: int = 0
    second: int = 0


@dataclass(frozen=True)
class Settings(Base):
    """Without a section of its own."""

    third: Annotated[float, Field(ge=0, description="In the annotation.")] = 0.0
    fourth: float = 0.0


def test_descriptions_are_of_annotations_and_of_docstrings_inherited_ones_too():
    said = descriptions(Settings)
    assert said == {"first": "Two of a kind.", "second": "Two of a kind.", "third": "In the annotation."}


@pytest.mark.parametrize("cls", SHIPPED, ids=lambda cls: cls.__qualname__)
def test_every_setting_that_is_shipped_is_described(cls: Any) -> None:
    assert {item.name for item in fields(cls)} <= descriptions(cls).keys()


@pytest.mark.parametrize("model", [StudySpec, TrainSettings, EvaluationSettings, TuningSettings])
def test_every_field_of_a_study_file_is_described(model: Any) -> None:
    assert set(model.model_fields) == set(descriptions(model))
