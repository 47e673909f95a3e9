"""Set up a batch of runs: the images of its data set, the processes that evaluate metrics, and torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.data.images import ImageStore, store_of
from bench.dataset import Dataset, load_dataset
from bench.errors import BenchError
from bench.execution.metric_pool import Measurers
from bench.registry import load_plugin
from bench.spec import RunSpec
from bench.training import torch_setup


@dataclass(frozen=True)
class Tools:
    """What all runs of a batch share.

    Attributes
    ----------
    dataset : Dataset
    images : ImageStore
    settings : dict
        How torch is set up in this process, for the record.
    pool : Measurers or None
        Processes that evaluate beside this one.
    plugins : tuple of Path
        For the record, and loaded in the pool's processes.
    checkpoint_s : float
        Seconds between checkpoints.
    """

    dataset: Dataset
    images: ImageStore
    settings: dict[str, Any]
    pool: Measurers | None = None
    plugins: tuple[Path, ...] = ()
    checkpoint_s: float = 60.0


def load(
    spec: RunSpec, pool: Measurers | None = None, plugins: tuple[Path, ...] = (), checkpoint_s: float = 60.0
) -> Tools:
    """Load the plug-ins and images of a batch, one of whose runs this is, and set the process up as the batch wants it.

    Raises
    ------
    BenchError
        If a plug-in can't be imported, or the data aren't what the spec says.
    """
    for plugin in plugins:
        load_plugin(plugin)
    settings = torch_setup.settings(spec.train.threads, spec.train.precision)
    dataset = data_of(spec)
    return Tools(dataset, store_of(dataset, spec.train.device), settings, pool, plugins, checkpoint_s)


def data_of(spec: RunSpec) -> Dataset:
    """Load the data set of a run.

    Raises
    ------
    BenchError
        If the data aren't what the spec says.
    """
    dataset = load_dataset(spec.dataset.name, spec.dataset.all_options)
    if dataset.fingerprint() != spec.dataset.sha256:
        raise BenchError(f"dataset '{spec.dataset.name}': its data have changed since this run was planned")
    return dataset
