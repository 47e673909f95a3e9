"""Tier 0: objectives and gradients on frozen posteriors, one optimiser step, controllers on a frozen KL."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bench import controllers
from bench.assembly import constructing
from bench.check import trials
from bench.check.baselines import Measured, Numbers
from bench.check.finding import Finding
from bench.check.formulas import checksum, noise
from bench.check.request import Request
from bench.check.run import check_numbers
from bench.data.images import store_of
from bench.method import Encoded, Method, Terms, resolve_hyper
from bench.nn import networks
from bench.registry import METHODS, MethodEntry
from bench.seeds import torch_stream
from bench.training import loop, torch_setup
from bench.training.log import COLUMNS
from bench.training.state import prepare_for
from bench.training.step import reconstruction

FILE = "check_losses.json"
#: Steps at which the objective is asked for, one after the other: the schedules' first jumps, and late in the run.
STEPS = (1, 2, 3, 6_000, 6_001, 12_000)
BATCH, LATENTS, SHAPE = 8, 6, (1, 16, 16)
#: How far float32 numbers may be off (`docs/check.md` says what was measured), and float64 ones of 12 digits.
TOLERANCE, TOLERANCE_DOUBLE = 1e-5, 1e-10
#: Controller -> methods that it steers, whose versions stand for its own.
STEERED = {
    "positional_pi": ("control_vae", "dynamic_vae"),
    "incremental_pi": ("dynamic_vae",),
    "staircase": ("control_vae",),
    "hybrid": ("dynamic_vae",),
    "linear_capacity": ("annealed_vae",),
}


def objective(entry: MethodEntry) -> Numbers:
    """Objective of a method with its default hyper-parameters on frozen posteriors, and the norms of its gradients.

    Everything is float32, as in training. The state is handed on from step to step.
    """
    cls = entry.value
    hyper = cls.Hyper(**resolve_hyper(entry.name, {}))
    with constructing(0):
        method: Method = cls([hyper], latent_dim=LATENTS, n_train=1_000, n_steps=STEPS[-1])
        modules = method.modules()
    if modules is not None:
        networks.initialise(modules, "he", [0], "method")
    generators = (torch_stream(0, f"method:{method.stream or entry.name}"),)
    state, found = method.initial_state(), _Table()
    for number, step in enumerate(STEPS):
        (mean, logvar, logits), images, epsilon = _frozen(number)
        z = method.code(mean, logvar, epsilon, state, step)
        second = None
        if method.n_batches > 1:
            (other_mean, other_logvar, _), _, other_epsilon = _frozen(number + len(STEPS))
            with torch.no_grad():
                code = method.code(other_mean, other_logvar, other_epsilon, state, step)
            second = Encoded(other_mean.detach(), other_logvar.detach(), code)
        terms = Terms(
            reconstruction=reconstruction(logits, images, "bernoulli"),
            kl_per_latent=method.kl_per_latent(mean, logvar),
            encoded=Encoded(mean, logvar, z),
            second=second,
            images=images,
            logits=logits,
            generators=generators,
        )
        goal = method.loss(terms, state, step)
        case = f"step {step}"
        for column in ("loss", "beta", "set_point", "auxiliary"):
            value = getattr(goal, column)
            if value is not None:
                found.put(column, case, value[0])
        found.put("reconstruction", case, terms.reconstruction[0])
        found.put("kl", case, terms.kl[0])
        _gradients(found, case, goal.loss, {"mean": [mean], "logvar": [logvar], "logits": [logits]})
        if goal.auxiliary is not None and modules is not None:
            _gradients(found, case, goal.auxiliary, {"modules": list(modules.parameters())})
        state = {key: value.detach() for key, value in goal.state.items()}
    return found.numbers


def first_steps(entry: MethodEntry) -> Numbers:
    """A small net's objective at its initialisation and after one optimiser step, and how far its weights went."""
    data = trials.dataset()
    spec = trials.spec(entry, steps=2, log_every=1)
    training = prepare_for([spec], data)
    parts = {
        "encoder": training.model.vae.encoder,
        "decoder": training.model.vae.decoder,
        "modules": training.model.modules,
    }
    found = _Table()
    if spec.train.steps == 0:
        return found.numbers
    start = {
        name: [value.detach().clone() for value in part.parameters()]
        for name, part in parts.items()
        if part is not None
    }
    for name, values in start.items():
        found.put(f"initial {name}, norm", "step 0", _norm(values))
    loop.train(training, data, store_of(data), until=1)
    for name, values in start.items():
        part = parts[name]
        assert part is not None  # noqa: S101  (for the type checker)
        moves = [after.detach() - before for after, before in zip(part.parameters(), values, strict=True)]
        found.put(f"first move of {name}, norm", "step 1", _norm(moves))
    loop.train(training, data, store_of(data), until=2)
    for row in training.log.rows:
        for name, value in zip(COLUMNS[:3], row[0, 1:4], strict=True):
            found.put(f"{name} of a small net", f"step {int(row[0, 0])}", float(value))
    return found.numbers


def measure(entry: MethodEntry) -> Measured:
    """One method's numbers, ready to be compared."""
    torch_setup.settings(1)
    numbers = objective(entry) | first_steps(entry)
    known = trials.versions(trials.spec(entry, steps=2, log_every=1))
    return Measured(f"method {entry.name}", known, numbers, dict.fromkeys(numbers, TOLERANCE))


