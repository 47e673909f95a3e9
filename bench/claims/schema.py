"""What a claim is: a statement of a paper, the runs that speak to it, and the margin it is judged by.

`digest` pins everything that could be turned afterwards to get another verdict; ``tests/baselines/claims.toml`` holds
the digests, which ``bench check`` compares and stores.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from bench.config.preset_files import by_rank, rank
from bench.schema import StrictModel
from bench.stats import MIN_SEEDS

Value = bool | int | float | str
Text = Annotated[str, Field(min_length=1)]


class Range(StrictModel):
    """Bounds of a hyper-parameter, inclusive."""

    min: float | None = None
    max: float | None = None

    def holds(self, value: float) -> bool:
        """Whether a value lies within; NaN doesn't."""
        low = -math.inf if self.min is None else self.min
        high = math.inf if self.max is None else self.max
        return low <= value <= high

    def __str__(self) -> str:
        if self.min is not None and self.max is not None:
            return f"{self.min:g} to {self.max:g}"
        return f"at least {self.min:g}" if self.max is None else f"at most {self.max:g}"

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a range needs min, max or both")
        return self


class Population(StrictModel):
    """Runs of one method at the settings its study gives it, but for what is named here.

    Attributes
    ----------
    method : str
        Registered name.
    hyper : dict
        Hyper-parameters that differ from the study's: a value, a list of values, or a `Range`. ``"@name"`` is the
        value of another hyper-parameter of the same run.
    free : tuple of str
        Hyper-parameters that may have any value.
    over : str
        A hyper-parameter: runs of a seed that differ in it alone are one sweep, of which tests measure something.
    data : dict
        Options of the claim's data set. Two populations that name different ones are compared across data.
    set_point_share : Range or None
        Of the set point over a plain VAE's KL on the same data, with the same network and training. It leaves runs
        out, and frees nothing: which set points there may be is said by `hyper` and `free`.
    """

    method: Text
    hyper: dict[str, Value | list[Value] | Range] = Field(default={})
    free: tuple[str, ...] = ()
    over: str = ""
    data: dict[str, Value] = Field(default={})
    set_point_share: Range | None = None


class Scale(StrictModel):
    """Measure ``(zero - x) / (zero - one)`` instead of x, seed by seed: the share of the way from zero to one."""

    zero: Population
    one: Population


class ClaimTest(StrictModel):
    """One measurement and what is claimed of it.

    Attributes
    ----------
    measure : str
        A score's column, ``final.*`` or a function of `bench.claims.measures`.
    sweep : str
        What of a sweep over `Population.over`, one of `bench.claims.sweeps.SWEEPS`.
    kind : {"superiority", "noninferiority", "equivalence", "threshold"}
        The first three compare the population with each rival, as `bench.stats.verdict`; "threshold" compares the
        population with `bar`.
    direction : {"greater", "less"}
        Where the claim says the population lies, or is better; none for an equivalence.
    margin : float
        At least 0, in `unit`; what a difference must exceed, or stay below.
    bar : float
        Of a threshold.
    unit, why : str
        Unit of margin and bar; why they are what they are.
    """

    measure: Text
    sweep: str = ""
    kind: Literal["superiority", "noninferiority", "equivalence", "threshold"]
    direction: Literal["greater", "less"] | None = None
    margin: Annotated[float, Field(ge=0)] = 0.0
    bar: float | None = None
    unit: Text
    why: Text

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if (self.kind == "threshold") != (self.bar is not None):
            raise ValueError("a threshold has a bar, and nothing else has")
        if (self.kind == "equivalence") != (self.direction is None):
            raise ValueError("an equivalence has no direction, everything else has")
        if self.kind == "threshold" and self.margin:
            raise ValueError("a threshold has a bar instead of a margin")
        if self.kind in ("equivalence", "noninferiority") and not self.margin:
            raise ValueError(f"{self.kind} with a margin of 0 can never be shown")
        return self


