"""What every method keeps to."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from bench.assembly import check_assembly, constructing
from bench.errors import BenchError
from bench.method import Encoded, Method, Terms, resolve_hyper
from bench.nn import networks
from bench.registry import METHODS
from bench.seeds import torch_stream
from bench.spec import DatasetSpec, EvaluationSpec, MethodSpec, RunSpec
from bench.testing.checks import Check, ContractError, require
from bench.train_settings import TrainSettings

Settings = Mapping[str, Any]
#: Batched runs, images in a batch, latents.
RUNS, BATCH, LATENTS = 2, 6, 4


def terms(*, requires_grad: bool = False) -> tuple[Terms, Tensor]:
    """A made-up forward pass of two runs, and the posterior means that its gradients go to."""
    generator = torch_stream(0, "test")
    mean, logvar, noise = (torch.randn(RUNS, BATCH, LATENTS, generator=generator) for _ in range(3))
    mean.requires_grad_(requires_grad)
    z = mean + (logvar / 2).exp() * noise
    second = Encoded(*(torch.randn(RUNS, BATCH, LATENTS, generator=generator) for _ in range(3)))
    reconstruction = z.square().sum(dim=(1, 2))
    images = torch.rand(RUNS, BATCH, 1, 4, 4, generator=generator)
    logits = z.sum(dim=2)[:, :, None, None, None] * torch.ones_like(images)
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean(dim=1)
    return Terms(reconstruction, kl, Encoded(mean, logvar, z), second, images, logits, _generators()), mean


def build(name: str, settings: Settings) -> tuple[Method, nn.Module | None]:
    """Two batched runs of a method, and its own modules, initialised."""
    cls = METHODS.get(name).value
    hyper = cls.Hyper(**resolve_hyper(name, dict(settings)))
    with constructing(0):
        method: Method = cls([hyper] * RUNS, latent_dim=LATENTS, n_train=100, n_steps=10)
        modules = method.modules()
    if modules is not None:
        networks.initialise(modules, "he", list(range(RUNS)), "method")
    return method, modules


def documents_itself(name: str, settings: Settings) -> None:
    """It documents its equation, its reduction, its source and its deviations."""
    doc = " ".join((inspect.getdoc(METHODS.get(name).value) or "").split())
    require("Source: " in doc, "the docstring has no 'Source: '")
    if METHODS.get(name).info.trains:
        require("min R" in doc, "the docstring doesn't give the objective as an equation: 'min R + ...'")
        for words in ("summed over pixels", "averaged over the batch"):
            require(words in doc, f"the docstring doesn't say how R is reduced: '{words}'")
        require("Known deviations:" in doc, "the docstring has no 'Known deviations:'")


def hyper_is_plain(name: str, settings: Settings) -> None:
    """Its hyper-parameters are a frozen dataclass with a docstring and plain defaults."""
    hyper: Any = METHODS.get(name).value.Hyper
    require(is_dataclass(hyper) and vars(hyper)["__dataclass_params__"].frozen, "Hyper isn't a frozen dataclass")
    require(hyper.__doc__ and not hyper.__doc__.startswith(f"{hyper.__name__}("), "Hyper has no docstring")
    for item in fields(hyper):
        plain = isinstance(item.default, bool | int | float | str)
        require(plain, f"the default of '{item.name}' is no boolean, number or string")


def refuses_unknown_hyper(name: str, settings: Settings) -> None:
    """An unknown hyper-parameter is refused."""
    try:
        resolve_hyper(name, {"nonsense": 1})
    except BenchError as error:
        known = "unknown hyper-parameter 'nonsense'" in str(error)
        require(known, f"'nonsense' was refused for another reason: {error}")
    else:
        raise ContractError("the hyper-parameter 'nonsense' was taken")


def refuses_nan(name: str, settings: Settings) -> None:
    """NaN is refused for every hyper-parameter that is a float."""
    for item in fields(METHODS.get(name).value.Hyper):
        if isinstance(item.default, float):
            try:
                resolve_hyper(name, {item.name: float("nan")})
            except BenchError as error:
                require(item.name in str(error), f"'{item.name}' is nan, and the error names another one: {error}")
            else:
                raise ContractError(f"{item.name} = nan was taken: annotate it with Field(allow_inf_nan=False)")


def begins_with_the_run_axis(name: str, settings: Settings) -> None:
    """All parameters, buffers and state begin with the run axis and have values."""
    spec = RunSpec(
        method=MethodSpec(name=name, version=1, hyper=resolve_hyper(name, dict(settings))),
        dataset=DatasetSpec(name="none", version=1, sha256=""),
        network_version=1,
        train=TrainSettings(network="mlp", latent_dim=LATENTS, steps=10),
        seed=0,
        evaluation=EvaluationSpec(n_codes=2, n_images=1, metrics={}),
    )
    try:
        check_assembly(spec, (1, 64, 64), 100)
    except BenchError as error:
        raise ContractError(str(error).removeprefix(f"method '{name}': ")) from None


def loss_is_finite_and_differentiable(name: str, settings: Settings) -> None:
    """Its loss is finite, differentiable and one number per run."""
    method, _ = build(name, settings)
    batch, mean = terms(requires_grad=True)
    objective = method.loss(batch, method.initial_state(), 1)
    for what in ("loss", "beta", "set_point", "auxiliary"):
        value = getattr(objective, what)
        if value is not None:
            require(value.shape == (RUNS,), f"{what} has shape {tuple(value.shape)}, not one number per run ({RUNS},)")
            require(torch.isfinite(value).all(), f"{what} isn't finite")
    (gradient,) = torch.autograd.grad(objective.loss.sum(), mean)
    require(torch.isfinite(gradient).all(), "the gradient isn't finite")
    require(gradient.abs().sum() > 0, "the gradient with respect to the codes is zero")


def beta_is_a_number(name: str, settings: Settings) -> None:
    """Beta and the set point are numbers, not part of the graph."""
    method, _ = build(name, settings)
    objective = method.loss(terms(requires_grad=True)[0], method.initial_state(), 1)
    for what in ("beta", "set_point"):
        value = getattr(objective, what)
        plain = value is None or not value.requires_grad
        require(plain, f"{what} requires a gradient: detach what it is computed from")


def state_keeps_its_shape(name: str, settings: Settings) -> None:
    """Its state keeps its keys, shapes and types, and begins with the run axis."""
    method, _ = build(name, settings)
    state = method.initial_state()
    new = method.loss(terms()[0], state, 1).state
    before, after = ({k: (tuple(v.shape), v.dtype) for k, v in some.items()} for some in (state, new))
    require(before == after, f"the state was {before}, and is {after} after a step")
    for key, value in new.items():
        require(value.shape[:1] == (RUNS,), f"the state '{key}' of shape {tuple(value.shape)} has no leading run axis")


def same_inputs_same_loss(name: str, settings: Settings) -> None:
    """The same inputs give the same loss."""
    losses = []
    for _ in range(2):
        method, _ = build(name, settings)
        losses.append(method.loss(terms()[0], method.initial_state(), 1).loss)
    require(torch.equal(*losses), "two calls differ: take random numbers from terms.uniform or terms.normal")


def remembers_only_its_state(name: str, settings: Settings) -> None:
    """It remembers nothing from step to step but its state."""
    method, _ = build(name, settings)
    state = {key: value.detach() for key, value in method.loss(terms()[0], method.initial_state(), 1).state.items()}
    fresh, _ = build(name, settings)
    same = torch.equal(method.loss(terms()[0], state, 2).loss, fresh.loss(terms()[0], state, 2).loss)
    require(same, "a loss differs after a checkpoint: hand on what a step leaves to the next in Objective.state")


def runs_do_not_mix(name: str, settings: Settings) -> None:
    """A run's loss doesn't depend on the run beside it."""
    method, _ = build(name, settings)
    plain, other = terms()[0], terms()[0]
    scaled = Encoded(*(v * torch.tensor([1.0, 1.1])[:, None, None] for v in vars(other.encoded).values()))
    changed = replace(
        other,
        reconstruction=other.reconstruction + torch.tensor([0.0, 1.0]),
        kl_per_latent=other.kl_per_latent * torch.tensor([[1.0], [2.0]]),
        encoded=scaled,
        logits=_given(other.logits) * torch.tensor([1.0, 2.0])[:, None, None, None, None],
    )
    a = method.loss(plain, method.initial_state(), 1).loss
    b = method.loss(changed, method.initial_state(), 1).loss
    require(a[0] == b[0], "run 0's loss changes with run 1's data: reduce over batch and latents, not over runs")
    require(a[1] != b[1], "run 1's loss doesn't change with its own data")


def order_in_the_batch_does_not_matter(name: str, settings: Settings) -> None:
    """The order of the images in a batch doesn't matter."""
    method, _ = build(name, settings)
    batch, _ = terms()
    flipped = replace(
        batch,
        encoded=Encoded(*(v.flip(1) for v in vars(batch.encoded).values())),
        images=_given(batch.images).flip(1),
        logits=_given(batch.logits).flip(1),
        generators=_generators(),
    )
    a = method.loss(batch, method.initial_state(), 1).loss
    b = method.loss(flipped, method.initial_state(), 1).loss
    same = torch.allclose(a, b, rtol=1e-5, atol=0)
    require(same, f"the loss is {a.tolist()}, and {b.tolist()} with the images in reverse")


