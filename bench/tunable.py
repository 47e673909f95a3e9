"""Ranges of hyper-parameters that are worth tuning, as a method's file declares them.

A range turns a number in [0, 1) into a value: that is all a sampler needs. Values are rounded to `DIGITS` significant
digits, so that a setting can be read, written into a file and found again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

from bench.errors import BenchError, did_you_mean
from bench.shares import Until, declared_shares

#: Significant digits of a value that is drawn.
DIGITS = 4

Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class _Real:
    low: float
    high: float
    scale: ClassVar[Scale]

    def at(self, share: float) -> float:
        """The value at a share, in [0, 1), of the way from `low` to `high`."""
        return _rounded(_between(self, share))


class Linear(_Real):
    """Real numbers from `low` to `high`, evenly."""

    scale = "linear"


class Log(_Real):
    """Real numbers above 0 from `low` to `high`, evenly on a logarithmic scale."""

    scale = "log"


@dataclass(frozen=True)
class Integer:
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int
    scale: Scale = "linear"

    def at(self, share: float) -> int:
        """The value at a share, in [0, 1), of the way from `low` to `high`; at the linear scale all are as likely."""
        if self.scale == "log":
            return round(_between(self, share))
        return min(self.low + math.floor(share * (self.high - self.low + 1)), self.high)


@dataclass(frozen=True)
class Percent:
    """Per cent of what the hyper-parameter's field says (`bench.shares`): of the plain VAE's KL, or of the steps."""

    low: float
    high: float
    scale: Scale = "linear"

    def at(self, share: float) -> str:
        """The value as a study file writes it, such as ``"63.2%"``."""
        return f"{_rounded(_between(self, share)):g}%"


@dataclass(frozen=True)
class Choice:
    """One of several values, each as likely."""

    values: tuple[bool | int | float | str, ...]

    def at(self, share: float) -> bool | int | float | str:
        """The value in whose part of [0, 1) the share lies."""
        return self.values[min(math.floor(share * len(self.values)), len(self.values) - 1)]


Range: TypeAlias = Linear | Log | Integer | Percent | Choice


def check_ranges(where: str, hyper: type, ranges: Mapping[str, Range]) -> None:
    """Hold a method's ranges against its hyper-parameters.

    Parameters
    ----------
    where : str
        For the message: ``"method 'beta_vae'"``.
    hyper : type
        Frozen dataclass of the method's hyper-parameters, with their constraints.
    ranges : mapping of str to Range
        What is declared.

    Raises
    ------
    BenchError
        In one line: a name that isn't a hyper-parameter's, something that isn't a range, a low end that isn't below the
        high one, or an end that the hyper-parameter's own constraints refuse beside the defaults of the others.
    """
    defaults = {item.name: item.default for item in fields(hyper) if item.default is not MISSING}
    known = [item.name for item in fields(hyper)]
    adapter: TypeAdapter[Any] | None = None
    for key, chosen in ranges.items():
        about = f"{where}: tuning range of '{key}'"
        if key not in known:
            hint = did_you_mean(key, known)
            raise BenchError(f"{about}: there is no such hyper-parameter{hint}; it has: {', '.join(known) or 'none'}")
        if not isinstance(chosen, Linear | Log | Integer | Percent | Choice):
            raise BenchError(f"{about}: {chosen!r} is no range; write Linear, Log, Integer, Percent or Choice")
        if (wrong := _fault(chosen)) is not None:
            raise BenchError(f"{about}: {chosen!r}: {wrong}")
        if isinstance(chosen, Percent):
            _check_share(about, hyper, key)
        adapter = adapter or TypeAdapter(hyper)
        # What a share stands for is known with the data and the training only; the study that draws it says so.
        for end in () if isinstance(chosen, Percent) else ends(chosen):
            try:
                adapter.validate_python(defaults | {key: end})
            except ValidationError as error:
                reason = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise BenchError(f"{about}: {key}={end!r}: {reason}") from None


def ends(chosen: Range) -> tuple[Any, ...]:
    """Lowest and highest value of a range, or all values of a choice."""
    return chosen.values if isinstance(chosen, Choice) else (chosen.low, chosen.high)


def in_words(chosen: Range) -> str:
    """A range as documentation writes it: ``"1 to 16, log"``, ``"20 % to 110 %"``."""
    if isinstance(chosen, Choice):
        return " or ".join(map(str, chosen.values))
    unit = " %" if isinstance(chosen, Percent) else ""
    return f"{chosen.low:g}{unit} to {chosen.high:g}{unit}" + (", log" if chosen.scale == "log" else "")


def _check_share(about: str, hyper: type, key: str) -> None:
    declared = declared_shares(hyper).get(key)
    if declared is None or isinstance(declared, Until):
        raise BenchError(f"{about}: it can't be a share: write Linear or Log, or say in its field what a share is of")


def _fault(chosen: Range) -> str | None:
    if isinstance(chosen, Choice):
        return None if len(set(chosen.values)) > 1 else "a choice needs at least two values"
    if chosen.scale not in ("linear", "log"):
        return f"scale must be 'linear' or 'log', not {chosen.scale!r}"
    if isinstance(chosen, Integer) and not all(float(end).is_integer() for end in (chosen.low, chosen.high)):
        return "the ends must be whole numbers"
    if not (math.isfinite(chosen.low) and math.isfinite(chosen.high) and chosen.low < chosen.high):
        return "low must lie below high"
    if chosen.scale == "log" and chosen.low <= 0:
        return "on a logarithmic scale low must be above 0"
    return None


def _between(chosen: _Real | Integer | Percent, share: float) -> float:
    if chosen.scale == "log":
        return float(chosen.low * (chosen.high / chosen.low) ** share)
    return float(chosen.low + share * (chosen.high - chosen.low))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
