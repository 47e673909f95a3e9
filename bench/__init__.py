"""Disbench: which VAEs disentangle, and at what price in reconstruction."""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"

# In a checkout the contributions live in `methods/` and `datasets/` beside this folder; installed, they are
# sub-packages already. Appending the repository root makes `bench.methods` importable in both cases without a
# top-level package called `datasets`, which would shadow Hugging Face's.
_root = Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file() and (_root / "methods").is_dir():
    __path__.append(str(_root))
