"""Tier 0: every metric's scores on frozen codes. No library's version moves them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.check.baselines import Measured, Numbers
from bench.check.finding import Finding
from bench.check.request import Request
from bench.check.run import check_numbers
from bench.registry import MetricEntry
from bench.seeds import stream

FILE = "check_metrics.json"
#: How far a score may be off: absolutely, and relatively where it is above 1. Closed forms, sums and trees on exact
#: sums differ by rounding alone.
TOLERANCE = 1e-9
#: Columns in which the iterations of scikit-learn's logistic regression decide: they stop at a gradient of 1e-4, or
#: unfinished after 100, and where depends on rounding. scikit-learn 1.4 with SciPy 1.11 against 1.9 with 1.17 moved the
#: first by up to 8e-4, the second by 1e-8 and the third not at all, and OpenBLAS's kernels for other processors do so
#: as much (here, and on 30 other codes of 9,216 rows).
LOOSER = {
    "beta_vae_score": 2e-3,  # 10 of 5,000 test points
    "infoe": 1e-6,
    "linear_probe": 7e-3,  # 2 of 300 test rows
    "explicitness": 1e-4,  # some 20 pairs of rows that change places, of 200,000
    "downstream_accuracy": 2e-3,  # 2 of 1,024 answers
    "downstream_efficiency": 5e-3,  # the same, above and below the line
}
SIZES = (3, 4, 8, 8)
#: Codes that only metrics are scored on which take this input.
ONLY_FOR = {"prior": "decoder_codes", "labelled": "labels", "split": "train_images"}

#: Named arrays that belong together.
Arrays = dict[str, NDArray[Any]]


def noise(seed: int, *shape: int) -> NDArray[np.float64]:
    """Multiples of 2**-32 in [-1/2, 1/2). NumPy promises the bit generator's own numbers, not its distributions."""
    raw = np.random.PCG64(seed).random_raw(shape)
    values: NDArray[np.float64] = (raw >> np.uint64(32)).astype(np.float64) / 2**32 - 0.5
    return values


def inputs() -> dict[str, Arrays]:
    """What metrics are given, by name; small multiples of powers of two, so that every bit is the same everywhere."""
    factors = np.indices(SIZES).reshape(len(SIZES), -1).T
    shape, scale, x, y = (2 * factors - np.array(SIZES) + 1).T / 4  # symmetric around 0
    nothing = np.zeros(len(x))
    tables = {
        "aligned": [shape, scale, x, y, nothing, nothing],
        "mixed": [shape + scale, shape - scale, x + y, x - y, scale + y, nothing],
        "folded": [shape * shape, shape * scale, x * x, x, y * y * y / 4, y],
        "noise": [nothing] * 6,
        "collapsed": [x + scale, y, nothing, nothing, nothing, nothing],
    }
    spread = {"collapsed": [1, 1, 2.0**-10, 2.0**-10, 0, 0]}
    given: dict[str, Arrays] = {}
    for seed, (name, columns) in enumerate(tables.items()):
        codes = np.stack(columns, axis=1) + noise(seed, len(x), 6) * np.array(spread.get(name, [1] * 6))
        live = np.ptp(codes, axis=0) > 0.5
        logvar = np.where(live, -3, 0) + noise(10 + seed, *codes.shape) / 4
        given[name] = {"codes": codes, "logvar": logvar, "factors": factors.astype(np.int64)}
    truth, error = noise(20, 6, 3, 16, 16), noise(21, 6, 3, 16, 16)
    pictures = {"images": truth + 0.5, "decoded": 8 * truth + 4 * error}
    given["pictures"] = {name: value.astype(np.float32) for name, value in pictures.items()}
    made = {"images": truth + 0.5, "generated": 8 * noise(22, 6, 3, 16, 16)}
    given["generated"] = {name: value.astype(np.float32) for name, value in made.items()}
    given["prior"] = {
        "codes": 2 * noise(23, 512, 4),
        "logvar": noise(24, 512, 4),
        "decoder_codes": 4 * noise(25, 512, 4),
    }
    given["labelled"] = {
        "codes": noise(26, 900, 4) + np.eye(4)[np.arange(900) % 3] / 2,
        "labels": np.arange(900) % 3,
    }
    given["split"] = {
        **{name: value.astype(np.float32) for name, value in (pictures | made).items()},
        "codes": 4 * noise(40, 256, 4),
        "logvar": noise(41, 256, 4) - 1,
        "train_codes": 4 * noise(42, 128, 4),
        "train_logvar": noise(43, 128, 4) - 1.25,
        "train_images": (noise(44, 6, 3, 16, 16) + 0.5).astype(np.float32),
        "train_decoded": (8 * noise(45, 6, 3, 16, 16)).astype(np.float32),
    }
    sources = noise(30, 64, 2)
    given["gaussian"] = {
        "sources": 4 * sources,
        "codes": np.concatenate([4 * sources + noise(32, 64, 2), noise(33, 64, 1)], axis=1),
        "covariance": (noise(31, 64, 1, 1) + 1) * np.eye(3) / 4 + 2.0**-5,
        "true_mean": 2 * sources,
        "true_covariance": np.tile(np.eye(2) / 4 + 2.0**-5, (64, 1, 1)),
    }
    return given


def checksum(given: Arrays) -> str:
    """First 16 hex digits of the SHA-256 of named arrays, their types and shapes."""
    digest = hashlib.sha256()
    for name, value in sorted(given.items()):
        digest.update(f"{name} {value.dtype.str} {value.shape} ".encode() + value.tobytes())
    return digest.hexdigest()[:16]


def score(entry: MetricEntry, **options: Any) -> Numbers:
    """Scores of a metric on everything that has what it needs: column to name of the codes to score."""
    found: Numbers = {column: {} for column in entry.info.scores}
    for name, given in inputs().items():
        needs = set(entry.info.inputs)
        if needs <= set(given) and ONLY_FOR.get(name) in (None, *needs):
            extra = {need: given[need] for need in entry.info.optional if need in given}
            arguments = [given[need] for need in entry.info.inputs]
            result = entry.value(*arguments, **extra, **options, rng=stream(0, f"metric:{entry.name}"))
            for column in found:
                found[column][f"'{name}'"] = None if result[column] is None else float(result[column])
    return {column: cases for column, cases in found.items() if cases}


def measure(entry: MetricEntry, **options: Any) -> Measured:
    """One metric's scores, ready to be compared."""
    subject = f"metric {entry.name}"
    numbers = score(entry, **options)
    bounds = {column: LOOSER.get(column, TOLERANCE) for column in numbers}
    return Measured(subject, {subject: entry.version}, numbers, bounds)


def subjects(entries: list[MetricEntry]) -> Iterator[tuple[str, Callable[[], Measured]]]:
    """What there is to measure of these metrics: name and how."""
    for entry in entries:
        yield f"metric {entry.name}", partial(measure, entry)


def checksums() -> dict[str, str]:
    """Checksums of the frozen codes, by name."""
    return {name: checksum(given) for name, given in inputs().items()}


def check(request: Request) -> list[Finding]:
    """Tier 0 of the metrics."""
    return check_numbers(0, request, FILE, subjects(request.chosen_metrics()), inputs=checksums())
