"""What commands do first: load plug-ins, resolve a study's options."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bench.errors import BenchError
from bench.formatting import escape_terminal

if TYPE_CHECKING:
    from bench.config.expand import UnknownKLError
    from bench.config.study import StudySpec
    from bench.execution.calibration import KnownKLs
    from bench.results.study import Study
    from bench.spec import DatasetSpec, RunSpec


@dataclass
class Resolved:
    """What a study's options ask for.

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


def resolve_study(
    preset: str | None,
    config: str | None,
    settings: list[str] | None,
    method: list[str] | None,
    dataset: list[str] | None,
    metric: list[str] | None,
    seeds: str | None,
    study: str | None,
    plugin: list[Path] | None,
    terms: str | None,
    results: Path,
) -> Resolved:
    """The study that these options ask for, its runs, and the name of its folder.

    Raises
    ------
    BenchError
        For whatever is wrong with an option, in one line.
    """
    from bench.config.expand import UnknownKLError, expand, study_datasets
    from bench.config.study import find_study, resolve
    from bench.execution.calibration import KnownKLs
    from bench.selectors import parse_seeds, split_list

    load_plugins(plugin)
    flags: dict[str, Any] = {
        "methods": [part for item in method for part in split_list(item)] if method else None,
        "datasets": [part for item in dataset for part in split_list(item)] if dataset else None,
        "evaluation": {"metrics": [part for item in metric for part in split_list(item)]} if metric else None,
        "seeds": parse_seeds(seeds) if seeds is not None else None,
        "terms": terms,
    }
    file = find_study(config) if config else None
    spec = resolve(preset, study_file=file, settings=settings, **flags)
    datasets = study_datasets(spec)
    name = study or _default_name(file, spec.preset, datasets, results)
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise BenchError(f"--study '{name}' can't be a folder's name")
    known = KnownKLs(results / name, results, file)
    try:
        return Resolved(spec, name, datasets, known, expand(spec, known, datasets=datasets))
    except UnknownKLError as error:
        return Resolved(spec, name, datasets, known, [], error)


def _default_name(file: Path | None, preset: str, datasets: list[DatasetSpec], results: Path) -> str:
    """Study file or preset with the data sets; the user's own by their files' names.

    Where a study of that name holds another file of the same name, the data's checksum tells them apart.
    """
    from bench.results.labels import file_of
    from bench.results.read import entries, read_json

    data = {spec.sha256: spec.model_dump(mode="json") for spec in datasets}
    files = {
        sha: re.sub(r"[^\w.+=@-]+", "-", name).strip("-")[:60] for sha, item in data.items() if (name := file_of(item))
    }
    named = sorted({f"{item['name']}-{files[sha]}" if sha in files else item["name"] for sha, item in data.items()})
    own = sorted({f"{data[sha]['name']}-{name}" for sha, name in files.items()})
    name = "-".join([file.stem, preset, *own] if file else [preset, *named])
    stored = [path / "spec.json" for path in entries(results / name / "runs")] if files else []
    there = {read_json(path, ("dataset",))["dataset"].get("sha256") for path in stored if path.is_file()}
    return f"{name}-{min(files)[:6]}" if there and not there & data.keys() else name


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text that may hold names from outside, which give the terminal no commands."""
    typer.echo(escape_terminal(text), err=err, nl=nl)


def load_plugins(paths: list[Path] | None, *studies: Path, quiet: bool = False) -> None:
    """Import the users' files of ``--plugin``, then those that studies of the user's own recorded, which is told."""
    from bench.registry import load_plugin

    for path in paths or []:
        load_plugin(path)
    if studies:
        from bench.results.plugins import load_recorded

        for file in [file for study in studies for file in load_recorded(study)]:
            if not quiet:
                say(f"bench: plug-in '{file}' is loaded, as the study recorded it", err=True)


def say_what_is_missing(study: Study, *, refuse: bool = False) -> None:
    """Tell of a study's plug-ins that aren't loaded or have changed.

    Raises
    ------
    BenchError
        If it can't be reported without the ones that aren't loaded.
    """
    from bench.results.plugins import changed_plugins, missing_plugins

    for file, why in missing_plugins(study).items():
        told = f"study '{study.name}' was made with plug-in '{file}', which isn't loaded ({why})"
        if refuse:
            raise BenchError(
                f"{told}: give it with --plugin {file}, or report without its scores, figures and labels with "
                "--without-plugins"
            )
        say(f"bench: warning: {told}: labels, headings and directions of its own are missing", err=True)
    for name in changed_plugins(study):
        say(f"bench: warning: plug-in '{name}' isn't the file that study '{study.name}' ran with", err=True)
