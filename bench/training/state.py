"""What changes while R runs of one architecture train in lockstep, and how it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.method import Method, State, shared_hyper
from bench.nn import networks
from bench.nn.adam import Adam
from bench.nn.precision import in_precision
from bench.registry import METHODS
from bench.seeds import torch_stream
from bench.spec import RunSpec
from bench.training.schedule import TailMean

#: Columns of the curves before the per-latent KL.
COLUMNS = ("reconstruction", "kl", "beta", "set_point")


@dataclass
class Training:
    """All that changes while R runs train; `bench.training.checkpoint` stores and restores it.

    Attributes
    ----------
    specs : list of RunSpec
        One per run; they differ only in seed and in float hyper-parameters.
    known_decoder : ndarray or None
        As given to `prepare`.
    mean : TailMean or None
        Of the network's weights, where the spec wants it.
    step : int
        Last finished step.
    curves : list of ndarray of shape (R, 1 + 4 + K), float64
        Rows of step, `COLUMNS`, KL per latent: means over the log interval that ends at that step.
    diverged : list of int or None
        Per run the last step at which all of a log row was finite, None while all is well.
    """

    specs: list[RunSpec]
    vae: networks.VAE
    method: Method
    modules: nn.Module | None
    optimizers: list[Adam]
    noise: tuple[torch.Generator, ...]
    own: tuple[torch.Generator, ...]
    state: State
    known_decoder: NDArray[np.float64] | None = None
    mean: TailMean | None = None
    step: int = 0
    curves: list[np.ndarray] = field(default_factory=list)
    diverged: list[int | None] = field(default_factory=list)


def prepare(
    specs: Sequence[RunSpec],
    shape: tuple[int, int, int],
    n_train: int,
    known_decoder: NDArray[np.float64] | None = None,
) -> Training:
    """Build and initialise networks, optimisers, streams and state of runs that go in lockstep.

    Parameters
    ----------
    specs : sequence of RunSpec
        Equal but for seed and float hyper-parameters.
    shape : tuple of int
        ``(C, H, W)`` of the images.
    n_train : int
        Number of training images.
    known_decoder : ndarray of shape (d, K), optional
        Of a decoder that isn't trained; see `bench.dataset.Dataset.known_decoder`.
    """
    first = specs[0]
    if any(shared(spec) != shared(first) for spec in specs):
        raise ValueError("runs in lockstep may differ in seed and in unshared float hyper-parameters only")
    seeds = [spec.seed for spec in specs]
    entry = METHODS.get(first.method.name)
    hypers = [entry.value.Hyper(**spec.method.hyper) for spec in specs]
    method: Method = entry.value(
        hypers, latent_dim=first.network.latent_dim, n_train=n_train, n_steps=first.steps, device=first.device
    )
    vae = method.build(shape) or networks.build(first.network.name, len(specs), shape, first.network.latent_dim)
    networks.initialise(vae, first.network.init, seeds, "vae")
    if known_decoder is not None:
        networks.fix_decoder(vae, known_decoder)
    vae.to(first.device)
    modules = method.modules()
    optimizers = [network_adam(vae, first)]
    if modules is not None:
        networks.initialise(modules, first.network.init, seeds, "method")
        modules.to(first.device)
        modules.forward = in_precision(modules.forward, first.precision, first.device)
        optimizers.append(Adam(modules.parameters(), **method.module_optimizer()))
    return Training(
        specs=list(specs),
        vae=vae,
        method=method,
        modules=modules,
        optimizers=optimizers,
        noise=tuple(torch_stream(seed, "noise", first.device) for seed in seeds),
        own=tuple(torch_stream(seed, f"method:{method.stream or first.method.name}", first.device) for seed in seeds),
        state=method.initial_state(),
        known_decoder=known_decoder,
        mean=TailMean(vae, first.steps, first.optimizer.average) if first.optimizer.average > 0 else None,
        diverged=[None] * len(specs),
    )


def shared(spec: RunSpec) -> dict[str, Any]:
    """What runs in lockstep must have in common, JSON-ready."""
    content = spec.model_dump(mode="json", exclude={"seed", "evaluation"})
    content["method"]["hyper"] = shared_hyper(spec.method.name, spec.method.hyper)
    return content


def network_adam(vae: networks.VAE, spec: RunSpec) -> Adam:
    """The optimiser of encoder and decoder, at its first step."""
    opt = spec.optimizer
    return Adam(vae.parameters(), lr=opt.lr, betas=(opt.beta1, opt.beta2), eps=opt.eps)
