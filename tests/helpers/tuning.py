"""Tuning studies with made-up numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tomli_w

from bench.method import resolve_hyper
from bench.results.study import Study, read_study
from helpers.synthetic import StudyBuilder

SEEDS = (1000, 1001, 1002)
#: A setting: hyper-parameters, value by seed (NaN is written as missing), reconstruction by seed or for all.
Setting = tuple[dict[str, Any], Sequence[float | None], float]


def tuning_study(
    builder: StudyBuilder,
    methods: Mapping[str, Sequence[Setting]],
    *,
    score: str = "mig",
    status: Mapping[tuple[str, int, int], str] | None = None,
    **tuning: Any,
) -> Study:
    """Write a tuning study and read it; `status` by method, number of the setting and seed, where it isn't "ok"."""
    trials: dict[str, list[dict[str, Any]]] = {}
    for method, settings in methods.items():
        for number, (given, values, reconstruction) in enumerate(settings):
            hyper = resolve_hyper(method, given)
            trials.setdefault(method, []).append(hyper)
            for seed, value in zip(SEEDS, values, strict=False):
                scores = {"reconstruction_bce": reconstruction, "kl": 5.0}
                scores |= {} if value is None else {score: value}
                how = (status or {}).get((method, number, seed), "ok")
                final = {"reconstruction": reconstruction, "kl": 5.0, "beta": 1.0, "set_point": None}
                builder.run(method, seed, scores, hyper=hyper, status=how, result={"final": final})
    draws = max(len(settings) for settings in methods.values()) - 1
    meta = {
        "name": builder.name,
        "preset": "quick",
        "seeds": list(SEEDS),
        "methods": list(methods),
        "datasets": ["dsprites"],
        "figures": ["budget", "sensitivity"],
        "tuning": {"draws": max(draws, 1), "rule": score, "trials": trials, **tuning},
    }
    builder.root.mkdir(parents=True, exist_ok=True)
    (builder.root / "study.toml").write_text(tomli_w.dumps(meta), encoding="utf-8")
    return read_study(builder.root)
