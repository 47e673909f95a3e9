"""What there is to choose from, as tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.config.preset_files import PRESETS, presets
from bench.config.study import STUDIES, studies
from bench.files import read_toml
from bench.registry import DATASETS, FIGURES, METHODS, METRICS, NETWORKS, Registry


def list_methods() -> pd.DataFrame:
    """Registered methods: a row each, by name, with version and what it is."""
    return _registered(METHODS)


def list_datasets() -> pd.DataFrame:
    """Registered data sets: a row each, by name, with version and what it is."""
    return _registered(DATASETS)


def list_metrics() -> pd.DataFrame:
    """Registered metrics: a row each, by name, with version and what it is."""
    return _registered(METRICS)


def list_figures() -> pd.DataFrame:
    """Registered figures, in the order of a report: a row each, by name, with version and what it is."""
    return _registered(FIGURES)


def list_networks() -> pd.DataFrame:
    """Registered networks: a row each, by name, with version and what it is."""
    return _registered(NETWORKS)


def list_presets() -> pd.DataFrame:
    """Presets: a row each, by name, with what it is."""
    return _described({name: read_toml(PRESETS / f"{name}.toml") for name in presets()})


def list_studies() -> pd.DataFrame:
    """Studies that come with Disbench: a row each, by name, with what it asks."""
    return _described({name: read_toml(STUDIES / f"{name}.toml") for name in studies()})


def _registered(registry: Registry[Any, Any]) -> pd.DataFrame:
    entries = sorted(registry, key=lambda entry: (entry.info.order, entry.name))
    rows = [{"name": entry.name, "version": entry.version, "description": entry.summary} for entry in entries]
    return pd.DataFrame(rows, columns=["name", "version", "description"]).set_index("name")


def _described(files: dict[str, dict[str, Any]]) -> pd.DataFrame:
    rows = [{"name": name, "description": str(content.get("description", ""))} for name, content in files.items()]
    return pd.DataFrame(rows, columns=["name", "description"]).set_index("name")
