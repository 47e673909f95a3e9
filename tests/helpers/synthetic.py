"""Synthetic study folders, as the runner writes them, for everything downstream of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.evaluation.montages import grid
from bench.spec import RunSpec

METRIC_VERSIONS = {"reconstruction": 1, "kl": 1, "active_units": 1, "mig": 1, "factor_vae_score": 1, "dci": 1}
FACTOR_METRICS = ("mig", "factor_vae_score", "dci")
FACTOR_SCORES = ("mig", "factor_vae_score", "dci_disentanglement", "dci_completeness", "dci_informativeness")

#: Method -> (hyper-parameters, means of BCE, KL, MIG, FactorVAE score and DCI-D, beta at the end, set point).
METHODS: dict[str, tuple[dict[str, Any], tuple[float, ...], float, float | None]] = {
    "vae": ({}, (21.0, 24.5, 0.09, 0.52, 0.14), 1.0, None),
    "beta_vae": ({"beta": 4.0}, (41.5, 14.2, 0.21, 0.63, 0.29), 4.0, None),
    "factor_vae": ({"gamma": 6.4}, (23.9, 22.3, 0.17, 0.66, 0.24), 1.0, None),
    "control_vae": ({"set_point": 18.0}, (32.2, 18.0, 0.24, 0.65, 0.31), 2.1, 18.0),
    "dynamic_vae": ({"set_point": 20.0}, (28.4, 20.0, 0.33, 0.74, 0.42), 1.4, 20.0),
    "untrained": ({}, (2841.0, 0.06, 0.021, 0.31, 0.033), 1.0, None),
}


@dataclass
class StudyBuilder:
    """Writes runs one by one into ``root``."""

    root: Path
    name: str = "toy"
    meta: dict[str, Any] = field(default_factory=dict)

    def study(self, **extra: Any) -> Path:
        """Write ``study.toml``."""
        meta = {
            "name": self.name,
            "preset": "quick",
            "description": "synthetic numbers",
            "notice": "reduced data set: 5,120 images of 32×32; not comparable with published numbers",
            "seeds": [0],
            "methods": list(METHODS),
            "datasets": ["dsprites"],
            **self.meta,
            **extra,
        }
        self.root.mkdir(parents=True, exist_ok=True)
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in meta.items()]
        (self.root / "study.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return self.root

    def spec(
        self, method: str, seed: int, hyper: Mapping[str, Any], version: int = 1, **changes: Any
    ) -> dict[str, Any]:
        """Build a resolved spec; ``changes`` replace whole top-level entries."""
        options = {"sizes": [3, 4, 4, 8, 8], "resolution": 32}
        return {
            "schema_version": 1,
            "method": {"name": method, "version": version, "hyper": dict(hyper)},
            "dataset": {"name": "dsprites", "version": 1, "options": options, "sha256": "ab" * 32},
            "network": {"name": "conv32", "version": 1, "latent_dim": 6, "init": "he"},
            "optimizer": {"name": "adam", "lr": 5e-4, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
            "batch_size": 64,
            "steps": 0 if method == "untrained" else 3000,
            "seed": seed,
            "log_every": 50,
            "evaluation": {"protocol": 1, "n_codes": 5120, "n_images": 512, "metrics": METRIC_VERSIONS},
            "threads": 1,
            "precision": "float32",
            "device": "cpu",
            **changes,
        }

    def run(
        self,
        method: str,
        seed: int,
        scores: Mapping[str, float | None],
        *,
        hyper: Mapping[str, Any] | None = None,
        status: str = "ok",
        curves: str | None = None,
        pictures: bool = False,
        provenance: Mapping[str, Any] | None = None,
        result: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """Write one run's folder and return its id."""
        spec = self.spec(method, seed, METHODS.get(method, ({},))[0] if hyper is None else hyper, **changes)
        run = run_id(spec)
        folder = self.root / "runs" / run
        folder.mkdir(parents=True)
        steps = spec["steps"]
        record = {
            "schema_version": 1,
            "run": run,
            "status": status,
            "steps_done": steps if status == "ok" else steps // 3,
            "last_good_step": None if status == "ok" else max(0, steps // 3 - 1),
            "scores": dict(scores),
            "not_applicable": {},
            "details": {"kl": {"kl_per_latent": [0.0, 3.0, 1.0, 2.5, 0.01, 0.5]}},
            "final": {"reconstruction": 30.0, "kl": 18.0, "beta": 1.0, "set_point": None},
            "files": {},
            **(result or {}),
        }
        facts = {
            "wall_s": 61.5,
            "train_s": 50.0,
            "evaluate_s": 8.0,
            "started": "2026-01-02T03:04:05+00:00",
            "versions": {"disbench": "0.1.0", "numpy": "2.4.6", "python": "3.11.7", "torch": "2.13.0"},
            "commit": "0123456789abcdef0123456789abcdef01234567",
            "dirty": False,
            "hardware": {"cpu": "Some CPU", "cores": 2, "memory_gib": 7.8, "gpu": None},
            "threads": 1,
            **(provenance or {}),
        }
        write_json(folder / "spec.json", spec)
        write_json(folder / "result.json", record)
        write_json(folder / "provenance.json", facts)
        if curves is not None:
            (folder / "curves.csv").write_text(curves, encoding="utf-8")
        if pictures:
            draw_pictures(folder, spec)
        return run

    def fail(self, method: str, seed: int, attempt: int = 1, **changes: Any) -> str:
        """Write the record of a failed attempt and return the run's id."""
        spec = self.spec(method, seed, METHODS[method][0], **changes)
        run = run_id(spec)
        (self.root / "failed").mkdir(parents=True, exist_ok=True)
        record = {
            "run": run,
            "spec": spec,
            "error": "MemoryError: out of memory",
            "traceback": "Traceback (most recent call last):\n  ...\nMemoryError: out of memory\n",
            "attempt": attempt,
        }
        write_json(self.root / "failed" / f"{run}.{attempt}.json", record)
        return run

    def fill(
        self,
        seeds: Sequence[int],
        methods: Sequence[str] = tuple(METHODS),
        *,
        factors: bool = True,
        pictures: bool = False,
        rows: int = 60,
        **changes: Any,
    ) -> Path:
        """Write a whole study with values as real runs have them."""
        for method in methods:
            _, means, beta, set_point = METHODS[method]
            for seed in seeds:
                rng = np.random.default_rng([seed, *method.encode()])
                scores, extra = draw_scores(means, rng), {}
                if not factors:
                    scores = {key: value for key, value in scores.items() if key not in FACTOR_SCORES}
                    extra = {"not_applicable": dict.fromkeys(FACTOR_METRICS, "the factors aren't known")}
                curves = draw_curves(method, means[1], means[0], beta, set_point, rows, rng)
                self.run(method, seed, scores, curves=curves, pictures=pictures, result=extra, **changes)
        return self.study(seeds=list(seeds), methods=list(methods), planned=len(methods) * len(seeds))


#: What the fixture ``study_builder`` gives: the name of a folder, and what ``study.toml`` shall say, to a builder.
Build = Callable[..., StudyBuilder]


def run_id(spec: Mapping[str, Any]) -> str:
    return RunSpec.model_validate(spec).run_id


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(record, sort_keys=True, allow_nan=False), encoding="utf-8")


