"""Where a number comes from: versions, commit, hardware, threads."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import bench

PACKAGES = (
    "disbench",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "pydantic",
    "safetensors",
    "loky",
    "triton",
)


@functools.cache
def collect() -> dict[str, Any]:
    """Facts about this process's environment, JSON-ready.

    Returns
    -------
    dict
        ``versions``, ``commit`` and ``dirty`` (None outside a git checkout of the project), ``hardware``.
    """
    commit, dirty = _commit()
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "commit": commit,
        "dirty": dirty,
        "hardware": hardware(),
    }


def hardware() -> dict[str, Any]:
    """CPU model and vector instructions, cores, memory in GiB, GPU, operating system."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": _cpu_model(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "gpu": gpu,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> tuple[str | None, bool | None]:
    root = Path(bench.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None, None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        # Results and reports are what runs write: they don't make the code dirty.
        changed = _git(root, "status", "--porcelain", "--", ":!results", ":!reports")
    except (OSError, subprocess.SubprocessError):
        return None, None
    return commit, bool(changed)


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()  # noqa: S603


def _cpu_model() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None
