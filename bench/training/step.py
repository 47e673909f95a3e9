"""One optimisation step of R runs: batch, forward pass, both backward passes, new weights and the step's log row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the field's own alias)
from torch import Tensor

from bench.data.images import ImageStore
from bench.dataset import Index
from bench.method import Encoded, Terms
from bench.method_kinds import Stage, StagedMethod
from bench.nn import networks
from bench.nn.adam import Adam
from bench.nn.precision import in_precision
from bench.training.log import COLUMNS
from bench.training.schedule import one_cycle
from bench.training.state import Training


class Forward:
    """One optimisation step; a class only to look things up once instead of at every step."""

    def __init__(self, training: Training, likelihood: str, store: ImageStore, rows: Index | None = None) -> None:
        self.training = training
        self.likelihood = likelihood
        self.store = store
        self.rows = rows
        self.device = training.specs[0].train.device
        precision = training.specs[0].train.precision
        self.encoder = in_precision(training.model.vae.encode, precision, self.device)
        self.decoder = in_precision(training.model.vae.decode, precision, self.device)
        self.vae_parameters = [value for value in training.model.vae.parameters() if value.requires_grad]
        self.decoder_parameters = [value for value in training.model.vae.decoder.parameters() if value.requires_grad]
        self.own_parameters = list(training.model.modules.parameters()) if training.model.modules is not None else []
        self.frozen: tuple[Tensor, Tensor] | None = None

    def all_codes(self) -> tuple[Tensor, Tensor]:
        """Means and log-variances of all images, (R, N, K) each, by row: also those that aren't trained on."""
        parts = []
        with torch.no_grad():
            for start in range(0, self.store.n, 1024):
                rows = np.arange(start, min(start + 1024, self.store.n))
                x = self.store.gather(np.tile(rows, (len(self.training.specs), 1))).to(self.device)
                parts.append(self.training.model.vae.encode(x))
        means, logvars = zip(*parts, strict=True)
        return torch.cat(means, dim=1), torch.cat(logvars, dim=1)

    def training_codes(self) -> tuple[Tensor, Tensor]:
        """Means and log-variances of the images of an epoch, (R, N, K) each."""
        means, logvars = self.all_codes()
        if self.rows is None:
            return means, logvars
        rows = torch.from_numpy(self.rows).to(means.device)
        return means.index_select(1, rows), logvars.index_select(1, rows)

    def begin_stage(self, method: StagedMethod, step: int) -> None:
        """Let the method change what it wants to before this step."""
        t = self.training

        def fresh_decoder(role: str) -> None:
            # The streams are the CPU's, so that a run starts alike on every device.
            t.model.vae.decoder.cpu()
            networks.initialise(t.model.vae.decoder, t.specs[0].train.init, [spec.seed for spec in t.specs], role)
            t.model.vae.decoder.to(self.device)
            t.optimizers[0] = Adam(t.model.vae.parameters(), **t.specs[0].train.optimizer)

        t.model.state = method.begin_stage(Stage(step, t.model.state, self.training_codes, fresh_decoder))

    def encode(self, x: Tensor, rows: Any, step: Any) -> Encoded:
        """Posteriors and samples of a batch; stored ones if the encoder is frozen."""
        t = self.training
        if isinstance(t.model.method, StagedMethod) and t.model.method.encoder_frozen(step):
            self.frozen = self.frozen or self.all_codes()
            index = torch.as_tensor(rows, device=self.device)
            runs = torch.arange(len(rows), device=self.device)[:, None]
            mean, logvar = (value[runs, index] for value in self.frozen)
        else:
            mean, logvar = self.encoder(x)
        noise = torch.stack([torch.randn(mean.shape[1:], generator=g, device=mean.device) for g in t.streams.noise])
        return Encoded(mean, logvar, t.model.method.code(mean, logvar, noise, t.model.state, step))

    def __call__(self, rows: Sequence[Any], step: Any) -> Tensor:
        """Change weights and state; gives the log row.

        Parameters
        ----------
        rows : sequence of ndarray or Tensor, (R, B), int64
            The images of each of the step's batches.
        step : int or Tensor
            From 1; a tensor of float64 in a step that is replayed.

        Returns
        -------
        Tensor, (R, 4 + K)
            See `COLUMNS`.
        """
        t = self.training
        batches = [self.store.gather(each).to(self.device) for each in rows]
        encoded = self.encode(batches[0], rows[0], step)
        logits = self.decoder(encoded.z)
        second = None
        if len(batches) > 1:
            with torch.no_grad():
                second = self.encode(batches[1], rows[1], step)
        terms = Terms(
            reconstruction=reconstruction(logits, batches[0], self.likelihood),
            kl_per_latent=t.model.method.kl_per_latent(encoded.mean, encoded.logvar),
            encoded=encoded,
            second=second,
            images=batches[0],
            logits=logits,
            generators=t.streams.own,
        )
        objective = t.model.method.loss(terms, t.model.state, step)
        t.model.state = {key: value.detach() for key, value in objective.state.items()}
        for optimizer in t.optimizers:
            optimizer.zero_grad()
        # Both backward passes come before both steps: the two losses may share a discriminator's graph.
        auxiliary = objective.auxiliary
        changed = self.vae_parameters if objective.trains == "all" else self.decoder_parameters
        torch.autograd.backward(objective.loss.sum(), inputs=changed, retain_graph=auxiliary is not None)
        if auxiliary is not None:
            torch.autograd.backward(auxiliary.sum(), inputs=self.own_parameters)
        settings = t.specs[0].train
        if settings.lr_schedule == "one_cycle":
            t.optimizers[0].settings["lr"] = settings.lr * one_cycle(step, settings.steps)
        for optimizer in t.optimizers:
            optimizer.step()
        if t.mean is not None:
            t.mean.update(step)
        return _row(terms, objective.beta, objective.set_point, stochastic=t.model.method.stochastic)


def reconstruction(logits: Tensor, x: Tensor, likelihood: str) -> Tensor:
    """Reconstruction term per run.

    Parameters
    ----------
    logits, x : Tensor, (R, B, C, H, W)
        Decoder output; images in [0, 1].
    likelihood : {"bernoulli", "gaussian", "gaussian_unit"}
        Binary cross-entropy in nats; the summed squared error of ``sigmoid(logits)`` (no 1/2, no variance); or half the
        summed squared error of the output itself, nats but for the constant.

    Returns
    -------
    Tensor, (R,)
        Summed over pixels and channels, mean over batch.
    """
    if likelihood == "bernoulli":
        loss = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    elif likelihood == "gaussian_unit":
        loss = 0.5 * (logits - x).square()
    else:
        loss = (torch.sigmoid(logits) - x).square()
    return loss.sum(dim=(2, 3, 4)).mean(dim=1)


def _row(terms: Terms, beta: Tensor, set_point: Tensor | None, *, stochastic: bool) -> Tensor:
    if set_point is None:
        set_point = torch.full_like(beta, torch.nan)
    head = torch.stack([terms.reconstruction.detach(), terms.kl.detach(), beta.detach(), set_point], dim=1)
    row = torch.cat([head, terms.kl_per_latent.detach()], dim=1)
    if not stochastic:
        # Codes without noise have no KL: not zero, and not what an untrained variance head would give.
        row[:, 1] = torch.nan
        row[:, len(COLUMNS) :] = torch.nan
    return row
