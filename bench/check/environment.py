"""What decides the last bits of a training: digests are compared only where all of it is the same."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

#: Variables that make torch's libraries take other kernels than the processor's best, or round otherwise.
CAPS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")
#: Instructions by which kernels are chosen. (The whole list of flags grows with the operating system.)
INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_bf16", "amx_tile", "asimd", "sve")
#: Fields of /proc/cpuinfo that say which processor it is; caches decide how libraries cut matrices into blocks.
FIELDS = ("vendor_id", "cpu family", "model", "cache size", "CPU implementer", "CPU part")


def facts(threads: int) -> dict[str, Any]:
    """What digests depend on, JSON-ready."""
    import numpy as np
    import torch

    return {
        "torch": torch.__version__,
        "numpy": ".".join(np.__version__.split(".")[:2]),
        "system": f"{platform.system()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "processor": processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "caps": {name: os.environ[name] for name in CAPS if name in os.environ},
        "threads": threads,
    }


def key(found: dict[str, Any]) -> str:
    """8 hex digits that name an environment."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:8]


def processor() -> dict[str, str]:
    """Family, model, cache and vector instructions of the processor, as far as the system says."""
    if sys.platform != "linux":
        return {"name": platform.processor() or platform.machine()}
    known: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        known.setdefault(name.strip(), value.strip())
    flags = set((known.get("flags") or known.get("Features") or "").split())
    return {name: known[name] for name in FIELDS if name in known} | {
        "instructions": " ".join(name for name in INSTRUCTIONS if name in flags)
    }
