"""Metrics as they are asked for, with options (``mig[n_bins=10]``), run on one table of codes. No torch here."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.errors import BenchError, did_you_mean
from bench.metric import MetricFunction, NotApplicableError, Score
from bench.registry import METRICS
from bench.seeds import stream
from bench.selectors import parse_selection

#: Why a metric that needs an input has no value where there is none.
REASONS = {
    "factors": "the dataset has no factors",
    "labels": "the dataset has no class labels",
    "logvar": "the codes carry no noise",
    "covariance": "the codes carry no noise",
    "sources": "the dataset's factors are classes",
    "true_mean": "the factors have no Gaussian posterior",
    "true_covariance": "the factors have no Gaussian posterior",
    "images": "there are no images",
    "decoded": "there is no decoder",
    "decoder_codes": "there is no decoder",
    "generated": "nothing was decoded from the prior",
    "train_codes": "no images are held out: the data set's option split does that",
    "train_logvar": "the codes carry no noise",
    "train_images": "there are no training images",
    "train_decoded": "there is no decoder",
}


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes
    ----------
    scores : dict of str to float
        Column to value.
    not_applicable : dict of str to str
        Metric or column to the reason why it has no value (no factors, too few rows): never 0 instead.
    details : dict of str to dict
        Metric to what it reports beside its score: version, ranges, sample sizes, values per factor, matrices,
        ``marks`` of scores that mustn't be read as they stand.
    """

    scores: dict[str, float]
    not_applicable: dict[str, str]
    details: dict[str, dict[str, Any]]

    @property
    def marks(self) -> dict[str, list[str]]:
        """Column to the footnotes it needs."""
        return marks_of(self.details)


