"""Objectives of the methods, written as in the papers: one run, and where it can be one image, at a time.

A function takes a batch, a run, its hyper-parameters and its KL up to and with this step; it gives the loss, beta and
the set point.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from bench.method import Encoded, Terms, kl_per_latent, resolve_hyper
from bench.nn import networks
from bench.registry import METHODS
from bench.seeds import torch_stream
from bench.training.step import reconstruction

Objective = tuple[Tensor, float, float | None]
#: Runs, images in a batch, latents, shape of an image, images in the data set, steps.
R, B, K, SHAPE, N_TRAIN, N_STEPS = 2, 5, 3, (1, 4, 4), 100, 4


class Batch:
    """Leaves of one step and the terms made of them."""

    def __init__(self, step: int, likelihood: str = "bernoulli", shift: float = 0.0) -> None:
        g = torch_stream(step, "batch")
        self.step, self.likelihood = step, likelihood
        self.mean, self.logvar, self.noise, self.second = (torch.randn(R, B, K, generator=g) for _ in range(4))
        self.logits = 2 * torch.randn(R, B, *SHAPE, generator=g)
        self.images = torch.rand(R, B, *SHAPE, generator=g)
        if likelihood == "bernoulli":
            self.images = self.images.round()
        self.mean = self.mean + shift
        self.leaves = [leaf.requires_grad_() for leaf in (self.mean, self.logvar, self.logits)]

    def own(self) -> tuple[torch.Generator, ...]:
        """Return the runs' own generators, anew."""
        return tuple(torch_stream(run, f"own:{self.step}") for run in range(R))

    def codes(self) -> Tensor:
        """Return samples of the posteriors."""
        return self.mean + torch.exp(self.logvar / 2) * self.noise

    def terms(self, method: Any) -> Terms:
        """Return what our method is given."""
        z = method.code(self.mean, self.logvar, self.noise, method.initial_state(), self.step)
        second = Encoded(self.second, torch.zeros_like(self.second), self.second)
        return Terms(
            reconstruction(self.logits, self.images, self.likelihood),
            kl_per_latent(self.mean, self.logvar),
            Encoded(self.mean, self.logvar, z),
            second=second,
            images=self.images,
            logits=self.logits,
            generators=self.own(),
        )


def build(name: str, hypers: Sequence[Mapping[str, Any]]) -> tuple[Any, list[Any]]:
    """Return our method and the hyper-parameters of its runs."""
    cls = METHODS.get(name).value
    resolved = [cls.Hyper(**resolve_hyper(name, dict(hyper))) for hyper in hypers]
    method = cls(resolved, latent_dim=K, n_train=N_TRAIN, n_steps=N_STEPS)
    modules = method.modules()
    if modules is not None:
        networks.initialise(modules, "he", list(range(R)), "method")
    return method, resolved


def rec(b: Batch, r: int) -> Tensor:
    """Return the reconstruction's part of the loss."""
    p, x = torch.sigmoid(b.logits[r]), b.images[r]
    each = -(x * p.log() + (1 - x) * (1 - p).log()) if b.likelihood == "bernoulli" else (p - x) ** 2
    return each.sum() / B


def kl_of(b: Batch, r: int) -> Tensor:
    """Return the KL per latent, of shape (K,)."""
    return kl_divergence(Normal(b.mean[r], torch.exp(b.logvar[r] / 2)), Normal(0.0, 1.0)).sum(dim=0) / B


def s(e: float) -> float:
    """Return the controllers' falling sigmoid."""
    return 1 / (1 + math.exp(e))


def vae(b: Batch, r: int, h: Any, kls: Sequence[float]) -> Objective:
    return rec(b, r) + kl_of(b, r).sum(), 1.0, None


def beta_vae(b: Batch, r: int, h: Any, kls: Sequence[float]) -> Objective:
    charged = sum(kl if kl > getattr(h, "free_bits", 0.0) else torch.tensor(h.free_bits) for kl in kl_of(b, r))
    return rec(b, r) + h.beta * charged, h.beta, None


def annealed_vae(b: Batch, r: int, h: Any, kls: Sequence[float]) -> Objective:
    capacity = min(max(h.set_point * len(kls) / h.annealing_steps, h.set_point_start), h.set_point)
    sign = 1.0 if kls[-1] > capacity else -1.0
    return rec(b, r) + h.gamma * sign * (kl_of(b, r).sum() - capacity), sign * h.gamma, capacity


def switch_beta(b: Batch, r: int, h: Any, kls: Sequence[float]) -> Objective:
    beta = h.beta_late if len(kls) / N_STEPS > 1 - h.late_share else h.beta
    return rec(b, r) + beta * kl_of(b, r).sum(), beta, None


