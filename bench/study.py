"""What a study is, and how it is resolved: defaults < preset < study file < flags, then expanded to run specs."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, ValidationError

from bench import networks
from bench.batches import Order
from bench.data import load_dataset, resolve_options
from bench.errors import BenchError, did_you_mean
from bench.method import resolve_hyper
from bench.registry import DATASETS, METHODS, METRICS, NETWORKS
from bench.selectors import Selection, parse_selection, parse_value
from bench.spec import (
    DatasetSpec,
    EvaluationSpec,
    MethodSpec,
    Model,
    NetworkSpec,
    OptimizerSpec,
    RunSpec,
)

PRESETS = Path(__file__).parent / "presets"
Table = dict[str, Any]


class TrainSettings(Model):
    """Everything about training that isn't the objective; equal for all methods unless a method's table differs."""

    network: str = "H"
    latent_dim: int = Field(10, ge=1, le=1000)
    init: Literal["he", "normal002", "torch"] = "he"
    batch_size: int = Field(64, ge=1)
    steps: int = Field(300_000, ge=0)
    lr: float = Field(1e-4, gt=0)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    eps: float = Field(1e-8, gt=0)
    log_every: int = Field(100, ge=1)
    threads: int = Field(1, ge=1)
    precision: Literal["float32"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"


class EvaluationSettings(Model):
    """Sample sizes and metrics."""

    n_codes: int = Field(15_000, ge=2)
    n_images: int = Field(5_000, ge=1)
    metrics: list[str] = Field(default=["all"])


class StudySpec(Model):
    """A study as asked for; `expand` turns it into run specs."""

    preset: str = ""
    description: str = ""
    notice: str = ""
    methods: list[str] = Field(default=["all"])
    controls: list[str] = Field(default=[])
    datasets: list[str] = Field(default=["dsprites"])
    seeds: list[int] = Field(list(range(10)), min_length=1)
    train: TrainSettings = Field(default_factory=lambda: TrainSettings.model_validate({}))
    evaluation: EvaluationSettings = Field(default_factory=lambda: EvaluationSettings.model_validate({}))
    method: dict[str, Table] = Field(default={})
    dataset: dict[str, Table] = Field(default={})


def presets() -> list[str]:
    """Names of the presets."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def resolve(
    preset: str = "quick",
    *,
    study_file: Path | None = None,
    settings: list[str] | None = None,
    **flags: Any,
) -> StudySpec:
    """Layer a preset, a study file, ``--set`` lines and flags.

    Parameters
    ----------
    preset : str
        Name of a preset; a study file may name another one.
    study_file : Path, optional
        TOML of the same schema.
    settings : list of str, optional
        ``table.key=value`` with table ``train``, ``evaluation``, a method or a dataset.
    **flags
        Fields of `StudySpec`; None means not given.

    Raises
    ------
    BenchError
        Unknown names or keys, values of the wrong type or range, unreadable files.
    """
    layers: list[Table] = []
    if study_file is not None:
        layers.append(_read_toml(study_file))
        preset = layers[0].pop("preset", preset)
    if preset not in presets():
        raise BenchError(
            f"unknown preset '{preset}'{did_you_mean(preset, presets())}; there are: {', '.join(presets())}"
        )
    layers.insert(0, _read_toml(PRESETS / f"{preset}.toml") | {"preset": preset})
    layers.append(_settings_table(settings or []))
    layers.append({key: value for key, value in flags.items() if value is not None})
    merged: Table = {}
    for layer in layers:
        merged = _merge(merged, layer)
    where = f"study file '{study_file}'" if study_file is not None else f"preset '{preset}'"
    try:
        spec = StudySpec.model_validate(merged)
    except ValidationError as error:
        raise BenchError(_one_line(error, where, merged)) from None
    for name in spec.method:
        METHODS.get(name)
    for name in spec.dataset:
        DATASETS.get(name)
    return spec


def expand(study: StudySpec) -> list[RunSpec]:
    """One spec per method, hyper-parameter setting, dataset and seed, seeds innermost, without repeats.

    Raises
    ------
    BenchError
        Unknown names, impossible hyper-parameters or options, a network or batch size that doesn't fit the data.
    """
    metrics = {name: METRICS.get(name).version for item in study.evaluation.metrics for name in METRICS.match(item)}
    evaluation = EvaluationSpec(
        n_codes=study.evaluation.n_codes,
        n_images=study.evaluation.n_images,
        metrics=dict(sorted(metrics.items())),
    )
    chosen = [parse_selection(item) for item in [*study.methods, *study.controls]]
    methods = [one for selection in chosen for one in _variants(selection, METHODS.match(selection.name))]
    datasets = [
        _dataset_spec(study, name, values)
        for item in study.datasets
        for selection in [parse_selection(item)]
        for name, values in _variants(selection, DATASETS.match(selection.name))
    ]
    runs: dict[str, RunSpec] = {}
    for dataset, (name, values), seed in itertools.product(datasets, methods, study.seeds):
        spec = _run_spec(study, dataset, name, values, seed, evaluation)
        runs.setdefault(spec.digest, spec)
    for spec in {(s.network.name, s.batch_size, s.dataset.sha256): s for s in runs.values()}.values():
        _check_fit(spec)
    return list(runs.values())


