"""Everything about training that isn't the objective: one field an option, in studies, flags and run specs alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bench.neutral import Neutral, neutral_values, without_neutral
from bench.schema import StrictModel

#: Settings of the training that are about the machine and the record: no part of what a preset says of its training.
MACHINE = ("device", "precision", "threads", "log_every", "score_every")


class TrainSettings(StrictModel):
    """How a run is trained; equal for all methods unless a method's table differs.

    Attributes
    ----------
    network : str
        Architecture of encoder and decoder (`bench list networks`).
    latent_dim : int
        Number of latents K.
    init : {"he", "normal002", "torch"}
        Initialisation of the weights.
    batch_size : int
        Images per step.
    steps : int
        Steps of the optimiser.
    lr : float
        Learning rate of Adam for encoder and decoder.
    beta1, beta2 : float
        Adam's decay rates of the moments.
    eps : float
        Adam's epsilon.
    lr_schedule : {"constant", "one_cycle"}
        Schedule of the learning rate; see `bench.training.schedule.one_cycle`.
    average : float
        Share of the steps, the last ones, over which the weights are averaged; 0: the last weights are kept.
    log_every : int
        Steps from one row of the learning curves to the next; part of a run's identity.
    score_every : int
        Steps from one evaluation of the metrics during training to the next, 0: at the end only; part of a run's
        identity, since what isn't evaluated then can't be evaluated later.
    threads : int
        Threads of the process that trains.
    precision : {"float32", "tf32", "bfloat16"}
        Arithmetic of the networks' products; see `bench.nn.precision`.
    device : {"cpu", "cuda"}
        Where the run is trained.
    """

    network: str = "H"
    latent_dim: int = Field(default=10, ge=1, le=1000)
    init: Literal["he", "normal002", "torch"] = "he"
    batch_size: int = Field(default=64, ge=1)
    steps: int = Field(default=300_000, ge=0)
    lr: float = Field(default=1e-4, gt=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0)
    lr_schedule: Annotated[Literal["constant", "one_cycle"], Neutral] = "constant"
    average: Annotated[float, Field(ge=0, le=1), Neutral] = 0.0
    log_every: int = Field(default=100, ge=1)
    threads: int = Field(default=1, ge=1)
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    score_every: Annotated[int, Field(ge=0), Neutral] = 0

    @model_validator(mode="after")
    def _scored_where_logged(self) -> TrainSettings:
        if self.score_every % self.log_every:
            raise ValueError(f"score_every={self.score_every} must be a multiple of log_every={self.log_every}")
        return self

    @property
    def optimizer(self) -> dict[str, Any]:
        """What `bench.nn.adam.Adam` is given for encoder and decoder."""
        return {"lr": self.lr, "betas": (self.beta1, self.beta2), "eps": self.eps}


#: Where ``spec.json`` has an option that doesn't stand at its top under its own name. The layout is older than the
#: settings, and names runs.
PLACES = {
    "network": ("network", "name"),
    "latent_dim": ("network", "latent_dim"),
    "init": ("network", "init"),
    "lr": ("optimizer", "lr"),
    "beta1": ("optimizer", "beta1"),
    "beta2": ("optimizer", "beta2"),
    "eps": ("optimizer", "eps"),
    "lr_schedule": ("optimizer", "schedule"),
    "average": ("optimizer", "average"),
}
#: What the same layout has beside the options.
OPTIMIZER = "adam"
#: Options that the layout may leave out at their default though they are always written.
MAY_BE_MISSING = ("precision", "device")


def to_layout(train: Mapping[str, Any], network_version: int) -> dict[str, Any]:
    """Options as ``spec.json`` has them: some nested, neutral ones left out."""
    content: dict[str, Any] = {"network": {"version": network_version}, "optimizer": {"name": OPTIMIZER}}
    for name, value in without_neutral(train, neutral_values(TrainSettings)).items():
        *table, key = PLACES.get(name, (name,))
        (content[table[0]] if table else content)[key] = value
    return content


def from_layout(content: Mapping[str, Any]) -> dict[str, Any]:
    """Undo `to_layout`: ``{"train": ..., "network_version": ...}`` and what else is in the content.

    Raises
    ------
    ValueError
        If an option that isn't neutral is missing, or something is there that is none.
    """
    if "network_version" in content:
        raise ValueError("unknown key 'network_version'")
    for part in ("network", "optimizer"):
        if not isinstance(content.get(part), dict):
            raise ValueError(f"{part} should be an object")
    rest = {key: dict(value) if key in ("network", "optimizer") else value for key, value in content.items()}
    neutral = neutral_values(TrainSettings)
    train = {}
    for name in TrainSettings.model_fields:
        *table, key = PLACES.get(name, (name,))
        holder = rest[table[0]] if table else rest
        if key in holder:
            train[name] = holder.pop(key)
        elif name not in neutral and name not in MAY_BE_MISSING:
            raise ValueError(f"lacks {'.'.join([*table, key])}")
    version, optimizer = rest["network"].pop("version", None), rest["optimizer"].pop("name", None)
    if optimizer != OPTIMIZER:
        raise ValueError(f"optimizer.name={optimizer!r}: it is {OPTIMIZER!r}")
    if left := [f"{table}.{key}" for table in ("network", "optimizer") for key in rest.pop(table)]:
        raise ValueError(f"unknown key '{left[0]}'")
    return rest | {"train": train, "network_version": version}
