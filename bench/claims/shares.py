"""The plain VAE's KL, of which claims give set points as shares: of the same data, network and training."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bench.method import resolve_hyper
from bench.results.labels import all_hyper

#: What doesn't decide how a plain VAE is trained: the method, the seed, and what is written down of the training.
LEFT_OUT = ("method", "seed", "evaluation", "schema_version", "log_every", "score_every")
#: Fewer seeds don't tell a plain VAE's KL.
LEAST_SEEDS = 3
#: A plain VAE under either of its names, the first one that has enough runs.
PLAIN: Mapping[str, Mapping[str, Any]] = MappingProxyType({"vae": {}, "beta_vae": {"beta": 1.0}})


@dataclass(frozen=True)
class PlainKL:
    """A plain VAE's KL in nats, and where it is from."""

    nats: float
    source: str

    def __str__(self) -> str:
        return f"{self.nats:.1f} nats, {self.source}"


def training_of(spec: Mapping[str, Any]) -> str:
    """What a run shares with the plain VAE that it is measured by: data, network and all of the training, as text."""
    shared = {key: value for key, value in spec.items() if key not in LEFT_OUT}
    shared["dataset"] = {key: value for key, value in spec["dataset"].items() if key not in ("paths", "about")}
    return json.dumps(shared, sort_keys=True)


def plain_kl(runs: Iterable[Mapping[str, Any]], specs: Mapping[str, Mapping[str, Any]]) -> dict[str, PlainKL]:
    """The mean over seeds of a plain VAE's KL over the last 5 % of its training, by `training_of`.

    Parameters
    ----------
    runs : iterable of mappings
        Rows of `bench.results.study.Study.runs`; those that didn't end well are left out.
    specs : mapping of str to mapping
        The specs of all runs.

    Returns
    -------
    dict of str to PlainKL
        Only where at least `LEAST_SEEDS` seeds tell.
    """
    plain = {method: all_hyper(method, resolve_hyper(method, dict(hyper))) for method, hyper in PLAIN.items()}
    found: dict[tuple[str, str], dict[int, float]] = {}
    for run in runs:
        method, spec, kl = run["method"], specs[run["run"]], float(run.get("final.kl", math.nan))
        if run["status"] != "ok" or method not in plain or not math.isfinite(kl):
            continue
        if all_hyper(method, spec["method"].get("hyper", {})) == plain[method]:
            found.setdefault((training_of(spec), method), {}).setdefault(int(run["seed"]), kl)
    out: dict[str, PlainKL] = {}
    for method in PLAIN:
        for (training, name), seeds in found.items():
            if name == method and len(seeds) >= LEAST_SEEDS and training not in out:
                words = f"the mean of {len(seeds)} runs of a plain VAE"
                out[training] = PlainKL(sum(seeds.values()) / len(seeds), words)
    return out


def in_words(shares: Sequence[float]) -> str:
    """Set points as shares: "at set points of 0.73 to 0.82 of the plain VAE's KL"; empty where none is known."""
    known = [share for share in shares if math.isfinite(share)]
    if not known:
        return ""
    low, high = f"{min(known):.2f}", f"{max(known):.2f}"
    points = f"a set point of {low}" if low == high else f"set points of {low} to {high}"
    return f"at {points} of the plain VAE's KL"
