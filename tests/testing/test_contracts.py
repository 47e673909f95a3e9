"""The common checks, over everything that is registered: what a contributor gets for free."""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict

import pytest
import torch

from bench.method import resolve_hyper
from bench.nn import networks
from bench.registry import DATASETS, FIGURES, METHODS, METRICS, NETWORKS
from bench.testing import parametrize_with_checks
from bench.testing.checks import checks_of, title
from helpers import own_files


@parametrize_with_checks(*(entry.value for entry in METHODS))
def test_method(name, check):
    check(name)


@parametrize_with_checks(*(entry.value for entry in METRICS))
def test_metric(name, check):
    check(name)


@pytest.fixture(scope="module")
def own_images(tmp_path_factory):
    """Write a file or folder for each dataset that reads a user's."""
    return own_files.written(tmp_path_factory.mktemp("own"))


# Those of published files are checked in test_file_worlds.py, on tiny ones.
@parametrize_with_checks(*(entry.value for entry in DATASETS if not hasattr(entry.value, "files")))
def test_dataset(name, check, own_images):
    check(name, settings=own_images.get(name, {}))


@pytest.mark.parametrize("kind", ["method", "dataset", "metric"])
def test_checks_say_what_should_hold_in_words_of_their_own(kind):
    titles = [title(check) for check in checks_of(kind)]
    assert all(titles)
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", [entry.name for entry in NETWORKS])
def test_network_encodes_and_decodes(name):
    shape = (1, 64, 64)
    vae = networks.build(name, 2, shape, 3)
    networks.initialise(vae, "he", [0, 1], "vae")
    mean, logvar = vae.encode(torch.rand(2, 4, *shape))
    assert mean.shape == logvar.shape == (2, 4, 3)
    assert vae.decode(mean).shape == (2, 4, *shape)
    assert NETWORKS.get(name).summary


def test_figures_are_functions_of_a_study():
    for entry in FIGURES:
        assert next(iter(inspect.signature(entry.value).parameters)) == "study", entry.name
        assert entry.summary


def test_all_is_the_four_of_the_paper_and_the_vae():
    assert METHODS.match("all") == ["vae", "beta_vae", "factor_vae", "control_vae", "dynamic_vae"]


def test_hyper_parameters_survive_json():
    for entry in METHODS:
        resolved = resolve_hyper(entry.name, {})
        assert resolve_hyper(entry.name, json.loads(json.dumps(resolved))) == resolved
        assert resolved.items() <= asdict(entry.value.Hyper(**resolved)).items()
