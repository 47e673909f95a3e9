"""Cases that take turns, and what is said of their times: medians, quartiles and ratios."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Case:
    """Something to time.

    Attributes
    ----------
    name : str
    call : callable
        Does the work once.
    work : float
        How many units of work one call does.
    unit : str
        What is counted, in the plural ("images"): reported as ``images/s``. ``"s"`` reports seconds per unit of
        work instead, so a call that does a hundredth of the work has ``work=0.01`` and is extrapolated.
    before : callable, optional
        Done before each call, untimed.
    """

    name: str
    call: Callable[[], object]
    work: float
    unit: str
    before: Callable[[], object] | None = None


@dataclass(frozen=True)
class Row:
    """One line of a section's table.

    Attributes
    ----------
    name : str
    value, low, high : float
        Median and quartiles over the repeats, in `unit`.
    unit : str
        ``"s"``, or something per second.
    ratio, ratio_low, ratio_high : float or None
        How many times as fast as `versus`, whatever the unit: above 1 is faster. Median and quartiles of the ratios
        within each repeat, which the drift of the machine hits less than the ratio of the medians.
    versus : str
        Name of the case that `ratio` compares with.
    note : str
    """

    name: str
    value: float
    unit: str
    low: float
    high: float
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    versus: str = ""
    note: str = ""


@dataclass(frozen=True)
class Section:
    """What one section measured; ``dataclasses.asdict`` gives JSON's types.

    Attributes
    ----------
    name, title : str
    rows : list of Row
    notes : list of str
        Sentences printed under the table.
    better : {"higher", "lower"}
        Which values are better. Ratios are always better when higher.
    threads : int
        Threads of torch and BLAS in the process that was timed.
    precision : str
        Of the arithmetic that was timed; empty where none was.
    """

    name: str
    title: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    better: Literal["higher", "lower"] = "higher"
    threads: int = 1
    precision: str = "float32"


def interleave(
    cases: Sequence[Case],
    *,
    repeats: int,
    warmup: int = 1,
    progress: Callable[[int, int], object] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time cases in turns.

    In every round each case is called once, in the given order in even rounds and backwards in odd ones: what slows
    the machine down for a while hits all cases alike, and none always follows the same neighbour.

    Parameters
    ----------
    cases : sequence of Case
        With different names.
    repeats : int
        Timed rounds, at least 1.
    warmup : int
        Rounds before them that aren't timed.
    progress : callable, optional
        Called with the number of finished rounds, warm-up included, and their total.
    clock : callable
        Seconds.

    Returns
    -------
    dict of str to list of float
        Name to the seconds of each timed call, in the order of the rounds.

    Raises
    ------
    ValueError
        If names repeat, or `repeats` is below 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    seconds: dict[str, list[float]] = {case.name: [] for case in cases}
    if len(seconds) < len(cases):
        raise ValueError(f"cases must have different names, got {', '.join(case.name for case in cases)}")
    for turn in range(warmup + repeats):
        for case in cases if turn % 2 == 0 else reversed(cases):
            if case.before is not None:
                case.before()
            started = clock()
            case.call()
            took = clock() - started
            if turn >= warmup:
                seconds[case.name].append(took)
        if progress is not None:
            progress(turn + 1, warmup + repeats)
    return seconds


def rows(cases: Sequence[Case], seconds: Mapping[str, Sequence[float]], *, versus: str | None = None) -> list[Row]:
    """Summarise what `interleave` measured.

    Parameters
    ----------
    cases : sequence of Case
    seconds : mapping of str to sequence of float
        Name to the seconds of each call, all from the same rounds.
    versus : str, optional
        Name of the case that the others are compared with.

    Returns
    -------
    list of Row
        In the order of `cases`.
    """
    speed = {case.name: case.work / np.asarray(seconds[case.name], dtype=np.float64) for case in cases}
    made = []
    for case in cases:
        own = speed[case.name]
        low, value, high = _quartiles(1 / own if case.unit == "s" else own)
        unit = "s" if case.unit == "s" else f"{case.unit}/s"
        if versus is None or case.name == versus:
            made.append(Row(case.name, value, unit, low, high))
        else:
            less, ratio, more = _quartiles(own / speed[versus])
            made.append(Row(case.name, value, unit, low, high, ratio, less, more, versus))
    return made


def _quartiles(values: np.ndarray) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)
