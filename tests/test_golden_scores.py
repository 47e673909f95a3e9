"""Every metric's scores on fixed codes, stored in ``baselines/golden_scores.json``: no library's version moves them.

A change that moves scores on purpose raises the metric's version, and then

    python tests/test_golden_scores.py

stores its new scores, as well as those of new metrics, columns and codes. It refuses scores that moved at an
unchanged version, and codes of a known name that became others.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.registry import METRICS, Entry
from bench.seeds import stream

FILE = Path(__file__).parent / "baselines" / "golden_scores.json"
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
    "explicitness": 1e-4,  # some 20 pairs of rows that change places, of 200,000
}
SIZES = (3, 4, 8, 8)

#: Column -> codes -> score.
Scores = dict[str, dict[str, float | None]]
#: "codes" -> name -> checksum; "metrics" -> name -> version and scores.
Record = dict[str, dict[str, Any]]


def noise(seed: int, *shape: int) -> np.ndarray:
    """Multiples of 2**-32 in [-1/2, 1/2). NumPy promises the bit generator's own numbers, not its distributions."""
    raw = np.random.PCG64(seed).random_raw(shape)
    return (raw >> np.uint64(32)).astype(np.float64) / 2**32 - 0.5


def inputs() -> dict[str, dict[str, np.ndarray]]:
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
    given = {}
    for seed, (name, columns) in enumerate(tables.items()):
        codes = np.stack(columns, axis=1) + noise(seed, len(x), 6) * np.array(spread.get(name, [1] * 6))
        live = np.ptp(codes, axis=0) > 0.5
        logvar = np.where(live, -3, 0) + noise(10 + seed, *codes.shape) / 4
        given[name] = {"codes": codes, "logvar": logvar, "factors": factors.astype(np.int64)}
    truth, error = noise(20, 6, 3, 16, 16), noise(21, 6, 3, 16, 16)
    pictures = {"images": truth + 0.5, "decoded": 8 * truth + 4 * error}
    given["pictures"] = {name: value.astype(np.float32) for name, value in pictures.items()}
    return given


