"""Store and restore a `Training`, bit for bit, as tensors in one safetensors file (no pickle)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.engine import Training
from bench.errors import BenchError


def weights(training: Training, run: int) -> dict[str, Tensor]:
    """Encoder, decoder and the method's last state of one run: name to tensor, without the run axis."""
    tensors = dict(training.vae.state_dict()) | {f"state.{key}": value for key, value in training.state.items()}
    return {name: value[run].detach().cpu().contiguous() for name, value in tensors.items()}


def load_weights(training: Training, tensors: dict[str, Tensor]) -> None:
    """Put what `weights` gave into a `Training` of one run.

    Raises
    ------
    BenchError
        If the names or shapes aren't this network's.
    """
    own = {name: value.unsqueeze(0) for name, value in tensors.items()}
    try:
        training.vae.load_state_dict({name: value for name, value in own.items() if not name.startswith("state.")})
    except RuntimeError as error:
        raise BenchError(f"these weights don't fit the network: {str(error).splitlines()[0]}") from None
    training.state = {key: value.to(training.method.device) for key, value in _under(own, "state.").items()}


def save(training: Training, path: Path) -> None:
    """Write a checkpoint, atomically: the file is either the old one or the new one.

    Call it between steps, with the log buffer empty (`bench.engine.train`'s ``on_log``).
    """
    tensors = {f"vae.{key}": value for key, value in training.vae.state_dict().items()}
    if training.modules is not None:
        tensors |= {f"modules.{key}": value for key, value in training.modules.state_dict().items()}
    for number, optimizer in enumerate(training.optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"adam{number}.{index}.{key}": value for key, value in state.items()}
    tensors |= {f"state.{key}": value for key, value in training.state.items()}
    for run, (noise, own) in enumerate(zip(training.noise, training.own, strict=True)):
        tensors[f"noise.{run}"] = noise.get_state()
        tensors[f"own.{run}"] = own.get_state()
    tensors["curves"] = torch.from_numpy(np.array(training.curves))
    tensors["specs"] = _identity(training)
    tensors["step"] = torch.tensor(training.step)
    tensors["diverged"] = torch.tensor([-1 if good is None else good for good in training.diverged])
    # Copies: tensors that share storage (views of one state) are refused by safetensors.
    save_atomically({key: value.detach().cpu().clone() for key, value in tensors.items()}, path)


def load(training: Training, path: Path) -> None:
    """Restore what `save` wrote into a `Training` that was prepared from the same specs.

    Raises
    ------
    BenchError
        If the file is damaged or belongs to other runs.
    """
    try:
        tensors = load_file(path)
        if not torch.equal(tensors["specs"], _identity(training)):
            raise ValueError("it belongs to other runs")
        training.vae.load_state_dict(_under(tensors, "vae."))
        if training.modules is not None:
            training.modules.load_state_dict(_under(tensors, "modules."))
        for number, optimizer in enumerate(training.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in _under(tensors, f"adam{number}.").items():
                index, name = key.split(".", 1)
                state.setdefault(int(index), {})[name] = value
            optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        for run, (noise, own) in enumerate(zip(training.noise, training.own, strict=True)):
            noise.set_state(tensors[f"noise.{run}"])
            own.set_state(tensors[f"own.{run}"])
        training.state = {k: v.to(training.method.device) for k, v in _under(tensors, "state.").items()}
        training.curves = list(tensors["curves"].numpy())
        training.step = int(tensors["step"])
        training.diverged = [None if good < 0 else int(good) for good in tensors["diverged"].tolist()]
    except (SafetensorError, KeyError, RuntimeError, ValueError, OSError) as error:
        raise BenchError(f"checkpoint '{path}' can't be used: {type(error).__name__}: {error}") from error


def save_atomically(tensors: dict[str, Tensor], path: Path) -> None:
    """Write safetensors without metadata (with it, the file's hash isn't reproducible), then rename into place."""
    part = path.with_name(path.name + ".part")
    try:
        save_file(tensors, part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except SafetensorError as error:
        # The library turns the system's error into a text of its own.
        if "os error 28" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def _identity(training: Training) -> Tensor:
    # Another version of torch may draw and sum differently: a run that mixes the two couldn't be repeated.
    text = torch.__version__ + "".join(spec.digest for spec in training.specs)
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
