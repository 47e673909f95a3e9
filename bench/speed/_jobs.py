"""What a worker process does while training is timed: a plain loop, our engine, or products alone."""

from __future__ import annotations

import functools
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import loky
import numpy as np
import torch

if TYPE_CHECKING:
    from bench.config.plain_kl import PlainKL
    from bench.spec import RunSpec

#: 18,000 images of dSprites at 64 px: enough to be kept as bits, as the whole data set is.
LEVELS = ("dsprites.scale=6", "dsprites.orientation=10", "dsprites.pos_x=10", "dsprites.pos_y=10")


@dataclass(frozen=True)
class Job:
    """What a worker process does, picklable; `work` is called with it.

    Attributes
    ----------
    kind : {"plain", "apart", "ours", "ceiling", "peak"}
        The usual loop with all threads or with one, our engine, the products alone, or as many multiplications as one
        large product.
    network : str
        "mlp" is trained as in the preset "quick", "linear" as in the study "inference_optimum" but for the rate's
        schedule and the mean of its weights, the others as in "standard", on fewer images.
    batch_size : int
    precision : {"float32", "bfloat16"}
    method : str
    n_runs : int
        Batched, in each process.
    settings : tuple of str
        Further changes to the preset.
    """

    kind: str
    network: str
    batch_size: int
    precision: str = "float32"
    method: str = "beta_vae"
    n_runs: int = 1
    settings: tuple[str, ...] = ()


def work(job: Job, n_steps: int) -> None:
    """Go on with a job by some steps, in a worker process."""
    _prepared(job)(n_steps)


@functools.cache
def _prepared(job: Job) -> Callable[[int], None]:
    """What a job does for a number of steps; kept, so that only the first call prepares it."""
    if job.kind in ("plain", "apart"):
        return _plain(job)
    return _ours(job) if job.kind == "ours" else _products(job)


def _ours(job: Job) -> Callable[[int], None]:
    from bench.training import loop, state, torch_setup

    dataset, images, specs = problem(job)
    torch_setup.settings(1)
    training = state.prepare_for(specs, dataset)

    def go_on(n_steps: int) -> None:
        until = training.log.step + n_steps
        loop.train(training, dataset, images, until=until)
        if training.log.step != until:
            raise RuntimeError(f"{job} stopped at step {training.log.step}: all of its runs diverged")

    return go_on


def _plain(job: Job) -> Callable[[int], None]:
    from bench.speed._plain import Plain

    torch.set_num_threads(int(loky.cpu_count()) if job.kind == "plain" else 1)
    dataset, _, specs = problem(job)
    lr, factor = specs[0].train.lr, job.method == "factor_vae"
    return Plain(job.network, _floats(dataset), job.batch_size, lr=lr, factor=factor).train


@functools.lru_cache(maxsize=1)
def _floats(dataset: Any) -> torch.Tensor:
    return torch.from_numpy(dataset.images(np.arange(len(dataset))).astype(np.float32))


def _products(job: Job) -> Callable[[int], None]:
    from bench.speed._ceiling import discriminator_products, one_product, products
    from bench.training.torch_setup import settings

    settings(1)
    dtype = getattr(torch, job.precision)
    if job.network == "discriminator":
        calls = discriminator_products(job.batch_size, dtype, latent_dim=10)
    else:
        make = products if job.kind == "ceiling" else one_product
        shape = problem(job)[0].image_shape
        calls = make(job.network, shape, job.batch_size, dtype, latent_dim=10, n_runs=job.n_runs)

    def repeat(n_steps: int) -> None:
        for _ in range(n_steps):
            for call in calls:
                call()

    return repeat


def trained_on_images() -> list[str]:
    """Names of the methods that learn by gradients, from images."""
    from bench.registry import METHODS

    return [entry.name for entry in METHODS if entry.info.trains and entry.value.data != "vectors"]


def some_kl(plain: RunSpec) -> PlainKL:
    """A KL for set points that are shares of one, whatever it is: how long a step takes doesn't depend on it."""
    from bench.config.plain_kl import PlainKL, training_of

    return PlainKL(kl=20.0, sd=0.0, n_seeds=1, training=training_of(plain))


def problem(job: Job) -> tuple[Any, Any, list[Any]]:
    """Dataset, its images in memory, and the specs of the batched runs."""
    from bench.config.expand import expand
    from bench.config.study import find_study, resolve
    from bench.data.images import store_of
    from bench.dataset import load_dataset

    # So many steps that no window is cut off by the end of a run.
    settings = [f"train.batch_size={job.batch_size}", f"train.precision={job.precision}", "train.steps=1000000000"]
    settings += job.settings
    options: dict[str, Any] = {"methods": [job.method], "controls": [], "seeds": list(range(job.n_runs))}
    if job.network == "linear":
        settings += ["train.lr_schedule=constant", "train.average=0"]
        options["datasets"] = ["linear_gaussian[case=S1,decoder=learned]"]
    elif job.network != "mlp":
        settings += [f"train.network={job.network}", *LEVELS]
    if job.network == "linear":
        study = resolve(study_file=find_study("inference_optimum"), settings=settings, **options)
    else:
        study = resolve("quick" if job.network == "mlp" else "standard", settings=settings, **options)
    specs = expand(study, some_kl)
    dataset = load_dataset(specs[0].dataset.name, specs[0].dataset.all_options)
    return dataset, store_of(dataset), specs


def peak_of_one_process() -> float:
    """MiB that a process needs to train net H with batches of 128 on all of dSprites."""
    from bench.config.expand import expand
    from bench.config.study import resolve
    from bench.data.images import store_of
    from bench.dataset import load_dataset
    from bench.training import loop, state, torch_setup

    (spec,) = expand(
        resolve("standard", settings=["train.batch_size=128"], methods=["beta_vae"], controls=[], seeds=[0])
    )
    torch_setup.settings(1)
    dataset = load_dataset(spec.dataset.name, spec.dataset.all_options)
    training = state.prepare_for([spec], dataset)
    loop.train(training, dataset, store_of(dataset), until=5)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, KiB elsewhere.
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