class Claim(StrictModel):
    """A statement with the rule that decides it.

    Attributes
    ----------
    id : str
        ``<file>.<id in the file>``.
    section : str
        Where the paper says so; "unread" if its text couldn't be read, "ours" for a question of this suite's own.
        Either asks for a `source`.
    statement, source, caveat : str
        In our own words; where they come from; what a verdict doesn't say.
    dataset : str
        Only runs on this data set; empty for any, each for itself.
    population, against : Population
        Who is claimed to be what, compared with whom: every configuration of one with every one of the other.
    match : tuple of str
        Hyper-parameters in which the two must agree.
    equal : dict of str to float
        Scores that may differ by no more than this within a pair of runs; other pairs are left out and counted.
    paired : bool
        By seed.
    rule : {"all", "any"}
        Whether all tests or any of them must hold against a rival. It must hold against every rival.
    scale : Scale or None
        Applied to every test's measure.
    least_seeds : int
        Below it nothing is decided.
    least_preset : str
        Below its rank a verdict doesn't count for the paper; "none": no preset is the paper's setting.
    run : str
        Arguments of ``bench run`` that make the evidence, with ``{preset}`` and ``{seeds}``, and where
        scores during training are needed ``{score_every}``, a twentieth of the preset's steps.
    needs : str
        What runs would have to store before this can be decided; then `next` says what to do.
    proof : str
        The test that proves it, as pytest names it, where it is exact: no run can say more.
    """

    id: Text
    section: Text
    statement: Text
    source: str = ""
    caveat: str = ""
    dataset: str = ""
    population: Population | None = None
    against: tuple[Population, ...] = ()
    match: tuple[str, ...] = ()
    equal: dict[str, Annotated[float, Field(gt=0)]] = Field(default={})
    paired: bool = True
    rule: Literal["all", "any"] = "all"
    scale: Scale | None = None
    test: tuple[ClaimTest, ...] = Field(min_length=1)
    least_seeds: Annotated[int, Field(ge=MIN_SEEDS)] = 10
    least_preset: str = "standard"
    run: str = ""
    needs: str = ""
    next: str = ""
    proof: str = ""

    @field_validator("least_preset")
    @classmethod
    def _may_count(cls, name: str) -> str:
        known = [preset for preset in by_rank() if rank(preset)]
        if name not in (*known, "none"):
            raise ValueError(f"no claim counts from preset '{name}': it is one of {', '.join(known)}, or none")
        return name

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.section in ("unread", "ours") and not self.source:
            raise ValueError(f"section '{self.section}' needs a source")
        if self.proof:
            if self.needs or self.next or self.run or self.population:
                raise ValueError("what is proved is judged by no runs: no population, run, needs or next")
            return self
        if self.needs:
            if not self.next:
                raise ValueError("needs without next: say what would decide it")
            return self
        if self.population is None or not self.run:
            raise ValueError("needs a population and run, or needs and next, or a proof")
        if self.next:
            raise ValueError("next belongs to needs; run makes the command")
        if bool(self.against) == all(test.kind == "threshold" for test in self.test):
            raise ValueError("a comparison needs against, a threshold has none")
        if not self.paired and (self.equal or self.scale):
            raise ValueError("equal and scale work by seed, so paired must be true")
        if {bool(item.over) for item in self.populations} != {bool(test.sweep) for test in self.test}:
            raise ValueError("sweep says what of the sweep over a population's 'over': all have theirs, or none")
        if (self.scale or self.equal) and self.population.over:
            raise ValueError("scale and equal are of runs, not of sweeps")
        if not self.dataset and any(item.data for item in self.populations):
            raise ValueError("data are options of the claim's data set, and it names none")
        return self

    @property
    def populations(self) -> tuple[Population, ...]:
        """Every population it names."""
        scale = (self.scale.zero, self.scale.one) if self.scale else ()
        return (*([self.population] if self.population else []), *self.against, *scale)

    @property
    def data(self) -> set[str]:
        """Options of the data set that some population names."""
        return {name for population in self.populations for name in population.data}


class Paper(StrictModel):
    """A file of claims: the paper, what of it could be read, a data set for all claims that name none."""

    paper: Text
    read: Text
    dataset: str = ""
    claim: tuple[Claim, ...] = Field(min_length=1)


def digest(claim: Claim) -> str:
    """Sixteen hex digits of what decides a claim: populations, comparison, margins, least seeds and preset."""
    decides = {"population", "against", "match", "equal", "paired", "rule", "scale", "dataset", "test"}
    content = claim.model_dump(mode="json", include=decides | {"least_seeds", "least_preset", "needs"})
    for test in content["test"]:
        del test["why"]
        _drop_empty(test, ("sweep",))
    for population in (content["population"], *content["against"], *(content["scale"] or {}).values()):
        _drop_empty(population or {}, ("over", "data", "set_point_share"))
    content["needs"] = bool(content["needs"])
    if claim.proof:
        content["proof"] = claim.proof
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _drop_empty(table: dict[str, Any], names: Iterable[str]) -> None:
    """Leave out what claims couldn't say when they were first pinned."""
    for name in names:
        if name in table and not table[name]:
            del table[name]
