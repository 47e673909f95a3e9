"""From a study to the specs of its runs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from bench.assembly import check_assembly
from bench.config.plain_kl import PLAIN, FindKL, packaged_kl
from bench.config.shares import resolve_shares
from bench.config.study import StudySpec, one_line
from bench.config.tuned import Winners, check_conditions, check_seeds, tuned_hyper
from bench.config.tuning import check_tuning, trials_of, tried
from bench.config.wanted_kl import KLs, UnknownKLError
from bench.data.order import order_of
from bench.dataset import has_row_options, load_dataset, quoting_hint, resolve_options
from bench.errors import BenchError
from bench.method import shared_hyper
from bench.method_kinds import StagedMethod
from bench.metrics.measure import find_metric, match_metrics
from bench.nn import networks
from bench.registry import DATASETS, METHODS, NETWORKS
from bench.selectors import Selection, parse_selection
from bench.spec import ENGINE_VERSION, DatasetSpec, EvaluationSpec, MethodSpec, RunSpec
from bench.train_settings import TrainSettings

Table = dict[str, Any]

#: What is measured beside the core metrics where images have class labels.
PROBE = "linear_probe"
#: Metric of what held-out images cost more than training ones; measured wherever there are such.
GAP = "generalisation"


def expand(
    study: StudySpec, find_kl: FindKL = packaged_kl, *, datasets: Sequence[DatasetSpec] | None = None
) -> list[RunSpec]:
    """One spec per method, hyper-parameter setting, dataset and seed, seeds innermost, without repeats.

    Parameters
    ----------
    study : StudySpec
    find_kl : callable
        Gives the KL of a plain VAE where a hyper-parameter is a share of it.
    datasets : sequence of DatasetSpec, optional
        `study_datasets` of the study, by whoever has them already.

    Raises
    ------
    UnknownKLError
        If all else is right but `find_kl` doesn't know a KL that is asked for.
    BenchError
        Unknown names, impossible hyper-parameters or options, a network or batch size that doesn't fit the
        data, networks without the run axis.
    """
    chosen_metrics = [name for item in study.evaluation.metrics for name in match_metrics(item)]
    metrics = {name: find_metric(name).version for name in chosen_metrics}
    evaluation = EvaluationSpec(
        n_codes=study.evaluation.n_codes,
        n_images=study.evaluation.n_images,
        metrics=dict(sorted(metrics.items())),
    )
    if not study.methods:
        raise BenchError("no methods are chosen; see `bench list methods`")
    datasets = study_datasets(study) if datasets is None else datasets
    if not metrics:
        raise BenchError("no metrics are chosen; see `bench list metrics`")
    if study.tuning is not None and len(datasets) > 1:
        raise BenchError(f"{len(datasets)} data sets are chosen: tune on one at a time")
    kls = KLs(find_kl)
    runs: dict[str, RunSpec] = {}
    for dataset in datasets:
        measured = _measured(study, dataset, evaluation)
        for (name, values), seed in itertools.product(_settings(study, dataset, measured, kls), study.seeds):
            spec = _run_spec(study, dataset, name, values, seed, measured, kls)
            runs.setdefault(spec.digest, spec)
    for spec in {_kind(spec): spec for spec in runs.values()}.values():
        _check_fit(spec)
    if kls.unknown:
        where = ", ".join(dict.fromkeys(spec.dataset.name for spec in kls.unknown.values()))
        raise UnknownKLError(
            f"hyper-parameters are shares of the plain VAE's KL, which isn't known on {where} at these training "
            "settings; `bench run` trains the plain VAE for it, or write them in nats",
            list(kls.unknown.values()),
            len(runs),
        )
    return list(runs.values())


def _measured(study: StudySpec, dataset: DatasetSpec, evaluation: EvaluationSpec) -> EvaluationSpec:
    """The metrics on a data set: with the gap where images are held out, with the probe where they have classes."""
    added = [GAP] if _holds_out(dataset) else []
    if "core" in study.evaluation.metrics:
        labels = load_dataset(dataset.name, dataset.all_options).labels(np.zeros(1, dtype=np.int64))
        added += [] if labels is None else [PROBE]
    metrics = evaluation.metrics | {name: find_metric(name).version for name in added}
    return evaluation.model_copy(update={"metrics": dict(sorted(metrics.items()))})


def study_datasets(study: StudySpec) -> list[DatasetSpec]:
    """The data sets of a study, with their options resolved.

    Raises
    ------
    BenchError
        None, unknown ones, impossible options, missing or damaged files.
    """
    if not study.datasets:
        raise BenchError("no datasets are chosen; see `bench list datasets`")
    return [spec for item in study.datasets for spec in _dataset_specs(study, parse_selection(item))]


def _holds_out(dataset: DatasetSpec) -> bool:
    """Whether images are held out: by the option of `bench.rows`, not by a plug-in's of the same name."""
    return has_row_options(dataset.name) and bool(dataset.options.get("split"))


