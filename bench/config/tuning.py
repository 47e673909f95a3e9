"""Settings that are tried of each method: its own, and as many draws for every method.

The draws are a scrambled Sobol sequence, so that a few points cover a method's ranges evenly, and the same number of
them is the same search for every method. A sequence of its own for each method, named by `bench.seeds`: neither another
method nor the number of draws moves a point, so that more draws go on where fewer stopped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field
from scipy.stats import qmc

from bench.errors import BenchError, did_you_mean
from bench.formatting import ranges
from bench.metrics.measure import find_metric
from bench.registry import METHODS, METRICS
from bench.schema import StrictModel
from bench.seeds import stream
from bench.selectors import Selection
from bench.spec import RunSpec
from bench.tunable import Range

#: Tuning seeds begin here, and nothing that is judged has seeds so high: a setting that was chosen on some seeds looks
#: too good on them.
FIRST_SEED = 1_000
#: Points in a row that a method may refuse, as it may some combinations, before its ranges count as wrong.
MISSES = 64

Table = dict[str, Any]
#: Rules that need no factors.
UNSUPERVISED = ("udr", "elbo")
#: What a bound is compared with.
RECONSTRUCTION = "reconstruction_bce"


class TuningSettings(StrictModel):
    """How a study tunes; a study with this table is a tuning study.

    Attributes
    ----------
    draws : int
        Settings drawn of each method that has hyper-parameters worth tuning, beside its own one.
    rule : str
        How the winner is chosen: by a score, by "udr" or by "elbo".
    bound : str
        Largest mean reconstruction a winner may have: "8.5" (nats), "50%" (a quantile over all settings of all
        methods), "2x" (times the least), "none". Empty: "50%" for a score, "none" for other rules.
    trials : dict of str to list of dict
        For the record: every setting tried of each method, resolved, its own one first.
    """

    draws: int = Field(default=16, ge=1)
    rule: str = "mig"
    bound: str = ""
    trials: dict[str, list[dict[str, bool | int | float | str]]] = Field(default={})


@dataclass(frozen=True)
class Bound:
    """A bound as it was asked for: what it is in nats depends on the runs, unless it is in nats already."""

    kind: Literal["none", "nats", "quantile", "multiple"]
    value: float = math.inf


def bound_text(tuning: TuningSettings) -> str:
    """A study's bound as it was asked for, or what it is by default."""
    return tuning.bound.strip() or ("none" if tuning.rule in UNSUPERVISED else "50%")


def bound_asked(tuning: TuningSettings) -> Bound:
    """Read a study's bound.

    Raises
    ------
    BenchError
        If it is none of the four.
    """
    text = bound_text(tuning)
    number = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([%x]?)", text)
    if text == "none":
        return Bound("none")
    if number is None:
        raise BenchError(f"--bound {text}: write nats (8.5), a quantile (50%), times the least (2x), or none")
    value, unit = float(number[1]), number[2]
    if unit == "%":
        if not 0 < value <= 100:
            raise BenchError(f"--bound {text}: a quantile lies above 0 % and is at most 100 %")
        return Bound("quantile", value / 100)
    if unit == "x":
        if value < 1:
            raise BenchError(f"--bound {text}: nothing reconstructs better than the least; write 1x or more")
        return Bound("multiple", value)
    return Bound("nats", value)


