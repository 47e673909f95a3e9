"""Hyper-parameters in shares: how they are written, and what a method's file says that a share is of.

``set_point = "80%"`` is 80 % of something that the field's metadata names::

    set_point: Annotated[float, Field(gt=0), OfPlainKL()] = 16.0
    set_point_every: Annotated[int, Field(ge=1), OfSteps()] = 5_000
    set_point_step: Annotated[float, Field(gt=0), Until("set_point_start", "set_point", "set_point_every")] = 0.15

Methods never see a share: `bench.config.shares` makes numbers of them before there is a run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, TypeAlias, get_type_hints

from bench.errors import BenchError

#: What is taken for a share where a number is expected, well formed or not.
LIKE_A_SHARE = re.compile(r"\s*(?:until\b.*|[^\s=;]*\s*%)\s*", re.DOTALL)
NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?")
#: Largest share, in per cent: more is a slip of the pen.
LARGEST = 1000


@dataclass(frozen=True)
class OfPlainKL:
    """``"N%"`` is a share of the KL of a plain VAE on the same data, network and training: nats, to 2 decimals."""

    meaning = "of the plain VAE's KL"
    form = "80%"


@dataclass(frozen=True)
class OfSteps:
    """``"N%"`` is a share of the training's steps: a whole number, at least 1."""

    meaning = "of train.steps"
    form = "1%"


@dataclass(frozen=True)
class Until:
    """``"until N%"`` is the height with which a staircase has its last step by N % of the training's steps.

    Attributes
    ----------
    start, stop, every : str
        The hyper-parameters that are the staircase's first and last value, and the steps of training between two rises.
    """

    start: str
    stop: str
    every: str

    meaning = "of train.steps"
    form = "until 60%"


ShareOf: TypeAlias = OfPlainKL | OfSteps | Until


@dataclass(frozen=True)
class Share:
    """A share as it was written: an exact number of per cent, after "until" or not."""

    per_cent: Fraction
    until: bool = False

    @property
    def of_one(self) -> Fraction:
        """1 for 100 %."""
        return self.per_cent / 100


def parse_share(text: str) -> Share:
    """Read ``"80%"`` or ``"until 60%"``.

    Raises
    ------
    ValueError
        In a few words, if it is neither, or not between 0 and 1000 %.

    Examples
    --------
    >>> parse_share("until 12.5%")
    Share(per_cent=Fraction(25, 2), until=True)
    """
    words = text.split()
    until = bool(words) and words[0] == "until"
    number, sign, rest = "".join(words[until:]).partition("%")
    if not sign or rest or not NUMBER.fullmatch(number.removeprefix("-")):
        raise ValueError("a share is written as 80%, or as until 60%")
    per_cent = Fraction(number)
    if not 0 <= per_cent <= LARGEST:
        raise ValueError(f"a share lies between 0% and {LARGEST}%")
    return Share(per_cent, until)


def shares_in(cls: type, values: Mapping[str, Any]) -> dict[str, str]:
    """Those of the values of a dataclass's fields that are written as shares, well formed or not.

    A field whose default is a text holds texts, whatever they look like.
    """
    texts = {item.name for item in fields(cls) if isinstance(item.default, str)}
    known = {item.name for item in fields(cls)} - texts
    return {
        key: value
        for key, value in values.items()
        if key in known and isinstance(value, str) and LIKE_A_SHARE.fullmatch(value)
    }


def declared_shares(cls: type) -> dict[str, ShareOf]:
    """What shares of a dataclass's fields are of, by field; fields that can't be shares aren't in it.

    Raises
    ------
    BenchError
        If the annotations can't be read: they name what their module doesn't have.
    """
    try:
        hints = get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise BenchError(f"annotations of {cls.__qualname__} can't be read ({error}): import it in its file") from error
    found: dict[str, ShareOf] = {}
    for name, hint in hints.items():
        for mark in getattr(hint, "__metadata__", ()):
            if isinstance(mark, OfPlainKL | OfSteps | Until):
                found[name] = mark
    return found
