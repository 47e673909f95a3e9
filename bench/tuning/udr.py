"""UDR of the settings of a tuning study: how far the seeds of a setting agree, measured on the stored weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file

from bench.data.images import store_of
from bench.dataset import load_dataset, sample_rows
from bench.errors import BenchError
from bench.evaluation.codes import encode
from bench.files import read_json, write_json
from bench.metrics import kl, udr
from bench.results.read import check_record
from bench.results.record import WEIGHTS
from bench.results.schemas import UdrRecord
from bench.results.store import UDR, Store
from bench.seeds import stream
from bench.spec import RunSpec
from bench.training import torch_setup
from bench.training.state import build
from bench.training.trained import load_weights

#: What to do about a damaged file of UDR.
ANEW = "delete it, `bench tune` writes it anew"


def measure(folder: Path, specs: Sequence[RunSpec]) -> None:
    """Measure UDR of every setting of a study that has at least two runs, and write it beside the runs.

    Each run's is the median over its pairs with the other seeds of its setting (`bench.metrics.udr`). A setting without
    noise in its codes has none: nothing says which of its codes are informative.

    Raises
    ------
    BenchError
        If weights are damaged, or missing as they are from an archive, or the data aren't what the runs were trained
        on.
    """
    store, settings = Store(folder), defaultdict[str, list[RunSpec]](list)
    for spec in specs:
        if store.is_done(spec.run_id) and store.result(spec.run_id)["status"] == "ok":
            settings[spec.model_copy(update={"seed": 0}).digest].append(spec)
    found: dict[str, float] = {}
    for runs in settings.values():
        first = runs[0]
        torch_setup.settings(first.train.threads, first.train.precision)
        dataset = load_dataset(first.dataset.name, first.dataset.all_options)
        images, rows = store_of(dataset, first.train.device), sample_rows(dataset, first.evaluation.n_codes)
        tables, nats = [], []
        for spec in runs:
            if not store.has_weights(spec.run_id):
                raise BenchError(f"--rule udr: run {spec.run_id} has no weights; UDR needs those of every run")
            model = build([spec], dataset.image_shape, dataset.n_train, dataset.known_decoder())
            load_weights(model, load_file(store.checked(spec.run_id, WEIGHTS)))
            if model.method.stochastic:
                mean, logvar = encode(model, images, rows)
                tables.append(mean)
                nats.append(kl(mean, logvar)["kl_per_latent"])
        if len(tables) > 1:
            of_runs = udr(tables, nats, rng=stream(0, "metric:udr"))["udr"]
            found |= dict(zip([spec.run_id for spec in runs], of_runs, strict=True))
    write_json(folder / UDR, found)


def read(folder: Path) -> dict[str, float]:
    """UDR by run, as `measure` wrote it; empty where it wasn't measured.

    Raises
    ------
    BenchError
        If the file is damaged.
    """
    if not (folder / UDR).exists():
        return {}
    file = folder / UDR
    return check_record(UdrRecord, {"udr": read_json(file, way_out=ANEW)}, f"'{file}'", ANEW).udr
