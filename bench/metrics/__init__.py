"""Metrics, one file each, and `measure`, which applies those that are asked for.

Most take a table of codes and, where they need them, the factors; a few also see images.

From outside: every metric as a function of its own (``from bench.metrics import mig``), and `measure.measure`.
"""

from __future__ import annotations

import importlib
import pkgutil

#: The function of each file that is called as the file is. ``bench check --record`` writes their types to the stub.
__all__: list[str] = []
for _file in pkgutil.iter_modules(__path__):
    if not _file.name.startswith("_") and _file.name != "measure":
        globals()[_file.name] = getattr(importlib.import_module(f"{__name__}.{_file.name}"), _file.name)
        __all__ += [_file.name]
