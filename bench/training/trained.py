"""One run out of a training: what is evaluated, drawn and stored of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from bench.dataset import Dataset
from bench.errors import BenchError
from bench.spec import RunSpec
from bench.training.log import Log
from bench.training.state import Model, Training, build


@dataclass(frozen=True)
class TrainedRun:
    """A run as it is at some step.

    Attributes
    ----------
    spec : RunSpec
    model : Model
        Of this run alone.
    log : Log
        Likewise.
    """

    spec: RunSpec
    model: Model
    log: Log


def take(training: Training, run: int) -> TrainedRun:
    """One run of a training, by its place on the run axis; a copy unless it is alone there."""
    spec, whole = training.specs[run], training.model
    if len(training.specs) == 1:
        return TrainedRun(spec, whole, training.log)
    model = build([spec], whole.shape, whole.method.n_train, whole.known_decoder)
    model.vae.load_state_dict({name: value[run : run + 1] for name, value in whole.vae.state_dict().items()})
    if model.modules is not None and whole.modules is not None:
        model.modules.load_state_dict({k: v[run : run + 1] for k, v in whole.modules.state_dict().items()})
    model.state = {key: value[run : run + 1].clone() for key, value in whole.state.items()}
    return TrainedRun(spec, model, training.log.of(run))


def weights(model: Model) -> dict[str, Tensor]:
    """Encoder, decoder and the method's state of one run: name to tensor, without the run axis."""
    tensors = dict(model.vae.state_dict()) | {f"state.{key}": value for key, value in model.state.items()}
    return {name: value[0].detach().cpu().contiguous() for name, value in tensors.items()}


def load_weights(model: Model, tensors: dict[str, Tensor]) -> None:
    """Put what `weights` gave into the model of one run.

    Raises
    ------
    BenchError
        If the names or shapes aren't this network's.
    """
    own = {name: value.unsqueeze(0) for name, value in tensors.items()}
    try:
        model.vae.load_state_dict({name: value for name, value in own.items() if not name.startswith("state.")})
    except RuntimeError as error:
        raise BenchError(f"these weights don't fit the network: {str(error).splitlines()[0]}") from None
    device = model.method.device
    model.state = {k.removeprefix("state."): v.to(device) for k, v in own.items() if k.startswith("state.")}


def restore(spec: RunSpec, dataset: Dataset, file: Path) -> Model:
    """Build the model of one run and put the weights of a file into it.

    Raises
    ------
    BenchError
        If they aren't this network's.
    """
    model = build([spec], dataset.image_shape, dataset.n_train, dataset.known_decoder())
    load_weights(model, load_file(file))
    return model
