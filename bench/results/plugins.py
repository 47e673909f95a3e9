"""The plug-ins with which a study was made, and what is missing where they aren't loaded.

A plug-in is code. The files that a study of one's own recorded are loaded again if they are still what ran; those of a
study that came from somebody else, as an archive or by `bench import`, only where the user names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

from bench.errors import BenchError
from bench.files import sha256
from bench.registry import DATASETS, METHODS, METRICS, load_plugin, loaded_plugins
from bench.results.labels import Spec
from bench.results.read import entries, read_toml
from bench.results.record import is_shared
from bench.results.study import Study

#: In a study's record, and in the provenance of runs.
PLUGINS = "plugins"


def load_recorded(path: Path) -> list[Path]:
    """Load the plug-ins that a study's record names, where that is safe.

    Parameters
    ----------
    path : Path
        ``results/<study>``; nothing is loaded for an archive.

    Returns
    -------
    list of Path
        Those that weren't loaded before, found as the user gave them, from the working directory. A file with another
        checksum than the recorded one is never executed, nor any file for a study with a run that was imported.

    Raises
    ------
    BenchError
        No such study, a damaged record, or a plug-in that can't be imported.
    """
    if not path.is_dir():
        return []
    recorded = _recorded(read_toml(path / "study.toml").get("record", {}), path)
    known = {file.name for file in loaded_plugins()}
    wanted = {Path(file): checksum for file, checksum in recorded.items() if PurePath(file).name not in known}
    if not wanted or any(is_shared(folder) for folder in entries(path / "runs")):
        return []
    # Not from the study's own folder: somebody else's, unpacked by hand, would bring the code that is run.
    outside = {file: checksum for file, checksum in wanted.items() if not file.resolve().is_relative_to(path.resolve())}
    found = [file for file, checksum in outside.items() if file.is_file() and sha256(file) == checksum]
    for file in found:
        load_plugin(file)
    return found


def missing_plugins(study: Study) -> dict[str, str]:
    """Plug-ins of a study that aren't loaded, by path where it is known, to why `load_recorded` didn't load them."""
    known = {file.name for file in loaded_plugins()}
    recorded = _recorded(study.meta, study.path)
    out = {}
    for file in study_plugins(study):
        if PurePath(file).name not in known:
            unasked = "code is only run unasked where a study's own record names it"
            there = "no such file" if not Path(file).is_file() else "that file has changed since"
            trusted = file in recorded and not any(map(study.imported_from, study.runs["run"]))
            out[file] = there if trusted else unasked
    return out


def changed_plugins(study: Study) -> list[str]:
    """Names of loaded plug-ins whose file isn't the one that ran."""
    needed = {PurePath(file).name: sums for file, sums in study_plugins(study).items()}
    return [file.name for file in loaded_plugins() if file.name in needed and sha256(file) not in needed[file.name]]


def unknown_things(specs: Iterable[Spec]) -> list[str]:
    """What nobody registers here of what runs are made of: "method x", "metric y"."""
    found: dict[str, None] = {}
    for spec in specs:
        metrics = [name.partition("[")[0] for name in spec.get("evaluation", {}).get("metrics", {})]
        found |= {f"method {name}": None for name in [spec["method"]["name"]] if name not in METHODS}
        found |= {f"data set {name}": None for name in [spec["dataset"]["name"]] if name not in DATASETS}
        found |= {f"metric {name}": None for name in metrics if name not in METRICS}
    return list(found)


def study_plugins(study: Study) -> dict[str, list[str]]:
    """Plug-ins of a study to the checksums with which they ran.

    By path where the study's record has it, by the file's name where only runs tell of it.
    """
    needed = {file: [checksum] for file, checksum in _recorded(study.meta, study.path).items()}
    called = {PurePath(file).name: file for file in needed}
    for facts in study.provenance.values():
        for name, checksum in facts.get(PLUGINS, {}).items():
            sums = needed.setdefault(called.get(name, name), [])
            sums += [] if checksum in sums else [checksum]
    return needed


def _recorded(record: Mapping[str, Any], study: Path) -> dict[str, str]:
    plugins = record.get(PLUGINS, {})
    if not isinstance(plugins, dict) or not all(isinstance(checksum, str) for checksum in plugins.values()):
        raise BenchError(f"{study / 'study.toml'}: record.plugins isn't a table of files and their checksums")
    return plugins
