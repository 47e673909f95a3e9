"""The step size over a training, and the mean of the weights over its end."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

#: Share of the steps in which the step size rises, and what it rises from.
WARM_UP, FIRST = 0.3, 1 / 25


def one_cycle(step: int, n_steps: int) -> float:
    """Factor of the step size: half a cosine from 1/25 up to 1, at 30 % of the steps, and another down to 0.

    Parameters
    ----------
    step : int
        From 1.
    n_steps : int

    Returns
    -------
    float
        Above 0 and at most 1.

    References
    ----------
    Smith & Topin, "Super-Convergence", arXiv 1708.07120, for one rise and one fall; the cosines are torch's default.
    The rate of decay of Adam's moments stays as it is.
    """
    risen = WARM_UP * n_steps
    if step <= risen:
        return FIRST + (1 - FIRST) * 0.5 * (1 - math.cos(math.pi * step / risen))
    # One more than there are steps: the last one still counts.
    return 0.5 * (1 + math.cos(math.pi * (step - risen) / (n_steps + 1 - risen)))


class TailMean:
    """Mean of a network's weights after each of the last steps, which becomes its weights with the last one.

    Polyak & Juditsky (1992): what a stochastic gradient leaves of noise in the weights falls with the number of steps.

    Parameters
    ----------
    network : nn.Module
        All of its parameters have a leading run axis.
    n_steps : int
        Of the training.
    share : float
        Of the steps, rounded, but one at least.

    Attributes
    ----------
    sums : dict of str to Tensor
        By the parameter's name, float64: sums of float32 that no neighbour can round otherwise.
    """

    def __init__(self, network: nn.Module, n_steps: int, share: float) -> None:
        self.network = network
        self.last = n_steps
        self.count = max(1, round(share * n_steps))
        self.sums: dict[str, Tensor] = {
            name: torch.zeros_like(value, dtype=torch.float64) for name, value in network.named_parameters()
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Count the weights in that `step`, from 1, has left; set them to their mean at the last."""
        if step <= self.last - self.count:
            return
        for name, value in self.network.named_parameters():
            self.sums[name] += value
            if step == self.last:
                value.copy_(self.sums[name] / self.count)
