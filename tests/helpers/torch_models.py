"""Plain torch models of the three networks, written independently of ours, and what they should give."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import Conv2d, ConvTranspose2d, Linear, ReLU

from bench.nn import networks

K = 6
SHAPE = (1, 64, 64)


def plain_h(k: int = K, c: int = 1) -> nn.Module:
    """Return the model of network H, of `k` latents and `c` channels."""
    net = nn.Module()
    net.encoder = nn.Sequential(
        *(Conv2d(c, 32, 4, 2, 1), ReLU(), Conv2d(32, 32, 4, 2, 1), ReLU(), Conv2d(32, 64, 4, 2, 1), ReLU()),
        *(Conv2d(64, 64, 4, 2, 1), ReLU(), Conv2d(64, 256, 4, 1), ReLU(), nn.Flatten(), Linear(256, 2 * k)),
    )
    net.decoder = nn.Sequential(
        *(Linear(k, 256), nn.Unflatten(1, (256, 1, 1)), ReLU(), ConvTranspose2d(256, 64, 4), ReLU()),
        *(ConvTranspose2d(64, 64, 4, 2, 1), ReLU(), ConvTranspose2d(64, 32, 4, 2, 1), ReLU()),
        *(ConvTranspose2d(32, 32, 4, 2, 1), ReLU(), ConvTranspose2d(32, c, 4, 2, 1)),
    )
    return lively(net)


def plain_b(k: int = K, c: int = 1) -> nn.Module:
    """Return the model of network B."""
    net = nn.Module()
    net.encoder = nn.Sequential(
        *(Conv2d(c, 32, 4, 2, 1), ReLU(), *[m for _ in range(3) for m in (Conv2d(32, 32, 4, 2, 1), ReLU())]),
        *(nn.Flatten(), Linear(512, 256), ReLU(), Linear(256, 256), ReLU(), Linear(256, 2 * k)),
    )
    net.decoder = nn.Sequential(
        *(Linear(k, 256), ReLU(), Linear(256, 256), ReLU(), Linear(256, 512), ReLU(), nn.Unflatten(1, (32, 4, 4))),
        *[m for _ in range(3) for m in (ConvTranspose2d(32, 32, 4, 2, 1), ReLU())],
        ConvTranspose2d(32, c, 4, 2, 1),
    )
    return lively(net)


def plain_kim(k: int = K, c: int = 1) -> nn.Module:
    """Return the model of network kim."""
    width = 128 if c == 1 else 256
    net = nn.Module()
    net.encode = nn.Sequential(
        *(Conv2d(c, 32, 4, 2, 1), ReLU(), Conv2d(32, 32, 4, 2, 1), ReLU(), Conv2d(32, 64, 4, 2, 1), ReLU()),
        *(Conv2d(64, 64, 4, 2, 1), ReLU(), Conv2d(64, width, 4, 1), ReLU(), Conv2d(width, 2 * k, 1), nn.Flatten()),
    )
    net.decode = nn.Sequential(
        *(nn.Unflatten(1, (k, 1, 1)), Conv2d(k, width, 1), ReLU(), ConvTranspose2d(width, 64, 4), ReLU()),
        *(ConvTranspose2d(64, 64, 4, 2, 1), ReLU(), ConvTranspose2d(64, 32, 4, 2, 1), ReLU()),
        *(ConvTranspose2d(32, 32, 4, 2, 1), ReLU(), ConvTranspose2d(32, c, 4, 2, 1)),
    )
    return lively(net)


class NamedLayers(nn.Module):
    """Net B with a name per layer, one of them out of alphabetical order, and a head that goes by turns."""

    def __init__(self, k: int = K) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Module(), nn.Module()
        self.encoder.conv1 = Conv2d(1, 32, 4, 2, 1)
        self.encoder.conv2 = Conv2d(32, 32, 4, 2, 1)
        self.encoder.conv3 = Conv2d(32, 32, 4, 2, 1)
        self.encoder.conv_64 = Conv2d(32, 32, 4, 2, 1)
        self.encoder.lin1 = Linear(512, 256)
        self.encoder.lin2 = Linear(256, 256)
        self.encoder.mu_logvar = Linear(256, 2 * k)
        self.decoder.lin1 = Linear(k, 256)
        self.decoder.lin2 = Linear(256, 256)
        self.decoder.lin3 = Linear(256, 512)
        self.decoder.up_64 = ConvTranspose2d(32, 32, 4, 2, 1)
        self.decoder.up1 = ConvTranspose2d(32, 32, 4, 2, 1)
        self.decoder.up2 = ConvTranspose2d(32, 32, 4, 2, 1)
        self.decoder.up3 = ConvTranspose2d(32, 1, 4, 2, 1)
        lively(self)

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return mean and log-variance."""
        e = self.encoder
        for layer in (e.conv1, e.conv2, e.conv3, e.conv_64):
            x = layer(x).relu()
        rows = e.mu_logvar(e.lin2(e.lin1(x.flatten(1)).relu()).relu())
        return rows.view(len(x), -1, 2).unbind(-1)

    def decode(self, z: Tensor) -> Tensor:
        """Return logits."""
        d = self.decoder
        for layer in (d.lin1, d.lin2, d.lin3):
            z = layer(z).relu()
        x = z.view(-1, 32, 4, 4)
        for layer in (d.up_64, d.up1, d.up2):
            x = layer(x).relu()
        return d.up3(x)


PLAIN = {"H": plain_h, "B": plain_b, "kim": plain_kim}
#: Theirs of the layers of net B above, in the order of ours.
NAMED = "encoder: conv1 conv2 conv3 conv_64 lin1 lin2 mu_logvar; decoder: lin1 lin2 lin3 up_64 up1 up2 up3"


def lively(net: nn.Module) -> nn.Module:
    """Give weights with which outputs depend on inputs: torch's own fade out from layer to layer."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= math.sqrt(6)
    return net


def halves(net: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """Return the posterior of a plain model whose head is stacked."""
    return (net.encoder if hasattr(net, "encoder") else net.encode)(x).chunk(2, dim=1)


def assert_same(
    vae: Any, posterior: Callable[[Tensor], tuple[Tensor, ...]], decode: Callable[[Tensor], Tensor], c: int = 1
) -> None:
    """Hold that our model is equal to a plain model in both directions, with codes that reach every ReLU."""
    x, z = torch.rand(3, c, 64, 64), 3 * torch.randn(3, vae.latent_dim)
    with torch.no_grad():
        for ours, theirs in zip(vae.encode(x.unsqueeze(0)), posterior(x), strict=True):
            assert theirs.std(dim=0).min() > 1e-3
            torch.testing.assert_close(ours[0], theirs, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(vae.decode(z.unsqueeze(0))[0], decode(z), rtol=1e-5, atol=1e-5)


def save(state: Mapping[str, Tensor], path: Path) -> Path:
    """Write a state dict as its file's ending says."""
    save_file(dict(state), path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


def names_of(network: str) -> list[str]:
    """Return the names of our parameters."""
    return [name for name, _ in networks.build(network, 1, SHAPE, K).named_parameters()]


def map_for_named_layers() -> dict[str, str]:
    """Return the key map of `NamedLayers`: our parameters to theirs."""
    theirs = [
        f"{part}.{layer}"
        for part, layers in (half.split(": ") for half in NAMED.split("; "))
        for layer in layers.split()
    ]
    return dict(zip(names_of("B"), [f"{layer}.{kind}" for layer in theirs for kind in ("weight", "bias")], strict=True))
