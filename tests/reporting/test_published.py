"""Ours beside published values."""

from __future__ import annotations

import numpy as np
import pytest

from bench.dataset import resolve_options
from bench.registry import METHODS, METRICS
from bench.reporting import published
from bench.results.study import read_study

FULL = {"name": "dsprites", "version": 1, "options": resolve_options("dsprites", {}), "sha256": "ab" * 32}
COLUMNS = {column for entry in METRICS for column in entry.info.scores}


def study_of(builder, values, gamma=10.0, **changes):
    for seed, value in enumerate(values):
        hyper = {"gamma": gamma, "discriminator_lr": 1e-4}
        builder.run("factor_vae", seed, {"mig": float(value)}, hyper=hyper, **({"dataset": FULL} | changes))
    return read_study(builder.study())


def test_every_entry_names_what_exists_and_a_source_with_its_cautions():
    sources, entries = published.read()
    for entry in entries:
        assert sources[entry.source].caution
        assert entry.method in METHODS
        assert set(entry.scores) <= COLUMNS
        assert set(entry.hyper) <= set(METHODS.get(entry.method).value.Hyper.__dataclass_fields__)
        assert all(len(value) in (1, 2) for value in entry.scores.values())


@pytest.mark.parametrize(("centre", "within"), [(0.40, True), (0.411, True), (0.30, False), (0.50, False)])
def test_within_means_that_the_published_value_reaches_our_interval(study_builder, centre, within):
    study = study_of(study_builder(), centre + 0.004 * np.linspace(-1, 1, 8))
    (item,) = published.compare(study)
    assert (item.label, item.score, item.value, item.spread) == ("FactorVAE (gamma=10)", "mig", 0.40, 0.01)
    assert item.ours.mean == pytest.approx(centre)
    assert item.within is within
    text = published.markdown([item])
    line = next(line for line in text.splitlines() if line.startswith("| FactorVAE"))
    assert line.endswith("| 0.4 ± 0.01 | yes |" if within else "| 0.4 ± 0.01 | no |")
    assert "read second-hand" in text


def test_other_data_or_settings_have_no_counterpart(study_builder):
    part = FULL | {"options": FULL["options"] | {"scale": [0, 1]}}
    assert published.compare(study_of(study_builder("a"), [0.4] * 5, dataset=part)) == []
    cut = FULL | {"options": FULL["options"] | {"window": "0:64x2:62"}}
    assert published.compare(study_of(study_builder("d"), [0.4] * 5, dataset=cut)) == []
    assert published.compare(study_of(study_builder("b"), [0.4] * 5, gamma=6.4)) == []
    assert published.markdown(published.compare(study_of(study_builder("c"), [0.4] * 5, gamma=6.4))) == ""


def test_our_interval_is_the_one_of_the_table(study_builder):
    study = study_of(study_builder(), np.random.default_rng(0).normal(0.4, 0.1, 8))
    (item,) = published.compare(study)
    cell = study.cells["dsprites", "FactorVAE", "mig"]
    assert (item.ours.low, item.ours.high) == (cell["low"], cell["high"])


def test_diverged_runs_have_no_part(study_builder):
    builder = study_builder()
    builder.run("vae", 9, {"mig": 0.9}, hyper={}, dataset=FULL, status="diverged")
    assert published.compare(read_study(builder.study())) == []
