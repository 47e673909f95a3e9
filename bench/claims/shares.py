"""The plain VAE's KL, of which claims give set points as shares: of the same data, network and training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bench.config.plain_kl import LEAST_SEEDS, PlainKL, key_of_plain, packaged_kls
from bench.method import resolve_hyper
from bench.results.labels import all_hyper

#: A plain VAE under either of its names, the first one that has enough runs.
PLAIN: Mapping[str, Mapping[str, Any]] = MappingProxyType({"vae": {}, "beta_vae": {"beta": 1.0}})


@dataclass(frozen=True)
class KnownKL:
    """A plain VAE's KL in nats, and where it is from."""

    nats: float
    source: str

    def __str__(self) -> str:
        return f"{self.nats:.1f} nats, {self.source}"


def known_kls(
    runs: Iterable[Mapping[str, Any]], specs: Mapping[str, Mapping[str, Any]], recorded: Mapping[str, PlainKL]
) -> dict[str, KnownKL]:
    """What is known of the plain VAE's KL: of these runs, else as their studies recorded it, else of the table.

    Parameters
    ----------
    runs : iterable of mappings
        Rows of `bench.results.study.Study.runs`; those that didn't end well are left out.
    specs : mapping of str to mapping
        The specs of all runs.
    recorded : mapping of str to PlainKL
        By key, as studies recorded what their set points were shares of.

    Returns
    -------
    dict of str to KnownKL
        By `bench.config.plain_kl.key_of_plain`. Of runs the mean of ``final.kl`` over seeds, where at least
        `LEAST_SEEDS` tell.
    """
    out = _measured(runs, specs)
    for table, source in ((recorded, "recorded by the study"), (packaged_kls(), "from the table of Disbench")):
        for key, entry in table.items():
            out.setdefault(key, KnownKL(entry.kl, f"the mean of {entry.n_seeds} seeds, {source}"))
    return out


def _measured(runs: Iterable[Mapping[str, Any]], specs: Mapping[str, Mapping[str, Any]]) -> dict[str, KnownKL]:
    plain = {method: all_hyper(method, resolve_hyper(method, dict(hyper))) for method, hyper in PLAIN.items()}
    found: dict[tuple[str, str], dict[int, float]] = {}
    for run in runs:
        method, spec, kl = run["method"], specs[run["run"]], float(run.get("final.kl", math.nan))
        if run["status"] != "ok" or method not in plain or not math.isfinite(kl):
            continue
        if all_hyper(method, spec["method"].get("hyper", {})) == plain[method]:
            found.setdefault((key_of_plain(spec), method), {}).setdefault(int(run["seed"]), kl)
    out: dict[str, KnownKL] = {}
    for method in PLAIN:
        for (key, name), seeds in found.items():
            if name == method and len(seeds) >= LEAST_SEEDS and key not in out:
                words = f"the mean of {len(seeds)} runs of a plain VAE"
                out[key] = KnownKL(sum(seeds.values()) / len(seeds), words)
    return out


def in_words(shares: Sequence[float]) -> str:
    """Set points as shares: "at set points of 0.73 to 0.82 of the plain VAE's KL"; empty where none is known."""
    known = [share for share in shares if math.isfinite(share)]
    if not known:
        return ""
    low, high = f"{min(known):.2f}", f"{max(known):.2f}"
    points = f"a set point of {low}" if low == high else f"set points of {low} to {high}"
    return f"at {points} of the plain VAE's KL"
