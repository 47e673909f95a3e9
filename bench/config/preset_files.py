"""Which presets there are: a file each in ``presets/``, which says itself how near it is to a paper's setting."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.files import read_toml

PRESETS = Path(__file__).parent / "presets"
#: What a preset's file says about it beside a study's fields; a preset without a rank has 0.
ABOUT = ("rank", "data_notice", "train_notice")


def presets() -> list[str]:
    """Names of the presets."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def read_preset(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A preset's fields of a study, and what its file says about it."""
    content = read_toml(PRESETS / f"{name}.toml", where=f"preset '{name}'")
    about = {key: content.pop(key) for key in ABOUT if key in content}
    return content, about


@functools.cache
def rank(name: str) -> int:
    """How near a preset is to a paper's setting.

    0 for one at which scores mean nothing, 1 for a small part of the data, 2 for all of it made smaller, 3 for shared
    hyper-parameters at full size, 4 for published ones. A claim counts from the rank of its least preset up.

    Raises
    ------
    BenchError
        If the file's rank is no whole number from 0 up.
    """
    value = read_preset(name)[1].get("rank", 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BenchError(f"preset '{name}': rank is {value!r}, not a whole number from 0 up")
    return value


def by_rank() -> list[str]:
    """Names of the presets from the smallest up."""
    return sorted(presets(), key=lambda name: (rank(name), name))
