"""What every network keeps to."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from bench.assembly import check_assembly
from bench.errors import BenchError
from bench.method import resolve_hyper
from bench.nn import networks
from bench.nn.networks import VAE, ImageShape
from bench.registry import METHODS, NETWORKS
from bench.seeds import torch_stream
from bench.spec import DatasetSpec, EvaluationSpec, MethodSpec, RunSpec
from bench.testing.checks import Check, ContractError, require
from bench.train_settings import TrainSettings

Settings = Mapping[str, Any]
#: Runs trained together, images in a batch, latents.
RUNS, BATCH, LATENTS = 2, 6, 3
#: Shapes that images often have; a network is looked at with the first one that it takes.
SHAPES: tuple[ImageShape, ...] = (
    *((1, 64, 64), (3, 64, 64), (1, 32, 32), (3, 32, 32)),
    *((1, 28, 28), (1, 128, 128), (3, 128, 128), (3, 224, 224)),
    *((3, 28, 28), (1, 96, 96), (3, 96, 96), (3, 96, 64), (1, 28, 56)),
)
#: Pixels times channels above which it isn't looked at with other shapes: dense networks would take long.
LARGE = 3 * 96 * 96
#: A shape that images hardly ever have: what can't take it says so.
ODD: ImageShape = (2, 7, 11)
#: The method that a network is tried with.
CARRIER = "vae"


def shape_of(name: str) -> ImageShape:
    """The first of `SHAPES` that a network takes."""
    for shape in SHAPES:
        try:
            NETWORKS.get(name).value(1, shape, LATENTS)
        except BenchError:
            continue
        return shape
    sizes = ", ".join(f"{c}x{h}x{w}" for c, h, w in SHAPES)
    raise ContractError(f"it refuses images of every shape that was tried: {sizes}")


def build(name: str, n_runs: int = RUNS) -> tuple[VAE, Tensor]:
    """A network for this many runs with its first weights, and images for them."""
    shape = shape_of(name)
    vae = networks.build(name, n_runs, shape, LATENTS)
    require(isinstance(vae, VAE), f"it gives {type(vae).__name__}, not bench.network.VAE")
    networks.initialise(vae, "he", list(range(n_runs)), "vae")
    images = torch.rand(RUNS, BATCH, *shape, generator=torch_stream(0, "test"))
    return vae, images[:n_runs]


def outputs(vae: VAE, images: Tensor) -> dict[str, Tensor]:
    """Means, log-variances, and the logits of the means."""
    with torch.no_grad():
        mean, logvar = vae.encode(images)
        return {"mean": mean, "logvar": logvar, "logits": vae.decode(mean)}


def documents_itself(name: str, settings: Settings) -> None:
    """It says what it is in one line, and its source."""
    doc = inspect.getdoc(NETWORKS.get(name).value) or ""
    require(NETWORKS.get(name).summary, "the function has no docstring")
    require("Source: " in doc, "the docstring has no 'Source: '")


def begins_with_the_run_axis(name: str, settings: Settings) -> None:
    """All parameters and buffers begin with the run axis and have values."""
    spec = RunSpec(
        method=MethodSpec(name=CARRIER, version=METHODS.get(CARRIER).version, hyper=resolve_hyper(CARRIER, {})),
        dataset=DatasetSpec(name="none", version=1, sha256=""),
        network_version=NETWORKS.get(name).version,
        train=TrainSettings(network=name, latent_dim=LATENTS, steps=10),
        seed=0,
        evaluation=EvaluationSpec(n_codes=2, n_images=1, metrics={}),
    )
    try:
        check_assembly(spec, shape_of(name), 100)
    except BenchError as error:
        raise ContractError(str(error).removeprefix(f"network '{name}': ")) from None


def encodes_and_decodes(name: str, settings: Settings) -> None:
    """It encodes images to means and log-variances, and decodes codes to logits of the same images."""
    vae, images = build(name)
    require(vae.latent_dim == LATENTS, f"latent_dim is {vae.latent_dim}, not the {LATENTS} asked for")
    mean, logvar = vae.encode(images)
    for what, value in (("mean", mean), ("logvar", logvar)):
        _require_output(what, value, (RUNS, BATCH, LATENTS))
    _require_output("logits", vae.decode(mean), tuple(images.shape))


def other_shapes_come_back_as_they_were(name: str, settings: Settings) -> None:
    """Whatever it takes of grey and colour images of 28 to 96 pixels, square or not, it gives back in their shape."""
    for shape in SHAPES:
        if math.prod(shape) > LARGE:
            continue
        try:
            vae = networks.build(name, 1, shape, LATENTS)
        except BenchError:
            continue
        networks.initialise(vae, "he", [0], "vae")
        images = torch.rand(1, 2, *shape, generator=torch_stream(0, "test"))
        c, h, w = shape
        try:
            logits = outputs(vae, images)["logits"]
        except RuntimeError as error:
            raise ContractError(f"images of {c}x{h}x{w} are neither refused nor taken: {error}") from None
        _require_output(f"logits of images of {c}x{h}x{w}", logits, (1, 2, *shape))


def every_parameter_is_trained(name: str, settings: Settings) -> None:
    """Every parameter has a finite gradient."""
    vae, images = build(name)
    mean, logvar = vae.encode(images)
    (vae.decode(mean).square().mean() + mean.square().mean() + logvar.exp().mean()).backward()  # type: ignore[no-untyped-call]
    for path, parameter in vae.named_parameters():
        if parameter.grad is None:
            raise ContractError(f"'{path}' has no part in the codes or the logits")
        require(torch.isfinite(parameter.grad).all(), f"the gradient of '{path}' isn't finite")


def same_inputs_same_outputs(name: str, settings: Settings) -> None:
    """The same images give the same codes and logits."""
    vae, images = build(name)
    for (what, first), second in zip(outputs(vae, images).items(), outputs(vae, images).values(), strict=True):
        require(torch.equal(first, second), f"{what} differs from call to call: a network draws no random numbers")


def runs_do_not_mix(name: str, settings: Settings) -> None:
    """A run's codes and logits are what they are without the run beside it."""
    together, images = build(name)
    alone, own = build(name, 1)
    logits = outputs(together, images)["logits"]
    require(not torch.equal(logits[0], logits[1]), "two runs with other weights and images give the same logits")
    for (what, one), both in zip(outputs(alone, own).items(), outputs(together, images).values(), strict=True):
        same = torch.allclose(one[0], both[0], rtol=1e-4, atol=1e-5)
        require(same, f"{what} of run 0 differs beside run 1: nothing may mix the runs, or draw values for all at once")


