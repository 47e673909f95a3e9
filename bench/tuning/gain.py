"""What tuning bought: each method as tuned against its default, on seeds that tuning never saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.config.plain_kl import key_of_plain, read_plain_kls
from bench.config.shares import resolve_shares
from bench.config.tuned import Winners
from bench.config.tuning import RECONSTRUCTION
from bench.errors import BenchError
from bench.registry import METHODS
from bench.results.labels import Spec, all_hyper
from bench.results.study import Study
from bench.stats import Comparison, compare_paired
from bench.tuning.trials import as_asked

#: Columns that `table` puts beside the rule's own score.
ELBO = "elbo"


@dataclass(frozen=True)
class Gain:
    """One method and one score.

    Attributes
    ----------
    method, score : str
    default, tuned : float
        Means over the seeds that both have.
    n : int
        Seeds that both have.
    found : Comparison
        Tuned minus default, paired by seed.
    """

    method: str
    score: str
    default: float
    tuned: float
    n: int
    found: Comparison


def winners_of(study: Study) -> Winners | None:
    """The winners that a study runs, if it is on tuned terms."""
    tuned = study.meta.get("tuned")
    return Winners.model_validate(tuned) if tuned else None


def gains(study: Study) -> list[Gain]:
    """Tuned minus default, in what the rule compared, of every method that a tuned study holds both of.

    UDR isn't a run's own score and isn't compared; the reconstruction is, beside every rule. Runs that earlier calls
    left in the folder, with other winners or another training, have no part.
    """
    winners = winners_of(study)
    if winners is None:
        return []
    table = study.runs[(study.runs["status"] == "ok") & as_asked(study)]
    table = table.assign(**{ELBO: _elbo(table)})
    columns = [name for name in dict.fromkeys((winners.rule, RECONSTRUCTION)) if name in table]
    out = []
    for method, winner in winners.method.items():
        own = {str(run): _hyper(study, str(run)) for run in table.loc[table["method"] == method, "run"]}
        if not own or method not in METHODS:
            continue
        default = _default(study, method, study.specs[next(iter(own))])
        tuned = all_hyper(method, winner.hyper)
        if tuned == default:
            continue
        rows = [table[[own.get(run) == hyper for run in table["run"]]] for hyper in (tuned, default)]
        for score in columns:
            sides = [_by_seed(each, score) for each in rows]
            both = sorted(sides[0].keys() & sides[1].keys())
            if both:
                found = compare_paired(*sides)
                means = [sum(side[seed] for seed in both) / len(both) for side in sides]
                out.append(Gain(method, score, means[1], means[0], len(both), found))
    return out


def _elbo(table: pd.DataFrame) -> Any:
    nothing = pd.Series(float("nan"), index=table.index)
    return -(table.get("final.reconstruction", nothing) + table.get("final.kl", nothing))


def _default(study: Study, method: str, spec: Spec) -> dict[str, Any]:
    """What a method's hyper-parameters are in a study but for tuning, on the data of a run of it."""
    known = read_plain_kls(study.meta.get("plain_kl", []), study.name)

    def plain_kl() -> float:
        if (key := key_of_plain(spec)) not in known:
            raise BenchError(f"study '{study.name}' doesn't say which KL its set points are shares of")
        return known[key].kl

    set_here = study.meta.get("method", {}).get(method, {})
    return all_hyper(method, resolve_shares(method, set_here, steps=spec["steps"], plain_kl=plain_kl))


def _hyper(study: Study, run: str) -> dict[str, Any]:
    method = study.specs[run]["method"]
    return all_hyper(method["name"], method.get("hyper", {}))


def _by_seed(runs: pd.DataFrame, score: str) -> Mapping[int, float]:
    known = runs[runs[score].notna()]
    return {int(seed): float(value) for seed, value in zip(known["seed"], known[score], strict=True)}
