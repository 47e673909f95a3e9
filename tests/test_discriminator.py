"""FactorVAE's discriminator: one way back for both losses, with the gradients of the losses written out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (the field's own alias)
from torch import nn

from bench import networks
from bench.discriminator import Discriminator
from bench.layers import Linear
from bench.precision import in_precision

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
