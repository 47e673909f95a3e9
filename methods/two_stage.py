"""Two-stage training with a decoupled decoder (Li et al., 2022), around any registered method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.errors import BenchError
from bench.method import Method, Objective, State, Terms, register_method, resolve_hyper
from bench.method_kinds import ClosedFormMethod, Stage, StagedMethod
from bench.registry import METHODS
from bench.selectors import parse_value
from bench.tunable import Choice, Linear

#: Worth tuning: ours. Stage 1 is a β-VAE from a plain VAE's weight to the released one (100).
TUNING = {
    "base_hyper": Choice(tuple(f"beta={beta}" for beta in (1, 2, 4, 8, 16, 32, 64, 100))),
    "stage2_share": Linear(0.1, 0.9),
}


def base_settings(name: str, text: str) -> dict[str, Any]:
    """Resolve ``"beta=100;..."`` against the method `name`.

    Raises
    ------
    BenchError
        Unknown method or hyper-parameter, or an impossible value.
    """
    values: dict[str, Any] = {}
    for part in filter(None, (item.strip() for item in text.split(";"))):
        key, equals, value = part.partition("=")
        if not equals:
            raise BenchError(f"base_hyper: '{part}' isn't key=value")
        values[key.strip()] = parse_value(value.strip())
    return resolve_hyper(name, values)


@register_method(
    "two_stage",
    label="two-stage",
    order=21,
    groups=("control_methods",),
    tuning=TUNING,
    colour="#A6192E",
    marker=">",
    dashes=(2, 1),
)
class TwoStage(StagedMethod):
    """Two stages: first the base method's objective, then ``min R`` over a decoder alone, the encoder frozen.

    Stage 1 is ``base`` with ``base_hyper`` for ``1 - stage2_share`` of the steps. Stage 2 freezes the encoder, takes a
    fresh decoder (or goes on with the first one: ``decoder=warm``) and minimises the reconstruction from codes of one
    kind: the posterior ``mean``, a ``sample``, or ``mean_plus_std`` (what the released code fed to its decoder). R is
    summed over pixels, averaged over the batch; there is no KL in stage 2, so it can't change a representation metric.

    The published result rests on noise-free codes: at a KL near zero sampled codes carry no information and no decoder
    can use them, while the means do, in floating point, at any scale. Compare the code modes; ``standardise`` rescales
    the codes per latent, which changes their conditioning and no information. ``base=untrained`` is a random frozen
    encoder, ``base=vae, code_mode=sample, decoder=warm`` plain decoder-only retraining.

    Notes
    -----
    Source: Li et al., "Training β-VAE by Aggregating a Learned Gaussian Posterior with a Decoupled Decoder", MICCAI
    2022 workshop MAD (arXiv 2209.14783), and its released code (β 100). Known deviations: the paper's decoder 2 has
    batch norm and more steps than stage 1; here both stages share the run's steps, and both decoders the run's network.
    """

    shared = ("stage2_share",)

    @dataclass(frozen=True)
    class Hyper:
        """Hyper-parameters.

        Attributes
        ----------
        base : str
            Method of stage 1.
        base_hyper : str
            Its hyper-parameters, such as "beta=100;...".
        base_version : int
            Its version; filled in, whatever is given.
        stage2_share : float
            Share of the steps that trains the second decoder.
        code_mode : {"mean", "sample", "mean_plus_std"}
            What the second decoder is given: posterior means, samples, or means plus standard deviations.
        decoder : {"fresh", "warm"}
            The second decoder begins anew (fresh) or as the first one ended (warm).
        standardise : bool
            Whether codes are brought to zero mean and unit variance for it.
        """

        base: str = "beta_vae"
        base_hyper: str = ""
        base_version: int = 0
        stage2_share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.5
        code_mode: Literal["mean", "sample", "mean_plus_std"] = "mean"
        decoder: Literal["fresh", "warm"] = "fresh"
        standardise: bool = False

        def __post_init__(self) -> None:
            if self.base == "two_stage":
                raise ValueError("base='two_stage' would nest it in itself")
            try:
                settings = base_settings(self.base, self.base_hyper)
            except BenchError as error:
                raise ValueError(str(error)) from None
            # Fully resolved, with the base's version: whoever changes a default of the base makes other runs of this.
            spelt = ";".join(f"{key}={value}" for key, value in sorted(settings.items()))
            object.__setattr__(self, "base_hyper", spelt)
            object.__setattr__(self, "base_version", METHODS.get(self.base).version)
            cls = METHODS.get(self.base).value
            if issubclass(cls, StagedMethod):
                raise ValueError(f"base='{self.base}' has stages of its own, which would be left out")
            if cls.build is not Method.build or issubclass(cls, ClosedFormMethod):
                raise ValueError(f"base='{self.base}' isn't trained on the run's network: it has no decoder to replace")

    def __init__(self, hypers: Sequence[Any], **context: Any) -> None:
        super().__init__(hypers, **context)
        cls = METHODS.get(self.hyper.base).value
        settings = base_settings(self.hyper.base, self.hyper.base_hyper)
        trains = METHODS.get(self.hyper.base).info.trains
        share = float(self.hyper.stage2_share[0]) if trains else 1.0
        # 1e-6: (1 - 0.9) * 10 is a little less than 1.
        self.stage2_start = int((1 - share) * self.n_steps + 1e-6) + 1
        # The base's own schedule, where it has one, is that of stage 1.
        stage1 = context | {"n_steps": self.stage2_start - 1}
        self.base: Method = cls([cls.Hyper(**settings)] * len(hypers), **stage1)
        self.stream = self.base.stream or self.hyper.base
        self.n_batches = self.base.n_batches
        self.stochastic = self.base.stochastic

    def encoder_frozen(self, step: int) -> bool:
        """In stage 2."""
        return step >= self.stage2_start

    def stage_starts(self) -> tuple[int, ...]:
        """The first step of stage 2."""
        return (self.stage2_start,)

    def begin_stage(self, stage: Stage) -> State:
        """A fresh decoder, and the codes' mean and deviation where they are standardised."""
        if self.hyper.decoder == "fresh":
            stage.fresh_decoder("decoder2")
        if not self.hyper.standardise:
            return stage.state
        mean, logvar = stage.codes()
        code = mean + (0.5 * logvar).exp() if self.hyper.code_mode == "mean_plus_std" else mean
        variance = code.var(dim=1)
        if self.hyper.code_mode == "sample":
            variance = variance + logvar.exp().mean(dim=1)
        # A latent that is constant stays what it is: dividing by its rounding error would make noise of it.
        scale = torch.where(variance > 1e-12, variance.sqrt(), 1.0)
        return {**stage.state, "code_centre": code.mean(dim=1), "code_scale": scale}

    def modules(self) -> nn.Module | None:
        """The base method's own modules."""
        return self.base.modules()

    def module_optimizer(self) -> dict[str, Any]:
        """The base method's."""
        return self.base.module_optimizer()

    def initial_state(self) -> State:
        """The base method's state, and the identity as standardisation."""
        shape = (self.n_runs, self.latent_dim)
        own = {
            "code_centre": torch.zeros(shape, device=self.device),
            "code_scale": torch.ones(shape, device=self.device),
        }
        return own | {f"base.{key}": value for key, value in self.base.initial_state().items()}

    def code(self, mean: Tensor, logvar: Tensor, noise: Tensor, state: State, step: int) -> Tensor:
        """The base method's code in stage 1, one of the chosen kind in stage 2."""
        if step < self.stage2_start:
            return self.base.code(mean, logvar, noise, state, step)
        return self._second(mean, logvar, noise, state)

    def code_at_evaluation(self, mean: Tensor, logvar: Tensor, state: State) -> Tensor:
        """What decoder 2 is given for an image: noise-free, also for ``code_mode=sample``."""
        if self.stage2_start > self.n_steps:
            return self.base.code_at_evaluation(mean, logvar, state)
        return self._second(mean, logvar, torch.zeros_like(mean), state)

    def _second(self, mean: Tensor, logvar: Tensor, noise: Tensor, state: State) -> Tensor:
        code = mean
        if self.hyper.code_mode != "mean":
            code = mean + (0.5 * logvar).exp() * (noise if self.hyper.code_mode == "sample" else 1.0)
        return (code - state["code_centre"].unsqueeze(1)) / state["code_scale"].unsqueeze(1)

    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """The base method's objective, then the reconstruction alone."""
        kept = {key: value for key, value in state.items() if not key.startswith("base.")}
        if step >= self.stage2_start:
            return Objective(loss=terms.reconstruction, beta=self.full(0.0), state=state, trains="decoder")
        inner = {key.removeprefix("base."): value for key, value in state.items() if key.startswith("base.")}
        objective = self.base.loss(terms, inner, step)
        new = kept | {f"base.{key}": value for key, value in objective.state.items()}
        return Objective(objective.loss, objective.beta, objective.set_point, objective.auxiliary, new)
