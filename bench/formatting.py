"""Numbers in words, for the console and for reports."""

from __future__ import annotations

from collections.abc import Sequence


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