def with_trials(study: StudySpec, specs: Sequence[RunSpec]) -> StudySpec:
    """A tuning study with the settings that it tries written down, so that stored runs can be told apart by them."""
    if study.tuning is None:
        return study
    chosen = [parse_selection(item).name for item in study.methods]
    names = dict.fromkeys(name for pattern in chosen for name in METHODS.match(pattern))
    tuning = study.tuning.model_copy(update={"trials": trials_of(specs, names)})
    return study.model_copy(update={"tuning": tuning})


def _settings(study: StudySpec, dataset: DatasetSpec, evaluation: EvaluationSpec, kls: KLs) -> list[tuple[str, Table]]:
    """Methods with the values that are set beside the study's: as chosen, as drawn, or as tuned; controls last."""
    chosen = [parse_selection(item) for item in study.methods]
    controls = [parse_selection(item) for item in study.controls]
    rest = [one for selection in controls for one in _variants(selection, METHODS.match(selection.name))]
    if study.tuning is not None:
        check_tuning(study.tuning, study.seeds, evaluation.metrics)

        def fits(name: str, values: Table) -> bool:
            try:
                _run_spec(study, dataset, name, values, study.seeds[0], evaluation, kls)
            except BenchError:
                return False
            return True

        return [*tried(study.tuning, chosen, fits), *rest]
    if study.tuned is not None:
        check_seeds(study.tuned, study.seeds)
        check_conditions(study.tuned, dataset.sha256, study.train)
        return [*_as_tuned(study.tuned, chosen), *rest]
    return [one for selection in chosen for one in _variants(selection, METHODS.match(selection.name))] + rest


def _as_tuned(winners: Winners, chosen: list[Selection]) -> list[tuple[str, Table]]:
    """Every method as tuned, then at its default; a method that has nothing to tune once."""
    found: list[tuple[str, Table]] = []
    for selection in chosen:
        if selection.values:
            raise BenchError(
                f"'{selection.name}[{next(iter(selection.values))}=...]': with --tuned, hyper-parameters come from "
                "the tuned file; leave it out, or use --hyper shared"
            )
        for name in METHODS.match(selection.name):
            hyper = tuned_hyper(winners, name)
            found += [(name, hyper), (name, {})] if hyper else [(name, {})]
    return found


def _kind(spec: RunSpec) -> tuple[Any, ...]:
    """What `_check_fit` looks at."""
    return (
        spec.dataset.sha256,
        str(spec.dataset.options),
        spec.method.name,
        spec.train.network,
        spec.train.latent_dim,
        spec.train.batch_size,
        spec.train.steps,
        str(shared_hyper(spec.method.name, spec.method.hyper)),
    )


