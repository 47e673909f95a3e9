"""Specifications of runs: by hand for the training alone, and as a study makes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.config.expand import expand
from bench.config.study import resolve
from bench.method import resolve_hyper
from bench.spec import RunSpec


def run_spec(
    method: str,
    hyper: Mapping[str, Any] | None = None,
    seed: int = 0,
    *,
    network: str = "mlp",
    latent_dim: int = 4,
    **changes: Any,
) -> RunSpec:
    """Return a run of 12 steps on `helpers.blobs.Blobs`; `changes` replace whole fields."""
    fields: dict[str, Any] = {
        "method": {"name": method, "version": 1, "hyper": resolve_hyper(method, dict(hyper or {}))},
        "dataset": {"name": "blobs", "version": 1, "sha256": "0"},
        "network": {"name": network, "version": 1, "latent_dim": latent_dim, "init": "he"},
        "optimizer": {"name": "adam", "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        "batch_size": 16,
        "steps": 12,
        "seed": seed,
        "log_every": 2,
        "evaluation": {"n_codes": 60, "n_images": 60, "metrics": {}},
        "threads": 1,
    }
    return RunSpec(**(fields | changes))


def specs_of(
    methods: Iterable[str] = ("vae",),
    *settings: str,
    seeds: Iterable[int] = (0,),
    controls: Iterable[str] = (),
    preset: str = "smoke",
    **flags: Any,
) -> list[RunSpec]:
    """Return the runs that `bench run --set ...` would plan, without controls unless they are named."""
    words: dict[str, Any] = {"methods": list(methods), "controls": list(controls), "seeds": list(seeds)}
    return expand(resolve(preset, settings=list(settings), **words, **flags))