def measure_controller(name: str) -> Measured:
    """Outputs of one controller or schedule on a frozen KL sequence, in float64."""
    numbers = _SEQUENCES[name]()
    known = {f"method {method}": METHODS.get(method).version for method in STEERED[name]}
    return Measured(f"controller {name}", known, numbers, dict.fromkeys(numbers, TOLERANCE_DOUBLE))


def subjects(entries: Sequence[MethodEntry], *, everything: bool) -> Iterator[tuple[str, Callable[[], Measured]]]:
    """What there is to measure: name and how. Controllers belong to no single method."""
    for entry in entries:
        yield f"method {entry.name}", partial(measure, entry)
    for name in STEERED if everything else ():
        yield f"controller {name}", partial(measure_controller, name)


def check(request: Request) -> list[Finding]:
    """Tier 0 of the methods."""
    listed = subjects(request.chosen_methods(), everything=request.everything)
    given = {f"posteriors {number}": _checksum(number) for number in range(2 * len(STEPS))} | trials.checksum()
    return check_numbers(0, request, FILE, listed, inputs=given)


class _Table:
    def __init__(self) -> None:
        self.numbers: Numbers = {}

    def put(self, column: str, case: str, value: float | Tensor) -> None:
        number = value.detach() if isinstance(value, Tensor) else value
        self.numbers.setdefault(column, {})[case] = float(number)


def _frozen(number: int) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor, Tensor]:
    """Leaves (means, log-variances, logits), images and noise; latents differ in their use, batches in their KL."""
    use = torch.tensor([1.0, 0.75, 0.5, 0.25, 0.125, 0.0]) * 2.0 ** (1 - number % 3)
    raw = {name: torch.from_numpy(value).float() for name, value in _arrays(number).items()}
    mean, logvar = 4 * use * raw["mean"], 2 * use * (raw["logvar"] - 1)
    leaves = (mean.requires_grad_(), logvar.requires_grad_(), (8 * raw["logits"]).requires_grad_())
    return leaves, (raw["images"] > 0).float(), 4 * raw["noise"]


def _arrays(number: int) -> dict[str, Any]:
    shapes = {"mean": (LATENTS,), "logvar": (LATENTS,), "noise": (LATENTS,), "logits": SHAPE, "images": SHAPE}
    return {name: noise(100 + 10 * number + i, 1, BATCH, *shape) for i, (name, shape) in enumerate(shapes.items())}


def _checksum(number: int) -> str:
    return checksum(_arrays(number))


def _norm(values: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float(value.double().square().sum()) for value in values))


def _gradients(found: _Table, case: str, loss: Tensor, leaves: dict[str, list[Tensor]]) -> None:
    flat = [leaf for part in leaves.values() for leaf in part]
    gradients: list[Tensor | None] = list(torch.autograd.grad(loss.sum(), flat, allow_unused=True, retain_graph=True))
    for name, part in leaves.items():
        own = [gradients.pop(0) for _ in part]
        found.put(f"gradient by {name}, norm", case, _norm([value for value in own if value is not None]))


def _kl_sequence() -> Tensor:
    """24 batches' KL, (24, 1): far above the set point of 10, far below it, then around it."""
    level = torch.tensor([30.0, 2.0, 10.0]).repeat_interleave(8)
    return (level + 4 * torch.from_numpy(noise(99, 24))).unsqueeze(1)


def _one(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


def _positional() -> Numbers:
    found = _Table()
    for anti_windup in ("released", "clamped"):
        for proportional in ("sigmoid", "linear"):
            state = controllers.PositionalState(_one(0.0), _one(1.0))
            for step, kl in enumerate(_kl_sequence(), start=1):
                beta, state = controllers.positional_pi(
                    state,
                    kl,
                    _one(10.0),
                    kp=_one(0.25),
                    ki=_one(0.03125),
                    floor=_one(1.0),
                    anti_windup=anti_windup,
                    proportional=proportional,
                )
                found.put(f"beta, {anti_windup}, {proportional}", f"step {step}", beta)
    return found.numbers


def _incremental() -> Numbers:
    found = _Table()
    for anti_windup in ("released", "clamped"):
        state = controllers.IncrementalState(_one(2.0), _one(0.0), torch.zeros(1, 5, dtype=torch.float64))
        for step, kl in enumerate(_kl_sequence(), start=1):
            beta, state = controllers.incremental_pi(
                state,
                kl,
                _one(10.0),
                kp=_one(0.25),
                ki=_one(0.03125),
                floor=_one(0.125),
                anti_windup=anti_windup,
            )
            found.put(f"beta, {anti_windup}", f"step {step}", beta)
    return found.numbers


def _schedule(function: Callable[..., Tensor], **settings: Any) -> Numbers:
    found = _Table()
    for step in (1, 9, 10, 11, 13, 19, 20, 21, 55, 100):
        found.put("set point", f"step {step}", function(step, start=_one(0.5), stop=_one(4.0), **settings))
    return found.numbers


_SEQUENCES: dict[str, Callable[[], Numbers]] = {
    "positional_pi": _positional,
    "incremental_pi": _incremental,
    "staircase": lambda: _schedule(controllers.staircase, increment=_one(0.75), every=10),
    "hybrid": lambda: _schedule(controllers.hybrid, increment=_one(0.75), every=10, ramp=4),
    "linear_capacity": lambda: _schedule(controllers.linear_capacity, iterations=64),
}
