"""``constraints-oldest.txt``, with which .ci/oldest tests, pins what pyproject.toml promises."""

from __future__ import annotations

import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from helpers.paths import ROOT


def pins(file: str) -> dict[str, Version]:
    lines = (ROOT / file).read_text().splitlines()
    found = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in found}


def promised() -> dict[str, Version]:
    """Package -> its `>=`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    floors = {}
    for text in (*project["dependencies"], *extras["hdf5"], *extras["test"]):
        requirement = Requirement(text)
        floors |= {canonicalize_name(requirement.name): Version(s.version) for s in requirement.specifier}
        assert all(s.operator == ">=" for s in requirement.specifier), text
    return floors


def test_the_lowest_versions_promised_are_those_that_are_tested():
    oldest, floors = pins("constraints-oldest.txt"), promised()
    assert {"numpy", "scikit-learn", "h5py", "pytest", "torch"} <= set(floors)
    del floors["torch"]
    assert {name: oldest.get(name) for name in floors} == floors


def test_torch_is_that_of_the_results():
    assert pins("constraints-oldest.txt")["torch"] == pins("constraints.txt")["torch"]