def control_vae(b: Batch, r: int, h: Any, kls: Sequence[float]) -> Objective:
    integral, raw, target = 0.0, h.beta_min, h.set_point_start
    for t, kl in enumerate(kls, 1):
        target += h.set_point_step * (t % h.set_point_every == 0)
        target = min(target, h.set_point)
        e = target - kl
        p = h.kp * s(e) if h.proportional == "sigmoid" else -h.kp * e
        if h.anti_windup == "clamped":
            integral = max(integral - h.ki * e, -p)
        elif raw >= h.beta_min:
            integral -= h.ki * e
        raw = p + h.beta_min + integral
    beta = max(raw, h.beta_min)
    return rec(b, r) + beta * kl_of(b, r).sum(), beta, target


def dynamic_vae(b: Batch, r: int, h: Any, kls: Sequence[float]) -> Objective:
    raw, before, integral, target, window = h.beta0, 0.0, 0.0, h.set_point_start, [0.0] * h.window
    for t, kl in enumerate(kls, 1):
        if t >= h.set_point_every and t % h.set_point_every < h.ramp:
            target += h.set_point_step / h.ramp
        target = min(target, h.set_point)
        window = [*window[1:], kl]
        e = target - sum(window) / h.window
        free = h.anti_windup == "clamped" or raw >= h.beta_min
        if h.form == "positional":
            integral -= h.ki * e * free
            raw = h.beta0 + h.kp * (s(e) - 0.5) + integral
        else:
            raw += h.kp * (s(e) - s(before)) - h.ki * e * free
        if h.anti_windup == "clamped":
            raw = max(raw, h.beta_min)
        before = e
    beta = max(raw, h.beta_min)
    return rec(b, r) + beta * kl_of(b, r).sum(), beta, target


def beta_tcvae(b: Batch, r: int, h: Any, kls: Sequence[float]) -> Objective:
    def density(i: int, j: int, k: int) -> Tensor:
        return Normal(b.mean[r, j, k], torch.exp(b.logvar[r, j, k] / 2)).log_prob(b.codes()[r, i, k]).exp()

    m = B - 1
    mi = tc = dwkl = 0.0
    for i in range(B):
        joint, marginals, own, prior = 0.0, [0.0] * K, 1.0, 1.0
        for j in range(B):
            weight = 1 / (N_TRAIN * B)
            if h.estimator == "mss":
                weight = {i: 1 / N_TRAIN, (i + 1) % B: (N_TRAIN - m) / (N_TRAIN * m)}.get(j, 1 / m)
            each = [density(i, j, k) for k in range(K)]
            joint = joint + weight * math.prod(each)
            marginals = [old + weight * new for old, new in zip(marginals, each, strict=True)]
        for k in range(K):
            own = own * density(i, i, k)
            prior = prior * Normal(0.0, 1.0).log_prob(b.codes()[r, i, k]).exp()
        mi = mi + (own / joint).log() / B
        tc = tc + (joint / math.prod(marginals)).log() / B
        dwkl = dwkl + (math.prod(marginals) / prior).log() / B
    return rec(b, r) + h.alpha * mi + h.beta * tc + h.gamma * dwkl, h.beta, None


def dip_vae(b: Batch, r: int, h: Any, kls: Sequence[float]) -> Objective:
    mean, variance = b.mean[r], torch.exp(b.logvar[r])
    off = on = 0.0
    for i, j in itertools.product(range(K), repeat=2):
        c = sum((mean[n, i] - mean[:, i].mean()) * (mean[n, j] - mean[:, j].mean()) for n in range(B)) / B
        np.testing.assert_allclose(c.item(), np.cov(mean.detach().numpy().T, ddof=0)[i, j], atol=1e-12)
        if i != j:
            off = off + c**2
        else:
            on = on + (c + (variance[:, i].mean() if h.variant == "II" else 0.0) - 1) ** 2
    return rec(b, r) + kl_of(b, r).sum() + h.lambda_od * off + h.lambda_d * on, 1.0, None


def info_vae(b: Batch, r: int, h: Any, kls: Sequence[float]) -> Objective:
    def k(x: Tensor, y: Tensor) -> Tensor:
        return torch.exp(-((x - y) ** 2).sum() / (2 * K))

    z, prior = b.codes()[r], torch.randn(B, K, generator=b.own()[r])
    pairs = list(itertools.permutations(range(B), 2))
    mmd = sum(k(z[i], z[j]) + k(prior[i], prior[j]) for i, j in pairs) / len(pairs)
    mmd = mmd - 2 * sum(k(z[i], prior[j]) for i in range(B) for j in range(B)) / B**2
    return rec(b, r) + (1 - h.alpha) * kl_of(b, r).sum() + (h.alpha + h.lambda_ - 1) * mmd, 1 - h.alpha, None


