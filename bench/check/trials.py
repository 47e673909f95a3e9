"""The small runs that tiers 0 and 1 train: a sub-grid of dSprites from our own renderer, a small net, one thread."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from bench.dataset import Dataset, load_dataset, resolve_options
from bench.method import resolve_hyper
from bench.registry import DATASETS, METHODS, METRICS, NETWORKS, MethodEntry
from bench.spec import ENGINE_VERSION, DatasetSpec, EvaluationSpec, MethodSpec, RunSpec
from bench.train_settings import TrainSettings

#: The net of small runs.
NETWORK = "mlp"
#: Hyper-parameters with which schedules happen within a short run; all others, and a plug-in's, are the defaults.
SETTINGS: dict[str, dict[str, Any]] = {
    "annealed_vae": {"set_point": 5.0, "annealing_steps": 60},
    "control_vae": {"set_point": 3.0, "set_point_start": 0.25, "set_point_step": 0.5, "set_point_every": 20, "ki": 0.1},
    "dynamic_vae": {"set_point": 3.0, "set_point_step": 0.5, "set_point_every": 20, "ramp": 4, "beta0": 8.0, "ki": 0.1},
    "factor_vae": {"discriminator_width": 64},
}
#: 192 images of 32 px for dense nets, 96 of 64 px for those that take no other.
GRIDS: dict[int, dict[str, Any]] = {
    32: {"shape": 3, "scale": 2, "orientation": 1, "pos_x": 8, "pos_y": 4, "size": 32},
    64: {"shape": 3, "scale": 2, "orientation": 2, "pos_x": 4, "pos_y": 2, "size": 64},
}
#: Steps of a trajectory (13 epochs, so that the order of later epochs counts) and those a log row is the mean of;
#: the same for 64 px, whose networks take a hundred times as long.
STEPS, STEPS_64 = (80, 20), (12, 3)
#: What is measured after a trajectory: one metric of each kind of input.
METRIC_NAMES = ("reconstruction", "kl", "mig")


def dataset(size: int = 32) -> Dataset:
    """The images of a small run."""
    return load_dataset("dsprites", resolve_options("dsprites", GRIDS[size]))


def spec(
    method: MethodEntry, *, steps: int, log_every: int, network: str = NETWORK, size: int = 32, threads: int = 1
) -> RunSpec:
    """Resolve a small run; methods without training get no steps."""
    options = resolve_options("dsprites", GRIDS[size])
    data = DatasetSpec(
        name="dsprites",
        version=DATASETS.get("dsprites").version,
        options=options,
        sha256=dataset(size).fingerprint(),
    )
    return RunSpec(
        engine=ENGINE_VERSION,
        method=MethodSpec(
            name=method.name, version=method.version, hyper=resolve_hyper(method.name, SETTINGS.get(method.name, {}))
        ),
        dataset=data,
        network_version=NETWORKS.get(network).version,
        train=TrainSettings(
            network=network,
            latent_dim=6,
            batch_size=32,
            steps=steps if method.info.trains else 0,
            lr=1e-3 if size == 32 else 1e-4,
            log_every=log_every,
            threads=threads,
        ),
        seed=0,
        evaluation=EvaluationSpec(
            n_codes=192, n_images=64, metrics={name: METRICS.get(name).version for name in METRIC_NAMES}
        ),
    )


def checksum() -> dict[str, str]:
    """What the small runs are, which decides their numbers: only all of them together can be recorded anew."""
    text = json.dumps([GRIDS, SETTINGS, METRIC_NAMES, NETWORK, STEPS, STEPS_64], sort_keys=True)
    return {"small runs": hashlib.sha256(text.encode()).hexdigest()[:16]}


def versions(run: RunSpec) -> dict[str, int]:
    """What a run's numbers depend on and has a version that is raised when they move."""
    network = METHODS.get(run.method.name).value.network or run.train.network
    found = {
        f"method {run.method.name}": run.method.version,
        f"dataset {run.dataset.name}": run.dataset.version,
        f"network {network}": NETWORKS.get(network).version,
        "engine": run.engine,
        "protocol": run.evaluation.protocol,
    }
    base = run.method.hyper.get("base")
    if isinstance(base, str) and base in METHODS:
        found[f"method {base}"] = METHODS.get(base).version
    return found
