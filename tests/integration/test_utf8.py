"""What is written, or read by another program, is UTF-8 whatever the machine's encoding is."""

from __future__ import annotations

import ast
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.paths import ROOT

#: Calls that take the machine's encoding unless told otherwise.
TEXT_CALLS = ("read_text", "write_text")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_pipes_and_files_get_utf_8(tmp_path, encoding):
    names = np.array(["größe", "β", "半径\udc80"])
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "codes.npz", codes=rng.normal(size=(60, 3)), factors=rng.integers(3, size=(60, 3)),
             factor_names=names)  # fmt: skip
    environment = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bench", "score", "codes.npz", "--metric", "mig", "--out"]
    said = {}
    for suffix in ("md", "csv", "json"):
        more = ["--json"] if suffix == "json" else []
        words = [*command, f"table.{suffix}", *more]
        done = subprocess.run(words, cwd=tmp_path, env=os.environ | environment, capture_output=True, check=True)
        said[suffix] = done.stdout.decode("utf-8")
    assert json.loads(said["json"]) == json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert json.loads(said["json"])["representations"][0]["factor_names"] == names.tolist()
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == said["md"]
    assert "größe" in said["md"]
    assert "MIG ↑" in said["md"]
    assert "半径\\\\udc80" in said["md"]
    assert list(csv.DictReader((tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()))


def test_every_text_file_is_opened_with_an_encoding():
    without = []
    for folder in ("bench", "methods", "datasets"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _needs_encoding(node) and not _has_encoding(node):
                    without.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert not without


def _needs_encoding(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Attribute) and function.attr in TEXT_CALLS:
        # Functions of `bench.files` are in UTF-8 themselves.
        return not (isinstance(function.value, ast.Name) and function.value.id == "files")
    if isinstance(function, ast.Attribute) and function.attr == "open":
        of = function.value.id if isinstance(function.value, ast.Name) else ""
        modes = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
        return of not in ("Image", "os", "archive", "packed", "tarfile") and not any("b" in str(mode) for mode in modes)
    return isinstance(function, ast.Name) and function.id == "open"


def _has_encoding(call: ast.Call) -> bool:
    return any(keyword.arg in ("encoding", None) for keyword in call.keywords)


def test_nothing_is_lost_where_a_text_cannot_be_encoded(tmp_path):
    from bench.files import write_out, write_text

    for write in (write_out, write_text):
        write(tmp_path / "text", "a\udc80b")
        assert Path(tmp_path / "text").read_bytes() == b"a\\udc80b"
