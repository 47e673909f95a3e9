"""Runs whose numbers can't be compared because a version changed between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.results.labels import Spec, _show
from bench.results.read import entries
from bench.results.record import RESULT, read_run
from bench.spec import RunSpec


def refuse_mixed(path: Path, specs: Mapping[str, Spec]) -> None:
    """Refuse runs whose numbers can't be compared because a version changed between them.

    Raises
    ------
    BenchError
        Naming what differs and the way out.
    """
    seen: dict[str, set[Any]] = defaultdict(set)
    for spec in specs.values():
        method, dataset, evaluation = spec["method"], spec["dataset"], spec.get("evaluation", {})
        network = spec.get("network", {})
        data = f"dataset {dataset['name']} {_show(dataset.get('options', {}))}".rstrip(" {}")
        seen[f"method {method['name']}"].add(method.get("version"))
        seen[data].add(dataset.get("version"))
        seen[f"network {network.get('name')}"].add(network.get("version"))
        seen["engine"].add(spec.get("engine", 1))
        seen["evaluation protocol"].add(evaluation.get("protocol"))
        seen["evaluation sample"].add(f"{evaluation.get('n_codes')} codes, {evaluation.get('n_images')} images")
        for metric, version in evaluation.get("metrics", {}).items():
            seen[f"metric {metric}"].add(version)
    mixed = {what: sorted(map(str, versions)) for what, versions in seen.items() if len(versions) > 1}
    if mixed:
        shown = "; ".join(f"{what}: {' and '.join(versions)}" for what, versions in sorted(mixed.items()))
        raise BenchError(
            f"{path} holds runs of different versions ({shown}), whose scores can't be compared: run the "
            "study again under another --study, or allow it with --mixed"
        )


def check_versions(path: Path, planned: Iterable[RunSpec]) -> None:
    """Refuse to add runs to a study whose finished runs they couldn't be compared with; before anything is trained.

    Raises
    ------
    BenchError
        As `refuse_mixed`, or one of the finished runs is damaged. Runs that are planned again are taken as planned:
        they are measured anew.
    """
    new = {spec.run_id: spec.model_dump(mode="json") for spec in planned}
    specs = dict(new)
    for folder in entries(path / "runs"):
        if folder.name not in new and (folder / RESULT).exists():
            _, specs[folder.name] = read_run(folder)
    refuse_mixed(path, specs)
