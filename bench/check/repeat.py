"""Bounds of trajectories: how far the same runs part with other thread counts and other vector instructions.

Processors can't be exchanged, but what they do otherwise can be had on one: torch and its libraries choose kernels by
environment variables, read when they are loaded. So each variation is a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.check.baselines import Measured, Numbers
from bench.check.request import Request
from bench.errors import BenchError

#: Name, what is asked of `trajectories.subjects`, and environment variables of each variation. On processors without
#: AVX-512 or AVX2 some are the same.
VARIATIONS: tuple[tuple[str, dict[str, int], dict[str, str]], ...] = (
    # Waiting threads that don't spin: on a busy machine that is twenty times as fast.
    ("2 threads", {"threads": 2}, {"OMP_WAIT_POLICY": "passive"}),
    ("AVX2", {}, {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}),
    (
        "no vectors",
        {},
        {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    ),
    ("MKL compatible", {}, {"MKL_CBWR": "COMPATIBLE"}),
    ("initial weights rounded otherwise", {"nudge": 1}, {}),
    ("initial weights rounded otherwise, again", {"nudge": 2}, {}),
)
#: What the largest difference is multiplied by, for processors and releases that weren't at hand.
FACTOR = 3.0
#: Bound of logged numbers in which no variation shows a difference: constants and schedules. Scores may be coarse.
EXACT = 1e-9


def bounds(request: Request, measured: Sequence[Measured]) -> dict[str, dict[str, float]]:
    """Measure the bounds of trajectories: by subject and column.

    Parameters
    ----------
    request : Request
        For its plug-ins and for telling.
    measured : sequence of Measured
        The trajectories in this environment, with the least bounds of their columns.
    """
    farthest: dict[str, dict[str, float]] = {item.subject: {} for item in measured}
    for name, settings, variables in VARIATIONS:
        request.tell(f"tier 1: bounds, with {name}")
        again = elsewhere([item.subject for item in measured], settings, variables, request.plugins)
        for item in measured:
            for column, far in distances(item.numbers, again[item.subject]).items():
                farthest[item.subject][column] = max(far, farthest[item.subject].get(column, 0.0))
    found: dict[str, dict[str, float]] = {}
    for item in measured:
        far_of = farthest[item.subject]
        found[item.subject] = {
            column: max(least, float(f"{FACTOR * far_of.get(column, 0.0):.2g}"))
            if far_of.get(column) or column.startswith("score ")
            else EXACT
            for column, least in item.bounds.items()
        }
    return found


def distances(one: Numbers, other: Numbers) -> dict[str, float]:
    """Largest difference by column: absolute, relative above 1, as bounds are."""
    found: dict[str, float] = {}
    for column, cases in one.items():
        for case, value in cases.items():
            twin = other.get(column, {}).get(case)
            if value is not None and twin is not None:
                found[column] = max(found.get(column, 0.0), abs(twin - value) / max(1.0, abs(value)))
    return found


def elsewhere(
    subjects: Sequence[str], settings: dict[str, int], variables: dict[str, str], plugins: Sequence[Path] = ()
) -> dict[str, Numbers]:
    """Have `bench.check.trajectories` measure in a process of its own, with these settings and variables."""
    asked = {"subjects": list(subjects), "settings": settings, "plugins": [str(path) for path in plugins]}
    done = subprocess.run(  # noqa: S603  (our own module)
        [sys.executable, "-m", "bench.check.trajectories", json.dumps(asked)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BenchError(f"the bounds of tier 1 can't be measured with {variables or settings}: {last}")
    found: dict[str, Numbers] = json.loads(done.stdout.splitlines()[-1])
    return found
