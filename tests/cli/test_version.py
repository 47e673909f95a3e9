"""The command's version, its completion in shells, and its second way in."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import bench as package
from helpers.paths import ROOT


@pytest.mark.parametrize("command", [["-m", "bench"], ["-c", "from bench.cli.main import main; main()"]])
def test_the_version_is_that_of_the_package(command):
    done = subprocess.run([sys.executable, *command, "--version"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"disbench {package.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_the_commands_that_fit(shell):
    asked = {
        "bash": {"COMP_WORDS": "bench comp", "COMP_CWORD": "1"},
        "zsh": {"_TYPER_COMPLETE_ARGS": "bench comp"},
        "fish": {"_TYPER_COMPLETE_ARGS": "bench comp", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    environment = os.environ | asked | {"_BENCH_COMPLETE": f"complete_{shell}"}
    code = "import sys; sys.argv = ['bench']; from bench.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert "compare" in done.stdout
    assert "import" not in done.stdout.split()
