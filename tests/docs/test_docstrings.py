"""The examples in the docstrings of what contributors derive from and register with."""

from __future__ import annotations

import doctest
import importlib
from contextlib import ExitStack

import pytest

from bench.registry import DATASETS, FIGURES, METHODS, METRICS, NETWORKS

MODULES = ("dataset", "method", "metric", "network", "objective", "config.hyper_choice")


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    module = importlib.import_module(f"bench.{name}")
    with ExitStack() as stack:
        for registry in (METHODS, DATASETS, METRICS, NETWORKS, FIGURES):
            stack.enter_context(registry.override())
        result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
