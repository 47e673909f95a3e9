"""What a study is, and how it is resolved: defaults < preset < study file < flags, then expanded to run specs."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

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
    seeds: list[Annotated[int, Field(ge=0)]] = Field(list(range(10)), min_length=1)
    train: TrainSettings = Field(default_factory=lambda: TrainSettings.model_validate({}))
    evaluation: EvaluationSettings = Field(default_factory=lambda: EvaluationSettings.model_validate({}))
    method: dict[str, Table] = Field(default={})
    dataset: dict[str, Table] = Field(default={})


def presets() -> list[str]:
    """Names of the presets."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def resolve(
    preset: str | None = None,
    *,
    study_file: Path | None = None,
    settings: list[str] | None = None,
    **flags: Any,
) -> StudySpec:
    """Layer a preset, a study file, ``--set`` lines and flags.

    Parameters
    ----------
    preset : str, optional
        Name of a preset; by default the study file's, else "quick".
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
    file = _read_toml(study_file) if study_file is not None else {}
    # What a run recorded in its study.toml isn't part of what was asked for.
    file.pop("record", None)
    chosen = preset or file.get("preset") or "quick"
    if chosen not in presets():
        raise BenchError(f"unknown preset '{chosen}'{did_you_mean(str(chosen), presets())}; see `bench list presets`")
    settled = _settings_table(settings or [])
    given = {key: value for key, value in flags.items() if value is not None}
    merged: Table = _read_toml(PRESETS / f"{chosen}.toml")
    plain = dict(merged)
    for layer in (file, settled, given, {"preset": chosen}):
        merged = _merge(merged, layer)
    changes = [*_changes(plain, merged)]
    if changes and "notice" not in file:
        # The preset's own words are about the preset; whoever changes it must not be able to quote them unchanged.
        words = f"preset '{chosen}' changed: {', '.join(changes)}"
        merged["notice"] = "; ".join(filter(None, [words, plain.get("notice", "")]))
        merged["description"] = f"'{chosen}' with changes"
    where = f"study file '{study_file}'" if study_file is not None else f"preset '{chosen}'"
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
    for kind in ("methods", "datasets"):
        if not getattr(study, kind):
            raise BenchError(f"no {kind} are chosen; see `bench list {kind}`")
    if not metrics:
        raise BenchError("no metrics are chosen; see `bench list metrics`")
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
    if spec.device == "cuda" and not torch.cuda.is_available():
        raise BenchError("device 'cuda': torch sees no GPU here; leave out train.device, or use 'cpu'")
    Order(spec.seed, len(dataset), spec.batch_size)


def _run_spec(
    study: StudySpec, dataset: DatasetSpec, name: str, values: Table, seed: int, evaluation: EvaluationSpec
) -> RunSpec:
    entry = METHODS.get(name)
    table = dict(study.method.get(name, {}))
    own = table.pop("train", {})
    if not isinstance(own, dict):
        raise BenchError(f"method '{name}': train={own!r}: write it as {name}.train.key=value")
    try:
        train = TrainSettings.model_validate(study.train.model_dump() | own)
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


def _changes(plain: Table, merged: Table, prefix: str = "") -> Iterator[str]:
    """What `merged` sets otherwise than the preset, but for the choice of methods and seeds."""
    for key, value in merged.items():
        if prefix == "" and key in ("preset", "description", "notice", "methods", "controls", "seeds"):
            continue
        if isinstance(value, dict):
            yield from _changes(plain.get(key) or {}, value, f"{prefix}{key}.")
        elif key not in plain or plain[key] != value:
            yield f"{prefix}{key}={_brief(value)}"


def _brief(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


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