def checksum(given: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(given.items()):
        digest.update(f"{name} {value.dtype.str} {value.shape} ".encode() + value.tobytes())
    return digest.hexdigest()[:16]


def built_in() -> list[Entry[Any]]:
    return [entry for entry in METRICS if entry.value.__module__.startswith("bench.metrics.")]


def score(entry: Entry[Any], **options: Any) -> Scores:
    """Scores on everything that has what the metric needs."""
    found: Scores = {column: {} for column in entry.info["scores"]}
    for name, given in inputs().items():
        if set(entry.info["inputs"]) <= set(given):
            extra = {need: given[need] for need in entry.info["optional"]}
            arguments = [given[need] for need in entry.info["inputs"]]
            result = entry.value(*arguments, **extra, **options, rng=stream(0, f"metric:{entry.name}"))
            for column in found:
                found[column][name] = None if result[column] is None else float(result[column])
    return found


def moved(stored: Scores, found: Scores) -> list[str]:
    """Lines that say which scores aren't the stored ones and by how much; new ones aren't looked at."""
    lines = []
    for column, of_codes in stored.items():
        for name, old in of_codes.items():
            new = found.get(column, {}).get(name)
            tolerance = LOOSER.get(column, TOLERANCE) * max(1, abs(old or 0))
            if old is None or new is None:
                if old is not new:
                    lines.append(f"{column} of '{name}': {old} became {new}")
            elif not abs(new - old) <= tolerance:
                lines.append(f"{column} of '{name}': {old} moved by {new - old:+.3g} (tolerated {tolerance:.1g})")
    return lines


def read() -> Record:
    return json.loads(FILE.read_text(encoding="utf-8"))


def renew(stored: Record) -> Record:
    """Score anew; what stands still keeps its stored digits. Raises ValueError for what must not move."""
    checksums = {name: checksum(given) for name, given in inputs().items()}
    wrong = [
        f"codes '{name}' became others: give them another name"
        for name in checksums
        if stored["codes"].get(name, checksums[name]) != checksums[name]
    ]
    metrics = {}
    for entry in built_in():
        found = score(entry)
        known = stored["metrics"].get(entry.name, {})
        before: Scores = known.get("scores", {}) if known.get("version") == entry.version else {}
        wrong += [f"{entry.name}, version {entry.version}: {line}" for line in moved(before, found)]
        for column, of_codes in found.items():
            for name, value in of_codes.items():
                rounded = None if value is None else float(f"{value:.12g}")
                of_codes[name] = before.get(column, {}).get(name, rounded)
        metrics[entry.name] = {"version": entry.version, "scores": found}
    if wrong:
        raise ValueError("\n".join([*wrong, "Nothing is stored: a change that moves scores raises the version."]))
    return {"codes": checksums, "metrics": metrics}


METRIC_NAMES = [entry.name for entry in built_in()]


def test_codes_are_the_same_bits():
    assert {name: checksum(given) for name, given in inputs().items()} == read()["codes"]


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_scores_stand_still(name):
    entry, stored, found = METRICS.get(name), read()["metrics"].get(name), score(METRICS.get(name))
    assert stored is not None, f"{name} has no stored scores: python tests/test_golden_scores.py"
    assert stored["version"] == entry.version, (
        f"{name} is at version {entry.version}, its stored scores are of {stored['version']}: "
        "python tests/test_golden_scores.py"
    )
    lines = moved(stored["scores"], found)
    assert not lines, "\n".join([f"{name} moved at unchanged version {entry.version}:", *lines])
    assert {column: set(of_codes) for column, of_codes in stored["scores"].items()} == {
        column: set(of_codes) for column, of_codes in found.items()
    }


def test_no_scores_of_metrics_that_are_gone():
    assert set(read()["metrics"]) == set(METRIC_NAMES)


@pytest.mark.parametrize(
    ("name", "columns", "options"),
    [
        ("mig", {"mig"}, {"n_bins": 21}),
        ("beta_vae_score", {"beta_vae_score"}, {"batch_size": 48}),
        ("infomec", {"infom", "infoe", "infoc"}, {"n_samples": 760}),
        ("modularity", {"modularity", "explicitness"}, {"n_train": 500, "n_test": 250}),
    ],
)
def test_tolerances_are_narrow_enough_to_see_a_small_change(name, columns, options):
    stored, entry = read()["metrics"][name]["scores"], METRICS.get(name)
    lines = moved(stored, score(entry, **options))
    assert {line.split(" of ")[0] for line in lines} == columns


def test_scores_that_moved_are_stored_only_at_a_new_version(monkeypatch):
    (entry,) = [entry for entry in built_in() if entry.name == "mig"]
    monkeypatch.setattr(sys.modules[__name__], "built_in", lambda: [entry])
    stored = read()
    old = stored["metrics"]["mig"]["scores"]["mig"]["mixed"]
    assert renew(stored)["metrics"]["mig"] == stored["metrics"]["mig"]
    stored["metrics"]["mig"]["scores"]["mig"]["mixed"] = old + 1e-8
    with pytest.raises(ValueError, match=rf"mig, version {entry.version}: mig of 'mixed': .* moved by -1e-08"):
        renew(stored)
    stored["metrics"]["mig"]["version"] -= 1
    assert renew(stored)["metrics"]["mig"]["scores"]["mig"]["mixed"] == old
    stored["codes"]["mixed"] = "other"
    with pytest.raises(ValueError, match="'mixed' became others"):
        renew(stored)


def main() -> str | None:
    stored = read() if FILE.exists() else {"codes": {}, "metrics": {}}
    try:
        record = renew(stored)
    except ValueError as error:
        return str(error)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main())
