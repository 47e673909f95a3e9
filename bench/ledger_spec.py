"""What a claim is: a statement of a paper, the runs that speak to it, and the margin it is judged by.

One TOML file per paper lies in ``bench/claims``. `digest` pins everything that could be turned afterwards to get
another verdict; ``tests/baselines/claims.toml`` holds the digests.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from bench.errors import BenchError, did_you_mean
from bench.ledger_measures import known_measures
from bench.registry import DATASETS, METHODS
from bench.spec import Model
from bench.stats import MIN_SEEDS

CLAIMS = Path(__file__).parent / "claims"

#: Presets from the smallest up. The recipe of Li et al. runs on the data and the network of `quick`.
PRESET_RANK = {"smoke": 0, "quick": 1, "li2022": 1, "li2022_sampled": 1, "standard": 2, "paper": 3}

Value = bool | int | float | str
Text = Annotated[str, Field(min_length=1)]


class Range(Model):
    """Bounds of a hyper-parameter, inclusive."""

    min: float | None = None
    max: float | None = None


class Population(Model):
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
    """

    method: Text
    hyper: dict[str, Value | list[Value] | Range] = Field(default={})
    free: tuple[str, ...] = ()


class Scale(Model):
    """Measure ``(zero - x) / (zero - one)`` instead of x, seed by seed: the share of the way from zero to one."""

    zero: Population
    one: Population


class ClaimTest(Model):
    """One measurement and what is claimed of it.

    Attributes
    ----------
    measure : str
        A score's column, ``final.*`` or a function of `bench.ledger_measures`.
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


class Claim(Model):
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
        Below it a verdict doesn't count for the paper; "none": no preset is the paper's setting.
    run : str
        Arguments of ``bench run`` that make the evidence, with ``{preset}`` and ``{seeds}``.
    needs : str
        What runs would have to store before this can be decided; then `next` says what to do.
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
    least_preset: Literal["quick", "standard", "paper", "none"] = "standard"
    run: str = ""
    needs: str = ""
    next: str = ""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.section in ("unread", "ours") and not self.source:
            raise ValueError(f"section '{self.section}' needs a source")
        if self.needs:
            if not self.next:
                raise ValueError("needs without next: say what would decide it")
            return self
        if self.population is None or not self.run:
            raise ValueError("needs a population and run, or needs and next")
        if self.next:
            raise ValueError("next belongs to needs; run makes the command")
        if bool(self.against) == all(test.kind == "threshold" for test in self.test):
            raise ValueError("a comparison needs against, a threshold has none")
        if not self.paired and (self.equal or self.scale):
            raise ValueError("equal and scale work by seed, so paired must be true")
        return self

    @property
    def populations(self) -> tuple[Population, ...]:
        """Every population it names."""
        scale = (self.scale.zero, self.scale.one) if self.scale else ()
        return (*([self.population] if self.population else []), *self.against, *scale)


class Paper(Model):
    """A file of claims: the paper, what of it could be read, a data set for all claims that name none."""

    paper: Text
    read: Text
    dataset: str = ""
    claim: tuple[Claim, ...] = Field(min_length=1)


def papers() -> list[str]:
    """Names of the files of claims."""
    return sorted(path.stem for path in CLAIMS.glob("*.toml"))


def load_claims(names: Iterable[str] | None = None, folder: Path = CLAIMS) -> dict[str, Paper]:
    """Read and check files of claims.

    Parameters
    ----------
    names : iterable of str, optional
        Papers; by default all.
    folder : Path
        Where the files are.

    Returns
    -------
    dict of str to Paper
        By name, claims under their full ids.

    Raises
    ------
    BenchError
        An unknown paper, or a file with unknown keys, names or settings that contradict each other: one line that
        names the file.
    """
    known = sorted(path.stem for path in folder.glob("*.toml"))
    out = {}
    for name in known if names is None else names:
        if name not in known:
            raise BenchError(f"no claims of paper '{name}'{did_you_mean(name, known)}; there are: {', '.join(known)}")
        out[name] = _read(folder / f"{name}.toml")
    return out


def digest(claim: Claim) -> str:
    """Sixteen hex digits of what decides a claim: populations, comparison, margins, least seeds and preset."""
    decides = {"population", "against", "match", "equal", "paired", "rule", "scale", "dataset", "test"}
    content = claim.model_dump(mode="json", include=decides | {"least_seeds", "least_preset", "needs"})
    for test in content["test"]:
        del test["why"]
    content["needs"] = bool(content["needs"])
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _read(path: Path) -> Paper:
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BenchError(f"claims '{path}' can't be read: {error}") from None
    for claim in table.get("claim", []):
        claim.setdefault("dataset", table.get("dataset", ""))
        if "id" in claim:
            claim["id"] = f"{path.stem}.{claim['id']}"
    try:
        paper = Paper.model_validate(table)
    except ValidationError as error:
        raise BenchError(_one_line(error, path, table)) from None
    seen: set[str] = set()
    for claim in paper.claim:
        problem = f"claim '{claim.id}' is there twice" if claim.id in seen else _unknown_names(claim)
        if problem:
            raise BenchError(f"claims '{path}': {problem}")
        seen.add(claim.id)
    return paper


def _one_line(error: ValidationError, path: Path, table: dict[str, Any]) -> str:
    first = error.errors()[0]
    where = list(first["loc"])
    if len(where) > 1 and where[0] == "claim":
        claims = table["claim"]
        where[:2] = [claims[where[1]].get("id", f"claim {where[1]}") if isinstance(where[1], int) else "claim"]
    key = ".".join(map(str, where))
    if first["type"] == "extra_forbidden":
        return f"claims '{path}': unknown key '{key}'"
    return f"claims '{path}': {key}: {first['msg'].removeprefix('Value error, ')}"


def _unknown_names(claim: Claim) -> str:
    """What isn't registered, in words; empty if all is. A claim that can't be decided yet may name what will be."""
    if claim.needs:
        return ""
    if claim.dataset and claim.dataset not in DATASETS:
        return f"{claim.id}: unknown dataset '{claim.dataset}'"
    for population in claim.populations:
        if population.method not in METHODS:
            return f"{claim.id}: unknown method '{population.method}'"
        names = [item.name for item in fields(METHODS.get(population.method).value.Hyper)]
        matched = claim.match if claim.scale is None or population not in (claim.scale.zero, claim.scale.one) else ()
        named = [v[1:] for v in population.hyper.values() if isinstance(v, str) and v.startswith("@")]
        for name in (*population.hyper, *population.free, *matched, *named):
            if name not in names:
                return f"{claim.id}: {population.method} has no '{name}'{did_you_mean(name, names)}"
    measures = known_measures()
    for name in (*(test.measure for test in claim.test), *claim.equal):
        if name not in measures:
            return f"{claim.id}: unknown measure '{name}'{did_you_mean(name, measures)}"
    return ""
