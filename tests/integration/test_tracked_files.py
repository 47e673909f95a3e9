"""A clone stays light: what git keeps of studies and reports, and how much that is in all."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bench.sharing.containers import SUFFIXES
from helpers.paths import ROOT

#: Bytes of all tracked files together.
MOST = 20 * 2**20
#: What comes with one command from what is kept: pages, films, prints.
DRAWN = (".html", ".gif", ".pdf")


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """All files that git tracks, relative to the root."""
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"git can't list the files: {error}")
    found = [Path(name) for name in done.stdout.decode().split("\0") if name]
    return [path for path in found if (ROOT / path).is_file()]


def test_all_together_are_small(tracked: list[Path]) -> None:
    assert sum((ROOT / path).stat().st_size for path in tracked) < MOST


def test_a_reference_study_is_one_archive(tracked: list[Path]) -> None:
    found = [path for path in tracked if path.is_relative_to("results/reference")]
    assert found
    assert [path for path in found if path.parent != Path("results/reference")] == []
    assert [path for path in found if path.name != "README.md" and not path.name.endswith(SUFFIXES)] == []


def test_reference_reports_hold_only_pictures_that_a_document_shows(tracked: list[Path]) -> None:
    found = [path for path in tracked if path.is_relative_to("reports/reference")]
    assert found
    assert [path for path in found if path.suffix in DRAWN] == []
    shown = set()
    for document in [path for path in tracked if path.suffix == ".md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / document).read_text(encoding="utf-8")):
            shown.add((ROOT / document.parent / target).resolve())
    assert [path for path in found if path.suffix == ".png" and (ROOT / path).resolve() not in shown] == []


def test_documents_link_to_files_that_are_there(tracked: list[Path]) -> None:
    dead = []
    for document in [path for path in tracked if path.suffix == ".md"]:
        for target in re.findall(r"\]\(([^)#:\s]+)\)", (ROOT / document).read_text(encoding="utf-8")):
            if not (ROOT / document.parent / target).exists():
                dead.append(f"{document}: {target}")
    assert dead == []
