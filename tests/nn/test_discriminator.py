"""FactorVAE's discriminator: one backward pass for both losses, with the gradients of the losses written out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the field's own alias)
from torch import nn

from bench.method import Encoded, Terms
from bench.nn import networks
from bench.nn.discriminator import Discriminator
from bench.nn.layers import Linear
from bench.nn.precision import in_precision
from bench.registry import METHODS
from bench.seeds import torch_stream

B, K = 5, 3
TIGHT = {"rtol": 0, "atol": 1e-10}


def built(n_runs, *, scale=1.0, dtype=torch.float64):
    """A discriminator and the codes and permuted codes it is given; a large scale makes it certain."""
    network = Discriminator(n_runs, [K, 7, 6])
    networks.initialise(network, "he", list(range(n_runs)), "method")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, Linear):
                layer.bias.normal_(generator=generator)
        network[-1].weight.mul_(scale)
    codes, permuted = torch.randn(2, n_runs, B, K, generator=generator, dtype=dtype)
    return network.to(dtype), codes.requires_grad_(), permuted


def ours(network, codes, permuted):
    of_codes, of_weights = network(torch.cat([codes, permuted], dim=1))
    own = -0.5 * (F.logsigmoid(of_weights[:, :B]).mean(dim=1) + F.logsigmoid(-of_weights[:, B:]).mean(dim=1))
    return of_codes[:, :B].mean(dim=1), own


def plain(network, codes, permuted):
    """Both losses as Kim & Mnih write them, through torch's own functions, layer by layer."""

    def logits(x):
        for layer in network:
            x = x @ layer.weight + layer.bias[:, None] if isinstance(layer, Linear) else F.leaky_relu(x, 0.2)
        return x

    one, other = logits(codes), logits(permuted)
    own = 0.5 * (-F.log_softmax(one, dim=2)[..., 0].mean(dim=1) - F.log_softmax(other, dim=2)[..., 1].mean(dim=1))
    return (one[..., 0] - one[..., 1]).mean(dim=1), own


def values_and_gradients(losses, network, codes):
    """Losses, the first one's gradient with respect to the codes, and the second's with respect to the weights."""
    penalty, own = losses
    # Other runs' losses must not leak into a run's gradients.
    weights = torch.arange(1.0, len(own) + 1, dtype=own.dtype)
    (of_codes,) = torch.autograd.grad((7 * weights * penalty).sum(), codes, retain_graph=True)
    return [penalty, own, of_codes, *torch.autograd.grad((weights * own).sum(), list(network.parameters()))]


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e5])
@pytest.mark.parametrize("n_runs", [1, 3])
def test_values_and_gradients_are_those_of_the_losses_written_out(n_runs, scale):
    given = built(n_runs, scale=scale)
    mine, theirs = (values_and_gradients(losses(*given), *given[:2]) for losses in (ours, plain))
    assert len(mine) == 3 + 6
    for one, other in zip(mine, theirs, strict=True):
        # Absolutely to 1e-10 up to 1, relatively above.
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
        assert torch.isfinite(one).all()


def test_a_certain_discriminator_is_one_whose_probabilities_underflow():
    """What the largest scale above is for."""
    network, codes, permuted = built(1, scale=1e5)
    d, _ = network(torch.cat([codes, permuted], dim=1))
    assert (torch.sigmoid(-d.abs()) == 0).any()


def test_the_two_outputs_have_the_same_values_and_gradients_of_their_own():
    network, codes, permuted = built(1)
    of_codes, of_weights = network(torch.cat([codes, permuted], dim=1))
    assert torch.equal(of_codes, of_weights)
    parameters = list(network.parameters())
    assert all(g is None for g in torch.autograd.grad(of_codes.sum(), parameters, allow_unused=True, retain_graph=True))
    assert torch.autograd.grad(of_weights.sum(), codes, allow_unused=True) == (None,)


def test_without_gradients_none_are_prepared():
    network, codes, permuted = built(1)
    with torch.no_grad():
        of_codes, _ = network(torch.cat([codes, permuted], dim=1))
    expected, _ = plain(network, codes, permuted)
    torch.testing.assert_close(of_codes[:, :B].mean(dim=1), expected, **TIGHT)
    assert not of_codes.requires_grad


