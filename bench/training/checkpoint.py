"""Store and restore the runs of a `Training`, bit for bit, as tensors in one safetensors file each (no pickle)."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.errors import BenchError, reason
from bench.spec import RunSpec
from bench.training.state import Training

#: Name of the checksum among the tensors of a file.
CHECKSUM = "checksum"
#: What can go wrong with a file that was cut off, changed, or written for something else.
UNUSABLE = (SafetensorError, KeyError, RuntimeError, ValueError, OSError)


def save(training: Training, *paths: Path | None) -> None:
    """Write a checkpoint of each run, with a checksum; the one before it is kept beside it.

    Call it between steps, with the log buffer empty (`bench.training.loop.train`'s ``on_log``). At every moment one of
    the two files is whole.

    Parameters
    ----------
    training : Training
    *paths : Path or None
        One per run, None for a run that needs none. A run's file doesn't say which runs it was trained with.
    """
    tensors = _tensors(training)
    for run, path in enumerate(paths):
        if path is not None:
            # Copies: tensors that share storage (views of one state) are refused by safetensors.
            own = {key: value[run : run + 1].cpu().clone() for key, value in tensors.items()}
            if path.exists():
                _keep(path)
            save_atomically(own | {CHECKSUM: _checksum(own)}, path)


def load(training: Training, *paths: Path) -> None:
    """Restore what `save` wrote into a `Training` that was prepared from the same specs, one file per run.

    Raises
    ------
    BenchError
        If a file is damaged or belongs to another run, or if the runs aren't at the same step.
    """
    try:
        files = [_read(path, spec) for path, spec in zip(paths, training.specs, strict=True)]
        if len({int(file["step"]) for file in files}) > 1:
            raise ValueError("the runs aren't at the same step")
        _restore(training, {key: torch.cat([file[key] for file in files]) for key in files[0]})
    except UNUSABLE as error:
        names = ", ".join(str(path) for path in paths)
        raise BenchError(f"checkpoint '{names}' can't be used: {type(error).__name__}: {error}") from error


def step_of(path: Path, spec: RunSpec) -> int | None:
    """Last finished step in a run's checkpoint; None if there is none, or none that `load` could use."""
    try:
        return int(_read(path, spec)["step"])
    except UNUSABLE:
        return None


def recover(path: Path, spec: RunSpec) -> tuple[int | None, str]:
    """See that a run's checkpoint can be gone on from; one that can't is set aside for the one before it.

    Returns
    -------
    step : int or None
        Last finished step of what stands under `path` now; None if nothing does.
    warning : str
        What was wrong and what follows from it; empty where all is well.
    """
    warning = ""
    if path.exists():
        try:
            return int(_read(path, spec)["step"]), ""
        except UNUSABLE as error:
            path.replace(path.with_name(f"{path.name}.damaged"))
            warning = f"its checkpoint can't be used ({reason(error)}) and was set aside"
    step = step_of(previous(path), spec)
    if step is not None:
        previous(path).replace(path)
        return step, f"{warning}; it went on from the one before, step {step:,}" if warning else ""
    return None, f"{warning}; it began again" if warning else ""


def _keep(path: Path) -> None:
    """Keep a file as the previous one, without a moment in which there is none under its own name."""
    previous(path).unlink(missing_ok=True)
    try:
        previous(path).hardlink_to(path)
    except OSError:
        # Not every file system has links.
        shutil.copy2(path, previous(path))


def previous(path: Path) -> Path:
    """Where the checkpoint before the newest one stands."""
    return path.with_name(f"{path.name}.previous")


def _read(path: Path, spec: RunSpec) -> dict[str, Tensor]:
    """A run's checkpoint, checked; raises one of `UNUSABLE`."""
    tensors = load_file(path)
    if not torch.equal(tensors.pop(CHECKSUM), _checksum(tensors)):
        raise ValueError("its checksum is wrong")
    _check_identity(tensors["spec"][0], spec)
    if not 0 <= int(tensors["step"]) <= spec.train.steps:
        raise ValueError(f"it says step {int(tensors['step'])} of {spec.train.steps}")
    return tensors


def _checksum(tensors: dict[str, Tensor]) -> Tensor:
    """SHA-256 of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        # As bytes, whatever the type; a copy, because one value may lie in memory as if it were many.
        digest.update(value.flatten().clone(memory_format=torch.contiguous_format).view(torch.uint8).numpy().tobytes())
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)


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