def sigma_vae(b: Batch, r: int, h: Any, kls: Sequence[float]) -> Objective:
    p, x = torch.sigmoid(b.logits[r]), b.images[r]
    rms = ((p - x) ** 2).mean().sqrt().item()
    return -Normal(p, rms).log_prob(x).sum() / B + kl_of(b, r).sum(), 2 * rms**2, None


def discriminator(method: Any, r: int, z: Tensor) -> Tensor:
    """Return the logits of FactorVAE's discriminator."""
    layers = [layer for layer in method.discriminator if hasattr(layer, "fan_in")]
    for layer in layers[:-1]:
        z = z @ layer.weight[r] + layer.bias[r]
        z = torch.where(z > 0, z, 0.2 * z)
    return z @ layers[-1].weight[r] + layers[-1].bias[r]


def factor_vae(b: Batch, r: int, h: Any, kls: Sequence[float], method: Any) -> Objective:
    logits = discriminator(method, r, b.codes()[r])
    tc = sum(logits[i, 0] - logits[i, 1] for i in range(B)) / B
    return rec(b, r) + kl_of(b, r).sum() + h.gamma * tc, 1.0, None


def two_stage(b: Batch, r: int, h: Any, kls: Sequence[float]) -> Objective:
    if len(kls) > (1 - h.stage2_share) * N_STEPS:
        return rec(b, r) + 0 * kl_of(b, r).sum(), 0.0, None
    return rec(b, r) + 100.0 * kl_of(b, r).sum(), 100.0, None


def autoencoder(b: Batch, r: int, h: Any, kls: Sequence[float]) -> Objective:
    return rec(b, r) + 0 * kl_of(b, r).sum(), 0.0, None


ANNEALED = {"set_point_start": 1.0, "set_point_step": 1.5, "set_point_every": 2}
#: Method and the hyper-parameters of two runs. Gains are large: within four steps floors and caps must be met.
CASES = [
    ("vae", {}, {}),
    ("autoencoder", {}, {}),
    ("beta_vae", {"beta": 0.5}, {"beta": 16.0}),
    ("beta_vae", {"beta": 0.5, "free_bits": 0.7}, {"beta": 16.0, "free_bits": 0.9}),
    ("annealed_vae", {"set_point": 1.0, "annealing_steps": 4}, {"set_point": 9.0, "gamma": 3.0, "annealing_steps": 4}),
    ("switch_beta", {"late_share": 0.5}, {"late_share": 0.1, "beta": 2.0, "beta_late": 0.3}),
    ("control_vae", ANNEALED | {"ki": 0.5}, ANNEALED | {"kp": 2.0, "ki": 0.3, "beta_min": 0.2, "set_point": 2.0}),
    ("control_vae", {"anti_windup": "clamped", "ki": 0.5}, {"anti_windup": "clamped", "set_point_start": 9.0}),
    ("control_vae", {"proportional": "linear"}, {"proportional": "linear", "kp": 0.3, "ki": 0.2, "beta_min": 0.9}),
    ("dynamic_vae", {}, {"beta0": 1.0, "set_point_start": 9.0, "ki": 0.1}),
    ("dynamic_vae", ANNEALED | {"ramp": 2, "ki": 0.5, "window": 3}, ANNEALED | {"ramp": 2, "kp": 2.0, "window": 3}),
    ("dynamic_vae", {"anti_windup": "clamped"}, {"anti_windup": "clamped", "beta0": 1.0, "set_point_start": 9.0}),
    ("dynamic_vae", {"form": "positional", "ki": 0.5}, {"form": "positional", "beta0": 1.0, "kp": 2.0}),
    ("beta_tcvae", {"beta": 1.5}, {"alpha": 0.3, "gamma": 2.0}),
    ("beta_tcvae", {"estimator": "mss"}, {"estimator": "mss", "alpha": 0.3, "gamma": 2.0, "beta": 1.0}),
    ("dip_vae", {"variant": "I"}, {"variant": "I", "lambda_od": 3.0, "lambda_d": 70.0}),
    ("dip_vae", {"variant": "II"}, {"variant": "II", "lambda_od": 3.0, "lambda_d": 70.0}),
    ("info_vae", {}, {"alpha": 0.7, "lambda_": 30.0}),
    ("sigma_vae", {}, {}),
    ("factor_vae", *({"discriminator_width": 6, "discriminator_layers": 2, "gamma": g} for g in (10.0, 0.5))),
    ("two_stage", {"base_hyper": "beta=100"}, {"base_hyper": "beta=100"}),
]
IDS = [f"{number}-{case[0]}" for number, case in enumerate(CASES)]
