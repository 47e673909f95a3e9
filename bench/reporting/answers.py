"""A study's answers, a sentence per question, which a report opens with: all computed from its runs.

From fronts, where methods ran over their strength, so that they are compared at equal distortion; else from the
settings as they were run, which the sentences then say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.formatting import interval, number, ranges
from bench.reporting import controllers
from bench.reporting.fronts import HIGHER, LOWER, FrontRow
from bench.reporting.pairs import Pair, compare_all
from bench.results.fronts import DISENTANGLEMENT, DISTORTION, RATE, method_fronts, seed_fronts
from bench.results.labels import CONTROL
from bench.results.scored_on import ON_TRAINING, scored_on
from bench.results.study import Study
from bench.results.summary import score_info
from bench.stats import MIN_SEEDS, compare_paired

#: Beginning of the names of the figures that stand beside the answers.
LEADING = "fig_tradeoff"
#: Pairs, and methods, that one sentence names at most.
NAMED = 3
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Answer:
    """One sentence of a report's opening.

    Attributes
    ----------
    question : str
        What is asked, in a word or two.
    text : str
        The answer, plain text.
    anchor, section : str
        Where its evidence is: an id of the page, and a heading of ``report.md``.
    """

    question: str
    text: str
    anchor: str
    section: str


@dataclass(frozen=True)
class _Compared:
    """All pairs of a data set's methods in one score."""

    dataset: str
    score: str
    pairs: Sequence[Pair]
    at_equal_distortion: bool
    n_seeds: int

    @property
    def label(self) -> str:
        return score_info(self.score).label


def answers(study: Study, fronts: Mapping[str, Sequence[FrontRow]]) -> list[Answer]:
    """Answer what a reader asks first.

    Parameters
    ----------
    study : Study
    fronts : mapping of str to sequence of FrontRow
        Data set to comparisons of methods over their strength, from `bench.reporting.fronts.front_rows`.

    Returns
    -------
    list of Answer
        At most six: which method disentangles best, which pairs can't be told apart, the price in reconstruction,
        whether controllers arrived, in which world, and on which images scores were taken. What a study has no runs
        for is left out; of several data sets the first with a disentanglement score is compared.
    """
    found: list[Answer] = []
    compared = None if study.meta.get("tuning") else _compared(study)
    if compared is not None:
        on_fronts = bool(fronts.get(compared.dataset)) and compared.at_equal_distortion
        evidence = (
            (f"fronts-{compared.dataset}", f"Fronts ({compared.dataset})")
            if on_fronts
            else (f"data-{compared.dataset}", compared.dataset)
        )
        where = f"On {compared.dataset}, " if len(study.datasets) > 1 else ""
        found.append(Answer("Best", _upper(where + _best(compared)), *evidence))
        if undecided := _undecided(compared):
            found.append(Answer("Can't be told apart", _upper(where + undecided), *evidence))
        rows = fronts.get(compared.dataset, ())
        price = _price_at_equal_rate(rows) if on_fronts else _price(study, compared.dataset)
        if price:
            found.append(Answer("Price", _upper(where + price), *evidence))
    if arrived := _arrived(study):
        found.append(Answer("Controllers", arrived, "controllers", "Controllers"))
    found.append(Answer("World", _world(study), "what-ran", "What ran"))
    found.append(Answer("Images", _images(study), "how", "How to read it"))
    return found


def _compared(study: Study) -> _Compared | None:
    """All pairs of the first data set that has methods with a disentanglement score; None without two methods."""
    for dataset in study.datasets:
        for score in (name for name in DISENTANGLEMENT if name in study.runs):
            lines = {front.name: seed_fronts(study, dataset, front, DISTORTION, score)
                     for front in method_fronts(study, dataset)}  # fmt: skip
            lines = {name: of_seeds for name, of_seeds in lines.items() if of_seeds}
            values = _values(study, dataset, score)
            if len(lines) > 1:
                seeds = len(set().union(*lines.values()))
                return _Compared(dataset, score, compare_all(lines), at_equal_distortion=True, n_seeds=seeds)
            if len(values) > 1:
                seeds = len(set().union(*values.values()))
                return _Compared(dataset, score, compare_all(values), at_equal_distortion=False, n_seeds=seeds)
    return None


