"""What a report says of tuning: the winners and what the search was worth; and, on fresh seeds, what tuning bought."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.config.tuned import Winners
from bench.formatting import csv_table, escape_name, interval, markdown_table, number, ranges, three_digits
from bench.registry import METHODS
from bench.results.labels import printed_name
from bench.results.study import Study
from bench.results.summary import score_info
from bench.stats import Interval
from bench.tunable import in_words as range_in_words
from bench.tuning import rules
from bench.tuning.effort import Effort, efforts
from bench.tuning.gain import ELBO, gains, winners_of
from bench.tuning.sensitivity import sensitivities
from bench.tuning.trials import Trials, is_tuning, read_trials

#: Files that a report of a tuning study has beside its tables.
TRIALS_CSV, BUDGET_CSV = "table_tuning.csv", "table_tuning_budget.csv"
TOO_GOOD = (
    "A winner's value is the best of several on the seeds that it was chosen on, hence too good: `bench run --tuned` "
    "runs the winners, and the defaults beside them, on fresh seeds. What k draws are expected to find is the mean "
    "over all sets of k; where not every set holds a setting that may be chosen, over those that do, with their share."
)


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes
    ----------
    heading : str
    blocks : list
        Texts in the Markdown of reports, and tables as headings and rows of plain texts.
    files : dict of str to str
        Name to content of the files that belong to it.
    """

    heading: str
    blocks: list[str | tuple[list[str], list[list[str]]]]
    files: dict[str, str] = field(default_factory=dict)

    def markdown(self) -> str:
        """The section as `report.md` has it."""
        parts = [f"## {self.heading}"]
        for block in self.blocks:
            if isinstance(block, str):
                parts.append(block)
            else:
                head, rows = block
                parts.append(markdown_table(head, [[escape_name(cell) for cell in row] for row in rows]))
        return "\n\n".join(parts)


def sections(study: Study) -> list[Section]:
    """What is to be said of tuning in a study: nothing in most."""
    found = [_of_search(study)] if is_tuning(study) else []
    winners = winners_of(study)
    return found + ([_of_gain(study, winners)] if winners is not None else [])


def _of_search(study: Study) -> Section:
    """The winners of a tuning study, the worth of the search, and the sensitivities."""
    trials = read_trials(study)
    bound, curves = rules.bound_of(trials), efforts(trials)
    rule = rules.in_words(trials.tuning, bound, trials.heading)
    seeds = f"tuning seeds {ranges(trials.seeds)}"
    said = f"Of {trials.tuning.draws} draws and the default of each method, at {seeds}: {rule}. {TOO_GOOD}"
    blocks: list[Any] = [said, _winners_table(trials, curves, bound)]
    if rows := [
        [
            printed_name(METHODS, each.method),
            each.key,
            _range(each.method, each.key),
            _rho(each.score),
            _rho(each.reconstruction),
            str(len(each.draws)),
        ]
        for each in sensitivities(trials)
    ]:
        blocks += [
            "Spearman's rank correlation of each hyper-parameter over the draws, with its 95 % interval; the others "
            "vary at the same time.",
            (["method", "hyper-parameter", "range", trials.heading, "reconstruction", "draws"], rows),
        ]
    blocks.append(f"Every setting as [CSV]({TRIALS_CSV}), the curves of the figure `budget` as [CSV]({BUDGET_CSV}).")
    files = {TRIALS_CSV: _trials_csv(trials, bound), BUDGET_CSV: _budget_csv(curves)}
    return Section("Tuning", blocks, files)


def _winners_table(trials: Trials, curves: dict[str, Effort], bound: float) -> tuple[list[str], list[list[str]]]:
    chosen = rules.choose(trials)
    shown = [k for k in (1, 4, 16, 64) if k <= max((curve.best.size for curve in curves.values()), default=0)]
    head = ["method", "default", "chosen", "setting", "hyper-parameters", "reconstruction"]
    head += [*(f"expected of {k}" for k in shown), "not to be chosen"]
    rows = []
    for method, settings in trials.methods.items():
        default, choice, curve = settings[0], chosen.get(method), curves.get(method)
        beyond = sum(not trial.failure and not rules.meets(trial, bound) for trial in settings)
        failed = sum(bool(trial.failure) for trial in settings)
        left = ", ".join(
            f"{count} {why}" for count, why in ((beyond, "beyond the bound"), (failed, "with failed runs")) if count
        )
        row = [printed_name(METHODS, method), _value(trials.sign * default.value)]
        if choice is None:
            row += ["–", "none ran well", "", ""]
        else:
            trial = choice.trial
            mark = "" if choice.meets_bound else " (beyond the bound)"
            row += [_value(trials.sign * trial.value), trial.setting + mark, _hyper(trial.hyper, settings[0].hyper)]
            row += [_nats(trial.distortion)]
        row += [_expected(curve, k) for k in shown]
        rows.append([*row, left or "none"])
    return head, rows