def check_tuning(tuning: TuningSettings, seeds: Sequence[int], metrics: Iterable[str]) -> None:
    """Refuse a tuning study whose seeds could be judged on, or whose rule needs metrics that aren't evaluated.

    Raises
    ------
    BenchError
        In one line.
    """
    if low := [seed for seed in seeds if seed < FIRST_SEED]:
        raise BenchError(
            f"seeds {ranges(low)}: tuning seeds begin at {FIRST_SEED}, so that settings are never judged on seeds they "
            "were chosen on"
        )
    columns = {column for name in metrics for column in find_metric(name).columns.values()}
    bound = bound_asked(tuning)
    if bound.kind != "none" and RECONSTRUCTION not in columns:
        raise BenchError("--bound needs the metric 'reconstruction'; add --metric reconstruction, or --bound none")
    if tuning.rule in UNSUPERVISED:
        return
    if tuning.rule in columns:
        if higher_is_better(tuning.rule) is None:
            raise BenchError(f"--rule {tuning.rule}: neither direction of this score is better")
        return
    if by := [entry.name for entry in METRICS if tuning.rule in entry.info.scores]:
        raise BenchError(f"--rule {tuning.rule} isn't among the study's metrics: add --metric {by[0]}")
    known = [*UNSUPERVISED, *sorted(columns)]
    raise BenchError(f"--rule {tuning.rule}{did_you_mean(tuning.rule, known)}; it is one of: {', '.join(known)}")


def higher_is_better(score: str) -> bool | None:
    """Direction of a score; None where neither is better, or of a score that no metric registers."""
    base = score.partition("[")[0]
    scores = [entry.info.scores[base] for entry in METRICS if base in entry.info.scores]
    return scores[0].higher_is_better if scores else None


def tried(
    tuning: TuningSettings,
    chosen: Sequence[Selection],
    fits: Callable[[str, Table], bool],
) -> Iterator[tuple[str, Table]]:
    """Methods with the values of every setting that is tried, a method's own one first.

    Parameters
    ----------
    tuning : TuningSettings
    chosen : sequence of Selection
        Methods. A value in brackets fixes a hyper-parameter, which then isn't drawn.
    fits : callable
        Whether a method can be run with these values beside those that the study has for it.

    Raises
    ------
    BenchError
        A method that is chosen twice or with several values, or of whose points too few can be run.
    """
    seen: dict[str, None] = {}
    for selection in chosen:
        if several := [key for key, values in selection.values.items() if len(values) > 1]:
            raise BenchError(
                f"'{selection.name}[{several[0]}=...]' has several values: tuning draws them; give one, which is then "
                "fixed, or leave it out"
            )
        fixed = {key: values[0] for key, values in selection.values.items()}
        for name in METHODS.match(selection.name):
            if name in seen:
                raise BenchError(f"method '{name}' is chosen twice: every method is tuned once, at the same budget")
            seen[name] = None
            yield name, fixed
            open_ = {key: each for key, each in METHODS.get(name).info.tuning.items() if key not in fixed}
            if open_:
                yield from _drawn(tuning, name, fixed, open_, fits)


def _drawn(
    tuning: TuningSettings,
    name: str,
    fixed: Table,
    open_: Mapping[str, Range],
    fits: Callable[[str, Table], bool],
) -> Iterator[tuple[str, Table]]:
    """The first points of a method's sequence that can be run."""
    found = misses = 0
    for values in points(name, open_):
        if fits(name, fixed | values):
            yield name, fixed | values
            found, misses = found + 1, 0
        elif (misses := misses + 1) >= MISSES:
            raise BenchError(
                f"method '{name}': {found} of {tuning.draws} draws can be run: it refuses too many settings within its "
                "tuning ranges"
            )
        if found == tuning.draws:
            return


def points(name: str, open_: Mapping[str, Range]) -> Iterator[Table]:
    """Points of a method's Sobol sequence as values of its hyper-parameters, without end.

    It is scrambled from the stream ``tuning:<method>`` of seed 0.
    """
    sampler = qmc.Sobol(len(open_), scramble=True, seed=stream(0, f"tuning:{name}"))
    while True:
        # One point at a time is the same sequence as many at once, and no power of two is asked for.
        (row,) = sampler.random(1)
        yield {key: each.at(float(share)) for (key, each), share in zip(open_.items(), row, strict=True)}


def trials_of(specs: Sequence[RunSpec], methods: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Every setting of these methods among the runs of a tuning study, in the order in which they are tried."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in methods}
    for spec in specs:
        settings = found.get(spec.method.name)
        if settings is not None and spec.method.hyper not in settings:
            settings.append(dict(spec.method.hyper))
    return found
