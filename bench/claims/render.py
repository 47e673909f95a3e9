"""The ledger in print: Markdown, CSV and JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bench.claims.outcome import Outcome, claimed
from bench.claims.verdict import Verdict
from bench.files import json_text
from bench.formatting import csv_table, decimals_for, interval, markdown_table, number
from bench.results.summary import score_info

HOW_TO_READ = """\
- A verdict follows from intervals and margins alone. *reproduced*: every interval of 95 % lies beyond what the claim
  asks for. *contradicted*: an interval lies wholly short of it, at a level corrected for the number of tests: also an
  effect in the claimed direction that is too small. *undecided*: neither; no evidence that there is no effect.
- "At quick only" is no verdict on the paper: the data, the network and the training are smaller than the paper's.
- Differences are the first configuration minus the second, within seeds; runs that diverged or failed have no part.
- Set points are given as shares of the plain VAE's KL on the same data, with the same network and training: below it a
  controller has to hold the KL down, and how far it does decides what can be claimed. The papers' set points lie
  at 0.64 to 0.88 of it. *proved*: shown exactly by a test, so that runs can't say more.
- The margins are ours, not the papers'. They were set after the reference studies at quick had been seen and before any
  study at standard, those on linear-Gaussian data before their study was run. The ranges of set points were set after
  trials in them had been seen, at quick and on all of dSprites at 32×32, and moved no margin. A test keeps margins and
  ranges from being moved unnoticed.
"""

COLUMNS = (
    "id", "paper", "section", "statement", "verdict", "counts", "preset", "regime", "plain_kl", "why",
    "measure", "kind", "claimed", "unit",
    "first", "second", "at", "effect", "low", "high", "sd", "n", "n_diverged", "n_failed", "n_unequal", "n_without",
    "test_verdict", "seeds_needed", "next", "studies",
)  # fmt: skip


def render(verdicts: Sequence[Verdict], suffix: str, *, tests: bool = True) -> str:
    """Print as ``.md``, ``.csv`` or ``.json``."""
    if suffix == ".json":
        return json_text([_record(item) for item in verdicts])
    return to_csv(verdicts) if suffix == ".csv" else markdown(verdicts, tests=tests)


def markdown(verdicts: Sequence[Verdict], *, tests: bool = True) -> str:
    """Print a table per paper, with a row per claim and the test it hangs on.

    Parameters
    ----------
    verdicts : sequence of Verdict
        From `bench.claims.verdict.ledger`.
    tests : bool
        Whether a second table has a row per test, and the claims' caveats follow.
    """
    blocks = []
    for name in dict.fromkeys(item.name for item in verdicts):
        own = [item for item in verdicts if item.name == name]
        blocks += [f"### {own[0].paper.paper}", f"Read: {own[0].paper.read}"]
        rows = [[_short(v), v.claim.statement, verdict_words(v), _effect(v), _n(v), v.preset or "–", _code(v.next)]
                for v in own]  # fmt: skip
        heads = ["id", "statement", "verdict", "effect [95 %]", "n", "preset", "next"]
        blocks.append(markdown_table(heads, rows, style="spaced"))
        detail = [_test_row(verdict, item) for verdict in own for item in _deciding_first(verdict)]
        if tests and detail:
            heads = ["id", "measure", "of", "effect [95 %]", "our margin", "n", "verdict", "seeds it takes"]
            blocks.append(markdown_table(heads, detail, style="spaced"))
        if tests:
            notes = {v.claim.id: f"- {_short(v)} ({_section(v)}): {_notes(v)}" for v in own}
            blocks.append("\n".join(notes.values()))
    used = dict.fromkeys(study for verdict in verdicts for study in verdict.studies)
    blocks += [f"Judged by the runs of: {', '.join(used)}."] if used else []
    return "\n\n".join([*blocks, HOW_TO_READ.strip()]) + "\n"


def brief(verdicts: Sequence[Verdict]) -> list[dict[str, str]]:
    """A row per claim that the runs can speak to, in words, for a study's report."""
    return [
        {
            "id": item.claim.id,
            "paper": item.paper.paper,
            "statement": item.claim.statement,
            "verdict": verdict_words(item),
            "effect": _effect(item),
            "n": _n(item),
            "next": item.next,
        }
        for item in verdicts
        if item.status not in ("not run", "proved")
    ]


def to_csv(verdicts: Sequence[Verdict]) -> str:
    """Print a row per test, and one for a claim without any; empty where there is no value."""
    return csv_table(COLUMNS, to_rows(verdicts))


def to_rows(verdicts: Sequence[Verdict]) -> list[list[Any]]:
    """Values of `COLUMNS`: a row per test, and one for a claim without any; None where there is no value."""
    records = [(verdict.name, _record(verdict)) for verdict in verdicts]
    rows = [
        {**record, **test, "paper": name, "studies": "; ".join(record["studies"])}
        for name, record in records
        for test in record["tests"] or [{}]
    ]
    return [[row.get(column) for column in COLUMNS] for row in rows]


