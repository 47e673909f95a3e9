"""The little language of the command line: ``beta_vae[beta=1,4,16]``, seeds, values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from bench.errors import BenchError


@dataclass(frozen=True)
class Selection:
    """A name, glob or group with a grid of values.

    Attributes
    ----------
    name : str
    values : dict of str to list
        Each key's values; the selection stands for their product.
    """

    name: str
    values: dict[str, list[Any]] = field(default_factory=dict)


def split_list(text: str) -> list[str]:
    """Split at commas that stand outside brackets: ``"vae,beta_vae[beta=1,4]"`` gives two items."""
    return [part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip()]


def parse_selection(text: str) -> Selection:
    """Parse ``name`` or ``name[key=v1,v2,key2=v]``.

    Raises
    ------
    BenchError
        If brackets don't close or a value has no key.
    """
    match = re.fullmatch(r"([^\[\]]+)(?:\[([^\[\]]*)\])?", text.strip())
    if match is None:
        raise BenchError(f"'{text}' isn't a selection; write it as name or name[key=value,...]")
    values: dict[str, list[Any]] = {}
    key = ""
    for token in (match[2] or "").split(","):
        if not token.strip():
            continue
        head, equals, tail = token.partition("=")
        if equals:
            key = head.strip()
            if not key or key in values:
                raise BenchError(f"'{text}': {'a value without a key' if not key else f'{key!r} is given twice'}")
            values[key] = []
        elif not key:
            raise BenchError(f"'{text}': '{token.strip()}' has no key; write it as name[key=value,...]")
        values[key].append(parse_value((tail if equals else token).strip()))
    return Selection(match[1].strip(), values)


def parse_value(text: str) -> bool | int | float | str:
    """Boolean, integer, float, or else the text itself (quotes are dropped)."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip("\"'")


def parse_seeds(text: str) -> list[int]:
    """Seeds: ``10`` means 0 to 9, ``0-4`` a range with both ends, ``3,7`` a list (ranges allowed in it).

    Raises
    ------
    BenchError
        If it is none of these, or there is no seed in it.
    """
    help_ = "write a count (10), a range (0-4) or a list (3,7)"
    if re.fullmatch(r"\d+", text.strip()):
        if int(text) == 0:
            raise BenchError(f"--seeds {text}: at least one seed is needed; {help_}")
        return list(range(int(text)))
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None or (match[2] and int(match[2]) < int(match[1])):
            if part.strip() or text.strip() in ("", ","):
                raise BenchError(f"--seeds {text}: '{part.strip()}' isn't a seed; {help_}")
            continue
        seeds += range(int(match[1]), int(match[2] or match[1]) + 1)
    if not seeds:
        raise BenchError(f"--seeds {text}: no seed in it; {help_}")
    return sorted(set(seeds))
