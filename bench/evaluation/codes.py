"""Encode once, then every metric on the same table of codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.data.images import Gathers, ImageStore
from bench.dataset import Dataset, Index, sample_rows, sample_training_rows
from bench.metrics.measure import REASONS, Evaluation, find_metric, measure
from bench.nn.networks import VAE
from bench.seeds import stream
from bench.training.state import Model
from bench.training.trained import TrainedRun

#: Images per forward pass when encoding; a constant of the protocol, because it can change the last bits.
CHUNK = 256
#: Draws from the prior that are decoded for the metrics of them, and their stream.
GENERATED = 1_000
PRIOR = "evaluation:prior"
#: Inputs of metrics that data which are no images don't have, and those that are about training images.
OF_TRAINING = {"train_codes", "train_logvar", "train_images", "train_decoded"}
OF_IMAGES = {"images", "decoded", "generated", *OF_TRAINING}


def encode_images(vae: VAE, store: Gathers, rows: Index, device: str = "cpu") -> tuple[NDArray[Any], NDArray[Any]]:
    """Posterior means and log-variances of these rows by a network of one run.

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


def decode_codes(vae: VAE, codes: NDArray[Any], device: str = "cpu") -> NDArray[np.float32]:
    """Logits of the images of what the decoder is given, (n, K) to (n, C, H, W), by a network of one run."""
    parts: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, len(codes), CHUNK):
            z = torch.from_numpy(codes[start : start + CHUNK]).float().unsqueeze(0).to(device)
            parts.append(vae.decode(z)[0].cpu())
    return torch.cat(parts).numpy()


def encode(model: Model, store: ImageStore, rows: Index) -> tuple[NDArray[Any], NDArray[Any]]:
    """Posterior means and log-variances, (len(rows), K) float64 each, by the model of one run."""
    return encode_images(model.vae, store, rows, model.method.device)


def decode(model: Model, codes: NDArray[Any]) -> NDArray[np.float32]:
    """Logits of the images of what the decoder is given, (n, K) to (n, C, H, W), by the model of one run."""
    return decode_codes(model.vae, codes, model.method.device)


def decoder_input(model: Model, mean: NDArray[Any], logvar: NDArray[Any]) -> NDArray[np.float32]:
    """What the method gives its decoder for these posteriors when it is evaluated, (n, K)."""
    m, v = (torch.from_numpy(value).float().unsqueeze(0).to(model.method.device) for value in (mean, logvar))
    with torch.no_grad():
        codes: NDArray[np.float32] = model.method.code_at_evaluation(m, v, model.state)[0].cpu().numpy()
    return codes


def covariance(model: Model, logvar: NDArray[Any]) -> NDArray[Any] | None:
    """Covariances of posteriors with these log-variances, (n, K, K) float64, if a method correlates its latents."""
    with torch.no_grad():
        found = model.method.covariance(torch.from_numpy(logvar).unsqueeze(0).to(model.method.device))
    return None if found is None else found[0].double().cpu().numpy()


def evaluate(run: TrainedRun, dataset: Dataset, store: ImageStore) -> Evaluation:
    """Run the metrics of a run's spec on it; each draws from its own stream ``metric:<name>`` of the run's seed."""
    inputs, reasons = inputs_of(run, dataset, store)
    return measure(inputs, run.spec.evaluation.metrics, seed=run.spec.seed, reasons=reasons)


def inputs_of(run: TrainedRun, dataset: Dataset, store: ImageStore) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """What the metrics of a run's spec are given, and why what isn't there is missing; see `measure`."""
    spec, model = run.spec.evaluation, run.model
    rows = sample_rows(dataset, spec.n_codes)
    mean, logvar = encode(model, store, rows)
    part = slice(min(spec.n_images, len(rows)))
    asked = {need for name in spec.metrics for need in find_metric(name).inputs}
    inputs: dict[str, NDArray[Any]] = {"codes": mean}
    reasons = {}
    spread = covariance(model, logvar)
    if spread is not None:
        reasons["logvar"] = "latents are correlated given the data"
    elif model.method.stochastic:
        inputs["logvar"] = logvar
    if dataset.factor_names:
        inputs["factors"] = dataset.factors(rows)
    if (labels := dataset.labels(rows)) is not None:
        inputs["labels"] = labels
    if (sources := dataset.sources(rows)) is not None:
        inputs["sources"] = sources
        if spread is None and model.method.stochastic:
            spread = np.exp(logvar)[:, :, None] * np.eye(logvar.shape[1])
        if spread is not None:
            inputs["covariance"] = spread
        if (posterior := dataset.posterior(rows)) is not None:
            inputs["true_mean"], inputs["true_covariance"] = posterior
    if dataset.likelihood == "gaussian_unit":
        reasons |= dict.fromkeys(OF_IMAGES, "the data are no images")
        asked -= OF_IMAGES
    elif {"images", "decoded", "generated"} & asked:
        inputs["images"] = store.gather(rows[part]).cpu().numpy()
        inputs["decoded"] = decode(model, decoder_input(model, mean[part], logvar[part]))
    if OF_TRAINING & asked:
        inputs |= _of_training(run, dataset, store)
    if "decoder_codes" in asked:
        inputs["decoder_codes"] = decoder_input(model, mean, logvar)
    if "generated" in asked:
        if model.method.stochastic:
            size = min(GENERATED, spec.n_images), mean.shape[1]
            inputs["generated"] = decode(model, stream(run.spec.seed, PRIOR).standard_normal(size))
        else:
            reasons["generated"] = REASONS["logvar"]
    return inputs, reasons


def _of_training(run: TrainedRun, dataset: Dataset, store: ImageStore) -> dict[str, NDArray[Any]]:
    """Training images; where others are held out, their codes and reconstructions, too, of as many as are scored."""
    spec, model = run.spec.evaluation, run.model
    rows = sample_training_rows(dataset, spec.n_codes)
    part = slice(min(spec.n_images, len(rows)))
    inputs: dict[str, NDArray[Any]] = {"train_images": store.gather(rows[part]).cpu().numpy()}
    if dataset.held_out_rows() is None:
        return inputs
    mean, logvar = encode(model, store, rows)
    inputs |= {"train_codes": mean, "train_decoded": decode(model, decoder_input(model, mean[part], logvar[part]))}
    if model.method.stochastic and covariance(model, logvar[:1]) is None:
        inputs["train_logvar"] = logvar
    return inputs