def images_do_not_mix(name: str, settings: Settings) -> None:
    """An image's codes and logits don't depend on the other images of the batch."""
    vae, images = build(name)
    half = BATCH // 2
    for (what, few), all_ in zip(outputs(vae, images[:, :half]).items(), outputs(vae, images).values(), strict=True):
        same = torch.allclose(few, all_[:, :half], rtol=1e-4, atol=1e-5)
        require(same, f"{what} of an image differs in another batch: reduce over channels and pixels, not over images")


def other_sizes_are_taken_or_refused(name: str, settings: Settings) -> None:
    """Images of a size that it isn't made for are refused in one line."""
    c, h, w = ODD
    images = torch.rand(1, BATCH, *ODD, generator=torch_stream(0, "test"))
    try:
        vae = networks.build(name, 1, ODD, LATENTS)
        networks.initialise(vae, "he", [0], "vae")
        logits = outputs(vae, images)["logits"]
    except BenchError:
        return
    except Exception as error:
        hint = "bench.network.require_size refuses them"
        raise ContractError(f"images of {c}x{h}x{w} end in {type(error).__name__}; {hint}") from None
    require(logits.shape == images.shape, f"images of {c}x{h}x{w} come back as {tuple(logits.shape[2:])}")


def _require_output(what: str, value: Tensor, shape: tuple[int, ...]) -> None:
    require(value.shape == shape, f"{what} has shape {tuple(value.shape)}, not {shape}")
    require(value.dtype == torch.float32, f"{what} is {value.dtype}, not float32")
    require(torch.isfinite(value).all(), f"{what} isn't finite")


CHECKS: list[Check] = [
    documents_itself,
    begins_with_the_run_axis,
    encodes_and_decodes,
    other_shapes_come_back_as_they_were,
    every_parameter_is_trained,
    same_inputs_same_outputs,
    runs_do_not_mix,
    images_do_not_mix,
    other_sizes_are_taken_or_refused,
]