def _values(study: Study, dataset: str, score: str) -> dict[str, dict[int, float]]:
    """Label to seed to score, of trained methods."""
    out = {}
    for (where, label), runs in study.ended_well.items():
        known = runs[runs[score].notna() & (runs["method"] != CONTROL)]
        if where == dataset and len(known):
            out[label] = dict(zip(known["seed"].astype(int).tolist(), known[score].tolist(), strict=True))
    return out


def _best(of: _Compared) -> str:
    """Which method's score lies above all others', or that none does."""
    at = "at equal distortion" if of.at_equal_distortion else "at the settings run, which aren't at equal distortion"
    if all(pair.n < MIN_SEEDS for pair in of.pairs):
        proves = "seed proves" if of.n_seeds == 1 else "seeds prove"
        return (
            f"{of.n_seeds} {proves} nothing: no method can be called the best in {of.label} "
            f"({MIN_SEEDS} seeds in common are the least that are compared)."
        )
    names = list(dict.fromkeys(name for pair in of.pairs for name in (pair.first, pair.second)))
    held = [pair.upwards() for pair in of.pairs if pair.held]
    for name in names:
        won = [pair for pair in held if pair.first == name]
        if len(won) == len(names) - 1:
            nearest = min(won, key=lambda pair: pair.estimate)
            rest = " and above every other method's" if len(won) > 1 else ""
            return (
                f"{name} disentangles best {at}: its {of.label} lies {_amount(nearest)} above {nearest.second}'s, "
                f"the nearest{rest} ({_seeds(nearest.n)})."
            )
    if not held:
        widest = max((pair.upwards() for pair in of.pairs), key=lambda pair: pair.estimate)
        return (
            f"no method can be called the best {at}: no difference in {of.label} holds; "
            f"the largest is {widest.first} {MINUS} {widest.second}, {_amount(widest)} ({_seeds(widest.n)})."
        )
    beaten = {pair.second for pair in held}
    leaders = [name for name in names if name not in beaten]
    widest = max(held, key=lambda pair: pair.estimate)
    which = f"; unbeaten are {_listed(leaders)}" if leaders else ""
    return (
        f"no method disentangles best {at}{which}; the largest difference in {of.label} that holds puts "
        f"{widest.first} {_amount(widest)} above {widest.second} ({_seeds(widest.n)})."
    )


def _undecided(of: _Compared) -> str:
    """Which pairs these seeds can't tell apart; empty where nothing is compared."""
    tested = [pair for pair in of.pairs if pair.n >= MIN_SEEDS]
    if not tested:
        return ""
    open_ = sorted((pair for pair in tested if not pair.held), key=lambda pair: abs(pair.estimate))
    few = len(of.pairs) - len(tested)
    more = "1 more pair shares" if few == 1 else f"{few} more pairs share"
    beside = f" ({more} too few seeds, or no distortion)" if few else ""
    if not open_:
        which = "the only pair of methods is" if len(tested) == 1 else f"all {len(tested)} pairs of methods are"
        return f"{which} told apart in {of.label}{beside}."
    shown = [f"{pair.first} and {pair.second} ({_amount(pair)})" for pair in map(Pair.upwards, open_)]
    shown = shown if len(shown) <= NAMED else [*shown[:NAMED], f"{len(shown) - NAMED} more"]
    return (
        f"with these {of.n_seeds} seeds {len(open_)} of {len(tested)} pairs of methods can't be told apart in "
        f"{of.label}, corrected by Holm{beside}; that doesn't make them equal: {_listed(shown)}."
    )


def _price_at_equal_rate(rows: Sequence[FrontRow]) -> str:
    """Distortion against the reference's where both have the same KL."""
    found = [row for row in rows if (row.x, row.y, row.at) == (RATE, DISTORTION, None) and row.low is not None]
    if not found:
        return ""
    parts = []
    for row in sorted(found, key=lambda row: row.difference or 0.0)[: NAMED + 1]:
        held = f", {row.seen}" if row.seen in (HIGHER, LOWER) else ", undecided"
        if row.scale == "log":
            shares = (100 * math.expm1(value or 0.0) for value in (row.difference, row.low, row.high))
            share, low, high = shares
            shown = interval(low, high, 1, sign=True)
            parts.append(f"{row.method} {number(share, 1, sign=True)} % {shown}{held}")
        else:
            shown = interval(row.low, row.high, 2, sign=True)
            parts.append(f"{row.method} {number(row.difference, 2, sign=True)} {shown}{held}")
    rest = f", and {len(found) - len(parts)} more" if len(found) > len(parts) else ""
    return f"{score_info(DISTORTION).label} at equal KL, against {found[0].reference}'s: {'; '.join(parts)}{rest}."


