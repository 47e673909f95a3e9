"""A deterministic autoencoder: what reconstruction costs when nothing is asked of the codes."""

from __future__ import annotations

from torch import Tensor

from bench.method import Method, Objective, State, Terms, register_method


@register_method(
    "autoencoder",
    label="autoencoder",
    order=22,
    groups=("control_methods",),
    colour="#404040",
    marker="1",
    dashes=(1, 1.5),
)
class Autoencoder(Method):
    """Deterministic autoencoder: ``min R``, codes without noise.

    The lower bound on reconstruction for this network, optimiser and number of steps, and the baseline for claims about
    noise-free codes. R is summed over pixels, averaged over the batch. There is no posterior, hence no KL: its columns
    are empty, not zero.

    Notes
    -----
    Source: ours, a control. Known deviations: none, there is nothing to deviate from.
    """

    stochastic = False

    def code(self, mean: Tensor, logvar: Tensor, noise: Tensor, state: State, step: int) -> Tensor:
        """The mean head alone."""
        return mean

    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """Reconstruction."""
        return Objective(loss=terms.reconstruction, beta=self.full(0.0))
