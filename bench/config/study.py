"""What a study is, and how it is resolved: defaults < preset < study file < flags, then expanded to run specs."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from bench.config.hyper_choice import HyperChoice, current_spelling, stored_spelling
from bench.config.preset_files import presets, read_preset
from bench.config.tuned import Winners
from bench.config.tuning import TuningSettings
from bench.dataset import load_dataset, resolve_options
from bench.errors import BenchError, did_you_mean
from bench.file_world import FileWorld
from bench.files import read_toml
from bench.registry import DATASETS, METHODS
from bench.schema import StrictModel
from bench.selectors import parse_selection, parse_value
from bench.train_settings import MACHINE, TrainSettings

STUDIES = Path(__file__).parent / "studies"
Table = dict[str, Any]
Checked = TypeVar("Checked", bound=BaseModel)
#: Fields of a study that don't change what its preset says of itself.
NOT_CHANGES = ("preset", "description", "notice", "methods", "controls", "seeds", "tuning", "tuned")


class EvaluationSettings(StrictModel):
    """Sample sizes and metrics.

    Attributes
    ----------
    n_codes : int
        Images whose codes the metrics are given; all of them if the data set has fewer.
    n_images : int
        Images of these that are decoded, for the metrics of reconstruction.
    metrics : list of str
        Names, groups or globs of metrics (`bench list metrics`), with options in brackets.
    """

    n_codes: int = Field(15_000, ge=2)
    n_images: int = Field(5_000, ge=1)
    metrics: list[str] = Field(default=["all"])


class Layers(BaseModel):
    """What of a study file is looked at before it is one with its preset; the rest is left to `StudySpec`."""

    notice: str = ""
    datasets: list[str] = []
    datasets_if_present: list[str] = []
    dataset: dict[str, Table] = {}
    at: dict[str, Table] = {}


class StudySpec(StrictModel):
    """A study as its file and the command line describe it; `expand` turns it into run specs.

    Attributes
    ----------
    preset : str
        Preset whose settings hold where the study says nothing (`bench list presets`).
    description : str
        What the study is, in a sentence.
    notice : str
        What a reader of its report must know.
    methods : list of str
        Methods that are compared: names, globs or "all", with hyper-parameters as ``name[key=value]``.
    controls : list of str
        Methods that are run beside them as baselines.
    datasets : list of str
        Data sets, ``name[option=value]``.
    hyper : {"shared", "published", "tuned"}
        Who chose the hyper-parameters: one setting for all methods, each method's authors, or `bench tune`.
    seeds : list of int
        Each method is trained once for each seed.
    train : table
        Training; see `bench show train`.
    evaluation : table
        Evaluation; see `bench show evaluation`.
    method : tables by name
        Hyper-parameters of methods other than their defaults.
    dataset : tables by name
        Options of data sets other than their defaults.
    figures : list of str
        Figures of the report; all if empty.
    tuning : table
        Makes it a study that tries settings of its methods; see `bench show tuning`.
    tuned : table
        What tuning chose; with ``hyper = "tuned"`` the study runs it.
    """

    preset: str = ""
    description: str = ""
    notice: str = ""
    methods: list[str] = Field(default=["all"])
    controls: list[str] = Field(default=[])
    datasets: list[str] = Field(default=["dsprites"])
    hyper: HyperChoice = "shared"
    seeds: list[Annotated[int, Field(ge=0, lt=2**63)]] = Field(list(range(10)), min_length=1)
    train: TrainSettings = Field(default_factory=lambda: TrainSettings.model_validate({}))
    evaluation: EvaluationSettings = Field(default_factory=lambda: EvaluationSettings.model_validate({}))
    method: dict[str, Table] = Field(default={})
    dataset: dict[str, Table] = Field(default={})
    figures: list[str] = Field(default=[])
    tuning: TuningSettings | None = None
    tuned: Winners | None = None

    @model_validator(mode="before")
    @classmethod
    def _former_names(cls, content: Any) -> Any:
        return current_spelling(content) if isinstance(content, dict) else content

    @model_serializer(mode="wrap")
    def _without_nothing(self, handler: SerializerFunctionWrapHandler) -> Table:
        content: Table = handler(self)
        # TOML has no null, and a study that neither tunes nor was tuned is written as it always was.
        written = {key: value for key, value in content.items() if key not in ("tuning", "tuned") or value}
        return _without_none(stored_spelling(written))


def _without_none(table: Table) -> Table:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }


def studies() -> list[str]:
    """Names of the studies that come with Disbench."""
    return sorted(path.stem for path in STUDIES.glob("*.toml"))


def find_study(name: str) -> Path:
    """The file of a study: one that comes with Disbench, or a path.

    Raises
    ------
    BenchError
        If it is neither.
    """
    if name in studies():
        return STUDIES / f"{name}.toml"
    if Path(name).suffix == ".toml":
        return Path(name)
    raise BenchError(f"unknown study '{name}'{did_you_mean(name, studies())}; see `bench list studies`")


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
        TOML of the same schema; ``datasets_if_present`` are run as well where their files are there.
    settings : list of str, optional
        ``table.key=value`` with table ``train``, ``evaluation``, a method or a dataset.
    **flags
        Fields of `StudySpec`; None means not given.

    Raises
    ------
    BenchError
        Unknown names or keys, values of the wrong type or range, unreadable files.
    """
    where = f"study file '{study_file}'"
    file = read_toml(study_file, where=where) if study_file is not None else {}
    _validated(file, where, Layers)
    # What a run recorded in its study.toml isn't part of what was asked for.
    file.pop("record", None)
    at = file.pop("at", {})
    if_present = file.pop("datasets_if_present", [])
    file = current_spelling(file, where)
    chosen = preset or file.get("preset") or "quick"
    if chosen not in presets():
        raise BenchError(f"unknown preset '{chosen}'{did_you_mean(str(chosen), presets())}; see `bench list presets`")
    # A study says in [at.quick] what it sets otherwise at that preset (set points lie elsewhere on a small grid).
    file = _merge(file, current_spelling(at.get(chosen, {}), f"{where}, at.{chosen}"))
    settled = _settings_table(settings or [])
    given = current_spelling({key: value for key, value in flags.items() if value is not None}, "the command")
    plain, said = read_preset(chosen)
    absent: list[str] = []
    may_be_absent = {parse_selection(item).name for item in if_present}
    if if_present and not flags.get("datasets"):
        file["datasets"], absent = _present(file.get("datasets", plain["datasets"]), if_present, _merge(plain, file))
    about = {key: str(said.get(key, "")) for key in ("data_notice", "train_notice")}
    filed = _merge(plain, file)
    merged = filed
    for layer in (settled, given, {"preset": chosen}):
        merged = _merge(merged, layer)
    if "tuned" in given:
        merged["tuned"] = given["tuned"]  # winners are taken as a whole
    where = where if study_file is not None else f"preset '{chosen}'"
    spec = _validated(merged, where, StudySpec)
    # Nobody who changes a preset or a study can quote its own words unchanged; and a study's are about its own data.
    if "notice" in file and _on_data_of(_validated(filed, where, StudySpec), spec.datasets, spec):
        changes = ", ".join(_changes(filed | {"datasets": spec.datasets}, merged))
        words = [f"study changed: {changes}"] if changes else []
        words += [spec.notice] if spec.notice else []
    else:
        changes = ", ".join(_changes(plain, merged))
        words = [f"preset '{chosen}' changed: {changes}"] if changes else []
        words += _preset_words(_validated(plain, where, StudySpec), spec, **about)
        spec = spec.model_copy(update={"description": f"'{chosen}' with changes"} if changes else {})
    words += [f"left out, since they aren't on this machine: {', '.join(absent)}"] if absent else []
    spec = spec.model_copy(update={"notice": "; ".join(words)} | _about_tuning(spec))
    _check_hyper(spec, settled)
    for name in spec.method:
        METHODS.get(name)
    for name in spec.dataset:
        if name not in may_be_absent:
            DATASETS.get(name)
    return spec


