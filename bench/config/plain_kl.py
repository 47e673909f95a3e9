"""The KL of a plain VAE, of which set points are shares: what it depends on, and the table that comes with Disbench.

``plain_kl.toml`` holds what was measured for the presets; `bench.execution.calibration` measures what isn't in it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import tomli_w
from pydantic import Field, ValidationError, field_validator

from bench.config.study import one_line
from bench.errors import BenchError
from bench.files import read_toml, write_text
from bench.registry import METHODS
from bench.schema import StrictModel
from bench.spec import RunSpec
from bench.train_settings import MACHINE

TABLE = Path(__file__).parent / "plain_kl.toml"
HEADER = """\
# The KL of a plain VAE, nats: mean and standard deviation over seeds of what it ended with (`final.kl`), with all that
# decides its weights but for the seed. Set points in per cent are shares of it. Written by
# `python -m bench.execution.calibration`.
"""


#: The plain VAE's method, and what of a run's ``spec.json`` doesn't decide its weights, or only together with its seed.
PLAIN = "vae"
LEFT_OUT = ("schema_version", "seed", "evaluation", *MACHINE)
#: Fewer runs that ended well say too little of it.
LEAST_SEEDS = 3


class PlainKL(StrictModel):
    """How large a plain VAE's KL was.

    Attributes
    ----------
    kl, sd : float
        Mean and standard deviation over seeds, nats, rounded to 2 decimals.
    n_seeds : int
    measured, disbench : str
        Day of the first run, and the version that ran it; empty where that isn't known.
    training : dict
        `training_of` a run.
    """

    kl: float = Field(gt=0)
    sd: float = Field(ge=0)
    n_seeds: int = Field(ge=1)
    measured: str = ""
    disbench: str = ""
    training: dict[str, Any]

    @field_validator("training")
    @classmethod
    def _says_what_it_is_of(cls, training: dict[str, Any]) -> dict[str, Any]:
        data = training.get("dataset")
        if not isinstance(data, dict) or not isinstance(data.get("name"), str):
            raise ValueError("lacks the name of its dataset")
        if not isinstance(training.get("steps"), int):
            raise ValueError("lacks its steps")
        return training

    @property
    def key(self) -> str:
        """What tells trainings apart."""
        return _canonical(self.training)


#: Gives the KL of a plain VAE's run without regard to its seed, or None where it isn't known.
FindKL: TypeAlias = Callable[[RunSpec], PlainKL | None]


def training_of(spec: RunSpec) -> dict[str, Any]:
    """What decides a run's weights but for its seed and the machine, as its ``spec.json`` has it.

    The data's options are one text, as a study's file has no place for all that may be in them.
    """
    return _training(spec.model_dump(mode="json"))


def key_of(spec: RunSpec) -> str:
    """`PlainKL.key` of the KL that is wanted for a run of the plain VAE."""
    return _canonical(training_of(spec))


def key_of_plain(spec: Mapping[str, Any]) -> str:
    """`PlainKL.key` of the plain VAE on the data of any run, with its network and training.

    Parameters
    ----------
    spec : mapping
        The run's ``spec.json``.
    """
    plain = {"name": PLAIN, "version": METHODS.get(PLAIN).version, "hyper": {}}
    return _canonical(_training({**spec, "method": plain}))


def _training(spec: Mapping[str, Any]) -> dict[str, Any]:
    content = {key: value for key, value in spec.items() if key not in LEFT_OUT}
    data = {key: value for key, value in content["dataset"].items() if key not in ("paths", "about")}
    return content | {"dataset": data | {"options": _canonical(data.get("options", {}))}}


def read_plain_kls(items: Any, where: str) -> dict[str, PlainKL]:
    """Entries as they stand in a file, by key.

    Raises
    ------
    BenchError
        If something else stands there.
    """
    if not isinstance(items, list):
        raise BenchError(f"{where}: plain_kl isn't a list of tables")
    try:
        entries = [PlainKL.model_validate(item) for item in items]
    except ValidationError as error:
        raise BenchError(one_line(error, f"{where}: plain_kl")) from None
    return {entry.key: entry for entry in entries}


def packaged_kl(spec: RunSpec) -> PlainKL | None:
    """The KL of a plain VAE's run that the table of this version has."""
    return packaged_kls().get(key_of(spec))


def plain_kl_in_words(entries: Iterable[PlainKL]) -> str:
    """What shares are shares of: "the plain VAE's KL, 10.90 nats (10 seeds)"; of several, which is which."""
    entries = list(entries)
    parts = [f"{entry.kl:.2f} nats ({entry.n_seeds} seeds)" for entry in entries]
    if len(entries) > 1:
        parts = [
            f"{part} on {entry.training['dataset']['name']} in {entry.training['steps']:,} steps"
            for part, entry in zip(parts, entries, strict=True)
        ]
    return f"the plain VAE's KL, {'; '.join(parts)}"


def add_to_table(entries: list[PlainKL], table: Path = TABLE) -> None:
    """Write entries into the table, in the place of those of the same training."""
    known = read_plain_kls(read_toml(table).get("plain_kl", []), str(table)) if table.is_file() else {}
    known |= {entry.key: entry for entry in entries}
    ordered = sorted(known.values(), key=lambda entry: (entry.training["dataset"]["name"], entry.training["steps"]))
    content = {"plain_kl": [entry.model_dump(mode="json") for entry in ordered]}
    write_text(table, HEADER + "\n" + tomli_w.dumps(content))


@functools.cache
def packaged_kls() -> Mapping[str, PlainKL]:
    """The table of this version, by key."""
    return read_plain_kls(read_toml(TABLE).get("plain_kl", []), TABLE.name)


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
