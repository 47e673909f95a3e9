"""Methods that are more than an objective for one training from start to end.

A `StagedMethod` changes the network between stages of a training; a `ClosedFormMethod` sets its weights without
gradients. Whoever runs a method asks ``isinstance``; `bench.method.register_method` refuses a plain `Method` that
defines one of these hooks, which nobody would call.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from bench.method import Method, Objective, State, Terms

if TYPE_CHECKING:
    from bench.data.images import ImageStore
    from bench.nn.networks import VAE


@dataclass(frozen=True)
class Stage:
    """What a method may change between two stages.

    Attributes
    ----------
    step : int
        First step of the new stage.
    state : mapping of str to Tensor
        The method's.
    codes : callable
        Gives posterior means and log-variances of all training images, each (R, N, K).
    fresh_decoder : callable
        Initialises the decoder anew, from streams of the given role, and forgets the optimiser's moments.
    """

    step: int
    state: State
    codes: Callable[[], tuple[Tensor, Tensor]]
    fresh_decoder: Callable[[str], None]


class StagedMethod(Method):
    """A method that changes the network or its own state between two stages of the training."""

    # What a stage changes depends on the step's number by a Python condition.
    capturable = False

    @abstractmethod
    def stage_starts(self) -> tuple[int, ...]:
        """Steps, from 1, before which `begin_stage` is called; those after the last step never come."""

    @abstractmethod
    def begin_stage(self, stage: Stage) -> State:
        """Change the network or the state between two stages; gives the new state, with the old one's keys."""

    def encoder_frozen(self, step: int) -> bool:
        """Whether the encoder stays as it is from this step on; its codes are then computed once."""
        return False


class ClosedFormMethod(Method):
    """A method whose weights aren't found by gradients; it usually brings a network of its own (`build`)."""

    @abstractmethod
    def fit(self, vae: VAE, store: ImageStore, seeds: list[int]) -> None:
        """Set the weights, before the first step if there are any.

        Parameters
        ----------
        vae : VAE
            What `build` gave, or the run's network, initialised; its weights are set in place.
        store : ImageStore
            All training images.
        seeds : list of int
            One per run.
        """

    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """Reconstruction, for the record: nothing is trained."""
        return Objective(loss=terms.reconstruction, beta=self.full(0.0))
