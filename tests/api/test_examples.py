"""The scripts in examples/ run as they stand, from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from helpers.paths import ROOT

SCRIPTS = sorted((ROOT / "examples").glob("*.py"))


def test_there_are_three():
    assert [file.stem for file in SCRIPTS] == ["run_a_study", "score_my_model", "write_a_method"]


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.stem)
def test_an_example_runs(script, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
