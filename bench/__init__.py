"""Disbench: which VAEs disentangle, and at what price in reconstruction.

`run` and `load_study` give a study, whose runs, summary, curves, claims, figures and trained models are tables, figures
and NumPy arrays; `score` measures codes made elsewhere; ``list_*`` says what there is. Whoever adds a method, data set,
metric, network or figure finds the contracts here, too. All of it is imported when it is first used.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

__version__ = "0.1.0"

#: The public names, by the module that has them.
_API = {
    "run": "bench.api.running",
    "load_study": "bench.api.study",
    "Study": "bench.api.study",
    "TrainedModel": "bench.api.model",
    "score": "bench.api.scoring",
    "compare": "bench.api.scoring",
    "load_dataset": "bench.api.data",
    "list_methods": "bench.api.catalogue",
    "list_datasets": "bench.api.catalogue",
    "list_metrics": "bench.api.catalogue",
    "list_figures": "bench.api.catalogue",
    "list_networks": "bench.api.catalogue",
    "list_presets": "bench.api.catalogue",
    "list_studies": "bench.api.catalogue",
    "Method": "bench.method",
    "Objective": "bench.method",
    "Terms": "bench.method",
    "Encoded": "bench.method",
    "StagedMethod": "bench.method_kinds",
    "ClosedFormMethod": "bench.method_kinds",
    "register_method": "bench.method",
    "Dataset": "bench.dataset",
    "register_dataset": "bench.dataset",
    "Score": "bench.metric",
    "register_metric": "bench.metric",
    "register_network": "bench.network",
    "BenchError": "bench.errors",
}
__all__ = ["__version__", *_API]

#: What a contributor adds a file to; in a checkout these two folders lie beside this one.
_CONTRIBUTED = ("methods", "datasets")


class _Checkout:
    """Finds `bench.methods` and `bench.datasets` beside a checkout's `bench`, and nothing else that lies there.

    Installed, they are sub-packages already. A top-level package called `datasets` would shadow Hugging Face's.
    """

    root = Path(__file__).resolve().parent.parent

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        package, _, folder = name.rpartition(".")
        if package != "bench" or folder not in _CONTRIBUTED or not (cls.root / folder).is_dir():
            return None
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(cls.root / folder)]
        return spec


if (_Checkout.root / "pyproject.toml").is_file():
    sys.meta_path.append(_Checkout)


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _API:
        raise AttributeError(f"module 'bench' has no attribute '{name}'")
    value = getattr(importlib.import_module(_API[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
