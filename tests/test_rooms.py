"""The rooms of `bench` and the way through them: imports follow the flow, and nobody reaches into another's drawers."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from helpers.paths import ROOT

#: Packages and the modules at the root, in the order of the flow: each may import what stands before it.
FLOW = (
    "errors", "seeds", "arrays", "formatting", "files", "npz", "shares", "tunable", "info", "registry",
    "provenance", "selectors", "neutral", "levels", "rows", "settings", "schema", "train_settings", "spec", "stats",
    "analytic", "factors", "metric", "dataset", "world", "data", "file_world", "nn", "network", "networks", "objective",
    "method", "method_kinds", "assembly", "controllers", "metrics", "config", "training", "evaluation", "results",
    "external", "sharing", "execution", "tuning", "claims", "figures", "reporting", "comparison", "api", "testing",
    "check", "speed", "cli", "__main__",
)  # fmt: skip
#: What contributors add to: its files stand outside of the flow, and may import all that a method or data set needs.
CONTRIBUTED = {"methods", "datasets"}


def sources() -> dict[str, Path]:
    """Every module of the project under the name it is imported by."""
    found = {}
    for folder in ("bench", *CONTRIBUTED):
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            parts = parts if folder == "bench" else ("bench", *parts)
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(name: str, file: Path, known: set[str]) -> set[str]:
    """Modules of the project that a module imports, wherever in it, for types only as well."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [each if each in known else str(node.module) for each in inner]
        else:
            continue
        found |= {each for each in names if each in known}
    return found - {name}


SOURCES = sources()
IMPORTS = {name: imports(name, file, set(SOURCES)) for name, file in SOURCES.items()}


def room(module: str) -> str:
    """Package, or the module itself at the root."""
    return module.split(".")[1] if "." in module else ""


def test_every_room_has_its_place_in_the_flow():
    assert {room(module) for module in SOURCES} - {""} == {*FLOW, *CONTRIBUTED}
    assert len(FLOW) == len(set(FLOW))


def test_no_module_imports_one_that_imports_it():
    try:
        list(TopologicalSorter(IMPORTS).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_a_room_imports_nothing_that_stands_after_it(module):
    place = {name: number for number, name in enumerate(FLOW)}
    here = room(module)
    if here in CONTRIBUTED:
        assert {room(each) for each in IMPORTS[module]} <= {"", here, *FLOW[: place["metrics"]]}
    elif here:
        late = [each for each in IMPORTS[module] if room(each) not in ("", here)]
        assert [each for each in late if place.get(room(each), len(FLOW)) > place[here]] == []


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_private_names_stay_in_their_room(module):
    tree = ast.parse(SOURCES[module].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("bench"):
            path = [*node.module.split("."), *(alias.name for alias in node.names)]
            private = [each for each in path if each.startswith("_") and each != "__version__"]
            assert not private or room(node.module) == room(module), f"{module} imports {private} of {node.module}"


@pytest.mark.parametrize("package", sorted(name for name, file in SOURCES.items() if file.name == "__init__.py"))
def test_a_package_says_what_it_is_for(package):
    tree = ast.parse(SOURCES[package].read_text(encoding="utf-8"))
    docstring = ast.get_docstring(tree) or ""
    assert len(docstring) > 40
    assert package == "bench" or "From outside" in docstring, "what may be touched from outside?"


def test_a_checkout_makes_only_methods_and_datasets_importable():
    code = (
        "import bench.methods.vae, bench.datasets.dsprites, importlib.util\n"
        "names = ('noxfile', 'tests', 'docs', 'results.reference', 'reports', 'bench')\n"
        "print([name for name in names if importlib.util.find_spec(f'bench.{name}')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_project_has_no_top_level_package_but_bench():
    # With an `__init__.py` in it, the folder `datasets` would be found instead of Hugging Face's package.
    assert not [folder for folder in CONTRIBUTED if (ROOT / folder / "__init__.py").exists()]
    assert importlib.util.find_spec("bench") is not None