def modules_have_a_loss_and_an_optimiser(name: str, settings: Settings) -> None:
    """Its own modules get an auxiliary loss and one optimiser."""
    method, modules = build(name, settings)
    objective = method.loss(terms()[0], method.initial_state(), 1)
    has = "no modules" if modules is None else "modules"
    said = "no auxiliary loss" if objective.auxiliary is None else "an auxiliary loss"
    require((modules is None) == (objective.auxiliary is None), f"it has {has} but {said}")
    keys = sorted(method.module_optimizer())
    require(keys == ["betas", "lr"], f"module_optimizer gives {keys}, it takes ['betas', 'lr']")


def _generators() -> tuple[torch.Generator, ...]:
    return tuple(torch_stream(run, "own") for run in range(RUNS))


def _given(value: Tensor | None) -> Tensor:
    if value is None:
        raise TypeError("a tensor is needed")
    return value


CHECKS: list[Check] = [
    documents_itself,
    hyper_is_plain,
    refuses_unknown_hyper,
    refuses_nan,
    begins_with_the_run_axis,
    loss_is_finite_and_differentiable,
    beta_is_a_number,
    state_keeps_its_shape,
    same_inputs_same_loss,
    remembers_only_its_state,
    runs_do_not_mix,
    order_in_the_batch_does_not_matter,
    modules_have_a_loss_and_an_optimiser,
]
