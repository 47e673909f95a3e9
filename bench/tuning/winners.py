"""The winners of a tuning study as a file for git, and in words."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import tomli_w

from bench import __version__
from bench.config.tuned import Data, Winner, Winners, settings_that_matter
from bench.config.tuning import bound_text
from bench.errors import BenchError
from bench.files import write_out
from bench.results.labels import config_id
from bench.results.study import Study
from bench.seeds import stream
from bench.spec import ENGINE_VERSION, RunSpec
from bench.stats import bootstrap_interval
from bench.tuning.rules import bound_of, choose
from bench.tuning.trials import Trials

HEADER = """\
# What `bench tune` chose. Run it on fresh seeds with: bench run --tuned {name}
# `value` is the best of several settings on the tuning seeds, hence too good: fresh seeds say what a setting is worth.
"""
#: Libraries that decide which points are drawn, and the numbers.
LIBRARIES = ("numpy", "scipy", "torch")


def winners_of(study: Study, trials: Trials) -> Winners:
    """Choose by the study's rule.

    Raises
    ------
    BenchError
        If every setting of every method has failed runs.
    """
    chosen, bound = choose(trials), bound_of(trials)
    if not chosen:
        raise BenchError(
            f"study '{study.name}': no setting of any method ran well at all tuning seeds; nothing is chosen"
        )
    found, specs = {}, {}
    for method, choice in chosen.items():
        trial = choice.trial
        spec = specs[method] = RunSpec.model_validate(study.specs[trial.runs[0]])
        rng = stream(0, f"bootstrap:tuning:{trials.tuning.rule}:{config_id(spec.model_dump(mode='json'))}")
        interval = bootstrap_interval(trials.sign * trial.values, rng=rng)
        found[method] = Winner(
            version=spec.method.version,
            setting=trial.setting,
            tried=len(trials.methods[method]),
            meets_bound=choice.meets_bound,
            value=float(interval.estimate),
            low=interval.low,
            high=interval.high,
            reconstruction=None if np.isnan(trial.distortion) else trial.distortion,
            hyper=trial.hyper,
        )
    # A method that doesn't train has no steps.
    first = max(specs.values(), key=lambda spec: spec.train.steps)
    data = first.dataset
    return Winners(
        study=study.name,
        preset=str(study.meta.get("preset", "")),
        rule=trials.tuning.rule,
        bound=None if np.isinf(bound) else bound,
        bound_asked=bound_text(trials.tuning),
        draws=trials.tuning.draws,
        seeds=list(trials.seeds),
        data=Data(name=data.name, version=data.version, sha256=data.sha256),
        train=settings_that_matter(first.train),
        versions={"disbench": __version__, "engine": str(ENGINE_VERSION)} | {name: version(name) for name in LIBRARIES},
        method=found,
    )


def write(winners: Winners, file: Path) -> None:
    """Write `tuned.toml`.

    Raises
    ------
    BenchError
        If it can't be written.
    """
    content = winners.model_dump(mode="json")
    for table in content["method"].values():
        for key in [key for key, value in table.items() if value is None]:
            del table[key]
    text = tomli_w.dumps({key: value for key, value in content.items() if value is not None})
    write_out(file, HEADER.format(name=file.name) + "\n" + text)
