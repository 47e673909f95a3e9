"""What changes while R runs of one architecture train together, and how it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.assembly import assemble
from bench.dataset import Dataset
from bench.method import Method, State, shared_hyper
from bench.nn import networks
from bench.nn.adam import Adam
from bench.nn.networks import ImageShape
from bench.nn.precision import in_precision
from bench.seeds import torch_stream
from bench.spec import RunSpec
from bench.training.log import Log
from bench.training.schedule import TailMean


@dataclass
class Model:
    """Networks of R runs, and what their method remembers: all that codes and images are made with.

    Attributes
    ----------
    vae : VAE
        Encoders and decoders.
    method : Method
    modules : Module or None
        The method's own networks.
    state : mapping of str to Tensor
        The method's, as the last step left it.
    shape : tuple of int
        ``(C, H, W)`` of the images.
    known_decoder : ndarray of shape (d, K) or None
        Of a decoder that isn't trained; see `bench.dataset.Dataset.known_decoder`.
    """

    vae: networks.VAE
    method: Method
    modules: nn.Module | None
    state: State
    shape: ImageShape
    known_decoder: NDArray[np.float64] | None


@dataclass(frozen=True)
class Streams:
    """Random generators of R runs: for the posteriors' noise, and for what the method draws itself."""

    noise: tuple[torch.Generator, ...]
    own: tuple[torch.Generator, ...]


@dataclass
class Training:
    """All that changes while R runs train; `bench.training.checkpoint` stores and restores it.

    Attributes
    ----------
    specs : list of RunSpec
        One per run; they differ only in seed and in float hyper-parameters.
    model : Model
    optimizers : list of Adam
        Of the networks, and of the method's own.
    mean : TailMean or None
        Of the networks' weights, where the spec wants it.
    streams : Streams
    log : Log
    """

    specs: list[RunSpec]
    model: Model
    optimizers: list[Adam]
    mean: TailMean | None
    streams: Streams
    log: Log = field(default_factory=Log)


def prepare(
    specs: Sequence[RunSpec], shape: ImageShape, n_train: int, known_decoder: NDArray[np.float64] | None = None
) -> Training:
    """Build and initialise networks, optimisers and streams of runs that are trained together.

    Parameters
    ----------
    specs : sequence of RunSpec
        Equal but for seed and float hyper-parameters.
    shape : tuple of int
        ``(C, H, W)`` of the images.
    n_train : int
        Number of training images.
    known_decoder : ndarray of shape (d, K), optional
        See `Model`.
    """
    first, seeds = specs[0], [spec.seed for spec in specs]
    model = build(specs, shape, n_train, known_decoder)
    method, settings = model.method, first.train
    optimizers = [Adam(model.vae.parameters(), **settings.optimizer)]
    if model.modules is not None:
        optimizers.append(Adam(model.modules.parameters(), **method.module_optimizer()))
    own = f"method:{method.stream or first.method.name}"
    return Training(
        specs=list(specs),
        model=model,
        optimizers=optimizers,
        mean=TailMean(model.vae, settings.steps, settings.average) if settings.average > 0 else None,
        streams=Streams(
            noise=tuple(torch_stream(seed, "noise", settings.device) for seed in seeds),
            own=tuple(torch_stream(seed, own, settings.device) for seed in seeds),
        ),
        log=Log(diverged=[None] * len(specs)),
    )


def prepare_for(specs: Sequence[RunSpec], dataset: Dataset) -> Training:
    """`prepare` for the images of a data set."""
    return prepare(specs, dataset.image_shape, dataset.n_train, dataset.known_decoder())


def build(
    specs: Sequence[RunSpec], shape: ImageShape, n_train: int, known_decoder: NDArray[np.float64] | None = None
) -> Model:
    """Build and initialise the networks of runs that are trained together; parameters as in `prepare`."""
    first, seeds = specs[0], [spec.seed for spec in specs]
    kinds = [shared(spec) for spec in specs]
    if any(kind != kinds[0] for kind in kinds):
        raise ValueError("batched runs may differ in seed and in unshared float hyper-parameters only")
    settings, parts = first.train, assemble(specs, shape, n_train)
    networks.initialise(parts.vae, settings.init, seeds, "vae")
    if known_decoder is not None:
        networks.fix_decoder(parts.vae, known_decoder)
    parts.vae.to(settings.device)
    modules = parts.modules
    if modules is not None:
        networks.initialise(modules, settings.init, seeds, "method")
        modules.to(settings.device)
        modules.forward = in_precision(modules.forward, settings.precision, settings.device)
    return Model(parts.vae, parts.method, modules, parts.state, shape, known_decoder)


def shared(spec: RunSpec) -> dict[str, Any]:
    """What runs that are trained together must have in common, JSON-ready."""
    content = spec.model_dump(mode="json", exclude={"seed", "evaluation"})
    content["method"]["hyper"] = shared_hyper(spec.method.name, spec.method.hyper)
    return content
