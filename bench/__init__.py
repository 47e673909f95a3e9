"""Disbench: which VAEs disentangle, and at what price in reconstruction."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

__version__ = "0.1.0"

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