def _of_gain(study: Study, winners: Winners) -> Section:
    """Tuned against default on fresh seeds."""
    said = (
        f"Chosen by the rule {winners.rule} (bound {winners.bound_asked or 'none'}) of {winners.draws} draws and "
        f"the default, at tuning seeds {ranges(winners.seeds)}; compared here at other seeds, paired, with the 95 % "
        "interval of Student's t. A method whose default was chosen isn't listed."
    )
    rows = []
    for gain in gains(study):
        info = score_info(gain.score)
        found, digits = gain.found.difference, 3 if abs(gain.default) < 1 else 2
        difference = f"{number(found.estimate, digits, sign=True)} {interval(found.low, found.high, digits, sign=True)}"
        rows.append(
            [
                printed_name(METHODS, gain.method),
                "ELBO at the end of the training (nats)" if gain.score == ELBO else info.label,
                number(gain.default, digits),
                number(gain.tuned, digits),
                difference.strip(),
                str(gain.n),
            ]
        )
    head = ["method", "score", "default", "tuned", "tuned - default [95 %]", "seeds"]
    return Section("Tuned against default", [said, (head, rows)] if rows else [said])


def _trials_csv(trials: Trials, bound: float) -> str:
    chosen = rules.choose(trials)
    keys = list(dict.fromkeys(key for trial in trials.all for key in trial.hyper))
    head = ["method", "setting", "chosen", "meets_bound", "trouble", "n_seeds", "value", "sd", "reconstruction"]
    rows = []
    for trial in trials.all:
        choice = chosen.get(trial.method)
        sd = float(np.std(trial.values, ddof=1)) if not trial.failure and trial.values.size > 1 else None
        rows.append(
            [
                trial.method,
                trial.setting,
                choice is not None and choice.trial is trial,
                rules.meets(trial, bound),
                trial.failure,
                int(np.isfinite(trial.values).sum()),
                trials.sign * trial.value,
                sd,
                trial.distortion,
                *(trial.hyper.get(key) for key in keys),
            ]
        )
    return csv_table([*head, *(f"hyper.{key}" for key in keys)], rows)


def _budget_csv(curves: dict[str, Effort]) -> str:
    head = ["method", "draws", "expected_best", "low", "high", "share_with_one_within_bound"]
    rows = [
        [method, k + 1, *(float(each[k]) for each in (curve.best, curve.low, curve.high, curve.found))]
        for method, curve in curves.items()
        for k in range(curve.best.size)
    ]
    return csv_table(head, rows)


def _expected(curve: Effort | None, k: int) -> str:
    """What k draws are expected to find, and in how many sets of k there is anything to be found."""
    if curve is None or k > curve.best.size or math.isnan(curve.best[k - 1]):
        return "–"
    share = curve.found[k - 1]
    return number(float(curve.best[k - 1]), 3) + (f" (in {100 * share:.0f} %)" if share < 0.995 else "")


def _hyper(hyper: dict[str, Any], default: dict[str, Any]) -> str:
    """What a setting sets otherwise than the default."""
    changed = {key: value for key, value in hyper.items() if default.get(key) != value}
    return ", ".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in changed.items()
    )


def _range(method: str, key: str) -> str:
    ranges_ = METHODS.get(method).info.tuning if method in METHODS else {}
    return range_in_words(ranges_[key]) if key in ranges_ else ""


def _value(value: float) -> str:
    return "–" if math.isnan(value) else number(value, 3)


def _nats(value: float) -> str:
    return "n/a" if math.isnan(value) else three_digits(value)


def _rho(found: Interval) -> str:
    if math.isnan(found.estimate):
        return "–"
    return f"{number(found.estimate, 2)} {interval(found.low, found.high, 2)}".strip()


def tables_of(found: Sequence[Section]) -> dict[str, str]:
    """All files of the sections."""
    return {name: text for section in found for name, text in section.files.items()}
