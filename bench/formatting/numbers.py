"""Numbers, intervals and headings in words, for the console and for reports."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: Stands behind a value that mustn't be read without its footnote.
DAGGER = "†"
#: Stands behind the name of a row that mustn't be read without its footnote.
DOUBLE_DAGGER = "‡"


def number(
    value: float | None,
    decimals: int,
    *,
    sign: bool = False,
    negative_zero: bool = False,
    missing: str = "n/a",
) -> str:
    """A number with a fixed count of decimals.

    Parameters
    ----------
    value : float or None
        None and NaN where there is none.
    decimals : int
        Digits after the point.
    sign : bool
        Whether numbers above zero have a plus, as differences do.
    negative_zero : bool
        Whether what rounds to zero from below is ``"-0.00"``, for where the side of zero decides; else ``"0.00"``.
    missing : str
        What stands for no number.
    """
    if value is None or math.isnan(value):
        return missing
    text = f"{value + 0.0:{'+' if sign else ''}.{decimals}f}"
    return text if negative_zero or float(text) else text.lstrip("+-")


def interval(
    low: float | None, high: float | None, decimals: int, *, sign: bool = False, negative_zero: bool = False
) -> str:
    """An interval as ``"[0.12, 0.34]"``, its bounds as `number` prints them; empty where there is none."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    bounds = (number(bound, decimals, sign=sign, negative_zero=negative_zero) for bound in (low, high))
    return f"[{', '.join(bounds)}]"


def decimals_for(size: float, digits: int, *, least: int = 0, most: int = 8) -> int:
    """Decimals with which a number of this size (above 0) has so many digits, within limits."""
    return min(max(digits - 1 - math.floor(math.log10(size)), least), most)


def heading(label: str, higher_is_better: bool | None) -> str:
    """What stands above a score's column: its label, and an arrow in the better direction where there is one."""
    return label + {True: " ↑", False: " ↓", None: ""}[higher_is_better]


def ranges(numbers: Sequence[int]) -> str:
    """Whole numbers as ranges: ``[0, 1, 2, 7]`` gives ``"0-2, 7"``."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def duration(seconds: float) -> str:
    """Seconds as people say them: ``"2 min 05 s"``."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f"{days} d {h} h"
    return f"{h} h {m:02d} min" if h else f"{m} min {s:02d} s" if m else f"{s} s"


def three_digits(value: float) -> str:
    """A number with three digits, or with all that stand before the point: ``"0.0123"``, ``"1,234"``."""
    if not 0 < abs(value) < float("inf"):
        return f"{value:g}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
