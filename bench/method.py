"""The method contract.

A method is one file in ``methods/``: a subclass of `Method` with a frozen dataclass ``Hyper`` and a ``loss``. All
tensors carry a leading run axis R: R runs of one architecture advance as a batch, R = 1 is the plain case.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from bench.analytic.loop import Loop as Loop  # methods take it from here
from bench.errors import BenchError
from bench.info import MethodInfo, Published
from bench.objective import Encoded as Encoded  # methods take these from here
from bench.objective import Objective as Objective
from bench.objective import State as State
from bench.objective import Terms as Terms
from bench.objective import kl_per_latent as kl_per_latent
from bench.registry import METHODS
from bench.settings import validate_dataclass
from bench.shares import OfPlainKL as OfPlainKL
from bench.shares import OfSteps as OfSteps
from bench.shares import Until as Until
from bench.shares import shares_in
from bench.tunable import Range, check_ranges

if TYPE_CHECKING:
    from bench.nn.networks import VAE, ImageShape

#: Hooks that only a subclass of the named class in `bench.method_kinds` has; on another method nobody would call them.
HOOKS_OF_KINDS = {
    "stage_starts": "StagedMethod",
    "begin_stage": "StagedMethod",
    "encoder_frozen": "StagedMethod",
    "fit": "ClosedFormMethod",
}


@dataclass(frozen=True)
class NoHyper:
    """Hyper-parameters of a method that has none."""


@dataclass(frozen=True)
class Steering:
    """Names of the hyper-parameters between which a method moves the weight on its KL to meet a set point.

    Attributes
    ----------
    set_point : str
        The set point with which its schedule ends, nats; empty if no hyper-parameter says it.
    floor, ceiling : str
        Lowest and highest weight; empty where there is no limit.
    """

    set_point: str = ""
    floor: str = ""
    ceiling: str = ""


class Method(ABC):
    """A training objective.

    A run's numbers are a function of its spec: nothing mixes the runs, all that a step leaves to the next is in the
    state, and random numbers in a step come from `Terms.uniform` and `Terms.normal`. On a CPU the first steps of a
    batch are compared with those of each run alone, and those of somebody else's method with a second execution by way
    of a checkpoint (`bench.training.agreement`). On a GPU, where the runs beside a run change its last digits anyway,
    neither is done: try a new method on a CPU first.

    Parameters
    ----------
    hypers : sequence of Hyper
        One per run. Fields of type float become tensors of shape (R,), float64, under ``self.hyper``; all others must
        agree and stay Python values (`shared_hyper`).
    latent_dim : int
        K.
    n_train : int
        Number of training images.
    n_steps : int
        Length of the training.
    device : str
        Where the tensors live.

    Attributes
    ----------
    Hyper : type
        Frozen dataclass: at once the command line, the TOML schema and the table's columns. Constraints are written
        as ``Annotated[float, Field(ge=0)]``, cross-field ones in ``__post_init__`` as `ValueError`.
    data : {"any", "images", "vectors"}
        What it can be trained on: "images" if it takes values in [0, 1] for granted; see `Dataset.likelihood`.
    steering : Steering or None
        Of a method whose steps have a set point (`Objective.set_point`): by it each run records whether its KL arrived
        there, or its weight latched at a limit (`bench.results.control`). Without it no limit is known.
    n_batches : int
        2 if `Terms.second` is needed.
    shared : tuple of str
        Float hyper-parameters in which batched runs must agree (an optimiser has one rate).
    stochastic : bool
        False if codes carry no noise: there is then no KL to speak of.
    capturable : bool
        False if a step does other things than the one before by a Python condition on its number or on tensors:
        a GPU can't replay it.
    network : str
        Name of the network that `build` makes whatever the run's is; empty if it is the run's, or one without a name.
    stream : str
        Method whose name keys the stream of `Terms.generators`, if not this one's: a wrapper draws what its base draws.
    """

    Hyper: ClassVar[type] = NoHyper
    shared: ClassVar[tuple[str, ...]] = ()
    data: ClassVar[Literal["any", "images", "vectors"]] = "any"
    steering: ClassVar[Steering | None] = None
    n_batches: int = 1
    stochastic: bool = True
    capturable: bool = True
    network: str = ""
    stream: str = ""

    def __init__(
        self, hypers: Sequence[Any], *, latent_dim: int, n_train: int = 1, n_steps: int = 1, device: str = "cpu"
    ) -> None:
        self.n_runs = len(hypers)
        self.latent_dim = latent_dim
        self.n_train = n_train
        self.n_steps = n_steps
        self.device = device
        self.hyper = SimpleNamespace()
        for item in fields(self.Hyper):
            values = [getattr(hyper, item.name) for hyper in hypers]
            if isinstance(values[0], float):
                setattr(self.hyper, item.name, torch.tensor(values, dtype=torch.float64, device=device))
            elif any(value != values[0] for value in values):
                raise ValueError(f"batched runs must share '{item.name}'")
            else:
                setattr(self.hyper, item.name, values[0])

    @abstractmethod
    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """Objective of one step.

        Parameters
        ----------
        terms : Terms
            The forward pass.
        state : mapping of str to Tensor
            What the step before returned, `initial_state` at first.
        step : int
            Iteration, from 1. In a step that a GPU replays it is a tensor of shape () and type float64: compute with
            it, but don't branch on it.
        """

    def code(self, mean: Tensor, logvar: Tensor, noise: Tensor, state: State, step: int) -> Tensor:
        """What the decoder is given in training, (R, B, K): by default a sample of the posterior."""
        return mean + (0.5 * logvar).exp() * noise

    def kl_per_latent(self, mean: Tensor, logvar: Tensor) -> Tensor:
        """Terms whose sum is the KL of the posterior from the prior, nats, mean over batch: (R, B, K) to (R, K)."""
        return kl_per_latent(mean, logvar)

    def covariance(self, logvar: Tensor) -> Tensor | None:
        """Covariances of the posteriors, (R, B, K, K), where latents are correlated; None: `logvar` says it all."""
        return None

    def code_at_evaluation(self, mean: Tensor, logvar: Tensor, state: State) -> Tensor:
        """What the decoder is given when it is evaluated, (R, B, K): by default the posterior's mean."""
        return mean

    def initial_state(self) -> State:
        """State before the first step: tensors only, all with leading axis R."""
        return {}

    def build(self, shape: ImageShape) -> VAE | None:
        """An encoder and decoder of the method's own, or None for the run's network; made as `modules` says."""
        return None

    def modules(self) -> nn.Module | None:
        """Trainable modules of the method itself, or None.

        Every parameter and buffer begins with the run axis, (R, ...): take the layers of `bench.nn.layers`, which the
        engine initialises, run by run, from the run's seed. What has no parameters (``nn.ReLU``, ``nn.Flatten``) is
        torch's as it is. A parameter of your own keeps the values that it is made with, and each run those that it
        gets when it is made alone: torch's global generator is seeded by the run meanwhile, also in ``__init__``,
        `build` and `initial_state`, so ``nn.Parameter(torch.randn(self.n_runs, 8))`` may be written. What lacks the
        axis, or has no value (``torch.empty``), is refused before anything is trained.
        """
        return None

    def module_optimizer(self) -> dict[str, Any]:
        """Adam's settings for `modules`: ``lr`` and ``betas``."""
        return {"lr": 1e-4, "betas": (0.9, 0.999)}

    @classmethod
    def loop(cls, hyper: Mapping[str, Any]) -> Loop | None:
        """The PI loop that a run with these hyper-parameters closes, for `bench plan` to simulate; None if none."""
        return None

    def full(self, value: float | Tensor) -> Tensor:
        """A float64 tensor of shape (R,) with this value."""
        return torch.zeros(self.n_runs, dtype=torch.float64, device=self.device) + value


