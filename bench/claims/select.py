"""Which stored runs a claim is about: studies at one preset taken together, and populations picked from them."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.claims.describe import describe, labels
from bench.claims.group import Group
from bench.claims.measures import measure
from bench.claims.presets import is_shipped
from bench.claims.schema import Claim, ClaimTest, Population, Range
from bench.claims.shares import KnownKL, known_kls
from bench.claims.sweeps import SWEEPS
from bench.config.hyper_choice import hyper_choice
from bench.config.plain_kl import PlainKL, key_of_plain, read_plain_kls
from bench.config.shares import resolve_shares
from bench.errors import BenchError
from bench.registry import METHODS
from bench.results.curves import read_curves, read_scores_by_step
from bench.results.labels import all_hyper, all_options
from bench.results.study import Study
from bench.results.versions import refuse_mixed

#: What must be equal where hyper-parameters are shared; published ones are each method's own.
TRAINING = ("network", "optimizer", "batch_size", "steps")


class Pool:
    """The runs of studies at one preset.

    Attributes
    ----------
    preset, hyper : str
        Of all of them.
    shipped : bool
        Whether training and data are the preset's own.
    studies : tuple of str
        What the studies are called. Of a run that several hold, the first one's scores count.
    """

    def __init__(
        self, studies: Sequence[Study], *, preset: str, hyper: str, shipped: bool, called: Sequence[str] = ()
    ) -> None:
        self.preset, self.hyper, self.shipped = preset, hyper, shipped
        self.studies = tuple(called) or tuple(study.name for study in studies)
        self._meta = studies[0].meta
        self._plain_kls: dict[str, PlainKL] = {}
        for study in reversed(studies):
            self._plain_kls |= read_plain_kls(study.meta.get("plain_kl", []), study.name)
        self._specs: dict[str, Mapping[str, Any]] = {}
        self._home: dict[str, Study] = {}
        rows: dict[str, dict[str, Any]] = {}
        for study in studies:
            for row in study.runs.to_dict("records"):
                run = str(row["run"])
                new = {str(key): value for key, value in row.items() if not pd.isna(value)}
                known = rows.get(run, {})
                first = known.get("status") == "ok" or new["status"] != "ok"
                # A run may have scores in one study that another didn't take.
                rows[run] = new | known if known and first else known | new
                if not (known and first):
                    self._specs[run], self._home[run] = study.specs[run], study
        if len(studies) > 1:
            names = ", ".join(self.studies)
            try:
                refuse_mixed(studies[0].path, self._specs)
            except BenchError as error:
                raise BenchError(f"studies {names} can't be judged together, name one: {error}") from None
        self._runs = sorted(rows.values(), key=lambda row: (row["seed"], row["run"]))
        self._known = known_kls(self._runs, self._specs, self._plain_kls)
        self._measured: dict[tuple[str, str], float] = {}
        self._resolved: dict[str, dict[str, Any] | None] = {}

    def select(self, claim: Claim, population: Population) -> list[Group]:
        """Its configurations, each with its runs."""
        rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        about: dict[tuple[str, str], tuple[str, str, KnownKL | None, float]] = {}
        for row in self._runs:
            if row["method"] != population.method:
                continue
            spec, hyper = self._specs[row["run"]], self._hyper(row)
            if (claim.dataset and spec["dataset"]["name"] != claim.dataset) or not self._fits(population, spec, hyper):
                continue
            plain, share = self._share(spec, hyper)
            if population.set_point_share is not None and not population.set_point_share.holds(share):
                continue
            hyper.pop(population.over, None)
            key = self._stratum(claim, spec, hyper), json.dumps(hyper, sort_keys=True)
            rows.setdefault(key, []).append(row)
            about[key] = *labels(claim, population, hyper, share), plain, share
        groups = []
        for key, found in sorted(rows.items()):
            label, at, plain, share = about[key]
            groups.append(Group(key[0], label, at, found, population.over, plain, share))
        return groups

    def why_none(self, claim: Claim, population: Population) -> str:
        """Why `select` finds no configuration, in words."""
        text = f"no run of {describe(population)} at {self.preset}"
        if population.set_point_share is None:
            return text
        others = self.select(claim, population.model_copy(update={"set_point_share": None}))
        if others and all(group.plain is None for group in others):
            return f"the plain VAE's KL isn't known at {self.preset}"
        shares = sorted({f"{group.share:.2f}" for group in others if group.plain is not None})
        return text + (f", only at {', '.join(shares)}" if shares else "")

    def values(self, claim: Claim, test: ClaimTest, group: Group) -> dict[int, float]:
        """Seed to value, of the runs that ended well and have one."""
        own = self._sweeps(group, test) if group.over else self._seeds(group, test.measure)
        if claim.scale is None:
            return own
        ends = []
        for population in (claim.scale.zero, claim.scale.one):
            found = [g for g in self.select(claim, population) if self._same_data(g, group)]
            ends.append(self._seeds(found[0], test.measure) if found else {})
        zero, one = ends
        seeds = [seed for seed in own if seed in zero and seed in one and zero[seed] > one[seed]]
        return {seed: (zero[seed] - own[seed]) / (zero[seed] - one[seed]) for seed in seeds}

    def equal(self, claim: Claim, a: Group, b: Group, seed: int) -> bool:
        """Whether two runs agree in what the claim wants equal."""
        for score, within in claim.equal.items():
            first, second = (self._seeds(group, score).get(seed, math.nan) for group in (a, b))
            if not abs(first - second) <= within:
                return False
        return True

    def _seeds(self, group: Group, name: str) -> dict[int, float]:
        out: dict[int, float] = {}
        for row in group.runs:
            value = self._value(row, name)
            if math.isfinite(value):
                out.setdefault(int(row["seed"]), value)
        return out

    def _sweeps(self, group: Group, test: ClaimTest) -> dict[int, float]:
        """Seed to what is measured of its sweep, of the seeds that have a value at every setting any of them has."""
        found: dict[int, dict[float, float]] = {}
        for row in group.runs:
            value = self._value(row, test.measure)
            if math.isfinite(value):
                found.setdefault(int(row["seed"]), {}).setdefault(float(self._hyper(row)[group.over]), value)
        at = sorted({float(self._hyper(row)[group.over]) for row in group.runs})
        whole = {seed: np.array([of[x] for x in at]) for seed, of in found.items() if len(of) == len(at) > 1}
        return {seed: SWEEPS[test.sweep](np.array(at), values) for seed, values in whole.items()}

    def _value(self, row: dict[str, Any], name: str) -> float:
        run = row["run"]
        if row["status"] == "ok" and (run, name) not in self._measured:
            tables = (functools.partial(read, run) for read in (self._curves, self._scores))
            self._measured[run, name] = measure(name, row, *tables)
        return self._measured.get((run, name), math.nan)

    def _share(self, spec: Mapping[str, Any], hyper: Mapping[str, Any]) -> tuple[KnownKL | None, float]:
        """The KL of a plain VAE trained as a run was, and the run's set point as a share of it."""
        plain = self._known.get(key_of_plain(spec)) if "set_point" in hyper else None
        return plain, float(hyper["set_point"]) / plain.nats if plain else math.nan

    def _hyper(self, row: dict[str, Any]) -> dict[str, Any]:
        return all_hyper(row["method"], self._specs[row["run"]]["method"].get("hyper", {}))

    def _curves(self, run: str) -> pd.DataFrame | None:
        study = self._home[run]
        return read_curves(study, run) if (study.path / "runs" / run / "curves.csv").exists() else None

    def _scores(self, run: str) -> pd.DataFrame | None:
        table = read_scores_by_step(self._home[run], run)
        return None if table.empty else table

    def _fits(self, population: Population, spec: Mapping[str, Any], hyper: Mapping[str, Any]) -> bool:
        options = all_options(spec["dataset"]["name"], spec["dataset"].get("options", {}))
        if any(options.get(key) != value for key, value in population.data.items()):
            return False
        wanted: dict[str, Any] = {
            key: hyper.get(value[1:]) if isinstance(value, str) and value.startswith("@") else value
            for key, value in population.hyper.items()
        }
        open_ones = {key for key, value in wanted.items() if isinstance(value, list | Range)} | {*population.free}
        open_ones |= {population.over} - {""}
        for key in open_ones & wanted.keys():
            condition, value = wanted[key], hyper.get(key)
            if isinstance(condition, Range):
                if not condition.holds(float(value or 0)):
                    return False
            elif value not in condition:
                return False
        given = {key: value for key, value in wanted.items() if key not in open_ones}
        expected = self._settings(population.method, spec, given, open_ones)
        return expected is not None and all(hyper.get(k) == v for k, v in expected.items() if k not in open_ones)

    def _settings(
        self, method: str, spec: Mapping[str, Any], given: Mapping[str, Any], open_ones: set[str]
    ) -> dict[str, Any] | None:
        """What the study makes of a method, but for what is given; None if that can't be in this study."""
        plain = key_of_plain(spec)
        key = json.dumps([method, plain, given, sorted(open_ones)], sort_keys=True)
        if key not in self._resolved:
            published = METHODS.get(method).info.published.get(spec["dataset"]["name"], {})
            layers = [published.get("hyper", {})] if self.hyper == "published" else []
            table = {
                k: v for layer in (*layers, self._meta.get("method", {}).get(method, {})) for k, v in layer.items()
            }
            table = {k: v for k, v in table.items() if k != "train" and k not in open_ones}
            try:
                hyper = resolve_shares(
                    method, table | dict(given), steps=spec["steps"], plain_kl=lambda: self._asked_kl(plain)
                )
                self._resolved[key] = all_hyper(method, hyper)
            except BenchError:
                self._resolved[key] = None
        return self._resolved[key]

    def _asked_kl(self, plain: str) -> float:
        """The plain VAE's KL that set points in per cent were shares of, in whichever study."""
        if plain not in self._plain_kls:
            raise BenchError("no study says which KL its set points were shares of")
        return self._plain_kls[plain].kl

    def _stratum(self, claim: Claim, spec: Mapping[str, Any], hyper: Mapping[str, Any]) -> str:
        left_out = {"method", "seed", "evaluation", "schema_version", "log_every", "score_every"}
        left_out |= set(TRAINING) if self.hyper == "published" else set()
        shared = {key: value for key, value in spec.items() if key not in left_out}
        # Across data nothing but their other options can be the same.
        data_only = {"paths", "about", "sha256"} if claim.data else {"paths", "about"}
        shared["dataset"] = {key: value for key, value in spec["dataset"].items() if key not in data_only}
        if claim.data:
            options = all_options(spec["dataset"]["name"], spec["dataset"].get("options", {}))
            shared["dataset"]["options"] = {key: value for key, value in options.items() if key not in claim.data}
        return json.dumps([shared, [hyper.get(key) for key in claim.match]], sort_keys=True)

    def _same_data(self, a: Group, b: Group) -> bool:
        first, second = (json.loads(group.stratum)[0] for group in (a, b))
        return bool(first == second)


def pools(studies: Sequence[Study], called: Sequence[str] = ()) -> list[Pool]:
    """Studies at the same preset and with the same `hyper` taken together; one that changed its preset by itself.

    Parameters
    ----------
    studies : sequence of Study
        Those whose runs go before the others' first.
    called : sequence of str
        What each is called; by default its name.
    """
    names = called or [study.name for study in studies]
    grouped: dict[tuple[str, str, int], list[int]] = {}
    for number, study in enumerate(studies):
        place = -1 if is_shipped(study) else number
        key = str(study.meta.get("preset", "")), hyper_choice(study.meta), place
        grouped.setdefault(key, []).append(number)
    return [
        Pool([studies[k] for k in own], preset=p, hyper=h, shipped=place < 0, called=[names[k] for k in own])
        for (p, h, place), own in sorted(grouped.items())
    ]
