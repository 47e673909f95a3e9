"""Encode once, then every metric on the same table of codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.batches import ImageStore
from bench.data import Dataset, Index
from bench.networks import VAE
from bench.registry import METRICS
from bench.seeds import stream
from bench.spec import EvaluationSpec

#: Images per forward pass when encoding; a constant of the protocol, because it can change the last bits.
CHUNK = 256


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes
    ----------
    scores : dict of str to float
        Column to value.
    not_applicable : dict of str to str
        Metric to the reason why it has no value (no factors, too few rows): never 0 instead.
    details : dict of str to dict
        Metric to what it reports beside its score.
    table : dict of str to ndarray
        The inputs: codes, logvar, factors, and the rows they belong to.
    """

    scores: dict[str, float]
    not_applicable: dict[str, str]
    details: dict[str, dict[str, Any]]
    table: dict[str, NDArray[Any]]


def sample_rows(dataset: Dataset, n: int) -> Index:
    """Rows of the evaluation sample: fixed, the same for every method and seed; all rows if there are at most n."""
    return stream(0, "evaluation").permutation(len(dataset))[:n]


def encode(vae: VAE, store: ImageStore, rows: Index, device: str = "cpu") -> tuple[NDArray[Any], NDArray[Any]]:
    """Posterior means and log-variances of these rows for a network of one run.

    Returns
    -------
    mean, logvar : ndarray of shape (len(rows), K), float64
    """
    means: list[Tensor] = []
    logvars: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, len(rows), CHUNK):
            x = store.gather(rows[start : start + CHUNK]).unsqueeze(0).to(device)
            mean, logvar = vae.encode(x)
            means.append(mean[0].cpu())
            logvars.append(logvar[0].cpu())
    return torch.cat(means).double().numpy(), torch.cat(logvars).double().numpy()


def decode(vae: VAE, codes: NDArray[Any], device: str = "cpu") -> NDArray[np.float32]:
    """Logits of the images of these codes, (n, C, H, W), for a network of one run."""
    parts: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, len(codes), CHUNK):
            z = torch.from_numpy(codes[start : start + CHUNK]).float().unsqueeze(0).to(device)
            parts.append(vae.decode(z)[0].cpu())
    return torch.cat(parts).numpy()


def evaluate(
    vae: VAE, dataset: Dataset, store: ImageStore, spec: EvaluationSpec, *, seed: int, device: str = "cpu"
) -> Evaluation:
    """Run the metrics of a spec on a trained network of one run.

    Parameters
    ----------
    vae : VAE
        With R = 1.
    spec : EvaluationSpec
        Sample sizes and metrics.
    seed : int
        The run's seed; each metric draws from its own stream ``metric:<name>`` of it.
    """
    rows = sample_rows(dataset, spec.n_codes)
    mean, logvar = encode(vae, store, rows, device)
    n_images = min(spec.n_images, len(rows))
    needs = {need for name in spec.metrics for need in METRICS.get(name).info["inputs"]}
    table: dict[str, NDArray[Any]] = {
        "codes": mean,
        "logvar": logvar,
        "factors": dataset.factors(rows),
        "rows": rows,
    }
    inputs = dict(table)
    if needs & {"images", "decoded"}:
        inputs["images"] = store.gather(rows[:n_images]).numpy()
        inputs["decoded"] = decode(vae, mean[:n_images], device)
    scores: dict[str, float] = {}
    missing: dict[str, str] = {}
    details: dict[str, dict[str, Any]] = {}
    for name in spec.metrics:
        entry = METRICS.get(name)
        if "factors" in entry.info["inputs"] and not dataset.factor_names:
            missing[name] = "the dataset has no factors"
            continue
        try:
            given = [inputs[need] for need in entry.info["inputs"]]
            result = entry.value(*given, rng=stream(seed, f"metric:{name}"))
        except ValueError as error:
            missing[name] = str(error)
            continue
        for column in entry.info["scores"]:
            value = result.pop(column)
            if value is None or not math.isfinite(value):
                missing[column] = "undefined on these codes"
            else:
                scores[column] = float(value)
        details[name] = result
    return Evaluation(scores, missing, details, table)
