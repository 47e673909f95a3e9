"""What a method is given of one step, and what it wants done with it. All tensors carry a leading run axis R."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Encoded:
    """Posteriors of a batch.

    Attributes
    ----------
    mean, logvar, z : Tensor, (R, B, K), float32
        Parameters of q(z|x) and one sample of it per image.
    """

    mean: Tensor
    logvar: Tensor
    z: Tensor


@dataclass(frozen=True)
class Terms:
    """What the forward pass of one step gives.

    Attributes
    ----------
    reconstruction : Tensor, (R,)
        Nats per image, summed over pixels, mean over batch (Bernoulli data), or the summed squared error.
    kl_per_latent : Tensor, (R, K)
        Analytic KL(q(z_k|x) || N(0, 1)), nats per image, mean over batch.
    encoded : Encoded
        Of the training batch.
    second : Encoded or None
        Of an independent batch, without gradient, for methods with ``n_batches = 2``.
    images, logits : Tensor, (R, B, C, H, W)
        The training batch in [0, 1], and the decoder's output for it.
    generators : tuple of torch.Generator
        One per run, for a method's own draws; checkpointed.
    """

    reconstruction: Tensor
    kl_per_latent: Tensor
    encoded: Encoded
    second: Encoded | None = None
    images: Tensor | None = None
    logits: Tensor | None = None
    generators: tuple[torch.Generator, ...] = ()

    @property
    def kl(self) -> Tensor:
        """Total KL, (R,): summed over latents, nats per image, mean over batch."""
        return self.kl_per_latent.sum(dim=1)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1) of shape (R, *shape), each run's from its own generator."""
        return torch.stack([torch.rand(shape, generator=g, device=g.device) for g in self.generators])

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers of shape (R, *shape), each run's from its own generator."""
        return torch.stack([torch.randn(shape, generator=g, device=g.device) for g in self.generators])


@dataclass(frozen=True)
class Objective:
    """What a method wants done with one step.

    Attributes
    ----------
    loss : Tensor, (R,)
        Minimised over encoder and decoder.
    beta : Tensor, (R,)
        Weight on the KL in this step, for the record.
    set_point : Tensor or None, (R,)
        KL the method steers towards in this step, nats.
    auxiliary : Tensor or None, (R,)
        Minimised over the method's own modules only (FactorVAE's discriminator).
    state : mapping of str to Tensor
        The method's state for the next step; checkpointed.
    trains : {"all", "decoder"}
        Which part of the network this step changes.

    Examples
    --------
    Two batched runs, each with its own weight on the KL:

    >>> import torch
    >>> reconstruction, kl, beta = torch.tensor([20.0, 30.0]), torch.tensor([5.0, 4.0]), torch.tensor([1.0, 2.0])
    >>> Objective(loss=reconstruction + beta * kl, beta=beta).loss
    tensor([25., 38.])
    """

    loss: Tensor
    beta: Tensor
    set_point: Tensor | None = None
    auxiliary: Tensor | None = None
    state: State = field(default_factory=dict)
    trains: Literal["all", "decoder"] = "all"


def kl_per_latent(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)) per latent, nats per image, mean over batch: (R, B, K) to (R, K)."""
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean(dim=1)
