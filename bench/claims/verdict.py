"""The claims ledger: every claim's verdict from stored runs, with the numbers behind it and what to run next."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.claims.describe import describe
from bench.claims.group import HELD, Group
from bench.claims.load import load_claims
from bench.claims.measures import OF_SCORES
from bench.claims.outcome import MOST_SEEDS, Outcome, Status, combine, seeds_needed
from bench.claims.presets import score_every
from bench.claims.schema import Claim, ClaimTest, Paper
from bench.claims.select import Pool, pools
from bench.claims.shares import in_words
from bench.config.preset_files import presets, rank
from bench.errors import BenchError, did_you_mean
from bench.results.study import Study
from bench.stats import Comparison, compare_paired, compare_unpaired, verdict

#: Seeds that a command asks for where nothing says how many it takes.
SEEDS = 10
ALPHA = 0.05


@dataclass(frozen=True)
class Verdict:
    """A claim's verdict on the runs of one preset.

    Attributes
    ----------
    name : str
        Of the paper, as in ``bench/claims``.
    paper : Paper
        Its file.
    claim : Claim
        The claim.
    status : {"reproduced", "contradicted", "undecided", "not run", "proved"}
        The verdict; "proved" of what a test shows exactly, so that no run is asked.
    why : str
        Grounds in words, where the numbers don't say it.
    preset : str
        Of the runs; empty if there are none.
    shipped : bool
        Whether the runs' settings are the preset's own.
    outcomes : tuple of Outcome
        Every test.
    studies : tuple of str
        Those whose runs it is judged by.
    next : str
        What would decide it, or make it count, in most cases a command; empty where nothing is left to do.
    regime : str
        The set points of the claim's population as shares of the plain VAE's KL, in words; empty where it has none.
    plain_kl : str
        What that KL is and where it is from.
    """

    name: str
    paper: Paper
    claim: Claim
    status: Status
    why: str = ""
    preset: str = ""
    shipped: bool = True
    outcomes: tuple[Outcome, ...] = ()
    studies: tuple[str, ...] = ()
    next: str = ""
    regime: str = ""
    plain_kl: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is a verdict at a preset at which it counts for the paper."""
        if self.status == "proved":
            return True
        least, at = self.claim.least_preset, rank(self.preset) if self.preset in presets() else 0
        return self.status != "not run" and self.shipped and least != "none" and at >= rank(least)

    @property
    def decisive(self) -> Outcome | None:
        """The outcome that the verdict hangs on: the hardest to pass; where one is enough to fail, the clearest."""
        own = [item for item in self.outcomes if item.status == self.status and item.n]
        sign = -1 if self.status == "contradicted" and self.claim.rule == "all" else 1
        return min(own, key=lambda item: sign * (abs(item.gap) / item.sd if item.sd > 0 else math.inf), default=None)


def ledger_for(study: Study, *, names: Iterable[str] | None = None) -> list[Verdict]:
    """Every claim's verdict from one study's runs.

    Parameters
    ----------
    study : Study
        As `bench.results.study.read_study` returns it.
    names : iterable of str, optional
        Papers; by default all.

    Returns
    -------
    list of Verdict
        One per claim, in the order of the files.

    Raises
    ------
    BenchError
        A file of claims is wrong, or curves can't be read.
    """
    return ledger([study], names=names)


