"""Principal components: the linear control."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from bench.data.images import ImageStore
from bench.method import register_method
from bench.method_kinds import ClosedFormMethod
from bench.nn.layers import Linear
from bench.nn.networks import VAE, ImageShape
from bench.seeds import stream

#: The components are those of at most this many images, drawn without replacement.
N_SAMPLE = 20_000
#: Reconstructed pixel values are kept this far from 0 and 1, where the cross-entropy is infinite.
MARGIN = 1e-3


@register_method(
    "pca", label="PCA", order=23, groups=("control_methods",), trains=False, colour="#909090", marker="2", dashes=(6, 2)
)
class PCA(ClosedFormMethod):
    """Principal component analysis of the pixels, as many components as latents, codes of unit variance.

    A linear, deterministic, closed-form control: a metric or a claim that can't tell a deep model from it says little.
    The decoder is the transposed projection plus the mean image, cut to [0.001, 0.999] and given as logits.

    Notes
    -----
    Source: Pearson 1901; computed by a singular value decomposition of up to 20,000 images. There is no posterior,
    hence no KL.
    """

    stochastic = False
    data = "images"

    def build(self, shape: ImageShape) -> VAE:
        """Two linear maps instead of the run's network."""
        pixels = math.prod(shape)
        encoder = nn.Sequential(nn.Flatten(2), Linear(self.n_runs, pixels, 2 * self.latent_dim))
        decoder = nn.Sequential(Linear(self.n_runs, self.latent_dim, pixels), PixelLogits(), nn.Unflatten(2, shape))
        return VAE(encoder, decoder, self.latent_dim)

    def fit(self, vae: VAE, store: ImageStore, seeds: list[int]) -> None:
        """Set the two maps."""
        k = self.latent_dim
        for run, seed in enumerate(seeds):
            rows = stream(seed, "pca").permutation(store.n)[:N_SAMPLE]
            x = store.gather(np.sort(rows)).cpu().flatten(1).double()
            mean = x.mean(dim=0)
            _, singular, axes = torch.linalg.svd(x - mean, full_matrices=False)
            # A direction in which nothing varies gives a dead latent, not rounding errors divided by themselves.
            deviation = (singular / math.sqrt(max(len(x) - 1, 1)))[:k]
            deviation = deviation[deviation > 1e-6]
            axes = axes[: len(deviation)]
            # The sign of a component is arbitrary; its largest loading is made positive.
            axes = axes * axes.gather(1, axes.abs().argmax(dim=1, keepdim=True)).sign()
            encoder, decoder = vae.encoder[1], vae.decoder[0]
            with torch.no_grad():
                for layer in (encoder, decoder):
                    layer.weight[run].zero_()
                    layer.bias[run].zero_()
                encoder.weight[run, :, : len(axes)] = (axes / deviation[:, None]).T
                encoder.bias[run, : len(axes)] = -(axes @ mean) / deviation
                decoder.weight[run, : len(axes)] = axes * deviation[:, None]
                decoder.bias[run] = mean


class PixelLogits(nn.Module):
    """Pixel values to logits."""

    def forward(self, x: Tensor) -> Tensor:
        """Cut to the open interval, then the inverse of the sigmoid."""
        return torch.logit(x, eps=MARGIN)
