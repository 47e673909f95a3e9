"""A study as one file for others: an archive of its records, or its table as Parquet."""

from __future__ import annotations

import importlib.util
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w
from pandas.api.types import is_object_dtype

from bench.errors import BenchError, did_you_mean, reason
from bench.files import json_bytes, sha256, write_bytes
from bench.results.damage import faults
from bench.results.plugins import PLUGINS
from bench.results.read import entries
from bench.results.record import RESULT, SIZES, is_sealed, seal
from bench.results.store import UDR
from bench.results.study import read_study
from bench.sharing.archive import IMPORTED, PICTURES, write_archive
from bench.sharing.containers import SUFFIXES
from bench.sharing.record_checks import check_files, read_record, read_study_file, strings

#: Whose pictures an archive may hold.
PICTURED = ("none", "first-seed", "all")

#: How a path in a home folder begins, or one of Windows.
_HOME = r"""~[\w.-]*[\\/]|[A-Za-z]:[\\/]|\\\\"""
#: An absolute path, one in a home folder or a file URL: from quote to quote, or from where a value begins to where it
#: ends in a list.
_ABSOLUTE = re.compile(
    rf"""(?<=")(?:file://)?(?:/[^/"]+/|{_HOME})[^"]*(?=")"""
    rf"""|(?<=')(?:file://)?(?:/[^/']+/|{_HOME})[^']*(?=')"""
    rf"""|(?<![^\s=\[(,;:'"])(?:file://)?(?:/[^\s/,;\]]+/|{_HOME})[^,;\]]*"""
)


@dataclass(frozen=True)
class Collected:
    """Records of a study as they go into an archive.

    Attributes
    ----------
    study : str
        The name that the study was recorded under.
    files : dict of str to bytes
        Name in the archive to content.
    runs : list of str
        The runs in it: all that finished or diverged.
    failed : list of str
        The runs of which there are only failed attempts, which aren't in it.
    paths_left : list of str
        The runs with an absolute path in what their id is made from, where it has to stay.
    """

    study: str
    files: dict[str, bytes] = field(repr=False)
    runs: list[str]
    failed: list[str]
    paths_left: list[str]


def collect(path: Path, *, pictures: str = "none") -> Collected:
    """Read a study's records and leave out what is nobody else's business.

    Parameters
    ----------
    path : Path
        ``results/<study>``; a study that is still running gives the runs it has finished.
    pictures : {"none", "first-seed", "all"}
        Whose reconstructions, traversals and samples go with them: nobody's, those of each configuration that figures
        show (of the lowest seed that ended well and has one), or every run's.

    Returns
    -------
    Collected
        ``study.toml``, ``plan.json``, ``udr.json`` if there is one, and of every run ``spec.json``, ``result.json``,
        ``provenance.json``, ``curves.csv`` and ``scores_by_step.csv``. The same runs give the same bytes, whoever
        exports them.

    Raises
    ------
    BenchError
        No such study, a damaged run, or a record that `bench.sharing.record_checks.check_files` refuses.

    Notes
    -----
    Never exported: weights, codes, checkpoints, failed attempts (their tracebacks are full of paths), and any file
    that isn't named above. Dropped from what is:

    * of absolute paths, paths in a home folder (``~``) and file URLs all but the last part: in the commands and
      settings of ``study.toml``, in provenance, and in ``dataset.paths`` of specs, where the user's data lay. No
      run's id depends on them. Relative paths stay.
    * from provenance, how an imported run came here.

    What provenance records else stays: versions, commit, processor, memory, GPU, operating system, times, names and
    checksums of plug-ins. It holds neither the machine's name nor the user's.
    """
    if pictures not in PICTURED:
        raise BenchError(f"--pictures {pictures}{did_you_mean(pictures, PICTURED)}; it is {', '.join(PICTURED)}")
    if not (path / "study.toml").is_file():
        raise BenchError(f"there is no study at '{path}' (it has no study.toml)")
    try:
        study = read_study_file(_read(path / "study.toml"))
        files = {"study.toml": tomli_w.dumps(_public_study(study)).encode()}
        for name in ("plan.json", UDR):
            if (path / name).is_file():
                files[name] = json_bytes(read_record(_read(path / name), name))
        done = [folder for folder in entries(path / "runs") if (folder / RESULT).is_file()]
        for folder in done:
            files |= {f"runs/{folder.name}/{name}": content for name, content in _public_run(folder).items()}
        files |= {name: _read(path / name) for name in _pictures(path, pictures, done)}
    except BenchError as error:
        raise BenchError(f"{path}: {error}") from None
    specs = check_files(files, str(path))
    for folder in done:
        # What isn't exported is evidence, too: a disk that lost weights may have lost more.
        if found := faults(folder):
            raise found[0].error(folder)
    attempts = {file.name.rsplit(".", 2)[0] for file in entries(path / "failed") if file.suffix == ".json"}
    return Collected(
        study=str((study | study.get("record", {}))["name"]),
        files=files,
        runs=list(specs),
        failed=sorted(attempts - specs.keys()),
        paths_left=[run for run, spec in specs.items() if any(map(_ABSOLUTE.search, strings(spec)))],
    )


