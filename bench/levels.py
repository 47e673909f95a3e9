"""Levels of a factor: which of its classes a grid of images uses, in the ways that a user may write it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Annotated

from pydantic import SkipValidation

#: What a user may write for a factor's levels. `chosen_classes` checks it: a union's messages don't read well.
Levels = Annotated[int | str | list[int] | tuple[int, ...], SkipValidation]


def chosen_classes(name: str, value: Levels, total: int) -> tuple[int, ...]:
    """Classes of a factor that `value` chooses.

    Parameters
    ----------
    name : str
        The factor, for the message.
    value : int, str or sequence of int
        ``"all"``; an integer n for n levels spread evenly, classes ``floor(i total / n)``; a slice
        ``"start:stop:step"`` of the classes; or class numbers, as a sequence or ``"0,4,8"``.
    total : int
        Number of classes that the factor has.

    Returns
    -------
    tuple of int
        Ascending, each in ``[0, total)``.

    Raises
    ------
    ValueError
        In one line: unreadable, empty, out of range, or a class named twice.

    Examples
    --------
    >>> chosen_classes("scale", "0:6:2", 6), chosen_classes("scale", 2, 6), chosen_classes("scale", "4,1", 6)
    ((0, 2, 4), (0, 3), (1, 4))
    """
    shown = f"{name}={','.join(map(str, value)) if isinstance(value, list | tuple) else value}"
    try:
        chosen = _classes(value, total)
    except (TypeError, ValueError):
        forms = '"all", a number of levels, a slice such as 0:32:2, or classes such as 0,4,8'
        raise ValueError(f"{shown}: needs {forms}") from None
    if not 1 <= len(chosen) <= total:
        raise ValueError(f"{shown}: needs 1 to {total} levels")
    if min(chosen) < 0 or max(chosen) >= total:
        raise ValueError(f"{shown}: the classes go from 0 to {total - 1}")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"{shown}: names a class twice")
    return tuple(sorted(chosen))


def _classes(value: Levels, total: int) -> Sequence[int]:
    if isinstance(value, str):
        if value.strip() == "all":
            return range(total)
        if ":" in value:
            # Not `slice`, which would cut what lies beyond the last class off without a word.
            text = value if value.count(":") > 1 else f"{value}:"
            start, stop, step = [part.strip() for part in text.split(":")]
            return range(int(start or 0), int(stop or total), int(step or 1))
        if "," in value:
            return [int(part) for part in value.split(",") if part.strip()]
        return _spread(int(value), total)
    if isinstance(value, list | tuple):
        return [operator.index(part) for part in value]
    if isinstance(value, bool):
        raise TypeError
    return _spread(operator.index(value), total)


def _spread(count: int, total: int) -> Sequence[int]:
    return [i * total // count for i in range(count)] if 1 <= count <= total else []
