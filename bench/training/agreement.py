"""Whether runs that are trained together keep the bits that each has alone."""

from __future__ import annotations

from collections.abc import Sequence

from bench.data.images import ImageStore
from bench.dataset import Dataset
from bench.spec import RunSpec
from bench.training.checkpoint import same_bits
from bench.training.loop import train
from bench.training.state import Training, prepare_for

#: Steps after which runs trained together are compared with the same runs trained alone.
STEPS_COMPARED = 3


def agrees(specs: Sequence[RunSpec], dataset: Dataset, images: ImageStore) -> bool:
    """Whether the first steps of these runs together leave the bits that each leaves alone, on this machine.

    Other libraries under torch, or a method that mixes runs, could part them; then they must go alone. A GPU isn't
    asked: its kernels depend on the number of runs.
    """
    if specs[0].train.device == "cuda":
        return True
    together = _first_steps(specs, dataset, images)
    return all(same_bits(together, run, _first_steps([spec], dataset, images)) for run, spec in enumerate(specs))


def _first_steps(specs: Sequence[RunSpec], dataset: Dataset, images: ImageStore) -> Training:
    training = prepare_for(specs, dataset)
    train(training, dataset, images, until=STEPS_COMPARED)
    return training
