"""β-TCVAE's decomposition of the KL, against sums and mixtures written out."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from bench.method import Encoded
from bench.methods.beta_tcvae import decompose, stratified_weights
from bench.seeds import torch_stream

N_TRAIN = 100


@pytest.fixture(autouse=True)
def double():
    """The decomposition follows torch's default type; in float64 no wrong term can hide behind rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def encoded(n_runs, n_batch, k, *, same_posteriors=False):
    g = torch_stream(0, "decomposition")
    mean, logvar = (torch.randn(n_runs, n_batch, k, generator=g) for _ in range(2))
    if same_posteriors:
        mean, logvar = (value[:1].expand(n_runs, -1, -1) for value in (mean, logvar))
    z = mean + torch.exp(logvar / 2) * torch.randn(n_runs, n_batch, k, generator=g)
    return Encoded(mean, logvar, z)


@pytest.mark.parametrize("estimator", ["mws", "mss"])
def test_decomposition_sums_to_the_kl(estimator):
    codes = encoded(1000, 20, 4, same_posteriors=True)
    total = sum(decompose(codes, N_TRAIN, estimator))
    posterior = Normal(codes.mean, torch.exp(codes.logvar / 2))
    log_ratio = posterior.log_prob(codes.z) - Normal(0.0, 1.0).log_prob(codes.z)
    torch.testing.assert_close(total, log_ratio.sum(dim=2).mean(dim=1), rtol=1e-9, atol=1e-9)
    analytic = kl_divergence(posterior, Normal(0.0, 1.0)).sum(dim=2).mean(dim=1)[0]
    error = total.std() / math.sqrt(len(total))
    assert abs(total.mean() - analytic) < 4 * error
    assert 4 * error < 0.05 * analytic


@pytest.mark.parametrize(("n_batch", "n_train"), [(2, 2), (2, 7), (6, 6), (6, 1000)])
def test_stratified_weights_are_a_distribution(n_batch, n_train):
    weights = stratified_weights(n_batch, n_train)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(n_batch), rtol=0, atol=1e-12)
    assert (weights >= 0).all()


def test_stratified_weights_are_unbiased_over_the_orders_of_a_whole_data_set():
    n = 5
    orders = [torch.tensor(order) for order in itertools.permutations(range(n))]
    mean = sum(stratified_weights(n, n)[order][:, order] for order in orders) / len(orders)
    torch.testing.assert_close(mean, torch.full((n, n), 1 / n), rtol=0, atol=1e-12)


def test_weighted_estimate_on_a_whole_data_set_is_the_exact_mixture_over_its_size():
    """The estimator sums N terms of weight 1 / (N B): with B = N it is low by log N, in the joint and per latent."""
    n, k = 50, 3
    codes = encoded(2, n, k)
    mi, tc, dwkl = decompose(codes, n, "mws")
    z, scale = codes.z, torch.exp(codes.logvar / 2)
    each = Normal(codes.mean, scale).log_prob(z).sum(dim=2).mean(dim=1)
    prior = Normal(0.0, 1.0).log_prob(z).sum(dim=2).mean(dim=1)
    for r in range(2):
        even = Categorical(torch.ones(n))
        joint = MixtureSameFamily(even, Independent(Normal(codes.mean[r], scale[r]), 1)).log_prob(z[r]).mean()
        marginal = 0.0
        for i in range(k):
            marginal += MixtureSameFamily(even, Normal(codes.mean[r, :, i], scale[r, :, i])).log_prob(z[r, :, i]).mean()
        low, lows = math.log(n), k * math.log(n)
        expected = torch.stack([each[r] - joint + low, joint - marginal - low + lows, marginal - lows - prior[r]])
        torch.testing.assert_close(torch.stack([mi[r], tc[r], dwkl[r]]), expected, rtol=1e-9, atol=1e-9)
