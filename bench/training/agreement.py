"""Whether a run keeps its bits: beside other runs, in a second execution, and across a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

from bench.assembly import is_foreign, require_state_axis
from bench.data.images import ImageStore
from bench.dataset import Dataset
from bench.errors import BenchError
from bench.spec import RunSpec
from bench.training import global_random
from bench.training.checkpoint import hand_over, same_bits
from bench.training.loop import train, train_anew
from bench.training.state import prepare_for

#: Steps after which runs trained together are compared with the same runs trained alone.
STEPS_COMPARED = 3


def agrees(specs: Sequence[RunSpec], dataset: Dataset, images: ImageStore) -> bool:
    """Whether the first steps of these runs together leave the bits that each leaves alone, on this machine.

    Other libraries under torch, or a method that mixes runs, could part them; then they must go alone. A GPU isn't
    asked: its kernels depend on the number of runs.
    """
    if specs[0].train.device == "cuda":
        return True
    together = train_anew(specs, dataset, images, until=STEPS_COMPARED)
    alone = (train_anew([spec], dataset, images, until=STEPS_COMPARED) for spec in specs)
    return all(same_bits(together, run, its) for run, its in enumerate(alone))


def check_repeatable(spec: RunSpec, dataset: Dataset, images: ImageStore) -> None:
    """Refuse a run whose numbers aren't a function of its spec, as far as its first steps show it.

    They are done in one go, and again by way of a checkpoint. Only runs with somebody else's method or network are
    asked, ours are held to it by tests; and only on a CPU, as `agrees`.

    Raises
    ------
    BenchError
        If they draw from a generator that isn't the run's, remember something outside of the state, or differ.
    """
    name, before = spec.method.name, states_to_watch(spec)
    if spec.train.device == "cuda" or not before:
        return
    straight = train_anew([spec], dataset, images, until=STEPS_COMPARED)
    check_draws(spec, before)
    for key, value in straight.model.state.items():
        require_state_axis(name, key, value, 1)
    rest = prepare_for([spec], dataset)
    hand_over(train_anew([spec], dataset, images, until=STEPS_COMPARED - 1), rest)
    train(rest, dataset, images, until=STEPS_COMPARED)
    if same_bits(straight, 0, rest, curves=False):
        return
    if same_bits(straight, 0, train_anew([spec], dataset, images, until=STEPS_COMPARED)):
        raise BenchError(
            f"method '{name}' remembers something outside of its state, which a checkpoint would lose: hand on what a "
            "step leaves to the next in Objective.state"
        )
    raise BenchError(f"method '{name}': two executions of its first {STEPS_COMPARED} steps differ")


def states_to_watch(spec: RunSpec) -> dict[str, object]:
    """States of the generators that a run mustn't draw from; none of a run that is all ours, which tests hold to it."""
    return global_random.states() if is_foreign(spec) else {}


def check_draws(spec: RunSpec, before: dict[str, object]) -> None:
    """Refuse a run in whose steps a generator of the whole process was drawn from.

    Parameters
    ----------
    spec : RunSpec
    before : dict
        What `states_to_watch` gave before these steps.
    """
    if drawn := global_random.moved(before):
        raise BenchError(
            f"method '{spec.method.name}' draws from {drawn}, which isn't seeded by the run: "
            "use terms.uniform or terms.normal"
        )
