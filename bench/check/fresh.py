"""Runs for tier 2: the ordinary runner on a small study, in a folder that goes away."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.config.study import StudySpec
from bench.execution.run import Watcher, run_study
from bench.execution.task import Outcome
from bench.files import read_toml
from bench.spec import RunSpec

SETTING = Path(__file__).with_name("statistics.toml")
#: Seeds of the stored runs: 0 to 39. Fewer than `LEAST_STORED` aren't compared with.
N_STORED, LEAST_STORED = 40, 20
#: Fresh seeds in one set.
N_FRESH = 10
#: Fresh seeds begin here, far above any stored one.
FIRST_FRESH = 1_000_000
#: Column that is 1 for a run that diverged, else 0.
DIVERGED = "diverged"

#: Score -> seed -> value; a run that diverged has no other score than `DIVERGED`.
Scores = dict[str, dict[int, float]]


def fresh_seeds(night: int, again: bool = False) -> list[int]:
    """Ten seeds that no stored run has, nor another night, nor this night's other set.

    Parameters
    ----------
    night : int
        At least 0; the same number gives the same seeds.
    again : bool
        The second set, which confirms what the first one raised.
    """
    start = FIRST_FRESH + N_FRESH * (2 * night + again)
    return list(range(start, start + N_FRESH))


def setting() -> dict[str, Any]:
    """What is in ``statistics.toml``."""
    return read_toml(SETTING)


def study(methods: Sequence[str], seeds: Sequence[int]) -> StudySpec:
    """The study that is run: a small preset, fewer metrics, and some methods with settings of their own."""
    from bench.config.study import resolve

    table = setting()
    chosen: dict[str, Any] = {"methods": list(methods), "controls": [], "seeds": list(seeds)}
    small = resolve(table["study"]["preset"], **chosen, evaluation={"metrics": table["study"]["metrics"]})
    return small.model_copy(update={"method": small.method | table["method"]})


def checksum() -> str:
    """First 16 hex digits of the SHA-256 of what is set: the study and its preset, as the files have them."""
    from bench.config.preset_files import PRESETS

    table, own = setting()["study"], setting()["method"]
    preset = read_toml(PRESETS / f"{table['preset']}.toml")
    settings = {key: value for key, value in preset.items() if key in ("train", "evaluation", "method", "dataset")}
    settings["method"] = settings["method"] | own
    return hashlib.sha256(json.dumps([table, settings], sort_keys=True).encode()).hexdigest()[:16]


def run(
    methods: Sequence[str],
    seeds: Sequence[int],
    *,
    plugins: Sequence[Path] = (),
    jobs: int = 0,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[dict[str, Scores], dict[str, str]]:
    """Train and measure methods on seeds.

    Parameters
    ----------
    methods : sequence of str
        Registered names.
    seeds : sequence of int
    plugins : sequence of Path
        For the workers.
    jobs : int
        Worker processes; 0: one per core.
    tell : callable
        Takes a line per finished run.

    Returns
    -------
    scores : dict of str to Scores
        By method.
    failed : dict of str to str
        Methods of which a run failed, with the first one's reason; they have no scores.
    """
    from bench.config.expand import expand

    asked = study(methods, seeds)
    specs = {spec.run_id: spec for spec in expand(asked)}
    scores: dict[str, Scores] = {name: {} for name in methods}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="bench-check-") as folder:
        watcher = _Teller(specs, tell)
        path = Path(folder) / "study"
        outcomes = run_study(asked, list(specs.values()), path, n_jobs=jobs, plugins=plugins, watcher=watcher)
    for outcome in outcomes:
        spec = specs[outcome.run]
        if outcome.state in ("ok", "diverged"):
            values = {DIVERGED: float(outcome.state == "diverged"), **outcome.scores}
            for column, value in values.items():
                scores[spec.method.name].setdefault(column, {})[spec.seed] = float(value)
        else:
            failed.setdefault(spec.method.name, f"seed {spec.seed}: {outcome.message}")
    return {name: scores[name] for name in methods if name not in failed}, failed


class _Teller(Watcher):
    """Tells a line per run."""

    def __init__(self, specs: dict[str, RunSpec], tell: Callable[[str], None]) -> None:
        self.specs, self.tell, self.n = specs, tell, 0

    def finished(self, outcome: Outcome) -> None:
        """Tell which run of how many it was."""
        self.n += 1
        spec = self.specs[outcome.run]
        self.tell(f"tier 2: run {self.n} of {len(self.specs)}, {spec.method.name} seed {spec.seed}")