def register_method(
    name: str,
    *,
    version: int = 1,
    label: str | None = None,
    groups: tuple[str, ...] = (),
    order: float = MethodInfo.order,
    trains: bool = True,
    colour: str = "",
    marker: str = "",
    dashes: tuple[float, ...] | None = None,
    published: Published | None = None,
    tuning: Mapping[str, Range] | None = None,
    **unknown: Any,
) -> Callable[[type[Method]], type[Method]]:
    """Register a `Method` subclass.

    Parameters
    ----------
    name : str
        Name in specs and on the command line.
    version : int
        Raised by every change that alters scores.
    label : str, optional
        Name in tables and figures; `name` by default.
    groups : tuple of str
        Names that select it together with others; ``("all",)`` puts it into ``--method all``.
    order : float
        Place in lists and tables.
    trains : bool
        False for a control that is only evaluated.
    colour, marker : str
        In figures: as ``"#0072B2"``, and one of Matplotlib's markers (`bench.info.MARKERS`). Where they aren't given,
        a hash of the name chooses from a small palette, and two methods may get the same.
    dashes : tuple of float, optional
        Lengths in points of the line's strokes and gaps by turns, ``()`` for a solid line.
    published : mapping, optional
        By dataset, what the authors' code sets otherwise than this file's defaults, as
        ``{"train": {...}, "hyper": {...}}``; it is what ``--hyper published`` runs.
    tuning : mapping of str to Range, optional
        The range of each hyper-parameter that is worth tuning, ``{"beta": Log(1, 16)}``; `bench tune` draws from it.
        Without any the method is run as it is where others are tuned.
    **unknown
        Refused, with the nearest keyword that there is.

    Raises
    ------
    BenchError
        In one line, if a keyword is unknown or a value impossible, a tuning range doesn't fit the hyper-parameters, or
        the class defines a hook of a kind that it isn't derived from.

    Examples
    --------
    >>> from bench.method import Method, Objective, register_method
    >>> @register_method("half_vae", label="VAE with half the KL")
    ... class HalfVAE(Method):
    ...     def loss(self, terms, state, step):
    ...         return Objective(loss=terms.reconstruction + 0.5 * terms.kl, beta=self.full(0.5))
    >>> METHODS.get("half_vae").info.label
    'VAE with half the KL'
    """
    ranges = dict(tuning or {})
    about = {"label": label or name, "groups": groups, "order": order, "trains": trains, "published": published or {}}
    about |= {"colour": colour, "marker": marker, "dashes": dashes, "tuning": ranges}
    add = METHODS.register(name, version=version, **about, **unknown)

    def decorate(cls: type[Method]) -> type[Method]:
        kinds = {base.__name__ for base in cls.__mro__ if base.__module__ == "bench.method_kinds"}
        for hook, kind in HOOKS_OF_KINDS.items():
            if hasattr(cls, hook) and kind not in kinds:
                raise BenchError(
                    f"method '{name}': '{hook}' is a hook of {kind}: derive from bench.method_kinds.{kind}"
                )
        check_ranges(f"method '{name}'", cls.Hyper, ranges)
        for bound, hyper in vars(cls.steering).items() if cls.steering else ():
            if hyper and hyper not in {item.name for item in fields(cls.Hyper)}:
                raise BenchError(f"method '{name}': steering.{bound}='{hyper}' is none of its hyper-parameters")
        added: type[Method] = add(cls)
        return added

    return decorate


def resolve_hyper(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Check hyper-parameters of the method `name` and fill in the defaults.

    Raises
    ------
    BenchError
        Unknown method or hyper-parameter, an impossible value, or a share: `bench.config.shares` makes numbers of them.
    """
    cls = METHODS.get(name).value.Hyper
    for key, value in shares_in(cls, values).items():
        raise BenchError(
            f"method '{name}': {key}={value!r}: only a study's own hyper-parameters can be shares, write a number here"
        )
    return validate_dataclass(cls, values, where=f"method '{name}'", what="hyper-parameter")


def shared_hyper(name: str, hyper: dict[str, Any]) -> dict[str, Any]:
    """The part of `hyper` in which runs must agree to be batched: what isn't a float, or is in ``shared``."""
    shared = METHODS.get(name).value.shared
    return {key: value for key, value in hyper.items() if key in shared or not isinstance(value, float)}