def _price(study: Study, dataset: str) -> str:
    """Distortion of every method against the plain VAE's, or against the lowest where there is none."""
    values = _values(study, dataset, DISTORTION) if DISTORTION in study.runs else {}
    if len(values) < 2:
        return ""
    methods = dict(zip(study.runs["label"], study.runs["method"], strict=True))
    plain = next((label for label in values if methods[label] == "vae"), None)
    base = plain or min(values, key=lambda label: math.fsum(values[label].values()) / len(values[label]))
    parts = []
    for label, own in values.items():
        if label == base or not own.keys() & values[base].keys():
            continue
        found = compare_paired(own, values[base]).difference
        enough = found.n >= MIN_SEEDS
        shown = interval(found.low, found.high, 1, sign=True) if enough else f"(n = {found.n}, no interval)"
        parts.append((found.estimate, f"{label} {number(found.estimate, 1, sign=True)} {shown}"))
    if not parts:
        return ""
    shown_parts = [text for _, text in sorted(parts)]
    if len(shown_parts) > NAMED + 1:
        shown_parts = [*shown_parts[:2], f"{len(shown_parts) - 3} between", shown_parts[-1]]
    return f"{score_info(DISTORTION).label} as set, against {base}'s: {'; '.join(shown_parts)}."


def _arrived(study: Study) -> str:
    """How many runs of each controller arrived at their set point; empty without controllers."""
    counts: dict[str, list[int]] = {}
    labels = dict(zip(study.runs["label"], study.runs["method"], strict=True))
    for row in controllers.rows(study):
        of = dict(zip(controllers.HEAD, row, strict=True))
        name = _method(labels, str(of["method"]))
        total = counts.setdefault(name, [0, 0, 0, 0])
        for place, key in enumerate(("n", "n_recorded", "n_arrived", "n_latched")):
            total[place] += int(of[key] or 0)
    parts = []
    for name, (n, recorded, arrived, latched) in counts.items():
        if not recorded:
            parts.append(f"{name} isn't recorded")
            continue
        without = f", {n - recorded} more not recorded" if n > recorded else ""
        stuck = f", {latched} latched at a limit" if latched else ""
        parts.append(f"{name} in {arrived} of {recorded} runs{stuck}{without}")
    return f"Controllers arrived at their set point: {'; '.join(parts)}." if parts else ""


def _method(labels: Mapping[str, str], label: str) -> str:
    """The name that all configurations of a label's method share."""
    own = [other for other, method in labels.items() if method == labels[label]]
    return label if len(own) == 1 else label.partition(" (")[0]


def _world(study: Study) -> str:
    """Data, preset and seeds, and what the study warns of, such as how small a preset's world is."""
    meta = study.meta
    preset = f" at preset {meta['preset']}" if meta.get("preset") else ""
    seeds = study.runs["seed"].unique().tolist()
    noun = "seed" if len(seeds) == 1 else "seeds"
    data = study.datasets
    on = _listed(data) if len(data) <= NAMED else f"{len(data)} data sets"
    text = f"{on}{preset}, {noun} {ranges(seeds)}"
    missing = max((study.planned or 0) - study.finished, 0)
    text += f"; partial, {missing} of {study.planned} runs are missing" if missing else ""
    notice = str(meta.get("notice", "")).strip().rstrip(".")
    return _upper(f"{text}; {notice}." if notice else f"{text}.")


def _images(study: Study) -> str:
    """On which images scores were taken."""
    told = list(dict.fromkeys(line for spec in study.specs.values() for line in scored_on(spec)))
    split = [bool(scored_on(spec)) for spec in study.specs.values()]
    rest = [] if not told or all(split) else [f"Elsewhere: {ON_TRAINING}"]
    return " ".join([*told, *rest]) if told else ON_TRAINING


def _amount(pair: Pair) -> str:
    """A difference with its 95 % interval."""
    return f"{number(pair.estimate, 3)} {interval(pair.low, pair.high, 3)}".rstrip()


def _seeds(n: int) -> str:
    return f"n = {n} seeds"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + f" and {words[-1]}" if len(words) > 1 else "".join(words)


def _upper(text: str) -> str:
    """Begin a sentence, but for a name that is written in small letters."""
    first = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if first in OPENINGS else text


#: First words of sentences that aren't names.
OPENINGS = ("no", "with", "all", "the")
