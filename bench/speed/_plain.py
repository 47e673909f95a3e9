"""A β-VAE and a FactorVAE trained the way it is usually done, to compare with."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812  (the field's own alias)
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

LATENT_DIM = 10
LOG_EVERY = 100


class Plain:
    """Torch's own layers, a DataLoader over images in memory, Adam, a loss read every 100 steps.

    Parameters
    ----------
    network : {"H", "B", "mlp", "linear"}
        "linear" is for real vectors of two factors, with half the squared error for a loss.
    images : Tensor, (N, 1, H, W), float32
        In [0, 1] but for "linear".
    batch_size : int
    lr, beta : float
    factor : bool
        FactorVAE instead: a second batch, and a discriminator with an optimiser of its own.
    device : str
        Batches are sent there as they come.
    """

    def __init__(
        self,
        network: str,
        images: Tensor,
        batch_size: int,
        *,
        lr: float,
        beta: float = 4.0,
        factor: bool = False,
        device: str = "cpu",
    ) -> None:
        self.encoder, self.decoder = (part.to(device) for part in networks(network, images[0].numel()))
        self.optimizer = torch.optim.Adam([*self.encoder.parameters(), *self.decoder.parameters()], lr=lr)
        self.loader = DataLoader(TensorDataset(images), batch_size=batch_size, shuffle=True, drop_last=True)
        self.beta, self.factor, self.device = beta, factor, device
        self.gaussian = network == "linear"
        if factor:
            self.discriminator = discriminator().to(device)
            self.own = torch.optim.Adam(self.discriminator.parameters(), lr=1e-4, betas=(0.5, 0.9))
        self.batches = self._batches()
        self.step = 0
        self.losses: list[float] = []

    def _batches(self) -> Iterator[Tensor]:
        return (images.to(self.device) for _ in itertools.count() for (images,) in self.loader)

    def train(self, n_steps: int) -> None:
        """Do that many steps."""
        for _ in range(n_steps):
            loss = self._factor_step() if self.factor else self._step()
            self.step += 1
            if self.step % LOG_EVERY == 0:
                self.losses.append(loss.item())

    def _encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, logvar = self.encoder(x).chunk(2, dim=1)
        return mean, logvar, mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction and KL in nats per image, and the codes."""
        mean, logvar, z = self._encode(x)
        logits = self.decoder(z).view_as(x)
        if self.gaussian:
            reconstruction = 0.5 * F.mse_loss(logits, x, reduction="sum") / len(x)
        else:
            reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        kl = -0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp()) / len(x)
        return reconstruction, kl, z

    def _step(self) -> Tensor:
        reconstruction, kl, _ = self.terms(next(self.batches))
        loss = reconstruction + self.beta * kl
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss

    def _factor_step(self) -> Tensor:
        reconstruction, kl, z = self.terms(next(self.batches))
        logits: Tensor = self.discriminator(z)
        loss: Tensor = reconstruction + kl + 10.0 * (logits[:, 0] - logits[:, 1]).mean()
        self.optimizer.zero_grad()
        loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            _, _, other = self._encode(next(self.batches))
            permuted = torch.stack(
                [column[torch.randperm(len(column), device=self.device)] for column in other.T], dim=1
            )
        labels = torch.zeros(len(z), dtype=torch.long, device=self.device)
        own = F.cross_entropy(self.discriminator(z.detach()), labels)
        own = 0.5 * (own + F.cross_entropy(self.discriminator(permuted), labels + 1))
        self.own.zero_grad()
        own.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.own.step()
        return loss


def networks(name: str, pixels: int) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder of the network `name` for grey images, of torch's own layers."""
    k, relu = LATENT_DIM, nn.ReLU
    if name == "linear":
        return LinearPosterior(pixels, 2), nn.Linear(2, pixels)
    if name == "mlp":
        encoder = [nn.Flatten(), nn.Linear(pixels, 128), relu(), nn.Linear(128, 128), relu(), nn.Linear(128, 2 * k)]
        decoder = [nn.Linear(k, 128), relu(), nn.Linear(128, 128), relu(), nn.Linear(128, pixels)]
        return nn.Sequential(*encoder), nn.Sequential(*decoder)
    if name == "H":
        encoder = [*_down(1, 32, 32, 64, 64), nn.Conv2d(64, 256, 4, 1), relu(), nn.Flatten(), nn.Linear(256, 2 * k)]
        decoder = [nn.Linear(k, 256), relu(), nn.Unflatten(1, (256, 1, 1)), nn.ConvTranspose2d(256, 64, 4), relu()]
        return nn.Sequential(*encoder), nn.Sequential(*decoder, *_up(64, 64, 32, 32, 1))
    encoder = [*_down(1, 32, 32, 32, 32), nn.Flatten(), nn.Linear(512, 256), relu(), nn.Linear(256, 256), relu()]
    decoder = [nn.Linear(k, 256), relu(), nn.Linear(256, 256), relu(), nn.Linear(256, 512), relu()]
    up = [nn.Unflatten(1, (32, 4, 4)), *_up(32, 32, 32, 32, 1)]
    return nn.Sequential(*encoder, nn.Linear(256, 2 * k)), nn.Sequential(*decoder, *up)


class LinearPosterior(nn.Module):
    """Means linear in the data, log-variances that are the same for all."""

    def __init__(self, n_in: int, latent_dim: int) -> None:
        super().__init__()
        self.mean = nn.Linear(n_in, latent_dim)
        self.logvar = nn.Parameter(torch.zeros(latent_dim))

    def forward(self, x: Tensor) -> Tensor:
        """Both, side by side."""
        mean = self.mean(x.flatten(1))
        return torch.cat([mean, self.logvar.expand_as(mean)], dim=1)


def discriminator() -> nn.Module:
    """FactorVAE's: five hidden layers of 1000."""
    layers: list[nn.Module] = []
    for n_in in (LATENT_DIM, 1000, 1000, 1000, 1000):
        layers += [nn.Linear(n_in, 1000), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(1000, 2))


def _down(*channels: int) -> list[nn.Module]:
    pairs = itertools.pairwise(channels)
    return [layer for n_in, n_out in pairs for layer in (nn.Conv2d(n_in, n_out, 4, 2, 1), nn.ReLU())]


def _up(*channels: int) -> list[nn.Module]:
    pairs = itertools.pairwise(channels)
    layers: list[nn.Module] = []
    for n_in, n_out in pairs:
        layers += [nn.ConvTranspose2d(n_in, n_out, 4, 2, 1), nn.ReLU()]
    return layers[:-1]
