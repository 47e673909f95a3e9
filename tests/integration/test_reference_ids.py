"""Runs of the reference studies are called what they were when they were made, by their specs and by plans."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
import torch

from bench.config.expand import expand
from bench.config.study import StudySpec
from bench.results.read import entries, read_toml
from bench.results.store import Store


def pinned() -> dict[str, set[str]]:
    """Study to the ids of its runs, written down once."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in Path(__file__).with_name("reference_run_ids.txt").read_text().split():
        study, run = line.split("/")
        found[study].add(run)
    return found


PINNED = pinned()


@pytest.mark.parametrize("study", sorted(PINNED))
def test_stored_specs_give_the_ids_that_their_runs_have(study, reference_study):
    store = Store(reference_study(study))
    assert {folder.name for folder in entries(store.runs)} == PINNED[study]
    for run in PINNED[study]:
        assert store.spec(run).run_id == run


@pytest.mark.slow
@pytest.mark.parametrize("study", sorted(PINNED))
def test_the_same_study_plans_the_same_runs(study, monkeypatch, reference_study):
    # Planning refuses a GPU's runs where there is none.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    asked = read_toml(reference_study(study) / "study.toml")
    asked.pop("record")
    assert {spec.run_id for spec in expand(StudySpec.model_validate(asked))} == PINNED[study]
