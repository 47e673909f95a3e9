"""σ-VAE (Rybkin et al., 2021): a Gaussian decoder with the optimal shared variance."""

from __future__ import annotations

import math

import torch

from bench.method import Method, Objective, State, Terms, register_method


@register_method("sigma_vae", label="σ-VAE", order=10, colour="#5E4FA2", marker="8", dashes=(1, 2))
class SigmaVAE(Method):
    """σ-VAE: ``min R + KL`` with ``R = D/2 * (log(2 pi sigma^2) + 1)``, sigma^2 the batch's mean squared error.

    The decoder is Gaussian with one variance for all D pixels, set to its maximum-likelihood value in every batch, so
    that the balance of reconstruction and KL calibrates itself; in effect ``beta = 2 sigma^2`` on the summed squared
    error, which is what the curves record. R is summed over pixels and KL over latents, both averaged over the batch.

    Notes
    -----
    Source: Rybkin, Daniilidis & Levine, "Simple and Effective VAE Training with Calibrated Decoders", ICML 2021,
    eq. 7 and section 3.3 (optimal sigma). Known deviations: the squared error is that of sigmoid(logits), and sigma^2
    is floored at 1e-6 (the paper floors log sigma at -6 softly). On Bernoulli data the curves' reconstruction column
    stays the cross-entropy, which isn't what this method minimises.
    """

    data = "images"

    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """Gaussian negative log-likelihood at the optimal variance, plus the KL."""
        pixels = math.prod(terms.images.shape[2:])
        squared = (torch.sigmoid(terms.logits) - terms.images).square().sum(dim=(2, 3, 4)).mean(dim=1)
        variance = (squared / pixels).clamp(min=1e-6)
        likelihood = 0.5 * pixels * (math.log(2 * math.pi) + variance.log() + 1)
        return Objective(loss=likelihood + terms.kl, beta=2 * variance.detach().double())
