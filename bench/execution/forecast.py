"""Forecast which controllers won't follow their schedule, by a simulation on a measured plant.

The plant is the one that finished runs of the same data and training show, in the study itself, or else one that
``plants.toml`` has. Where there is neither, only what needs none is looked at.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.analytic.loop import Loop, Plant, damping, ramp_error, simulate
from bench.errors import BenchError
from bench.files import read_toml
from bench.registry import METHODS
from bench.results.control import DIGITS, limits
from bench.results.store import CURVES, Store
from bench.spec import RunSpec

#: By how much the KL at one weight depends on the way there, nats: what is forecast to miss by less isn't warned of.
MARGIN = 0.5
#: Lag of a plant that was fitted, at a learning rate of 1e-3: that of quick's, see ``plants.toml``. Adam's steps are
#: proportional to its rate.
LAG, RATE = 225.0, 1e-3
#: Shares of a run's steps: what is left out of a fit because networks are far from rest there, and for how long a
#: weight at its floor shows what the network does with that weight.
EARLY, SOON = 0.15, 0.05
#: Intervals of log β in which rows of curves are pooled, and rows that make a point.
BINS, FEWEST = 28, 10

#: Plants that come with Disbench, and where each was measured.
PLANTS = Path(__file__).parent / "plants.toml"

Key = tuple[str, str, int, float]


def warnings(specs: Sequence[RunSpec], store: Store, study: Sequence[RunSpec] = ()) -> list[str]:
    """A line for each configuration whose set point is forecast to be missed, and why.

    Parameters
    ----------
    specs : sequence of RunSpec
        What is to be run.
    store : Store
        The study's, which may not exist yet.
    study : sequence of RunSpec
        All runs of the study, the finished ones among which show the plant; by default `specs`.
    """
    lines: dict[str, None] = {}
    known: dict[Key, list[Plant]] = {}
    for spec in specs:
        loop = METHODS.get(spec.method.name).value.loop(spec.method.hyper)
        if loop is None or not spec.train.steps:
            continue
        if (key := key_of(spec)) not in known:
            known[key] = [*fitted(study or specs, store, key), *packaged(key)]
        name = f"{spec.method.name}[set_point={loop.stop:g},ki={loop.ki:g},beta_min={loop.floor:g}]"
        plant = next((each for each in known[key] if each.kls[-1] <= loop.stop <= each.kls[0]), None)
        lines |= dict.fromkeys(f"{name}: {line}" for line in _of(loop, plant, spec.train.steps))
    return list(lines)


def _of(loop: Loop, plant: Plant | None, steps: int) -> list[str]:
    if loop.ends > steps:
        reached = loop.set_point(steps)
        return [
            f"its set point gets to {reached:.3g} of {loop.stop:g} nats in {steps:,} steps; the schedule ends after "
            f"{loop.ends:,}"
        ]
    if plant is None:
        return []
    return [why] if (why := miss(loop, plant, steps)) else []


def miss(loop: Loop, plant: Plant, steps: int) -> str:
    """Why a loop is forecast to miss its set point, and what would help; empty if it isn't."""
    allowed = plant.kl(loop.floor)
    if allowed < loop.stop - MARGIN:
        return (
            f"its set point lies above the {allowed:.1f} nats at which the KL rests with the weight at its floor: it "
            f"needs a weight of about {plant.weight(loop.stop):.2g}, so a lower beta_min"
        )
    found = simulate(loop, plant, steps)
    if abs(found.error) <= MARGIN:
        return ""
    slope, remedy = plant.slope(loop.stop), _remedy(loop, plant, steps)
    facts = f"a nat takes {1 / slope:.2g} of weight there, and {plant.lag:.0f} steps to follow"
    if found.stuck is None:
        behind = ramp_error(loop.increment / loop.every, slope, loop.ki)
        return (
            f"forecast to end {found.error:+.1f} nats from its set point, which it follows {behind:.1g} nats behind: "
            f"{facts}{remedy}"
        )
    return (
        f"forecast to latch at its floor from about step {found.stuck:,} on, with a KL of {found.kl:.0f} nats: its "
        f"damping is {damping(slope, loop.ki, plant.lag):.2g}, as {facts}{remedy}"
    )


def _remedy(loop: Loop, plant: Plant, steps: int) -> str:
    """An integral gain with which the simulated loop arrives: far enough from where it begins to."""
    for factor in (0.2, 0.1, 5.0, 10.0):
        other = Loop(**(vars(loop) | {"ki": factor * loop.ki}))
        if abs(simulate(other, plant, steps).error) <= MARGIN:
            return f"; ki={other.ki:.2g} is forecast to arrive"
    return ""


def key_of(spec: RunSpec) -> Key:
    """What a plant is of: data, network, batch size, learning rate."""
    return spec.dataset.sha256, spec.train.network, spec.train.batch_size, spec.train.lr


def packaged(key: Key) -> list[Plant]:
    """The plant that ``plants.toml`` has for some data and training, if it has one."""
    return [
        Plant(tuple(row["weights"]), tuple(row["kls"]), float(row["lag"]))
        for row in _table()
        if (row["data"], row["network"], row["batch_size"], row["lr"]) == key
    ]


@functools.cache
def _table() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_toml(PLANTS)["plant"]
    return rows


def fitted(specs: Iterable[RunSpec], store: Store, key: Key) -> list[Plant]:
    """The plant that finished runs of a study show, from the curves of those whose KL is steered by a loop."""
    tables = []
    for spec in specs:
        steered = METHODS.get(spec.method.name).value.loop(spec.method.hyper) is not None
        # A forecast does without runs that are damaged: who uses them says so.
        if steered and key_of(spec) == key and store.is_done(spec.run_id):
            with contextlib.suppress(BenchError, OSError):
                curves = pd.read_csv(store.checked(spec.run_id, CURVES), dtype=float)
                tables.append(at_work(curves, limits(spec.method.name, spec.method.hyper).get("floor")))
    plant = fit(pd.concat(tables), LAG * RATE / key[3]) if tables else None
    return [plant] if plant else []


def at_work(curves: pd.DataFrame, floor: float | None) -> pd.DataFrame:
    """Rows of a run's curves after its start; of those at the floor, the first after it came there.

    A network that stays there finds another optimum, with a KL of its own. A weight of 0 has no place on the plant's
    logarithmic axis.
    """
    steps = curves["step"] / curves["step"].max()
    off = curves["beta"] > (floor or 0.0) * (1 + DIGITS)
    since = steps - steps.where(off).ffill()
    known = np.isfinite(curves["kl"]) & (curves["beta"] > 0)
    rows: pd.DataFrame = curves[(steps > EARLY) & (off | (since <= SOON)) & known]
    return rows


def fit(rows: pd.DataFrame, lag: float) -> Plant | None:
    """The median KL at each weight, made to fall; None of fewer than two weights."""
    if rows.empty:
        return None
    logs = np.log(rows["beta"].to_numpy())
    edges = np.linspace(logs.min() - 1e-9, logs.max() + 1e-9, BINS + 1)
    groups = rows.assign(log=logs).groupby(np.digitize(logs, edges))
    points = groups[["log", "kl"]].median()[groups.size() >= FEWEST]
    kls = np.minimum.accumulate(points["kl"].to_numpy())
    kept = np.flatnonzero(np.diff(kls, prepend=np.inf) < 0)
    if len(kept) < 2:
        return None
    weights = np.exp(points["log"].to_numpy())[kept]
    return Plant(tuple(map(float, weights)), tuple(map(float, kls[kept])), lag)
