"""Every trained method against a plain reference implementation, and against numbers frozen once."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from bench.method import Encoded, Terms, kl_per_latent, resolve_hyper
from bench.nn import networks
from bench.registry import METHODS
from bench.seeds import torch_stream
from bench.training.step import reconstruction

R, B, K, SHAPE, N_TRAIN, N_STEPS = 2, 5, 3, (1, 4, 4), 100, 4


@pytest.fixture
def double():
    """Methods follow torch's default type; in float64 no wrong term can hide behind rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


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
        return tuple(torch_stream(run, f"own:{self.step}") for run in range(R))

    def codes(self) -> torch.Tensor:
        return self.mean + torch.exp(self.logvar / 2) * self.noise

    def terms(self, method) -> Terms:
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


def build(name, hypers):
    cls = METHODS.get(name).value
    hypers = [cls.Hyper(**resolve_hyper(name, hyper)) for hyper in hypers]
    method = cls(hypers, latent_dim=K, n_train=N_TRAIN, n_steps=N_STEPS)
    modules = method.modules()
    if modules is not None:
        networks.initialise(modules, "he", list(range(R)), "method")
    return method, hypers


# The reference. ``b`` is a batch, ``r`` a run, ``h`` its hyper-parameters, ``kls`` its KL up to and with this step.


def rec(b, r):
    p, x = torch.sigmoid(b.logits[r]), b.images[r]
    each = -(x * p.log() + (1 - x) * (1 - p).log()) if b.likelihood == "bernoulli" else (p - x) ** 2
    return each.sum() / B


def kl_of(b, r):
    """Per latent, (K,)."""
    return kl_divergence(Normal(b.mean[r], torch.exp(b.logvar[r] / 2)), Normal(0.0, 1.0)).sum(dim=0) / B


def s(e):
    return 1 / (1 + math.exp(e))


def vae(b, r, h, kls):
    return rec(b, r) + kl_of(b, r).sum(), 1.0, None


def beta_vae(b, r, h, kls):
    charged = sum(kl if kl > getattr(h, "free_bits", 0.0) else torch.tensor(h.free_bits) for kl in kl_of(b, r))
    return rec(b, r) + h.beta * charged, h.beta, None


def annealed_vae(b, r, h, kls):
    capacity = min(max(h.set_point * len(kls) / h.annealing_steps, h.set_point_start), h.set_point)
    sign = 1.0 if kls[-1] > capacity else -1.0
    return rec(b, r) + h.gamma * sign * (kl_of(b, r).sum() - capacity), sign * h.gamma, capacity


def switch_beta(b, r, h, kls):
    beta = h.beta_late if len(kls) / N_STEPS > 1 - h.late_share else h.beta
    return rec(b, r) + beta * kl_of(b, r).sum(), beta, None


def control_vae(b, r, h, kls):
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


def dynamic_vae(b, r, h, kls):
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


def beta_tcvae(b, r, h, kls):
    def density(i, j, k):
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


def dip_vae(b, r, h, kls):
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


def info_vae(b, r, h, kls):
    def k(x, y):
        return torch.exp(-((x - y) ** 2).sum() / (2 * K))

    z, prior = b.codes()[r], torch.randn(B, K, generator=b.own()[r])
    pairs = list(itertools.permutations(range(B), 2))
    mmd = sum(k(z[i], z[j]) + k(prior[i], prior[j]) for i, j in pairs) / len(pairs)
    mmd = mmd - 2 * sum(k(z[i], prior[j]) for i in range(B) for j in range(B)) / B**2
    return rec(b, r) + (1 - h.alpha) * kl_of(b, r).sum() + (h.alpha + h.lambda_ - 1) * mmd, 1 - h.alpha, None


def sigma_vae(b, r, h, kls):
    p, x = torch.sigmoid(b.logits[r]), b.images[r]
    rms = ((p - x) ** 2).mean().sqrt().item()
    return -Normal(p, rms).log_prob(x).sum() / B + kl_of(b, r).sum(), 2 * rms**2, None


def discriminator(method, r, z):
    layers = [layer for layer in method.discriminator if hasattr(layer, "fan_in")]
    for layer in layers[:-1]:
        z = z @ layer.weight[r] + layer.bias[r]
        z = torch.where(z > 0, z, 0.2 * z)
    return z @ layers[-1].weight[r] + layers[-1].bias[r]


def factor_vae(b, r, h, kls, method):
    logits = discriminator(method, r, b.codes()[r])
    tc = sum(logits[i, 0] - logits[i, 1] for i in range(B)) / B
    return rec(b, r) + kl_of(b, r).sum() + h.gamma * tc, 1.0, None


def two_stage(b, r, h, kls):
    if len(kls) > (1 - h.stage2_share) * N_STEPS:
        return rec(b, r) + 0 * kl_of(b, r).sum(), 0.0, None
    return rec(b, r) + 100.0 * kl_of(b, r).sum(), 100.0, None


def autoencoder(b, r, h, kls):
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


def test_every_trained_method_has_a_reference():
    ours = [e for e in METHODS if e.info.trains and e.value.__module__.startswith("bench.methods")]
    # What is for vectors only is held to closed forms, in test_inference_optimum.py.
    assert {e.name for e in ours if e.value.data != "vectors"} == {name for name, *_ in CASES}


