"""Who chose a study's hyper-parameters and training settings: the option ``--hyper``, and how it is stored.

In study files the key is ``hyper``. Its former name was ``terms``, with the values "equal" and "as_published"; stored
``study.toml`` files keep that spelling, so that every version of Disbench reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from bench.errors import BenchError

#: shared: one setting for all methods; published: each method's own, from its authors' code; tuned: `bench tune`'s.
HyperChoice = Literal["shared", "published", "tuned"]
#: The stored key, and stored values where they differ.
STORED_KEY = "terms"
STORED = {"shared": "equal", "published": "as_published"}
_CURRENT = {stored: current for current, stored in STORED.items()}


def current_spelling(table: Mapping[str, Any], where: str = "a study") -> dict[str, Any]:
    """A table of a study with ``hyper`` where it has ``terms``, and today's names of the values.

    Raises
    ------
    BenchError
        If the table has both keys.

    Examples
    --------
    >>> current_spelling({"preset": "quick", "terms": "as_published"})
    {'preset': 'quick', 'hyper': 'published'}
    """
    if STORED_KEY in table and "hyper" in table:
        raise BenchError(f"{where} sets both hyper and {STORED_KEY}, its former name; keep hyper")
    renamed = {"hyper" if key == STORED_KEY else key: value for key, value in table.items()}
    if isinstance(value := renamed.get("hyper"), str):
        renamed["hyper"] = _CURRENT.get(value, value)
    return renamed


def stored_spelling(table: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `current_spelling`, for ``study.toml``."""
    return {
        STORED_KEY if key == "hyper" else key: STORED.get(value, value) if key == "hyper" else value
        for key, value in table.items()
    }


def hyper_choice(stored: Mapping[str, Any]) -> str:
    """The choice that a stored study made, from its ``study.toml``; "shared" if it says nothing."""
    return str(current_spelling(stored).get("hyper") or "shared")