def export_archive(path: Path, out: Path, *, pictures: str = "none") -> Collected:
    """Write a study as an archive for `bench.sharing.import_.import_study`.

    Parameters
    ----------
    path, pictures
        As in `collect`.
    out : Path
        The file, a tar.xz if it is called so, else a zip; an earlier one is replaced.

    Raises
    ------
    BenchError
        As `collect`, or the file can't be written, or would be larger than `bench.sharing.archive` allows.
    """
    collected = collect(path, pictures=pictures)
    suffix = next((suffix for suffix in SUFFIXES if out.name.endswith(suffix)), SUFFIXES[0])
    content = write_archive(collected.study, collected.files, suffix)
    try:
        write_bytes(out, content)
    except OSError as error:
        raise BenchError(f"--out '{out}': {reason(error)}") from None
    return collected


def export_table(path: Path, out: Path, *, mixed: bool = False) -> int:
    """Write the tidy table of a study, `bench.results.study.Study.runs`, as Parquet.

    Parameters
    ----------
    path : Path
        ``results/<study>``.
    out : Path
        The file; an earlier one is replaced.
    mixed : bool
        As in `bench.results.study.read_study`.

    Returns
    -------
    int
        Number of rows: one per run that finished, diverged or failed.

    Raises
    ------
    BenchError
        As `bench.results.study.read_study`; pyarrow isn't installed; or the file can't be written.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise BenchError("Parquet needs pyarrow: pip install 'disbench[parquet]'; or use `bench aggregate --out x.csv`")
    runs = read_study(path, mixed=mixed).runs
    for column in runs:
        # A hyper-parameter may be a number in one method and a word in another; a Parquet column has one type.
        if is_object_dtype(runs[column]) and len(set(map(type, runs[column].dropna()))) > 1:
            runs[column] = runs[column].map(str, na_action="ignore")
    try:
        write_bytes(out, runs.to_parquet(None, engine="pyarrow", index=False))
    except OSError as error:
        raise BenchError(f"--out '{out}': {reason(error)}") from None
    return len(runs)


def hide_paths(text: str) -> str:
    """Cut absolute paths in a text down to their last part.

    Parameters
    ----------
    text : str
        A setting or a note, such as ``"npz[path=/home/jane/digits.npz]"``.

    Returns
    -------
    str
        Such as ``"npz[path=digits.npz]"``. A path may hold spaces: what follows it up to a comma, a semicolon or a
        closing bracket is taken for a part of it, or up to the quote where it is in quotes.
    """
    return _ABSOLUTE.sub(lambda match: _last_part(match[0]), text)


def _pictures(path: Path, pictures: str, done: list[Path]) -> list[str]:
    """Names in the archive of the pictures that are asked for."""
    if pictures == "none":
        return []
    groups = [[folder.name] for folder in done]
    if pictures == "first-seed":
        groups = [group["run"].tolist() for group in read_study(path, mixed=True).ended_well.values()]
    names = [[f"runs/{run}/{name}" for run in group] for group in groups for name in PICTURES]
    return [found[0] for each in names if (found := [name for name in each if (path / name).is_file()])]


def _public_run(folder: Path) -> dict[str, bytes]:
    spec_bytes = _read(folder / "spec.json")
    spec = read_record(spec_bytes, f"runs/{folder.name}/spec.json")
    result = read_record(_read(folder / RESULT), f"runs/{folder.name}/{RESULT}")
    dataset = spec.get("dataset")
    if isinstance(dataset, dict) and isinstance(dataset.get("paths"), dict):
        spec["dataset"] = dataset | {"paths": {key: _last_part(str(item)) for key, item in dataset["paths"].items()}}
    records = {"spec.json": json_bytes(spec)}
    sums = result.get("files")
    # A spec that wasn't the recorded one before is left to be found out.
    if isinstance(sums, dict) and sums.get("spec.json") == sha256(spec_bytes):
        result["files"] = sums | {"spec.json": sha256(records["spec.json"])}
        if is_sealed(result):
            result[SIZES] = result[SIZES] | {"spec.json": len(records["spec.json"])}
            result = seal(result)
    records[RESULT] = json_bytes(result)
    if (folder / "provenance.json").is_file():
        facts = read_record(_read(folder / "provenance.json"), f"runs/{folder.name}/provenance.json")
        facts = {key: _each(value) for key, value in facts.items() if key != IMPORTED}
        records |= {"provenance.json": json_bytes(facts)} if facts else {}
    for name in ("curves.csv", "scores_by_step.csv"):
        if (folder / name).is_file():
            records[name] = _read(folder / name)
    return records


def _public_study(study: dict[str, Any]) -> dict[str, Any]:
    """What was asked for without paths; commands word by word, so that a path ends where the shell says.

    Nor where plug-ins lie: their names and checksums are in provenance, and nobody's record says what runs elsewhere.
    """
    public: dict[str, Any] = _each(study)
    public.get("record", {}).pop(PLUGINS, None)
    for before, after in ((study, public), (study.get("record", {}), public.get("record", {}))):
        if "commands" in before:
            after["commands"] = [_hide_in_command(command) for command in before["commands"]]
    return public


def _hide_in_command(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        return hide_paths(command)
    hidden = [hide_paths(word) for word in words]
    return command if hidden == words else shlex.join(hidden)


def _each(value: Any) -> Any:
    if isinstance(value, str):
        return hide_paths(value)
    if isinstance(value, dict):
        return {hide_paths(key): _each(item) for key, item in value.items()}
    return [_each(item) for item in value] if isinstance(value, list) else value


def _last_part(path: str) -> str:
    return re.split(r"[\\/]+", path.rstrip("\\/ "))[-1]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BenchError(f"{file.name} can't be read: {reason(error)}") from None
