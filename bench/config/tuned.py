"""What tuning found, as the file `tuned.toml` holds it: settings by method, and all that they depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from bench.errors import BenchError
from bench.files import read_toml
from bench.formatting import ranges
from bench.neutral import neutral_values
from bench.registry import METHODS
from bench.schema import StrictModel
from bench.train_settings import MACHINE, TrainSettings


class Winner(StrictModel):
    """The setting that a rule chose of one method.

    Attributes
    ----------
    version : int
        Of the method.
    setting : str
        Which of the settings tried it is: "default", or "draw 7".
    tried : int
        Settings tried, the default included.
    meets_bound : bool
        False where no setting reconstructs as well as the bound asks for; this is then the one that comes nearest.
    value, low, high : float
        What the rule compares, mean over the tuning seeds, with its 95 % interval where there are enough of them. It is
        the best of several, hence too good: fresh seeds say what the setting is worth.
    reconstruction : float
        Nats, mean over the tuning seeds.
    hyper : dict
        Every hyper-parameter, as numbers.
    """

    version: int
    setting: str
    tried: int = Field(ge=1)
    meets_bound: bool = True
    value: float
    low: float | None = None
    high: float | None = None
    reconstruction: float | None = None
    hyper: dict[str, bool | int | float | str] = Field(default={})


class Data(StrictModel):
    """The data set that was tuned on."""

    name: str
    version: int
    sha256: str


class Winners(StrictModel):
    """The file `tuned.toml`.

    Attributes
    ----------
    study, preset : str
        Where it comes from.
    rule : str
        A score, "udr" or "elbo".
    bound : float
        Largest mean reconstruction, nats; absent without one.
    bound_asked : str
        As it was asked for.
    draws : int
        Settings drawn of each method with hyper-parameters worth tuning.
    seeds : list of int
        Tuning seeds: nothing may be judged on them.
    data, train, versions
        What the settings were found on and with.
    method : dict of str to Winner
    """

    schema_version: Literal[1] = 1
    study: str
    preset: str
    rule: str
    bound: float | None = None
    bound_asked: str = ""
    draws: int = Field(ge=1)
    seeds: list[int] = Field(min_length=1)
    data: Data
    train: dict[str, Any]
    versions: dict[str, str] = Field(default={})
    method: dict[str, Winner]


def read_winners(file: Path) -> Winners:
    """Read `tuned.toml`.

    Raises
    ------
    BenchError
        No such file, or it isn't one that `bench tune` wrote.
    """
    where = f"tuned file '{file}'"
    try:
        return Winners.model_validate(read_toml(file, where=where, way_out="bench tune writes one"))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise BenchError(f"{where}: {field}: {first['msg']}; bench tune writes it anew") from None


def check_seeds(winners: Winners, seeds: Sequence[int]) -> None:
    """Refuse to judge settings on seeds that they were chosen on.

    Raises
    ------
    BenchError
        If some of the seeds are tuning seeds.
    """
    if both := sorted({*winners.seeds} & {*seeds}):
        raise BenchError(
            f"seeds {ranges(both)} were used for tuning: settings that were chosen on them look too good there; "
            f"take others than {ranges(winners.seeds)}"
        )


def tuned_hyper(winners: Winners, name: str) -> dict[str, Any]:
    """The tuned hyper-parameters of a method; none for a method that has nothing to tune.

    Raises
    ------
    BenchError
        If it has, but isn't in the file, or is there at another version.
    """
    entry = METHODS.get(name)
    found = winners.method.get(name)
    if found is None:
        if not entry.info.tuning:
            return {}
        raise BenchError(
            f"method '{name}' isn't in the tuned file (it has: {', '.join(winners.method) or 'none'}); tune it, too"
        )
    if found.version != entry.version:
        raise BenchError(
            f"method '{name}' was tuned at version {found.version} and is at {entry.version}: tune it again"
        )
    said = neutral_values(entry.value.Hyper) | found.hyper
    if missing := [item.name for item in fields(entry.value.Hyper) if item.name not in said]:
        raise BenchError(f"method '{name}': the tuned file doesn't say {missing[0]}; bench tune writes it anew")
    return dict(found.hyper)


def check_conditions(winners: Winners, sha256: str, train: TrainSettings) -> None:
    """Refuse to call settings tuned where they weren't.

    Raises
    ------
    BenchError
        If they were found on other data or with another training.
    """
    way_out = "tune here, or write them into a study file as settings of your own"
    if winners.data.sha256 != sha256:
        raise BenchError(f"the tuned settings were found on other data ({winners.data.name}): {way_out}")
    now = settings_that_matter(train)
    # Written by a version that didn't know them, it was found with what such settings do nothing at.
    was_then = neutral_values(TrainSettings) | winners.train
    if missing := [key for key in now if key not in was_then]:
        raise BenchError(f"the tuned file doesn't say train.{missing[0]}; bench tune writes it anew")
    if differing := [key for key in now if now[key] != was_then[key]]:
        was = ", ".join(f"{key}={was_then[key]}" for key in differing)
        raise BenchError(f"the tuned settings were found with {was}: {way_out}")


def settings_that_matter(train: TrainSettings) -> dict[str, Any]:
    """The part of the training's settings that a tuned setting belongs to."""
    return {key: value for key, value in train.model_dump(mode="json").items() if key not in MACHINE}
