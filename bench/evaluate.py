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
from bench.engine import Training
from bench.metric import NotApplicableError
from bench.registry import METRICS
from bench.seeds import stream

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
    """

    scores: dict[str, float]
    not_applicable: dict[str, str]
    details: dict[str, dict[str, Any]]


def sample_rows(dataset: Dataset, n: int) -> Index:
    """Rows of the evaluation sample: fixed, the same for every method and seed; all rows if there are at most n."""
    return stream(0, "evaluation").permutation(len(dataset))[:n]


def encode(training: Training, store: ImageStore, rows: Index) -> tuple[NDArray[Any], NDArray[Any]]:
    """Posterior means and log-variances of these rows for a training of one run.

    Returns
    -------
    mean, logvar : ndarray of shape (len(rows), K), float64
    """
    means: list[Tensor] = []
    logvars: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, len(rows), CHUNK):
            x = store.gather(rows[start : start + CHUNK]).unsqueeze(0).to(training.method.device)
            mean, logvar = training.vae.encode(x)
            means.append(mean[0].cpu())
            logvars.append(logvar[0].cpu())
    return torch.cat(means).double().numpy(), torch.cat(logvars).double().numpy()


def decode(training: Training, codes: NDArray[Any]) -> NDArray[np.float32]:
    """Logits of the images of what the decoder is given, (n, K) to (n, C, H, W), for a training of one run."""
    parts: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, len(codes), CHUNK):
            z = torch.from_numpy(codes[start : start + CHUNK]).float().unsqueeze(0).to(training.method.device)
            parts.append(training.vae.decode(z)[0].cpu())
    return torch.cat(parts).numpy()


def decoder_input(training: Training, mean: NDArray[Any], logvar: NDArray[Any]) -> NDArray[np.float32]:
    """What the method gives its decoder for these posteriors when it is evaluated, (n, K)."""
    m, v = (torch.from_numpy(value).float().unsqueeze(0).to(training.method.device) for value in (mean, logvar))
    with torch.no_grad():
        codes: NDArray[np.float32] = training.method.code_at_evaluation(m, v, training.state)[0].cpu().numpy()
    return codes


def evaluate(training: Training, dataset: Dataset, store: ImageStore) -> Evaluation:
    """Run the metrics of a run's spec on it.

    Parameters
    ----------
    training : Training
        Of one run, trained. Each metric draws from its own stream ``metric:<name>`` of the run's seed.
    """
    seed, spec = training.specs[0].seed, training.specs[0].evaluation
    rows = sample_rows(dataset, spec.n_codes)
    mean, logvar = encode(training, store, rows)
    part = slice(min(spec.n_images, len(rows)))
    inputs: dict[str, NDArray[Any]] = {"codes": mean, "logvar": logvar, "factors": dataset.factors(rows)}
    if {"images", "decoded"} & {need for name in spec.metrics for need in METRICS.get(name).info["inputs"]}:
        inputs["images"] = store.gather(rows[part]).numpy()
        inputs["decoded"] = decode(training, decoder_input(training, mean[part], logvar[part]))
    scores: dict[str, float] = {}
    missing: dict[str, str] = {}
    details: dict[str, dict[str, Any]] = {}
    for name in spec.metrics:
        entry = METRICS.get(name)
        if "factors" in entry.info["inputs"] and not dataset.factor_names:
            missing[name] = "the dataset has no factors"
            continue
        if "logvar" in entry.info["inputs"] and not training.method.stochastic:
            missing[name] = "the codes carry no noise"
            continue
        try:
            given = [inputs[need] for need in entry.info["inputs"]]
            result = entry.value(*given, rng=stream(seed, f"metric:{name}"))
        except NotApplicableError as error:
            missing[name] = str(error)
            continue
        for column in entry.info["scores"]:
            value = result.pop(column)
            if value is None or not math.isfinite(value):
                missing[column] = "undefined on these codes"
            else:
                scores[column] = float(value)
        details[name] = result
    return Evaluation(scores, missing, details)