def ledger(
    studies: Sequence[Study],
    *,
    names: Iterable[str] | None = None,
    papers: Mapping[str, Paper] | None = None,
    called: Sequence[str] = (),
) -> list[Verdict]:
    """Every claim's verdict from the runs of several studies, those at the same preset taken together.

    A run that several studies hold counts once. A study that changed its preset is judged by itself, and its verdicts
    don't count for the paper.

    Parameters
    ----------
    studies : sequence of Study
        Any number; of a run that several hold, the first one's scores count.
    names : iterable of str, optional
        Papers; by default all.
    papers : mapping of str to Paper, optional
        Claims to judge instead of those that come with Disbench.
    called : sequence of str
        What each study is called in the verdicts; by default its name.

    Returns
    -------
    list of Verdict
        One per claim and preset that has runs for it; one "not run" where none has, or "proved".

    Raises
    ------
    BenchError
        As `ledger_for`; or studies at the same preset hold runs of different versions.
    """
    found: list[Verdict] = []
    pooled = pools(studies, called)
    for name, paper in (load_claims(names) if papers is None else papers).items():
        for claim in paper.claim:
            if claim.proof:
                found.append(Verdict(name, paper, claim, "proved", why=claim.proof))
                continue
            verdicts = [judge(name, paper, claim, pool) for pool in pooled]
            verdicts = verdicts or [_not_run(Verdict(name, paper, claim, "not run"), "no study")]
            ran = [item for item in verdicts if item.status != "not run"]
            found += ran or [max(verdicts, key=lambda item: len(item.outcomes))]
    return found


def judge(name: str, paper: Paper, claim: Claim, pool: Pool) -> Verdict:
    """One claim's verdict from the runs of one preset.

    A claim is reproduced if every test holds at the level of 95 %. It is contradicted if one fails at a level that is
    corrected (Bonferroni) for the number of tests, since of many tests one fails by chance. With the rule "any" a rival
    is beaten if one of its tests holds at the level corrected for its tests, and isn't if all fail at 95 %, corrected
    for the number of rivals.
    """
    blank = Verdict(name, paper, claim, "not run", shipped=pool.shipped, studies=pool.studies)
    if claim.needs or claim.population is None:
        return _not_run(blank, f"needs {claim.needs}")
    first = pool.select(claim, claim.population)
    if not first:
        return _not_run(blank, pool.why_none(claim, claim.population))
    rivals: list[list[tuple[Group, Group | None]]] = [[(group, None) for group in first]]
    if claim.against:
        rivals = [
            [(a, b) for a, b in itertools.product(first, pool.select(claim, rival)) if a.stratum == b.stratum]
            for rival in claim.against
        ]
    count = sum(map(len, rivals))
    pairs: list[list[Outcome]] = []
    why: list[str] = []
    for number, found in enumerate(rivals):
        tested = [[_test(claim, test, pool, a, b, count) for test in claim.test] for a, b in found]
        # Configurations most of whose pairs aren't equal in what must be can't be compared; others of the rival may be.
        comparable = [tests for tests in tested if all(item.n_unequal <= item.n for item in tests)]
        pairs += comparable
        if not comparable:
            rival = claim.against[number]
            equal = " with " + " and ".join(f"equal {score}" for score in claim.equal) if found else ""
            why.append(f"no pair{equal} of {describe(claim.population)} and {describe(rival)} at {pool.preset}")
    statuses = [combine([item.status for item in tests], claim.rule) for tests in pairs]
    if why:
        statuses.append("not run")
    status = combine(statuses, "all")
    outcomes = tuple(itertools.chain.from_iterable(pairs))
    missing, there = ({item.test.measure for item in outcomes if bool(item.n) is some} for some in (False, True))
    if missing & OF_SCORES.keys() and not there & OF_SCORES.keys():
        missing = missing - OF_SCORES.keys() | {"scores during training"}
    why += [f"no run has {each}" for each in sorted(missing)]
    fewest = min((item.n for item in outcomes if item.n), default=0)
    if status == "undecided" and fewest < claim.least_seeds:
        why.append(f"too few seeds (n = {fewest}, at least {claim.least_seeds})")
    result = replace(blank, status=status, why="; ".join(why), preset=pool.preset, outcomes=outcomes)
    compared = [group for group in first if any(group is a for found in rivals for a, _ in found)]
    plain = dict.fromkeys(str(group.plain) for group in compared if group.plain)
    off = sum(group.off for group in compared)
    ended = sum(group.count("ok") for group in compared)
    if off:
        why = [f"in {off} of {ended} runs the KL isn't at its set point, by more than {HELD} nats", *why]
    regime = in_words([group.share for group in compared])
    result = replace(result, why="; ".join(why), regime=regime, plain_kl="; ".join(plain))
    return replace(result, next=_next(result))


