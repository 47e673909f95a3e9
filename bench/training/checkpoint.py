"""Store and restore the runs of a `Training`, bit for bit, as tensors in one safetensors file each (no pickle)."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.errors import BenchError
from bench.spec import RunSpec
from bench.training.state import Training


def save(training: Training, *paths: Path | None) -> None:
    """Write a checkpoint of each run, atomically: a file is either the old one or the new one.

    Call it between steps, with the log buffer empty (`bench.training.loop.train`'s ``on_log``).

    Parameters
    ----------
    training : Training
    *paths : Path or None
        One per run, None for a run that needs none. A run's file doesn't say which runs it was in lockstep with.
    """
    tensors = _tensors(training)
    for run, path in enumerate(paths):
        if path is not None:
            # Copies: tensors that share storage (views of one state) are refused by safetensors.
            save_atomically({key: value[run : run + 1].cpu().clone() for key, value in tensors.items()}, path)


def load(training: Training, *paths: Path) -> None:
    """Restore what `save` wrote into a `Training` that was prepared from the same specs, one file per run.

    Raises
    ------
    BenchError
        If a file is damaged or belongs to another run, or if the runs aren't at the same step.
    """
    try:
        files = [load_file(path) for path in paths]
        for file, spec in zip(files, training.specs, strict=True):
            _check_identity(file["spec"][0], spec)
        if len({int(file["step"]) for file in files}) > 1:
            raise ValueError("the runs aren't at the same step")
        _restore(training, {key: torch.cat([file[key] for file in files]) for key in files[0]})
    except (SafetensorError, KeyError, RuntimeError, ValueError, OSError) as error:
        names = ", ".join(str(path) for path in paths)
        raise BenchError(f"checkpoint '{names}' can't be used: {type(error).__name__}: {error}") from error


def step_of(path: Path, spec: RunSpec) -> int | None:
    """Last finished step in a run's checkpoint; None if there is none, or none that `load` could use."""
    try:
        with safe_open(path, framework="pt") as file:
            _check_identity(file.get_tensor("spec")[0], spec)
            return int(file.get_tensor("step"))
    except (SafetensorError, KeyError, RuntimeError, ValueError, OSError):
        return None


def hand_over(training: Training, fresh: Training) -> None:
    """Put what `save` would write into a `Training` that was prepared from the same specs, without a file between."""
    _restore(fresh, {key: value.clone() for key, value in _tensors(training).items()})


def same_bits(training: Training, run: int, alone: Training, *, curves: bool = True) -> bool:
    """Whether a run has in `training` all the bits that it has in `alone`, a training of one run.

    Parameters
    ----------
    training : Training
    run : int
        Its place on the run axis.
    alone : Training
    curves : bool
        False to leave out the log, which is only whole where a log interval ends.
    """
    mine, other = _tensors(training), _tensors(alone)
    kept = mine.keys() if curves else mine.keys() - {"curves", "diverged"}
    # As bytes: not-a-number isn't equal to itself.
    return mine.keys() == other.keys() and all(
        mine[key][run : run + 1].cpu().numpy().tobytes() == other[key].cpu().numpy().tobytes() for key in kept
    )


def _tensors(training: Training) -> dict[str, Tensor]:
    """All that changes in a training, every tensor with a leading run axis."""
    n_runs = len(training.specs)
    tensors = {f"vae.{key}": value for key, value in training.model.vae.state_dict().items()}
    if training.model.modules is not None:
        tensors |= {f"modules.{key}": value for key, value in training.model.modules.state_dict().items()}
    for number, optimizer in enumerate(training.optimizers):
        tensors |= {f"adam{number}.{key}": value for key, value in optimizer.tensors().items()}
    tensors |= {f"state.{key}": value for key, value in training.model.state.items()}
    if training.mean is not None:
        tensors |= {f"mean.{key}": value for key, value in training.mean.sums.items()}
    tensors["noise"] = torch.stack([generator.get_state() for generator in training.streams.noise])
    tensors["own"] = torch.stack([generator.get_state() for generator in training.streams.own])
    tensors["curves"] = torch.from_numpy(training.log.curves(training.model.vae.latent_dim))
    tensors["diverged"] = torch.tensor([-1 if good is None else good for good in training.log.diverged])
    tensors["step"] = torch.full((n_runs,), training.log.step)
    identities = [_identity(spec) for spec in training.specs]
    tensors["spec"] = torch.from_numpy(np.frombuffer(b"".join(identities), np.uint8).reshape(n_runs, -1).copy())
    return {key: value.detach() for key, value in tensors.items()}


def _restore(training: Training, tensors: dict[str, Tensor]) -> None:
    """Put what `_tensors` gave into a training that was prepared from the same specs."""
    training.model.vae.load_state_dict(_under(tensors, "vae."))
    if training.model.modules is not None:
        training.model.modules.load_state_dict(_under(tensors, "modules."))
    for number, optimizer in enumerate(training.optimizers):
        optimizer.load(_under(tensors, f"adam{number}."))
    if training.mean is not None:
        for key, value in _under(tensors, "mean.").items():
            training.mean.sums[key].copy_(value)
    for name in ("noise", "own"):
        for generator, state in zip(getattr(training.streams, name), tensors[name], strict=True):
            # A copy: torch crashes on a state that doesn't begin where its storage does.
            generator.set_state(state.clone())
    training.model.state = {k: v.to(training.model.method.device) for k, v in _under(tensors, "state.").items()}
    training.log.rows = list(tensors["curves"].numpy().swapaxes(0, 1))
    training.log.step = int(tensors["step"][0])
    training.log.diverged = [None if good < 0 else int(good) for good in tensors["diverged"].tolist()]


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


def _identity(spec: RunSpec) -> bytes:
    # Another version of torch may draw and sum differently: a run that mixes the two couldn't be repeated.
    return hashlib.sha256(f"{torch.__version__} {spec.digest}".encode()).digest()


def _check_identity(found: Tensor, spec: RunSpec) -> None:
    if found.numpy().tobytes() != _identity(spec):
        raise ValueError("it belongs to another run")


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