def _present(chosen: list[str], more: list[str], study: Table) -> tuple[list[str], list[str]]:
    """Data sets of a study: those chosen, and of the others those that are there; and the names of the rest."""
    found, absent = list(chosen), []
    for item in more:
        selection = parse_selection(item)
        if selection.name not in DATASETS:
            absent.append(selection.name)
            continue
        values = {key: values[0] for key, values in selection.values.items()}
        options = study.get("dataset", {}).get(selection.name, {}) | values
        resolve_options(selection.name, options)  # which raises: a mistake isn't a missing file
        if _has_files(selection.name, options):
            found.append(item)
        else:
            absent.append(selection.name)
    return found, absent


def _has_files(name: str, options: Table) -> bool:
    """Whether the files of a data set are there; that they are whole is seen when they are read, and said."""
    own = (options.get(key) for key in DATASETS.get(name).value.paths)
    if not all(Path(path).expanduser().exists() for path in own if path):
        return False
    dataset = load_dataset(name, options)
    return not isinstance(dataset, FileWorld) or all(path.is_file() for _, path in dataset.places())


def _about_tuning(spec: StudySpec) -> Table:
    """What a study that tunes, or runs what was tuned, says of itself; and the figures that are about tuning."""
    if spec.tuning is not None:
        words = f"Tuning at '{spec.preset}': {spec.tuning.draws} draws and the default of each method, on tuning seeds."
        return {"description": words, "figures": spec.figures or ["budget", "sensitivity"]}
    if spec.tuned is not None:
        words = f"'{spec.preset}' with tuned hyper-parameters: each method as tuned and, beside it, at its default."
        return {"description": words}
    return {}