def verdict_words(item: Verdict) -> str:
    """The verdict with its regime and what limits it: "contradicted at a set point of 0.80 ... (at quick only)"."""
    if item.status == "not run":
        return f"not run: {item.why}"
    if item.status == "proved":
        return f"proved, not measured: {item.why}"
    limits = [] if item.counts else [f"at {item.preset or 'an unnamed preset'} only"]
    if not item.shipped:
        limits = [f"at {item.preset or 'an unnamed preset'} with changes only"]
    if item.claim.least_preset == "none":
        limits.append("no preset is the paper's setting")
    words = f"{item.status} {item.regime}".rstrip()
    return words + (f" ({'; '.join(limits)})" if limits else "") + (f": {item.why}" if item.why else "")


def _record(item: Verdict) -> dict[str, Any]:
    claim = item.claim
    kept = ("n", "n_diverged", "n_failed", "n_unequal", "n_without", "seeds_needed")
    tests = [
        {
            "measure": one.test.measure,
            "kind": one.test.kind,
            "claimed": claimed(one.test),
            "unit": one.test.unit,
            "first": one.first,
            "second": one.second,
            "at": one.at,
            **{key: _finite(getattr(one, key)) for key in ("effect", "low", "high", "sd")},
            **{key: getattr(one, key) for key in kept},
            "test_verdict": one.status,
        }
        for one in item.outcomes
    ]
    return {
        "id": claim.id,
        "paper": item.paper.paper,
        "section": claim.section,
        "source": claim.source,
        "statement": claim.statement,
        "caveat": claim.caveat,
        "verdict": item.status,
        "counts": item.counts,
        "preset": item.preset,
        "regime": item.regime,
        "plain_kl": item.plain_kl,
        "why": item.why,
        "studies": list(item.studies),
        "next": item.next,
        "tests": tests,
    }


def _effect(item: Verdict) -> str:
    one = item.decisive
    if one is None:
        return "–"
    of = f" (of {len(item.outcomes)} tests)" if len(item.outcomes) > 1 else ""
    return f"{_measured(one)}: {_interval(one)}, our margin: {claimed(one.test)}{of}"


def _measured(one: Outcome) -> str:
    names = f"{one.first} − {one.second}" if one.second else one.first
    return f"{_label(one)}, {names}" + (f" at {one.at}" if one.at else "")


def _label(one: Outcome) -> str:
    label = score_info(one.test.measure).label
    label = label.replace("_", " ") if label == one.test.measure else label
    return f"{one.test.sweep.replace('_', ' ')} of {label}" if one.test.sweep else label


def _interval(one: Outcome) -> str:
    # Digits after those of the margin say nothing.
    scale = min(filter(None, (one.test.margin, abs(one.test.bar or 0))), default=0.01)
    # But for one more where the effect would else be printed as its bar.
    scale = min(scale, max(abs(one.gap), scale / 10))
    digits = decimals_for(scale, 2, most=15)
    # On which side of zero an effect lies may decide, so what rounds to it keeps its sign.
    effect = number(one.effect, digits, negative_zero=True)
    return f"{effect} {interval(one.low, one.high, digits, negative_zero=True)}".rstrip()


def _n(item: Verdict) -> str:
    one = item.decisive
    return _count(item, one) if one else "–"


def _deciding_first(item: Verdict) -> list[Outcome]:
    """All tests of a claim, the one that its verdict hangs on before the others."""
    return sorted(item.outcomes, key=lambda one: one is not item.decisive)


def _count(item: Verdict, one: Outcome) -> str:
    """How many seeds a test rests on, why others have no part, and how many are needed where these are too few."""
    words = f"{one.n}"
    if one.n_unequal:
        equal = " and ".join(score_info(score).label.partition(" (")[0] for score in item.claim.equal)
        words = f"{one.n} of {one.n + one.n_unequal} pairs of seeds reached equal {equal}"
    left = {"diverged": one.n_diverged, "failed": one.n_failed, "without": one.n_without}
    out = ", ".join(f"{count} {word}" for word, count in left.items() if count)
    words += f" ({out})" if out else ""
    return words + (f"; {item.claim.least_seeds} are needed" if one.n < item.claim.least_seeds else "")


def _test_row(verdict: Verdict, one: Outcome) -> list[str]:
    of = (f"{one.first} − {one.second}" if one.second else one.first) + (f" at {one.at}" if one.at else "")
    effect = _interval(one) if one.n else "–"
    takes = "" if one.status != "undecided" else f"{one.seeds_needed:,}" if one.seeds_needed else "> 1,000"
    where = f"{claimed(one.test)} {one.test.unit}"
    return [_short(verdict), _label(one), of, effect, where, _count(verdict, one), one.status, takes]


def _section(item: Verdict) -> str:
    claim = item.claim
    return claim.section + (f"; {claim.source.rstrip('.')}" if claim.source else "")


def _notes(item: Verdict) -> str:
    claim = item.claim
    whys = [f"{test.measure}: {test.why}" for test in claim.test]
    words = [claim.caveat] if claim.caveat else []
    words += ["Any one of its tests is enough."] if claim.rule == "any" else []
    words += [f"A plain VAE's KL at {item.preset} is {item.plain_kl}."] if item.plain_kl else []
    return " ".join([*words, "Margins: " + " ".join(whys)])


def _short(item: Verdict) -> str:
    return item.claim.id.split(".", 1)[1]


def _code(text: str) -> str:
    return f"`{text}`" if text.startswith("bench ") or text.startswith("pytest ") else text


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
