"""The request that a call of `run` or a command line makes: the study, its runs and the name of its folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from operator import index
from pathlib import Path
from typing import Any

from bench.config.expand import expand, study_datasets, with_trials
from bench.config.preset_files import presets
from bench.config.study import StudySpec, find_study, resolve, studies
from bench.config.tuned import read_winners
from bench.config.tuning import FIRST_SEED
from bench.config.wanted_kl import UnknownKLError
from bench.errors import BenchError, did_you_mean
from bench.execution.calibration import KnownKLs
from bench.files import is_reserved
from bench.results.labels import file_of
from bench.results.read import entries
from bench.results.record import read_json
from bench.results.schemas import SpecRecord
from bench.selectors import parse_seeds, split_list
from bench.spec import DatasetSpec, RunSpec

#: One text, or several.
Texts = Sequence[str] | str
#: Tuning seeds unless it is said otherwise.
TUNING_SEEDS = 3


@dataclass
class StudyRequest:
    """A study as its options describe it, and its runs.

    Attributes
    ----------
    study : StudySpec
    name : str
        Of its folder.
    datasets : list of DatasetSpec
    known : KnownKLs
        Finds KLs of the plain VAE for it.
    specs : list of RunSpec
        Its runs; none while it waits for a KL that isn't known.
    waits : UnknownKLError, optional
        Why there are none.
    """

    study: StudySpec
    name: str
    datasets: list[DatasetSpec]
    known: KnownKLs
    specs: list[RunSpec]
    waits: UnknownKLError | None = None

    def expanded(self) -> list[RunSpec]:
        """Its runs, once what it waited for is known; a tuning study then says what it tries.

        Raises
        ------
        UnknownKLError
            If it isn't.
        """
        specs = expand(self.study, self.known, datasets=self.datasets)
        self.study = with_trials(self.study, specs)
        return specs


def make_request(
    study: str | Path | None = None,
    *,
    preset: str | None = None,
    methods: Texts | None = None,
    datasets: Texts | None = None,
    metrics: Texts | None = None,
    seeds: int | Sequence[int] | str | None = None,
    hyper: str | None = None,
    settings: Mapping[str, Any] | Sequence[str] | None = None,
    name: str | None = None,
    results: Path = Path("results"),
    tuned: str | Path | None = None,
    tuning: Mapping[str, Any] | None = None,
) -> StudyRequest:
    """Resolve options to a study and its runs; parameters are as `bench.api.running.run` has them.

    With `tuning`, fields of `bench.config.tuning.TuningSettings`, it is a study that tries settings; a count of seeds
    then begins where nothing is judged.

    Raises
    ------
    BenchError
        For whatever is wrong with an option, in one line.
    """
    if study is not None and str(study) in presets():
        if preset not in (None, str(study)):
            raise BenchError(f"'{study}' is a preset, and preset='{preset}' is another; give one of them")
        study, preset = None, str(study)
    chosen = _split(metrics)
    flags: dict[str, Any] = {
        "methods": _split(methods),
        "datasets": _split(datasets),
        "evaluation": {"metrics": chosen} if chosen is not None else None,
        "seeds": _seeds(seeds),
        "hyper": hyper,
    }
    if tuned is not None:
        flags |= {"tuned": read_winners(Path(tuned)).model_dump(mode="json"), "hyper": hyper or "tuned"}
    if tuning is not None:
        flags |= {"tuning": dict(tuning), "seeds": _tuning_seeds(seeds)}
    file = _find(str(study)) if study is not None else None
    spec = resolve(preset, study_file=file, settings=_lines(settings), **flags)
    data = study_datasets(spec)
    suffix = "-tuning" if spec.tuning else "-tuned" if spec.tuned else ""
    called = name or _default_name(file, spec.preset, data, results, suffix)
    if not called or called in (".", "..") or "/" in called or "\\" in called:
        raise BenchError(f"--study '{called}' can't be a folder's name")
    if is_reserved(called):
        raise BenchError(f"--study '{called}': Windows keeps that name for a device; name another --study")
    request = StudyRequest(spec, called, data, KnownKLs(results / called, results, file), [])
    try:
        request.specs = request.expanded()
    except UnknownKLError as error:
        request.waits = error
    return request


def _find(study: str) -> Path:
    try:
        return find_study(study)
    except BenchError as error:
        if hint := did_you_mean(study, [*studies(), *presets()]):
            raise BenchError(f"unknown study '{study}'{hint}; see `bench list studies`") from None
        raise error from None


def _split(texts: Texts | None) -> list[str] | None:
    items = [texts] if isinstance(texts, str) else texts
    return [part for item in items for part in split_list(item)] if items else None


def _seeds(seeds: int | Sequence[int] | str | None) -> list[int] | None:
    if seeds is None:
        return None
    if isinstance(seeds, str | int | Integral):
        return parse_seeds(str(seeds))
    try:
        return sorted({index(seed) for seed in seeds})
    except TypeError:
        raise BenchError(f"seeds={seeds!r}: give a count, the seeds themselves, or text such as '0-4'") from None


def _tuning_seeds(seeds: int | Sequence[int] | str | None) -> list[int]:
    """Seeds as `_seeds` reads them, but a count begins at `FIRST_SEED`."""
    seeds = TUNING_SEEDS if seeds is None else seeds
    found = _seeds(seeds) or []
    counted = isinstance(seeds, Integral) or (isinstance(seeds, str) and seeds.strip().isdigit())
    return [FIRST_SEED + seed for seed in found] if counted else found


def _lines(settings: Mapping[str, Any] | Sequence[str] | None) -> list[str]:
    """Settings as ``--set`` takes them: Python's booleans and numbers as JSON writes them, text as it is."""
    if settings is None:
        return []
    if not isinstance(settings, Mapping):
        return [settings] if isinstance(settings, str) else list(settings)
    return [f"{key}={_written(value)}" for key, value in settings.items()]


def _written(value: Any) -> str:
    # Within the outer quotes anything may stand, other quotes as well.
    return f'"{value}"' if isinstance(value, str | Path) else str(value)


def _default_name(file: Path | None, preset: str, datasets: list[DatasetSpec], results: Path, suffix: str) -> str:
    """Study file or preset with the data sets; the user's own by their files' names.

    Where a study of that name holds another file of the same name, the data's checksum tells them apart.
    """
    data = {spec.sha256: spec.model_dump(mode="json") for spec in datasets}
    files = {
        sha: re.sub(r"[^\w.+=@-]+", "-", name).strip("-")[:60] for sha, item in data.items() if (name := file_of(item))
    }
    named = sorted({f"{item['name']}-{files[sha]}" if sha in files else item["name"] for sha, item in data.items()})
    own = sorted({f"{data[sha]['name']}-{name}" for sha, name in files.items()})
    name = "-".join([file.stem, preset, *own] if file else [preset, *named]) + suffix
    stored = [path / "spec.json" for path in entries(results / name / "runs")] if files else []
    there = {read_json(path, SpecRecord)["dataset"].get("sha256") for path in stored if path.is_file()}
    return f"{name}-{min(files)[:6]}" if there and not there & data.keys() else name