def _check_fit(spec: RunSpec) -> None:
    """Refuse at planning time what could only fail when the run starts."""
    dataset = load_dataset(spec.dataset.name, spec.dataset.all_options)
    method = METHODS.get(spec.method.name).value
    kind = "vectors" if dataset.likelihood == "gaussian_unit" else "images"
    if method.data not in ("any", kind):
        raise BenchError(f"method '{spec.method.name}' is for {method.data}, dataset '{spec.dataset.name}' has {kind}")
    with torch.device("meta"):
        vae = networks.build(spec.train.network, 1, dataset.image_shape, spec.train.latent_dim)
    if (known := dataset.known_decoder()) is not None:
        networks.linear_decoder(vae, known)
        if issubclass(method, StagedMethod):
            raise BenchError(
                f"method '{spec.method.name}' trains a second decoder, dataset '{spec.dataset.name}' comes with its "
                "own: set the dataset's decoder=learned"
            )
    if spec.train.device == "cuda" and not torch.cuda.is_available():
        raise BenchError("device 'cuda': torch sees no GPU here; leave out train.device, or use 'cpu'")
    if spec.train.precision == "tf32" and spec.train.device != "cuda":
        raise BenchError("precision 'tf32' is a GPU's; use 'bfloat16' or 'float32', or train.device=cuda")
    order_of(dataset, spec.seed, spec.train.batch_size)
    check_assembly(spec, dataset.image_shape, dataset.n_train)


def _run_spec(
    study: StudySpec,
    dataset: DatasetSpec,
    name: str,
    values: Table,
    seed: int,
    evaluation: EvaluationSpec,
    kls: KLs,
) -> RunSpec:
    entry = METHODS.get(name)
    table = dict(study.method.get(name, {}))
    own = table.pop("train", {})
    if not isinstance(own, dict):
        raise BenchError(f"method '{name}': train={own!r}: write it as {name}.train.key=value")
    published: Mapping[str, Table] = {}
    if study.hyper == "published" and entry.info.published:
        known = entry.info.published
        if dataset.name not in known:
            raise BenchError(
                f"method '{name}' has no published settings on dataset '{dataset.name}' (it has: {', '.join(known)}); "
                "use --hyper shared"
            )
        published = known[dataset.name]
    elif own and study.hyper != "published":
        raise BenchError(
            f"method '{name}' has training settings of its own, but with --hyper shared all methods have the same; "
            "set train.key=value for all, or use --hyper published"
        )
    try:
        train = TrainSettings.model_validate(study.train.model_dump() | published.get("train", {}) | own)
    except ValidationError as error:
        raise BenchError(one_line(error, f"method '{name}', table 'train'")) from None
    if not entry.info.trains:
        train = train.model_copy(update={"steps": 0, "score_every": 0})

    def spec(method: MethodSpec, **changes: Any) -> RunSpec:
        return RunSpec(
            engine=ENGINE_VERSION,
            method=method,
            dataset=dataset,
            network_version=NETWORKS.get(train.network).version,
            train=train.model_copy(update=changes),
            seed=seed,
            evaluation=evaluation,
        )

    def plain_kl() -> float:
        return kls.of(spec(MethodSpec(name=PLAIN, version=METHODS.get(PLAIN).version), score_every=0))

    hyper = resolve_shares(name, published.get("hyper", {}) | table | values, steps=train.steps, plain_kl=plain_kl)
    return spec(MethodSpec(name=name, version=entry.version, hyper=hyper))


def _dataset_specs(study: StudySpec, selection: Selection) -> list[DatasetSpec]:
    names = DATASETS.match(selection.name)
    try:
        return [_dataset_spec(study, name, values) for name, values in _variants(selection, names)]
    except BenchError as error:
        raise BenchError(f"{error}{quoting_hint(selection, names)}") from None


def _dataset_spec(study: StudySpec, name: str, values: Table) -> DatasetSpec:
    options = resolve_options(name, study.dataset.get(name, {}) | values)
    entry = DATASETS.get(name)
    # Absolute, because workers and later calls may have another working directory.
    paths = {key: str(Path(options.pop(key)).expanduser().resolve()) for key in entry.value.paths if options.get(key)}
    dataset = load_dataset(name, options | paths)
    about: dict[str, int | list[int]] = {
        "images": len(dataset),
        "shape": list(dataset.image_shape),
        "factors": list(dataset.factor_sizes),
    }
    return DatasetSpec(
        name=name,
        version=entry.version,
        options=options,
        paths=paths,
        about=about if paths.get(entry.value.named_by) else {},
        sha256=dataset.fingerprint(),
    )


def _variants(selection: Selection, names: list[str]) -> list[tuple[str, Table]]:
    keys = list(selection.values)
    grid = itertools.product(*(selection.values[key] for key in keys))
    return [(name, dict(zip(keys, point, strict=True))) for point in grid for name in names]