def test_a_run_beside_others_has_the_gradients_it_has_alone():
    network, codes, permuted = built(3)
    together = values_and_gradients(ours(network, codes, permuted), network, codes)
    alone = Discriminator(1, [K, 7, 6]).double()
    for mine, theirs in zip(alone.parameters(), network.parameters(), strict=True):
        mine.data.copy_(theirs.data[1:2])
    own = codes.detach()[1:2].requires_grad_()
    for one, whole in zip(
        values_and_gradients(ours(alone, own, permuted[1:2]), alone, own)[:2], together[:2], strict=True
    ):
        torch.testing.assert_close(one, whole[1:2], **TIGHT)


def test_in_bfloat16_it_gives_float32_and_rounds_as_torchs_own_layers_do():
    network, codes, permuted = built(2, dtype=torch.float32)
    lowered = in_precision(network.forward, "bfloat16", "cpu")
    of_codes, of_weights = lowered(torch.cat([codes, permuted], dim=1))
    assert of_codes.dtype == of_weights.dtype == torch.float32
    gradients = [*torch.autograd.grad(of_codes.sum(), codes, retain_graph=True)]
    gradients += torch.autograd.grad(of_weights.sum(), list(network.parameters()))
    row = nn.Sequential(*network)
    expected = in_precision(row.forward, "bfloat16", "cpu")(torch.cat([codes, permuted], dim=1))
    d = expected[..., 0] - expected[..., 1]
    assert torch.equal(of_codes, d)
    theirs = torch.autograd.grad(d.sum(), [codes, *network.parameters()])
    for mine, other in zip(gradients, theirs, strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, other, rtol=0.02, atol=0.02 * other.abs().max().item())


def test_on_another_device_it_has_the_same_shapes():
    network, codes, permuted = built(2)
    of_codes, of_weights = network.to("meta")(torch.cat([codes, permuted], dim=1).detach().to("meta").requires_grad_())
    of_weights.sum().backward()
    assert of_codes.shape == (2, 2 * B)
    assert [p.grad.shape for p in network.parameters()] == [p.shape for p in network.parameters()]


class Unpermuted(Terms):
    """Terms under which run 1's latents stay in their order."""

    def uniform(self, *shape):
        drawn = super().uniform(*shape)
        drawn[1] = torch.arange(shape[0])[:, None]
        return drawn


@pytest.mark.slow
def test_discriminator_estimates_the_total_correlation_of_a_gaussian():
    """Run 0: a correlated Gaussian. Run 1: the same, not permuted. Run 2: independent latents."""
    correlation = torch.tensor([[1.0, 0.7, 0.3], [0.7, 1.0, 0.0], [0.3, 0.0, 1.0]])
    steps = 500
    truth = -0.5 * torch.logdet(correlation).item()
    factor = torch.linalg.cholesky(correlation)
    generator = torch_stream(0, "gaussian")
    own = tuple(torch_stream(run, "own") for run in range(3))

    def draw(n):
        z = torch.randn(3, n, 3, generator=generator)
        z[:2] = z[:2] @ factor.T
        return Encoded(z, torch.zeros_like(z), z)

    cls = METHODS.get("factor_vae").value
    hyper = cls.Hyper(discriminator_width=64, discriminator_layers=2, discriminator_lr=2e-3, gamma=1.0)
    method = cls([hyper] * 3, latent_dim=3)
    modules = method.modules()
    networks.initialise(modules, "he", [0, 1, 2], "method")
    optimizer = torch.optim.Adam(modules.parameters(), **method.module_optimizer())
    zero = torch.zeros(3)
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - step / (steps + 1))
        terms = Unpermuted(zero, zero[:, None], draw(512), second=draw(512), generators=own)
        optimizer.zero_grad()
        method.loss(terms, {}, step).auxiliary.sum().backward()
        optimizer.step()
    with torch.no_grad():
        fresh = Unpermuted(zero, zero[:, None], draw(20_000), second=draw(2), generators=own)
        estimate = method.loss(fresh, {}, 1).loss.tolist()
    assert estimate[0] == pytest.approx(truth, rel=0.1)
    assert abs(estimate[1]) < 0.05 * truth
    assert abs(estimate[2]) < 0.05 * truth
