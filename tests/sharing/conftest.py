"""Studies to share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.sharing.export import export_archive
from helpers.archives import finish
from helpers.synthetic import Build


@pytest.fixture
def study(study_builder: Build) -> Path:
    return finish(study_builder().fill(range(3), ["vae", "beta_vae", "untrained"], pictures=True))


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory, reference_study: Callable[[str], Path]) -> Path:
    """A small valid archive of the committed reference study: two runs with pictures."""
    source = reference_study("quick-dsprites")
    folder = tmp_path_factory.mktemp("packed") / "quick"
    for run in [run for run in sorted((source / "runs").iterdir()) if (run / "traversals.png").exists()][:2]:
        shutil.copytree(run, folder / "runs" / run.name)
    shutil.copy(source / "study.toml", folder)
    out = folder.parent / "good.zip"
    export_archive(folder, out, pictures="all")
    return out
