"""Studies to share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.sharing.export import export_archive
from helpers.archives import finish
from helpers.paths import REFERENCE
from helpers.synthetic import Build


@pytest.fixture
def study(study_builder: Build) -> Path:
    return finish(study_builder().fill(range(3), ["vae", "beta_vae", "untrained"], pictures=True))


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small valid archive of the committed reference study: two runs with pictures."""
    source = REFERENCE / "quick-dsprites"
    folder = tmp_path_factory.mktemp("packed") / "quick"
    for run in sorted((source / "runs").iterdir())[:2]:
        shutil.copytree(run, folder / "runs" / run.name)
    shutil.copy(source / "study.toml", folder)
    out = folder.parent / "good.zip"
    export_archive(folder, out, pictures=True)
    return out
