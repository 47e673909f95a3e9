"""Every metric's scores on fixed codes are those in ``baselines/check_metrics.json``: no library's version moves them.

``bench check --tier 0 --metric '*'`` says the same; ``bench check --record`` and ``--update`` store.
"""

from __future__ import annotations

import pytest

from bench.check import formulas
from bench.check.baselines import Measured, baseline_folder, read
from bench.check.compare import compare
from bench.registry import METRICS

METRIC_NAMES = [entry.name for entry in METRICS if entry.value.__module__.startswith("bench.metrics.")]


@pytest.fixture(scope="module")
def stored():
    return read(baseline_folder() / formulas.FILE)


def moved(stored, measured: Measured) -> list[str]:
    found = compare(0, measured, stored.subjects.get(measured.subject))
    return [finding.message for finding in found if finding.status not in ("same", "within")]


def test_codes_are_the_same_bits(stored):
    assert formulas.checksums() == stored.inputs


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_scores_stand_still(stored, name):
    lines = moved(stored, formulas.measure(METRICS.get(name)))
    assert not lines, "\n".join(lines)


def test_no_scores_of_metrics_that_are_gone(stored):
    assert set(stored.subjects) == {f"metric {name}" for name in METRIC_NAMES}


@pytest.mark.parametrize(
    ("name", "columns", "options"),
    [
        ("mig", {"mig"}, {"n_bins": 21}),
        ("beta_vae_score", {"beta_vae_score"}, {"batch_size": 48}),
        ("infomec", {"infom", "infoe", "infoc"}, {"n_samples": 760}),
        ("modularity", {"modularity", "explicitness"}, {"n_train": 500, "n_test": 250}),
        ("downstream", {"downstream_accuracy", "downstream_efficiency"}, {"n_labels": 500, "n_test": 250}),
    ],
)
def test_tolerances_are_narrow_enough_to_see_a_small_change(stored, name, columns, options):
    lines = moved(stored, formulas.measure(METRICS.get(name), **options))
    assert {line.split(": ")[1].split(" of ")[0] for line in lines} == columns