def _check_fit(spec: RunSpec) -> None:
    """Refuse at planning time what could only fail when the run starts."""
    dataset = load_dataset(spec.dataset.name, spec.dataset.all_options)
    with torch.device("meta"):
        networks.build(spec.network.name, 1, dataset.image_shape, spec.network.latent_dim)
    Order(spec.seed, len(dataset), spec.batch_size)


def _run_spec(
    study: StudySpec, dataset: DatasetSpec, name: str, values: Table, seed: int, evaluation: EvaluationSpec
) -> RunSpec:
    entry = METHODS.get(name)
    table = dict(study.method.get(name, {}))
    try:
        train = TrainSettings.model_validate(study.train.model_dump() | table.pop("train", {}))
    except ValidationError as error:
        raise BenchError(_one_line(error, f"method '{name}', table 'train'", {})) from None
    hyper = resolve_hyper(name, table | values)
    network = NETWORKS.get(train.network)
    return RunSpec(
        method=MethodSpec(name=name, version=entry.version, hyper=hyper),
        dataset=dataset,
        network=NetworkSpec(name=train.network, version=network.version, latent_dim=train.latent_dim, init=train.init),
        optimizer=OptimizerSpec(name="adam", lr=train.lr, beta1=train.beta1, beta2=train.beta2, eps=train.eps),
        batch_size=train.batch_size,
        steps=train.steps if entry.info.get("trains", True) else 0,
        seed=seed,
        log_every=train.log_every,
        evaluation=evaluation,
        threads=train.threads,
        precision=train.precision,
        device=train.device,
    )


def _dataset_spec(study: StudySpec, name: str, values: Table) -> DatasetSpec:
    options = resolve_options(name, study.dataset.get(name, {}) | values)
    entry = DATASETS.get(name)
    # Absolute, because workers and later calls may have another working directory.
    paths = {key: str(Path(options.pop(key)).expanduser().resolve()) for key in entry.value.paths if options.get(key)}
    dataset = load_dataset(name, options | paths)
    return DatasetSpec(name=name, version=entry.version, options=options, paths=paths, sha256=dataset.fingerprint())


def _variants(selection: Selection, names: list[str]) -> list[tuple[str, Table]]:
    keys = list(selection.values)
    grid = itertools.product(*(selection.values[key] for key in keys))
    return [(name, dict(zip(keys, point, strict=True))) for point in grid for name in names]


def _settings_table(settings: list[str]) -> Table:
    table: Table = {}
    for line in settings:
        key, equals, value = line.partition("=")
        parts = key.strip().split(".")
        if not equals or len(parts) < 2 or not all(parts):
            raise BenchError(f"--set '{line}': write it as table.key=value, for example dynamic_vae.ki=0.001")
        head = parts[0]
        if head in METHODS:
            parts = ["method", *parts]
        elif head in DATASETS:
            parts = ["dataset", *parts]
        elif head not in ("train", "evaluation"):
            known = ["train", "evaluation", *(e.name for e in METHODS), *(e.name for e in DATASETS)]
            raise BenchError(f"--set '{line}': no method, dataset or table '{head}'{did_you_mean(head, known)}")
        nested: Table = {parts[-1]: parse_value(value.strip())}
        for part in reversed(parts[:-1]):
            nested = {part: nested}
        table = _merge(table, nested)
    return table


def _merge(low: Table, high: Table) -> Table:
    merged = dict(low)
    for key, value in high.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _read_toml(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise BenchError(f"study file '{path}': no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BenchError(f"study file '{path}' can't be read: {error}") from None


def _one_line(error: ValidationError, where: str, given: Table) -> str:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        table: Any = StudySpec
        for part in first["loc"][:-1]:
            table = {"train": TrainSettings, "evaluation": EvaluationSettings}.get(str(part), table)
        if table is StudySpec and where.endswith("'train'"):
            table = TrainSettings
        return f"{where}: unknown key '{field}'{did_you_mean(str(first['loc'][-1]), table.model_fields)}"
    return f"{where}: {field}={first['input']!r}: {first['msg'].removeprefix('Value error, ')}"