def marks_of(details: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Column to footnotes, from the details of metrics as they are stored; those of old runs have none."""
    return {
        column + bracket + options: list(notes)
        for name, found in details.items()
        for _, bracket, options in [name.partition("[")]
        for column, notes in found.get("marks", {}).items()
    }


@dataclass(frozen=True)
class Metric:
    """A registered metric with the options it is called with.

    Attributes
    ----------
    name : str
        ``mig``, or ``mig[n_bins=10]`` with what isn't the default, keys in order: its name in specs and results.
    base : str
        The registered name.
    version : int
    function : callable
    inputs, optional : tuple of str
        See `bench.metric.register_metric`.
    options : dict
        What isn't the default.
    columns : dict of str to str
        Keys of the result that are scores, to the columns of the tables.
    """

    name: str
    base: str
    version: int
    function: MetricFunction
    inputs: tuple[str, ...]
    optional: tuple[str, ...]
    options: dict[str, Any]
    columns: dict[str, str]


def match_metrics(selection: str) -> list[str]:
    """Names of the metrics that ``all``, a glob, or a name with options stands for.

    Several values of an option stand for one metric each: ``mig[n_bins=10,20]``. An option that takes several numbers
    at once has them joined by a plus: ``mig_sampled[exclude=0+2]``.

    Raises
    ------
    BenchError
        Unknown metrics or options, and values that the metric refuses.
    """
    chosen = parse_selection(selection)
    names = METRICS.match(chosen.name)
    for option, values in chosen.values.items():
        names = [_with(name, option, value) for name in names for value in values]
    for name in names:
        metric = find_metric(name)
        if metric.options:
            _try(metric)
    return [find_metric(name).name for name in names]


def _signature(base: str) -> dict[str, Any]:
    """Options of a metric with their defaults."""
    parameters = inspect.signature(METRICS.get(base).value).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "rng"}


def find_metric(name: str) -> Metric:
    """Look a metric with its options up.

    Raises
    ------
    BenchError
        Unknown metric or option, or a value of another type than the default's.
    """
    chosen = parse_selection(name)
    entry, defaults = METRICS.get(chosen.name), _signature(chosen.name)
    options = {}
    for option, values in chosen.values.items():
        if option not in defaults:
            known = ", ".join(defaults) or "none"
            raise BenchError(
                f"metric '{chosen.name}': unknown option '{option}'{did_you_mean(option, defaults)}; it has: {known}"
            )
        if len(values) != 1:
            raise BenchError(f"metric '{name}': option '{option}' needs one value")
        value = _convert(values[0], defaults[option], f"metric '{chosen.name}': {option}={values[0]}")
        if value != defaults[option]:
            options[option] = value
    text = ",".join(f"{key}={_show(value)}" for key, value in sorted(options.items()))
    suffix = f"[{text}]" if text else ""
    return Metric(
        name=chosen.name + suffix,
        base=chosen.name,
        version=entry.version,
        function=entry.value,
        inputs=entry.info.inputs,
        optional=entry.info.optional,
        options=options,
        columns={column: column + suffix for column in entry.info.scores},
    )


def known_version(name: str) -> int | None:
    """Version of a metric with its options; None if nobody registers it (a plug-in that isn't loaded)."""
    try:
        return find_metric(name).version
    except BenchError:
        return None


def column_info(name: str) -> dict[str, Score]:
    """Columns of a metric to heading, range and direction; options are part of the heading."""
    metric = find_metric(name)
    values = _signature(metric.base) | metric.options
    out = {}
    for column, score in METRICS.get(metric.base).info.scores.items():
        others = [f"{k}={_show(v)}" for k, v in sorted(metric.options.items()) if f"{{{k}}}" not in score.label]
        label = score.label.format_map(values) + (f" ({', '.join(others)})" if others else "")
        out[metric.columns[column]] = replace(score, label=label)
    return out


def measure(
    inputs: Mapping[str, Any], metrics: Iterable[str], *, seed: int, reasons: Mapping[str, str] | None = None
) -> Evaluation:
    """Run metrics on one table of codes.

    Parameters
    ----------
    inputs : mapping of str to ndarray
        What there is; see `bench.metric.Input`.
    metrics : iterable of str
        Names, with options where wanted.
    seed : int
        Each metric draws from its own stream ``metric:<registered name>`` of it, whatever its options.
    reasons : mapping of str to str, optional
        Why an input is missing, where `REASONS` doesn't say it well.

    Raises
    ------
    ValueError
        What a metric finds wrong with its inputs (NaN codes). What it can't do with these (`NotApplicableError`,
        `BenchError`, too little memory) costs its own scores alone, and the reason is kept; any other error is a bug.
    """
    why = {**REASONS, **(reasons or {})}
    # A metric that writes to what it is given would change what the others see.
    inputs = {key: _read_only(value) for key, value in inputs.items()}
    scores: dict[str, float] = {}
    missing: dict[str, str] = {}
    details: dict[str, dict[str, Any]] = {}
    for metric in map(find_metric, metrics):
        lacking = [need for need in metric.inputs if need not in inputs]
        if lacking:
            missing[metric.name] = why[lacking[0]]
            continue
        extra = {key: inputs[key] for key in metric.optional if key in inputs}
        try:
            given = [inputs[need] for need in metric.inputs]
            result = metric.function(*given, **extra, **metric.options, rng=stream(seed, f"metric:{metric.base}"))
        except (NotApplicableError, BenchError) as error:
            missing[metric.name] = str(error)
            continue
        except MemoryError as error:
            missing[metric.name] = f"not enough memory: {str(error) or 'none left'}"
            continue
        without = next((why[key] for key in metric.optional if key not in inputs), None)
        for key, column in metric.columns.items():
            value = result.pop(key)
            if value is None or not math.isfinite(value):
                missing[column] = (without if value is None else None) or "undefined on these codes"
            else:
                scores[column] = float(value)
        details[metric.name] = result
    return Evaluation(scores, missing, details)


def _read_only(values: Any) -> Any:
    """The same array, which refuses to be written to."""
    if not isinstance(values, np.ndarray):
        return values
    view = values.view()
    view.flags.writeable = False
    return view


def _with(name: str, option: str, value: Any) -> str:
    head, bracket, rest = name.partition("[")
    return f"{head}[{option}={value}{',' + rest if bracket else ']'}"


def _try(metric: Metric) -> None:
    """Refuse values that the metric would refuse after hours of training: it is called on a few made-up codes."""
    rng = np.random.default_rng(0)
    factors = np.stack(np.unravel_index(np.arange(240) % 60, (3, 4, 5)), axis=1)
    images = rng.random((4, 1, 16, 16))
    tables = {
        "codes": factors[:, [0, 1, 2, 0]] + rng.normal(size=(240, 4)),
        "logvar": np.zeros((240, 4)),
        "factors": factors,
        "labels": factors[:, 0],
        "sources": factors.astype(np.float64),
        "covariance": np.broadcast_to(np.eye(4), (240, 4, 4)),
        "images": images,
        "decoded": images,
        "decoder_codes": rng.normal(size=(240, 4)),
        "generated": images,
        "train_codes": rng.normal(size=(240, 4)),
        "train_logvar": np.zeros((240, 4)),
        "train_images": images,
        "train_decoded": images,
    }
    try:
        metric.function(*(tables[need] for need in metric.inputs), **metric.options, rng=rng)
    except NotApplicableError:
        return
    except (ValueError, IndexError, TypeError) as error:
        raise BenchError(f"metric '{metric.name}': {error}") from None


def _convert(value: Any, default: Any, where: str) -> Any:
    """Give a value from the command line the type of the option's default."""
    if isinstance(default, tuple):
        parts = str(value).split("+")
        if not all(part.strip().isdigit() for part in parts):
            raise BenchError(f"{where}: whole numbers joined by '+' are needed")
        return tuple(map(int, parts))
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if default is not None and type(value) is not type(default):
        raise BenchError(f"{where}: a value like {_show(default)} is needed")
    return value


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return "+".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
