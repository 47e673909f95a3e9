"""What a run is: the frozen, fully resolved `RunSpec`, its canonical JSON and its id."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from bench.neutral import without_neutral
from bench.schema import StrictModel
from bench.train_settings import TrainSettings, from_layout, to_layout

#: Layout of ``spec.json`` and ``result.json``; raised when a reader of older folders would go wrong.
SCHEMA_VERSION = 1
#: Raised when the training loop or its streams change scores; part of a run's identity.
ENGINE_VERSION = 1
#: Raised when the way codes are made or handed to the metrics changes scores.
PROTOCOL_VERSION = 1


class MethodSpec(StrictModel):
    """A method with every hyper-parameter."""

    name: str
    version: int
    hyper: dict[str, bool | int | float | str] = Field(default_factory=dict)


class DatasetSpec(StrictModel):
    """A dataset with every option that isn't neutral (`bench.settings.neutral`) and the checksum of its data.

    `paths` and `about` are no part of a run's identity: where the user's files lie, and of data that are named by their
    file how many images there are, of what shape, and how many values each factor has.
    """

    name: str
    version: int
    options: dict[str, Any] = Field(default_factory=dict)
    paths: dict[str, str] = Field(default_factory=dict)
    about: dict[str, int | list[int]] = Field(default_factory=dict)
    sha256: str

    @model_serializer(mode="wrap")
    def _without_nothing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        return {key: value for key, value in content.items() if key != "about" or value}

    @property
    def all_options(self) -> dict[str, Any]:
        """What the dataset is made from: `options` and the user's own files in `paths`."""
        return self.options | self.paths


class EvaluationSpec(StrictModel):
    """What is measured after training, and on how many images."""

    protocol: int = PROTOCOL_VERSION
    n_codes: int = Field(ge=2)
    n_images: int = Field(ge=1)
    metrics: dict[str, int]


class RunSpec(StrictModel):
    """Everything that decides a run's numbers.

    A run's identity is its training: what is measured on it afterwards isn't part of the id, so that a new metric is
    measured on stored weights instead of training everything again. Versions keep scores apart: a change that alters
    them raises the integer version of the method, metric or protocol, and tables refuse to mix them. The commit is
    recorded beside the result, not hashed.

    Its JSON is ``spec.json``, in which some options of `train` are nested and neutral ones left out
    (`bench.train_settings.to_layout`); it is read from there and from its own fields alike.
    """

    schema_version: int = SCHEMA_VERSION
    engine: int = 1
    method: MethodSpec
    dataset: DatasetSpec
    network_version: int
    train: TrainSettings
    seed: int = Field(ge=0)
    evaluation: EvaluationSpec

    @model_validator(mode="before")
    @classmethod
    def _of_layout(cls, content: Any) -> Any:
        return from_layout(content) if isinstance(content, dict) and "train" not in content else content

    @model_serializer(mode="wrap")
    def _to_layout(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        return content | to_layout(content.pop("train"), content.pop("network_version"))

    def with_train(self, **changes: Any) -> RunSpec:
        """The same run trained otherwise: other values of `train`'s options."""
        train = TrainSettings.model_validate(self.train.model_dump() | changes)
        return self.model_copy(update={"train": train})

    def canonical_json(self) -> str:
        """The one spelling of what decides the weights: sorted keys, no spaces, shortest floats.

        What is measured isn't in it, nor where the user's files lie; the checksum of their data is.
        """
        content = self.model_dump(mode="json", exclude={"dataset": {"paths", "about"}, "evaluation": True})
        # The first engine's runs were named before there was a number for it.
        return json.dumps(
            without_neutral(content, {"engine": 1}), sort_keys=True, separators=(",", ":"), allow_nan=False
        )

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()

    @property
    def run_id(self) -> str:
        """Folder name: dataset, method, seed, and the first 8 digits of the digest."""
        return f"{self.dataset.name}-{self.method.name}-s{self.seed:03d}-{self.digest[:8]}"
