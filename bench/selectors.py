"""The little language of the command line: ``beta_vae[beta=1,4,16]``, ``npz[path="a,b.npz"]``, seeds, values."""

from __future__ import annotations

import re
from collections.abc import Iterator
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


#: Most seeds in one range.
MAX_SEEDS = 100_000
QUOTES = ("'", '"')
#: What a message about a selection that can't be read ends with.
QUOTING = """quote a value that holds , = [ or ]: name[key="a,b"]"""


def split_list(text: str) -> list[str]:
    """Split at commas that stand outside brackets and quotes: ``"vae,beta_vae[beta=1,4]"`` gives two items."""
    return [part.strip() for part in _split(text) if part.strip()]


def parse_selection(text: str) -> Selection:
    """Parse ``name`` or ``name[key=v1,v2,key2=v]``.

    A value in double or single quotes may hold anything but that quote; it is text, whatever it looks like.

    Raises
    ------
    BenchError
        If brackets or quotes don't close or a value has no key.
    """
    name, bracket, rest = (part.strip() for part in text.partition("["))
    if not name or "]" in name or (bracket and not _encloses(rest)):
        raise BenchError(f"'{text}' isn't a selection; write it as name or name[key=value,...], and {QUOTING}")
    values: dict[str, list[Any]] = {}
    key = ""
    for token in map(str.strip, _split(rest[:-1])):
        if not token:
            continue
        head, equals, tail = ("", "", "") if token[0] in QUOTES else token.partition("=")
        if equals:
            key = head.strip()
            if not key or key in values:
                what = "a value without a key" if not key else f"{key!r} is given twice"
                raise BenchError(f"'{text}': {what}; {QUOTING}")
            values[key] = []
        elif not key:
            raise BenchError(f"'{text}': '{token}' has no key; write it as name[key=value,...]")
        values[key].append(parse_value((tail if equals else token).strip()))
    return Selection(name, values)


def parse_value(text: str) -> bool | int | float | str:
    """Boolean, integer, float, or else the text itself; what stands in quotes is text without them."""
    if len(text) > 1 and text[0] in QUOTES and text[0] == text[-1]:
        return text[1:-1]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _scan(text: str) -> Iterator[tuple[str, int, bool]]:
    """Characters, each with how deep in brackets it stands, itself included, and whether in quotes.

    A quote opens where a value begins only, so that names may hold apostrophes.
    """
    depth, quote, begins = 0, "", True
    for char in text:
        if quote:
            yield char, depth, True
            quote = "" if char == quote else quote
            continue
        depth += (char == "[") - (char == "]")
        quote = char if begins and char in QUOTES else ""
        yield char, depth, bool(quote)
        begins = char in "=,[" or (begins and char.isspace())
    if quote:
        # Nothing closes it: what follows was never meant to be in quotes.
        raise BenchError(f"a quote in {text} isn't closed; {QUOTING}")


def _split(text: str) -> list[str]:
    parts = [""]
    for char, depth, quoted in _scan(text):
        if char == "," and depth <= 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _encloses(rest: str) -> bool:
    """Whether what follows an opening bracket has one closing bracket outside quotes, at its end, and no other."""
    found = [(char, place) for place, (char, _, quoted) in enumerate(_scan(rest)) if char in "[]" and not quoted]
    return found == [("]", len(rest) - 1)]


def _few(seeds: range, text: str) -> range:
    """The seeds, if they fit into a study: one of a million runs per method takes a disk and days to be planned."""
    if seeds.stop - seeds.start > MAX_SEEDS:
        raise BenchError(f"--seeds {text}: {seeds.stop - seeds.start:,} seeds; at most {MAX_SEEDS:,} are taken")
    return seeds


def parse_seeds(text: str) -> list[int]:
    """Seeds: ``10`` means 0 to 9, ``0-4`` a range with both ends, ``3,7`` a list (ranges allowed in it).

    Raises
    ------
    BenchError
        If it is none of these, or there is no seed in it.
    """
    help_ = "write a count (10), a range (0-4) or a list (3,7)"
    if re.search(rf"\d{{{len(str(MAX_SEEDS)) + 12}}}", text):
        raise BenchError(f"--seeds: a number of so many digits is no seed; {help_}")
    if re.fullmatch(r"\d+", text.strip()):
        if int(text) == 0:
            raise BenchError(f"--seeds {text}: at least one seed is needed; {help_}")
        return list(_few(range(int(text)), text))
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None or (match[2] and int(match[2]) < int(match[1])):
            if part.strip() or text.strip() in ("", ","):
                raise BenchError(f"--seeds {text}: '{part.strip()}' isn't a seed; {help_}")
            continue
        seeds += _few(range(int(match[1]), int(match[2] or match[1]) + 1), text)
    if not seeds:
        raise BenchError(f"--seeds {text}: no seed in it; {help_}")
    return sorted(set(seeds))
