"""Names of the user's own data in tables."""

from __future__ import annotations

from typing import Any

from bench.results.labels import config_id, file_of, label_runs
from bench.results.study import read_study
from helpers.synthetic import Build


def own(path: str, sha256: str = "ab", about: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    facts = {"about": about} if about else {}
    return {"name": "npz", "version": 1, "options": options, "paths": {"path": path}, "sha256": sha256, **facts}


def names(*data: dict[str, Any]) -> list[str]:
    specs = {str(k): {"method": {"name": "vae"}, "dataset": item, "seed": 0} for k, item in enumerate(data)}
    labels = label_runs(specs)
    return [labels[run][0] for run in specs]


DIGITS = {"images": 108, "shape": [1, 16, 16], "factors": [3, 6, 6]}


def test_own_data_are_named_by_their_file() -> None:
    assert names(own("/home/jane/digits.npz")) == ["npz (digits)"]
    assert names(own("/a/digits.npz", "ab"), own("/a/faces.npz", "cd")) == ["npz (digits)", "npz (faces)"]
    assert names(own("d.npz", likelihood="gaussian"), own("d.npz", likelihood="bernoulli")) == [
        "npz (d, likelihood=gaussian)", "npz (d, likelihood=bernoulli)",
    ]  # fmt: skip
    assert names({"name": "dsprites", "version": 1, "options": {}, "paths": {"source": "/a/d.npz"}, "sha256": "x"}) == [
        "dsprites"
    ]


def test_files_of_one_name_are_told_apart_by_what_is_in_them() -> None:
    more = [DIGITS | {"images": 216}, DIGITS | {"shape": [3, 16, 16]}, DIGITS | {"factors": []}]
    assert names(own("a/d.npz", "1", DIGITS), own("b/d.npz", "2", more[0])) == [
        "npz (d, 108 images)", "npz (d, 216 images)",
    ]  # fmt: skip
    assert names(own("a/d.npz", "1", DIGITS), own("b/d.npz", "2", more[1])) == ["npz (d, 1×16×16)", "npz (d, 3×16×16)"]
    assert names(own("a/d.npz", "1", DIGITS), own("b/d.npz", "2", more[2])) == [
        "npz (d, factors 3×6×6)", "npz (d, no factors)",
    ]  # fmt: skip
    same = names(own("a/d.npz", "1" * 64, DIGITS), own("b/d.npz", "2" * 64, DIGITS))
    assert same == ["npz (d, sha256=11111111)", "npz (d, sha256=22222222)"]


def test_one_file_under_two_names_is_one_data_set() -> None:
    assert names(own("/a/new.npz"), own("/a/digits.npz")) == ["npz (digits)"] * 2
    first, second = ({"dataset": item, "method": {}} for item in (own("/a/x.npz"), own("/b/y.npz", about=DIGITS)))
    assert config_id(first) == config_id(second)


def test_a_plug_in_that_is_not_loaded_has_no_file() -> None:
    assert file_of({"name": "no_such_dataset", "paths": {"path": "/a/b.npz"}}) == ""


def test_two_files_make_two_tables(study_builder: Build) -> None:
    builder = study_builder()
    for name, sha256 in (("digits", "ab"), ("faces", "cd")):
        builder.run("vae", 0, {"kl": 1.0}, dataset=own(f"/x/{name}.npz", sha256))
    assert read_study(builder.study()).datasets == ["npz (digits)", "npz (faces)"]
