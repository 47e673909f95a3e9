"""Every trained method against a plain reference implementation, and against numbers frozen once."""

from __future__ import annotations

import pytest
import torch

from bench.check import losses
from bench.check.baselines import baseline_folder, read
from bench.method import Encoded, Terms
from bench.registry import METHODS
from helpers import plain_methods
from helpers.plain_methods import CASES, IDS, N_STEPS, B, Batch, K, R, build, discriminator, kl_of


@pytest.fixture
def double():
    """Methods follow torch's default type; in float64 no wrong term can hide behind rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


#: What has a plain implementation here, which nobody takes away.
PLAIN = {
    "vae", "autoencoder", "beta_vae", "annealed_vae", "switch_beta", "control_vae", "dynamic_vae", "beta_tcvae",
    "dip_vae", "info_vae", "sigma_vae", "factor_vae", "two_stage",
}  # fmt: skip


def test_every_trained_method_has_a_reference():
    ours = [e for e in METHODS if e.info.trains and e.value.__module__.startswith("bench.methods")]
    assert {name for name, *_ in CASES} >= PLAIN
    # What is for vectors only is held to closed forms, in test_inference_optimum.py; a method without a plain
    # implementation, to the numbers that `bench check --record` stored.
    stored = read(baseline_folder() / losses.FILE).subjects
    others = [e.name for e in ours if e.name not in PLAIN and e.value.data != "vectors"]
    assert [name for name in others if f"method {name}" not in stored] == []


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
            expected.append(getattr(plain_methods, name)(b, r, hypers[r], kls[r], **more))
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