def gradients(loss, inputs):
    found = torch.autograd.grad(loss.sum(), inputs, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(leaf) if grad is None else grad for grad, leaf in zip(found, inputs, strict=True)]


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_loss_and_gradients_equal_the_plain_implementation(case, likelihood):
    name, *hypers = case
    method, hypers = build(name, hypers)
    state, kls = method.initial_state(), [[], []]
    for step in range(1, N_STEPS + 1):
        b = Batch(step, likelihood)
        objective = method.loss(b.terms(method), state, step)
        state = {key: value.detach() for key, value in objective.state.items()}
        assert objective.trains == ("decoder" if name == "two_stage" and step > N_STEPS / 2 else "all")
        more = {"method": method} if name == "factor_vae" else {}
        expected = []
        for r in range(R):
            kls[r].append(kl_of(b, r).sum().item())
            expected.append(globals()[name](b, r, hypers[r], kls[r], **more))
        losses, betas, set_points = zip(*expected, strict=True)
        torch.testing.assert_close(objective.loss, torch.stack(losses), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(objective.beta, torch.tensor(betas), rtol=1e-9, atol=1e-9)
        assert (objective.set_point is None) == (set_points[0] is None)
        if objective.set_point is not None:
            torch.testing.assert_close(objective.set_point, torch.tensor(set_points), rtol=1e-9, atol=1e-9)
        theirs = gradients(torch.stack(losses), b.leaves)
        for mine, plain in zip(gradients(objective.loss, b.leaves), theirs, strict=True):
            torch.testing.assert_close(mine, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("share", "last"), [(0.0, 10), (0.1, 9), (0.3, 7), (0.7, 3), (0.9, 1), (1.0, 0)])
def test_last_step_before_the_switch(share, last):
    cls = METHODS.get("switch_beta").value
    method = cls([cls.Hyper(late_share=share)], latent_dim=1, n_steps=10)
    one = Terms(torch.ones(1), torch.ones(1, 1), Encoded(*torch.zeros(3, 1, 1, 1)))
    assert [method.loss(one, {}, step).beta.item() for step in range(1, 11)] == [16.0] * last + [1.0] * (10 - last)


@pytest.mark.usefixtures("double")
def test_discriminator_loss_and_gradient_equal_the_plain_implementation():
    method, _ = build("factor_vae", [{"discriminator_width": 6, "discriminator_layers": 2}] * R)
    b = Batch(1)
    ours = method.loss(b.terms(method), {}, 1).auxiliary
    plain = []
    for r in range(R):
        order = torch.rand(B, K, generator=b.own()[r]).argsort(dim=0)
        permuted = torch.tensor([[b.second[r, order[i, k], k] for k in range(K)] for i in range(B)])
        assert not torch.equal(permuted, b.second[r])
        joint = torch.softmax(discriminator(method, r, b.codes()[r]), dim=1)[:, 0].log()
        product = torch.softmax(discriminator(method, r, permuted), dim=1)[:, 1].log()
        plain.append(-(joint.sum() + product.sum()) / (2 * B))
    torch.testing.assert_close(ours, torch.stack(plain), rtol=1e-9, atol=1e-9)
    parameters = list(method.discriminator.parameters())
    for mine, theirs in zip(gradients(ours, parameters), gradients(torch.stack(plain), parameters), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


#: Loss of two runs with the same hyper-parameters on the first batch; computed once by this code.
GOLDEN = {
    "annealed_vae": (240.6642149039328, 250.71313310930785),
    "autoencoder": (16.238602801914336, 18.295197080262447),
    "beta_tcvae": (70.18317368603321, 76.89886435801569),
    "beta_vae": (25.216227285995075, 27.592514521424263),
    "control_vae": (18.506029492905313, 20.643781229798055),
    "dip_vae": (51.947199969079364, 82.85809103577856),
    "dynamic_vae": (128.45804843066747, 134.51105264114534),
    "factor_vae": (10.745811946868969, 3.1589765953124136),
    "info_vae": (60.00597513507245, 208.08757866754246),
    "sigma_vae": (15.690232831200301, 17.2870018945197),
    "switch_beta": (52.149100738237294, 55.48446684490971),
    "two_stage": (240.6792149039328, 250.72813310930786),
    "vae": (18.48300892293452, 20.619526440552903),
}
GOLDEN_RECONSTRUCTION = (16.238602801914336, 18.295197080262447)
GOLDEN_KL = (2.2444061210201847, 2.324329360290454)
SMALL = {"factor_vae": {"discriminator_width": 16}, "two_stage": {"base_hyper": "beta=100"}}


@pytest.mark.usefixtures("double")
def test_golden_terms():
    terms = Batch(1).terms(build("vae", [{}] * R)[0])
    assert terms.reconstruction.tolist() == pytest.approx(GOLDEN_RECONSTRUCTION, rel=1e-6)
    assert terms.kl.tolist() == pytest.approx(GOLDEN_KL, rel=1e-6)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", sorted({name for name, *_ in CASES}))
def test_golden_losses(name):
    method, _ = build(name, [SMALL.get(name, {})] * R)
    objective = method.loss(Batch(1).terms(method), method.initial_state(), 1)
    assert objective.loss.tolist() == pytest.approx(GOLDEN[name], rel=1e-6)
