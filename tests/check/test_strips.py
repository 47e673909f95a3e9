"""Strips of images in the page of data sets: there, shown, small, and what the code draws."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bench.check import strips
from bench.check.baselines import baseline_folder
from bench.check.request import Request
from bench.dataset import load_dataset, sample_rows
from helpers.paths import ROOT

EVERYTHING = Request(baselines=baseline_folder())
#: Of all strips together.
MOST_BYTES = 300_000


def test_the_committed_strips_are_what_the_code_draws():
    found = strips.check(EVERYTHING)
    assert {"file docs/datasets/dsprites.png", "file docs/datasets/shapes3d_like.png"} <= {f.subject for f in found}
    assert [finding.message for finding in found if finding.status != "same"] == []


def test_each_strip_is_shown_and_all_are_small():
    page = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    files = sorted((ROOT / strips.FOLDER).iterdir())
    assert {file.name for file in files} == {f"{name}.png" for name in strips.drawn_without_files()}
    assert [file.name for file in files if f"](datasets/{file.name})" not in page] == []
    assert sum(file.stat().st_size for file in files) < MOST_BYTES


def test_data_sets_that_need_a_file_or_are_no_images_have_none():
    names = strips.drawn_without_files()
    assert {"dsprites", "background_dsprites", "digits_like"} <= set(names)
    assert not {"mnist", "folder", "npz", "linear_gaussian"} & set(names)


@pytest.mark.parametrize(("name", "axes"), [("digits_like", 2), ("shapes3d_like", 3)])
def test_a_strip_is_the_first_images_of_the_evaluation_sample(name, axes):
    data, shown = load_dataset(name, {}), strips.strip(name)
    first, last = data.images(sample_rows(data, strips.N_IMAGES))[[0, -1]]
    assert shown.ndim == axes
    side = data.image_shape[1]
    for image, place in ((first, shown[:, :side]), (last, shown[:, -side:])):
        assert np.array_equal(place if axes == 3 else place[..., None], np.moveaxis(image, 0, -1))


def test_record_draws_what_is_missing_or_stale(tmp_path, monkeypatch):
    monkeypatch.setattr(strips, "_root", lambda: tmp_path)
    monkeypatch.setattr(strips, "drawn_without_files", lambda: ["digits_like", "dsprites"])
    folder = tmp_path / strips.FOLDER
    folder.mkdir(parents=True)
    Image.new("L", (519, 64)).save(folder / "dsprites.png")
    stale = strips.check(EVERYTHING)
    assert [finding.status for finding in stale] == ["moved"] * 2
    assert "bench check --record draws it" in stale[0].message
    assert [finding.status for finding in strips.check(Request(EVERYTHING.baselines, "record"))] == ["new"] * 2
    assert [finding.status for finding in strips.check(EVERYTHING)] == ["same"] * 2


def test_strips_are_of_everything_in_a_checkout(tmp_path):
    assert strips.check(Request(EVERYTHING.baselines, metrics=("mig",))) == []
    assert strips.check(Request(tmp_path)) == []