def choose(verdicts: Sequence[Verdict], ids: Sequence[str]) -> list[Verdict]:
    """Those of some claims, by full id or by the part after the paper's name.

    Raises
    ------
    BenchError
        If no claim has an id.
    """
    known = [item.claim.id for item in verdicts]
    for wanted in ids:
        if not any(wanted in (one, one.split(".", 1)[1]) for one in known):
            raise BenchError(f"no claim '{wanted}'{did_you_mean(wanted, known)}; `bench claims` lists them")
    return [item for item in verdicts if {item.claim.id, item.claim.id.split(".", 1)[1]} & set(ids)]


def _test(claim: Claim, test: ClaimTest, pool: Pool, a: Group, b: Group | None, n_pairs: int) -> Outcome:
    """Measure one pair of configurations and judge it."""
    base = Outcome(test, a.label, b.label if b else "", a.at)
    values, others = pool.values(claim, test, a), pool.values(claim, test, b) if b else {}
    for group, kept in ((a, values), (b, others)):
        if group is not None:
            base = replace(
                base,
                n_diverged=base.n_diverged + group.count("diverged"),
                n_failed=base.n_failed + group.count("failed"),
                n_without=base.n_without + group.count("ok") - len(kept),
            )
    paired = claim.paired or b is None
    if b is not None and paired:
        common = sorted(values.keys() & others.keys())
        equal = [seed for seed in common if pool.equal(claim, a, b, seed)]
        base = replace(base, n_unequal=len(common) - len(equal))
        values, others = ({seed: side[seed] for seed in equal} for side in (values, others))
    if test.bar is not None:
        others = dict.fromkeys(values, test.bar)
    if not values or not others:
        return base

    def compare(alpha: float) -> Comparison:
        if paired:
            return compare_paired(values, others, confidence=1 - alpha)
        return compare_unpaired(list(values.values()), list(others.values()), confidence=1 - alpha)

    shown, shift = compare(ALPHA), test.bar or 0.0
    interval = shown.difference
    low, high = (math.nan if bound is None else bound + shift for bound in (interval.low, interval.high))
    base = replace(base, effect=interval.estimate + shift, low=low, high=high, sd=shown.sd, n=interval.n)
    # A threshold is judged as the difference from its bar.
    kind = "superiority" if test.kind == "threshold" else test.kind
    each = len(claim.test)
    alphas = (ALPHA, ALPHA / (n_pairs * each)) if claim.rule == "all" else (ALPHA / each, ALPHA / n_pairs)
    holds, fails = (verdict(compare(a).difference, test.margin, kind, test.direction or "greater") for a in alphas)
    status: Status = "undecided"
    if interval.n >= claim.least_seeds:
        status = "reproduced" if holds == "reproduced" else "contradicted" if fails == "contradicted" else status
    if status == "undecided":
        base = replace(base, seeds_needed=seeds_needed(base, alphas[0 if base.gap > 0 else 1], paired=paired))
    return replace(base, status=status)


def _not_run(item: Verdict, why: str) -> Verdict:
    return replace(item, why=why, next=_next(item))


def _next(item: Verdict) -> str:
    """More seeds where it is undecided, the preset that counts where it is decided below that."""
    claim = item.claim
    if claim.needs:
        return claim.next
    preset: str = "standard" if claim.least_preset == "none" else claim.least_preset
    seeds = max(SEEDS, claim.least_seeds)
    if item.status == "undecided":
        preset = item.preset
        for outcome in item.outcomes:
            if outcome.status == "undecided" and outcome.n >= claim.least_seeds:
                if outcome.seeds_needed is None:
                    return f"more than {MOST_SEEDS:,} seeds: an effect lies at its bar"
                seeds = max(seeds, outcome.seeds_needed)
            elif outcome.n:
                seeds = max(seeds, outcome.seeds_for(claim.least_seeds), outcome.seeds_needed or 0)
    elif item.counts or (item.status != "not run" and claim.least_preset == "none"):
        return ""
    return "bench run " + claim.run.format(preset=preset, seeds=seeds, score_every=score_every(preset))