def draw_scores(means: tuple[float, ...], rng: np.random.Generator) -> dict[str, float]:
    bce, kl, mig, factor, dci = (
        m * (1 + s * rng.normal()) for m, s in zip(means, (0.03, 0.02, 0.2, 0.1, 0.12), strict=True)
    )
    mse = bce / 1500
    return {
        "reconstruction_bce": float(bce),
        "reconstruction_mse": float(mse),
        "psnr_db": float(-10 * np.log10(min(mse, 0.25))),
        "kl": float(kl),
        "active_units": float(rng.integers(4, 7)) if kl > 1 else 0.0,
        "mig": float(mig),
        "factor_vae_score": float(factor),
        "dci_disentanglement": float(dci),
        "dci_completeness": float(dci * 1.1),
        "dci_informativeness": float(min(1.0, 0.5 + dci)),
    }


def draw_curves(
    method: str,
    kl: float,
    bce: float,
    beta: float,
    set_point: float | None,
    rows: int,
    rng: np.random.Generator,
) -> str:
    """Curves of 6 latents: four fill one after the other, two stay dead."""
    names = ["step", "reconstruction", "kl", "beta", "set_point", *(f"kl_{k}" for k in range(6))]
    lines = [",".join(names)]
    order, shares = rng.permutation(6), np.array([0.34, 0.28, 0.22, 0.15, 0.008, 0.002])
    for row in range(0 if method == "untrained" else rows):
        t = (row + 1) / rows
        noise = 1 + 0.02 * rng.normal(size=8)
        per_latent = np.zeros(6)
        per_latent[order] = kl * shares * np.clip((t - 0.12 * np.arange(6)) / 0.3, 0, 1) * noise[:6]
        weight = beta if method not in ("control_vae", "dynamic_vae") else beta + 90 * np.exp(-9 * t)
        target = "" if set_point is None else repr(min(set_point, set_point * 1.4 * t))
        values = [bce * noise[6] + 600 * np.exp(-14 * t), per_latent.sum(), weight]
        cells = [str(50 * (row + 1)), *(repr(float(v)) for v in values), target]
        lines.append(",".join([*cells, *(repr(float(v)) for v in per_latent)]))
    return "\n".join(lines) + "\n"


def draw_pictures(folder: Path, spec: Mapping[str, Any], height: int = 24, width: int = 32) -> None:
    """Montages as the runner stores them: cells that aren't square, with gaps of one pixel."""
    rng = np.random.default_rng(spec["seed"])
    latents = spec["network"]["latent_dim"]
    top = (width - height) // 2
    sprites = [sprite(rng, width)[top : top + height] for _ in range(8)]
    traversals = []
    for latent in range(latents):
        row = []
        for query in range(3):
            for value in np.linspace(-3, 3, 10):
                row.append(np.roll(sprites[query], int(value * (latents - latent)), axis=latent % 2))
        traversals.append(row)
    blurred = [np.clip(s * 0.8 + 20 * rng.random(s.shape), 0, 255).astype(np.uint8) for s in sprites]
    montage(traversals, folder / "traversals.png")
    montage([sprites, blurred], folder / "reconstructions.png")


def sprite(rng: np.random.Generator, size: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    angle, a, b = rng.uniform(0, np.pi), *rng.uniform(0.1 * size, 0.3 * size, 2)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    inside = (u / a) ** 2 + (v / b) ** 2 < 1 if rng.random() < 0.5 else np.maximum(abs(u) / a, abs(v) / b) < 1
    return (255 * inside).astype(np.uint8)


def montage(rows: Sequence[Sequence[np.ndarray]], path: Path) -> None:
    Image.fromarray(grid(np.array(rows)[:, :, None] / 255)[..., 0]).save(path)
