"""Code that a study's record names is run where the study is the user's own, and never from the study's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from bench.files import sha256
from bench.registry import METRICS
from bench.results.plugins import load_recorded

CODE = "from pathlib import Path\nPath('ran').touch()\n"


def study_that_names(plugin: Path, checksum: str) -> Path:
    folder = Path("results/study")
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    text = tomli_w.dumps({"record": {"schema_version": 1, "name": "study", "plugins": {plugin.as_posix(): checksum}}})
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("place", "is_run"), [("recorded_one.py", True), ("results/study/recorded_two.py", False)], ids=["beside", "inside"]
)
def test_code_is_run_from_anywhere_but_the_studys_folder(tmp_path, monkeypatch, place, is_run):
    monkeypatch.chdir(tmp_path)
    Path("results/study").mkdir(parents=True)
    plugin = Path(place)
    plugin.write_text(CODE, encoding="utf-8")
    with METRICS.override():
        loaded = load_recorded(study_that_names(plugin, sha256(plugin)))
    assert (loaded == [plugin], Path("ran").exists()) == (is_run, is_run)


def test_a_file_that_has_changed_since_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plugin = Path("recorded_three.py")
    plugin.write_text(CODE, encoding="utf-8")
    study = study_that_names(plugin, sha256(plugin))
    plugin.write_text(CODE + "\n", encoding="utf-8")
    assert load_recorded(study) == []
    assert not Path("ran").exists()
