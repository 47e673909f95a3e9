"""A method with its networks for R runs: every tensor has the run axis, and a run's first values are its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.errors import BenchError, in_words
from bench.method import Method, State
from bench.nn import networks
from bench.nn.networks import VAE, ImageShape
from bench.registry import METHODS, NETWORKS, is_plugin
from bench.seeds import stream_key
from bench.spec import RunSpec

#: What has a counterpart with a run axis.
COUNTERPARTS: dict[type[nn.Module], str] = {
    nn.Linear: "Linear(n_runs, n_in, n_out)",
    nn.Conv2d: "Conv(n_runs, n_in, n_out)",
    nn.ConvTranspose2d: "ConvTranspose(n_runs, n_in, n_out)",
}


@dataclass(frozen=True)
class Assembly:
    """What a method and its constructors give for R runs, before `bench.nn.networks.initialise`.

    Attributes
    ----------
    method : Method
    vae : VAE
    modules : Module or None
        The method's own networks.
    state : mapping of str to Tensor
        The method's, before the first step.
    vae_of : str
        Whose the network is, as error messages say it.
    """

    method: Method
    vae: VAE
    modules: nn.Module | None
    state: State
    vae_of: str

    def own_values(self) -> dict[str, Tensor]:
        """Tensors whose first values `initialise` doesn't set, by name."""
        found = {f"state.{key}": value for key, value in self.state.items()}
        for part, module in (("vae", self.vae), ("modules", self.modules)):
            if module is not None:
                set_later = {id(v) for _, layer in networks.initialised(module) for v in (layer.weight, layer.bias)}
                tensors = [*module.named_parameters(), *module.named_buffers()]
                found |= {f"{part}.{name}": value for name, value in tensors if id(value) not in set_later}
        return found


def assemble(specs: Sequence[RunSpec], shape: ImageShape, n_train: int) -> Assembly:
    """Construct the method and the networks of runs that are trained together.

    What isn't a layer of `bench.nn.layers` keeps the values that it is constructed with. They are those of a
    construction of each run alone, under torch's global generator seeded from its stream ``construction``, so they are
    the same in any batch.

    Parameters
    ----------
    specs : sequence of RunSpec
        Equal but for seed and float hyper-parameters.
    shape : tuple of int
        ``(C, H, W)`` of the images.
    n_train : int
        Number of training images.

    Raises
    ------
    BenchError
        If a parameter, a buffer or a tensor of the state doesn't begin with the run axis, or has no value.
    """
    whole = _construct(specs, shape, n_train)
    name, n_runs = specs[0].method.name, len(specs)
    _require_axis(f"{whole.vae_of}: its network's module", whole.vae, n_runs)
    if whole.modules is not None:
        _require_axis(f"method '{name}': its module", whole.modules, n_runs)
    for key, value in whole.state.items():
        require_state_axis(name, key, value, n_runs)
    own = whole.own_values()
    for key, value in own.items():
        if value.isnan().any():
            owner, (part, _, path) = f"method '{name}'", key.partition(".")
            raise BenchError(
                f"{whole.vae_of if part == 'vae' else owner}: '{path}' has no value (torch.empty, or not a number); "
                "set it where it is made: torch's global generator is seeded there for each run"
            )
    if own and n_runs > 1:
        alone = [_construct([spec], shape, n_train).own_values() for spec in specs]
        with torch.no_grad():
            for key, value in own.items():
                for run, values in enumerate(alone):
                    if not torch.equal(value[run : run + 1], values[key]):
                        value[run : run + 1] = values[key]
    return whole


def check_assembly(spec: RunSpec, shape: ImageShape, n_train: int) -> None:
    """Refuse a run whose method or network can't be trained beside other runs; parameters as in `assemble`.

    Both one run and two are constructed: a shape may begin with either by accident, but not with both.

    Raises
    ------
    BenchError
        As `assemble` does, or if a constructor fails.
    """
    spec = spec.with_train(device="cpu")
    for n_runs in (1, 2):
        try:
            assemble([spec] * n_runs, shape, n_train)
        except BenchError:
            raise
        except Exception as error:
            what = "a run" if n_runs == 1 else "two runs that are trained together"
            raise BenchError(f"method '{spec.method.name}' can't be built for {what}: {in_words(error)}") from error


def is_foreign(spec: RunSpec) -> bool:
    """Whether code from outside of this project takes part in a run's training, a wrapped method's counted."""
    wrapped = [value for value in spec.method.hyper.values() if isinstance(value, str) and value in METHODS]
    methods = [METHODS.get(name).value for name in (spec.method.name, *wrapped)]
    return any(is_plugin(value) for value in (*methods, NETWORKS.get(spec.train.network).value))


def require_state_axis(name: str, key: str, value: Tensor, n_runs: int) -> None:
    """Refuse a tensor of the state of method `name` that doesn't begin with the run axis."""
    if value.shape[:1] != (n_runs,):
        raise BenchError(
            f"method '{name}': its state '{key}' of shape {tuple(value.shape)} has no leading run axis; "
            "make it (n_runs, ...), such as self.full(0.0)"
        )


@contextmanager
def constructing(seed: int, *, empty_is_nan: bool = False) -> Iterator[None]:
    """Torch's global generator at the start of a run's stream, for a while.

    With `empty_is_nan` ``torch.empty`` gives NaN meanwhile, so that what is left without a value is found. That takes
    longer than all else in a construction, and ours are held to it by tests.
    """
    mode, fill = torch.get_deterministic_debug_mode(), torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_key(seed, "construction") >> 1)
        try:
            if empty_is_nan:
                torch.set_deterministic_debug_mode("error")
                torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
            yield
        finally:
            torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
            torch.set_deterministic_debug_mode(mode)


def _construct(specs: Sequence[RunSpec], shape: ImageShape, n_train: int) -> Assembly:
    first, name = specs[0], specs[0].method.name
    settings, cls = first.train, METHODS.get(name).value
    with constructing(first.seed, empty_is_nan=is_foreign(first)):
        method: Method = cls(
            [cls.Hyper(**spec.method.hyper) for spec in specs],
            latent_dim=settings.latent_dim,
            n_train=n_train,
            n_steps=settings.steps,
            device=settings.device,
        )
        vae, vae_of = method.build(shape), f"method '{name}'"
        if vae is None:
            vae = networks.build(settings.network, len(specs), shape, settings.latent_dim)
            vae_of = f"network '{settings.network}'"
        modules = method.modules()
        # Copies: what is expanded from one value can't be set run by run.
        state = {key: value.clone() for key, value in method.initial_state().items()}
    return Assembly(method, vae, modules, state, vae_of)


def _require_axis(where: str, module: nn.Module, n_runs: int) -> None:
    for path, layer in module.named_modules():
        for name, value in (*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)):
            if value.shape[:1] == (n_runs,):
                continue
            place = f"{where} '{path}' ({type(layer).__name__})" if path else f"{where} ({type(layer).__name__})"
            for plain, counterpart in COUNTERPARTS.items():
                if isinstance(layer, plain):
                    raise BenchError(
                        f"{place} has weights without the leading run axis; use bench.nn.layers.{counterpart}"
                    )
            raise BenchError(
                f"{place} has '{name}' of shape {tuple(value.shape)} without the leading run axis; "
                "make every parameter and buffer (n_runs, ...)"
            )
