"""β-TCVAE (Chen et al., 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from bench.method import Encoded, Method, Objective, State, Terms, register_method
from bench.tunable import Log

#: Worth tuning: the range of the sweep in disentanglement_lib's study (1, 2, 4, 6, 8, 10).
TUNING = {"beta": Log(1.0, 10.0)}


@register_method("beta_tcvae", label="β-TCVAE", order=7, tuning=TUNING, colour="#CC79A7", marker="<", dashes=(7, 2))
class BetaTCVAE(Method):
    """β-TCVAE: ``min R + alpha * MI + beta * TC + gamma * DWKL``, the KL taken apart.

    ``MI = E log q(z|x)/q(z)`` (index-code mutual information), ``TC = E log q(z)/prod_k q(z_k)`` (total correlation)
    and ``DWKL = sum_k KL(q(z_k) || p(z_k))`` sum to the KL exactly, in the single-sample form in which they are
    estimated. R is summed over pixels and the terms over latents, both averaged over the batch: this ``beta`` is the
    paper's, and ``alpha = gamma = beta`` is β-VAE. The recorded beta is the weight on the TC.

    Notes
    -----
    Source: Chen et al., "Isolating Sources of Disentanglement in Variational Autoencoders", NeurIPS 2018, eq. 4 and
    appendix C (minibatch-weighted and -stratified sampling). Default beta: 6.4, used on dSprites by the public
    implementations we read. Known deviations: none. Both estimators are biased at a finite batch; they are for
    training, not for reporting.
    """

    @dataclass(frozen=True)
    class Hyper:
        """Hyper-parameters.

        Attributes
        ----------
        beta : float
            Weight on the total correlation.
        alpha : float
            Weight on the mutual information of images and codes.
        gamma : float
            Weight on the dimension-wise KL.
        estimator : {"mws", "mss"}
            Of the aggregated posterior: minibatch-weighted (mws) or -stratified (mss) sampling.
        """

        beta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 6.4
        alpha: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
        gamma: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
        estimator: Literal["mws", "mss"] = "mws"

    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """Reconstruction plus the three weighted parts of the KL."""
        h = self.hyper
        mi, tc, dwkl = decompose(terms.encoded, self.n_train, h.estimator)
        return Objective(loss=terms.reconstruction + h.alpha * mi + h.beta * tc + h.gamma * dwkl, beta=h.beta)


def decompose(encoded: Encoded, n_train: int, estimator: str) -> tuple[Tensor, Tensor, Tensor]:
    """Estimate index-code MI, total correlation and dimension-wise KL from one batch.

    Parameters
    ----------
    encoded : Encoded
        Tensors of shape (R, B, K).
    n_train : int
        Number of training images, N.
    estimator : {"mws", "mss"}
        ``mws``: ``log q(z) ~ logsumexp_j log q(z|x_j) - log(N B)``; ``mss``: each image's own posterior has weight
        1/N, one other (N - M) / (N M), the rest 1/M, with M = B - 1.

    Returns
    -------
    mi, tc, dwkl : Tensor, (R,)
        Nats per image, mean over batch. Their sum is the batch mean of ``log q(z|x) - log p(z)``.
    """
    z, mean, logvar = encoded.z, encoded.mean, encoded.logvar
    n_batch = z.shape[1]
    log_qz_given_x = log_normal(z, mean, logvar).sum(dim=2)
    log_prior = log_normal(z, torch.zeros_like(z), torch.zeros_like(z))
    # (R, i, j, K): latent k of sample i under the posterior of image j.
    pairs = log_normal(z.unsqueeze(2), mean.unsqueeze(1), logvar.unsqueeze(1))
    if estimator == "mws":
        weights = torch.full((n_batch, n_batch), -math.log(n_train * n_batch), device=z.device)
    else:
        weights = stratified_weights(n_batch, n_train, z.device).log()
    log_qz = torch.logsumexp(pairs.sum(dim=3) + weights, dim=2)
    log_qzk = torch.logsumexp(pairs + weights.unsqueeze(2), dim=2).sum(dim=2)
    return (
        (log_qz_given_x - log_qz).mean(dim=1),
        (log_qz - log_qzk).mean(dim=1),
        (log_qzk - log_prior.sum(dim=2)).mean(dim=1),
    )


def stratified_weights(n_batch: int, n_train: int, device: torch.device | str = "cpu") -> Tensor:
    """Weights of the stratified estimator, (B, B); each row sums to 1."""
    m = n_batch - 1
    weights = torch.full((n_batch, n_batch), 1 / m, device=device)
    weights.fill_diagonal_(1 / n_train)
    other = (n_train - m) / (n_train * m)
    weights.diagonal(1).fill_(other)
    weights[-1, 0] = other
    return weights


def log_normal(z: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """Elementwise log density of N(mean, exp(logvar)) at z."""
    return -0.5 * (math.log(2 * math.pi) + logvar + (z - mean).square() * (-logvar).exp())