def _check_hyper(spec: StudySpec, settled: Table) -> None:
    """Refuse settings that the study's choice of hyper-parameters would ignore."""
    if spec.tuning is not None and (spec.hyper != "shared" or spec.tuned is not None):
        raise BenchError("tuning starts from shared hyper-parameters (--hyper shared), none of them tuned already")
    if (spec.hyper == "tuned") != (spec.tuned is not None):
        raise BenchError("--hyper tuned and --tuned FILE belong together: bench tune writes the file")
    if spec.tuned is not None and settled.get("method"):
        name, table = next(iter(settled["method"].items()))
        raise BenchError(
            f"--set {name}.{next(iter(table), '')}: with --tuned, hyper-parameters come from the tuned file; "
            "leave it out, or use --hyper shared"
        )


def _validated(table: Table, where: str, model: type[Checked]) -> Checked:
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise BenchError(one_line(error, where)) from None


def _preset_words(plain: StudySpec, spec: StudySpec, *, data_notice: str, train_notice: str) -> list[str]:
    """What a preset says of itself, as far as it is still true of a study."""
    own = [item for item in spec.datasets if _on_data_of(plain, [item], spec)]
    if data_notice and len(own) < len(spec.datasets):
        data_notice = f"{', '.join(own)}: {data_notice}"
    options = [key for key in TrainSettings.model_fields if key not in MACHINE]
    # Tuned settings change methods, not the training that they share.
    hyper = "shared" if spec.hyper == "tuned" else spec.hyper
    same = plain.hyper == hyper and all(getattr(plain.train, key) == getattr(spec.train, key) for key in options)
    words = [data_notice if own else "", train_notice if same else ""]
    return [part for part in (", ".join(filter(None, words)), plain.notice) if part]


def _on_data_of(other: StudySpec, items: list[str], spec: StudySpec) -> bool:
    """Whether some of a study's data sets are among those of another one, with the same options."""
    names = [parse_selection(item).name for item in items]
    same = all(spec.dataset.get(name, {}) == other.dataset.get(name, {}) for name in names)
    return same and set(items) <= set(other.datasets)


def _changes(plain: Table, merged: Table, prefix: str = "") -> Iterator[str]:
    """What `merged` sets otherwise than the preset, but for the choice of methods and seeds."""
    for key, value in merged.items():
        if prefix == "" and (key in NOT_CHANGES or (key, value) == ("hyper", "tuned")):
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


def one_line(error: ValidationError, where: str) -> str:
    """What pydantic found, in one line: where, which key, which value, what it may be."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        table: Any = StudySpec
        for part in first["loc"][:-1]:
            table = {"train": TrainSettings, "evaluation": EvaluationSettings}.get(str(part), table)
        if table is StudySpec and where.endswith("'train'"):
            table = TrainSettings
        return f"{where}: unknown key '{field}'{did_you_mean(str(first['loc'][-1]), table.model_fields)}"
    return f"{where}: {field}={reprlib.repr(first['input'])}: {first['msg'].removeprefix('Value error, ')}"
