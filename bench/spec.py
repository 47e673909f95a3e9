"""What a run is: the frozen, fully resolved `RunSpec`, its canonical JSON and its id."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

#: Layout of ``spec.json`` and ``result.json``; raised when a reader of older folders would go wrong.
SCHEMA_VERSION = 1
#: Raised when the training loop or its streams change scores; part of a run's identity.
ENGINE_VERSION = 1
#: Raised when the way codes are made or handed to the metrics changes scores.
PROTOCOL_VERSION = 1


class Model(BaseModel):
    """Frozen, typed, and strict about unknown keys and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MethodSpec(Model):
    """A method with every hyper-parameter."""

    name: str
    version: int
    hyper: dict[str, bool | int | float | str] = Field(default_factory=dict)


class DatasetSpec(Model):
    """A dataset with every option that isn't neutral (`bench.settings.neutral`) and the checksum of its data."""

    name: str
    version: int
    options: dict[str, Any] = Field(default_factory=dict)
    paths: dict[str, str] = Field(default_factory=dict)
    sha256: str

    @property
    def all_options(self) -> dict[str, Any]:
        """What the dataset is made from: `options` and the user's own files in `paths`."""
        return self.options | self.paths


class NetworkSpec(Model):
    """Architecture and initialisation."""

    name: str
    version: int
    latent_dim: int = Field(ge=1)
    init: Literal["he", "normal002", "torch"]


class OptimizerSpec(Model):
    """Adam's settings for encoder and decoder.

    Attributes
    ----------
    schedule : {"constant", "one_cycle"}
        Of the step size; see `bench.training.schedule.one_cycle`.
    average : float
        Share of the steps, the last ones, over which the weights are averaged; 0: the last weights stay.
    """

    name: Literal["adam"]
    lr: float = Field(gt=0)
    beta1: float = Field(ge=0, lt=1)
    beta2: float = Field(ge=0, lt=1)
    eps: float = Field(gt=0)
    schedule: Literal["constant", "one_cycle"] = "constant"
    average: float = Field(0.0, ge=0, le=1)

    @model_serializer(mode="wrap")
    def _without_neutral(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what does nothing, so that runs are named as they were before there was such a thing."""
        content: dict[str, Any] = handler(self)
        return {k: v for k, v in content.items() if (k, v) not in (("schedule", "constant"), ("average", 0.0))}


class EvaluationSpec(Model):
    """What is measured after training, and on how many images."""

    protocol: int = PROTOCOL_VERSION
    n_codes: int = Field(ge=2)
    n_images: int = Field(ge=1)
    metrics: dict[str, int]


class RunSpec(Model):
    """Everything that decides a run's numbers.

    A run's identity is its training: what is measured on it afterwards isn't part of the id, so that a new metric is
    measured on stored weights instead of training everything again. Versions keep scores apart: a change that alters
    them raises the integer version of the method, metric or protocol, and tables refuse to mix them. The commit is
    recorded beside the result, not hashed. How often the metrics are measured during training (`score_every` steps; 0:
    at the end only) is a part of it, as `log_every` is: what wasn't measured then can't be measured later.
    """

    schema_version: int = SCHEMA_VERSION
    engine: int = 1
    method: MethodSpec
    dataset: DatasetSpec
    network: NetworkSpec
    optimizer: OptimizerSpec
    batch_size: int = Field(ge=1)
    steps: int = Field(ge=0)
    seed: int = Field(ge=0)
    log_every: int = Field(ge=1)
    evaluation: EvaluationSpec
    threads: int = Field(ge=1)
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    score_every: Annotated[int, Field(ge=0)] = 0

    @model_serializer(mode="wrap")
    def _without_neutral(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what does nothing, as `OptimizerSpec` does."""
        content: dict[str, Any] = handler(self)
        return {key: value for key, value in content.items() if (key, value) != ("score_every", 0)}

    def canonical_json(self) -> str:
        """The one spelling of what decides the weights: sorted keys, no spaces, shortest floats.

        What is measured isn't in it, nor where the user's files lie; the checksum of their data is.
        """
        content = self.model_dump(mode="json", exclude={"dataset": {"paths"}, "evaluation": True})
        # The first engine's runs were named before there was a number for it.
        if content["engine"] == 1:
            del content["engine"]
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()

    @property
    def run_id(self) -> str:
        """Folder name: dataset, method, seed, and the first 8 digits of the digest."""
        return f"{self.dataset.name}-{self.method.name}-s{self.seed:03d}-{self.digest[:8]}"
