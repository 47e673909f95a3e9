"""How long the command line takes to answer."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from bench.speed.timing import Case, Section, interleave, rows

COMMANDS = {
    "python -c pass": ("-c", "pass"),
    'python -c "import bench"': ("-c", "import bench"),
    "bench --help": ("-m", "bench", "--help"),
    "bench list methods": ("-m", "bench", "list", "methods"),
}


def measure(*, repeats: int, full: bool) -> Section:
    """Wall time of commands in processes of their own, the interpreter's start included."""
    cases = [
        Case(name, partial(subprocess.run, [sys.executable, *words], check=True, capture_output=True), 1, "s")
        for name, words in COMMANDS.items()
    ]
    found = rows(cases, interleave(cases, repeats=repeats))
    notes = ["Files are in the system's cache."]
    return Section("start", "Start of the command line", found, notes, better="lower", precision="")
