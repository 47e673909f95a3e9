"""What the distribution holds, and that it lives beside Hugging Face's `datasets`.

`methods/` and `datasets/` are top-level folders here but sub-packages of `bench` once installed. A wheel with
a top-level `datasets` would overwrite Hugging Face's without a word, hence the gate.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bench
from helpers.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: Folders of the checkout and what they are called in the wheel.
SHIPPED = {
    "bench": "bench",
    "methods": "bench/methods",
    "datasets": "bench/datasets",
    "tests/baselines": "bench/baselines",
}
#: What only some platforms' builds of torch and others pull in; torch pins its CUDA packages itself.
PLATFORM_ONLY = ("nvidia-", "cuda-", "triton", "colorama")


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what the build reads: setuptools puts into a wheel whatever an old `build/` still holds."""
    copy = tmp_path_factory.mktemp("source") / "disbench"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in SHIPPED:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, cwd=source)
    (built,) = out.glob("*.whl")
    return built


def new_environment(home: Path) -> tuple[Path, Path]:
    """Make an empty virtual environment; its Python and its folder of packages."""
    builder = venv.EnvBuilder(symlinks=os.name != "nt")
    builder.create(home)
    python = Path(builder.ensure_directories(home).env_exe)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home)
    return python, Path(site.strip())


def pip(python: Path, *arguments: str | Path) -> None:
    """Run this environment's pip on another."""
    run(sys.executable, "-m", "pip", "--python", python, *arguments, cwd=python.parent)


@pytest.fixture(scope="module")
def hugging_face() -> Path:
    """Folder of Hugging Face's package; from its metadata, as `import` may find the checkout's folder."""
    try:
        return Path(str(distribution("datasets").locate_file("datasets")))
    except PackageNotFoundError:
        pytest.skip("needs Hugging Face datasets")


@pytest.fixture(scope="module")
def beside(wheel: Path, hugging_face: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Environment with the wheel in it and the packages of this one, Hugging Face's too, behind it."""
    python, site = new_environment(tmp_path_factory.mktemp("beside") / "env")
    pip(python, "install", "--no-deps", "--no-index", wheel)
    # A folder that a .pth file adds doesn't have its own .pth files read, so an editable install of the
    # checkout in the environment that runs the tests stays invisible.
    (site / "behind.pth").write_text(f"{hugging_face.parent}\n")
    return python, site


@pytest.mark.slow
def test_the_wheel_owns_nothing_outside_bench(wheel: Path) -> None:
    info = f"disbench-{bench.__version__}.dist-info"
    assert {name.split("/")[0] for name in names_in(wheel)} == {"bench", info}
    with zipfile.ZipFile(wheel) as archive:
        record = archive.read(f"{info}/RECORD").decode()
    owned = [line.rsplit(",", 2)[0] for line in record.splitlines()]
    # pip removes what RECORD lists, so this is also what an uninstall can break.
    assert [path for path in owned if not path.startswith(("bench/", f"{info}/")) or ".." in path] == []


@pytest.mark.slow
def test_every_source_file_is_in_the_wheel(wheel: Path, source: Path) -> None:
    expected = {
        f"{inside}/{path.relative_to(source / folder).as_posix()}"
        for folder, inside in SHIPPED.items()
        for path in (source / folder).rglob("*")
        if path.is_file()
    }
    assert {"bench/py.typed", "bench/methods/beta_vae.py", "bench/datasets/dsprites.py"} <= expected
    assert "bench/execution/plants.toml" in expected
    assert "bench/config/plain_kl.toml" in expected
    names = ("smoke", "quick", "compact", "standard", "paper")
    assert {f"bench/config/presets/{name}.toml" for name in names} <= expected
    assert {name for name in names_in(wheel) if name.startswith("bench/")} == expected


@pytest.mark.slow
def test_the_sdist_builds_the_same_wheel(wheel: Path, source: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("from-sdist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, cwd=source)  # the wheel from the sdist
    (rebuilt,) = out.glob("*.whl")
    assert names_in(rebuilt) == names_in(wheel)


@pytest.mark.slow
def test_check_wheel_contents_passes(wheel: Path) -> None:
    pytest.importorskip("check_wheel_contents")
    assert "OK" in run(sys.executable, "-m", "check_wheel_contents", wheel, cwd=ROOT)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["-c", "-m", "script"])
@pytest.mark.parametrize("place", ["checkout", "elsewhere"])
def test_both_datasets_import_side_by_side(
    beside: tuple[Path, Path], hugging_face: Path, tmp_path: Path, how: str, place: str
) -> None:
    python, site = beside
    code = (
        "import datasets, bench.datasets.dsprites as ours\n"
        "assert callable(datasets.load_dataset), datasets.__path__\n"
        "print(datasets.__file__, ours.__name__, ours.__file__, sep='\\n')\n"
    )
    probe = tmp_path / "probe.py"
    probe.write_text(code)
    command = {"-c": ("-c", code), "-m": ("-m", "probe"), "script": (probe,)}[how]
    env = {**os.environ, "PYTHONPATH": str(tmp_path) if how == "-m" else ""}
    cwd = ROOT if place == "checkout" else tmp_path
    theirs, name, ours = run(python, *command, cwd=cwd, env=env).splitlines()
    assert Path(theirs) == hugging_face / "__init__.py"
    assert name == "bench.datasets.dsprites"
    # `-c` and `-m` put the working directory first: in the checkout, that is the checkout's own `bench`.
    from_checkout = place == "checkout" and how != "script"
    assert Path(ours) == (ROOT if from_checkout else site / "bench") / "datasets" / "dsprites.py"


@pytest.mark.slow
def test_an_installed_wheel_knows_its_stored_numbers(beside: tuple[Path, Path], tmp_path: Path) -> None:
    python, site = beside
    report = json.loads(run(python, "-P", "-m", "bench", "doctor", "--json", cwd=tmp_path))
    assert report["right"]
    assert report["environment"]["commit"] is None, "a checkout was looked at"
    assert sum(finding["status"] in ("same", "within") for finding in report["findings"]) > 100
    assert (site / "bench" / "baselines" / "check_metrics.json").is_file()


@pytest.mark.slow
def test_uninstalling_leaves_theirs_alone(wheel: Path, hugging_face: Path, tmp_path: Path) -> None:
    python, site = new_environment(tmp_path / "env")
    shutil.copytree(hugging_face, site / "datasets", ignore=shutil.ignore_patterns("*.pyc"))
    before = {path: path.read_bytes() for path in (site / "datasets").rglob("*.py")}
    assert site / "datasets" / "__init__.py" in before
    pip(python, "install", "--no-deps", "--no-index", wheel)
    assert (site / "bench" / "datasets" / "dsprites.py").is_file()
    pip(python, "uninstall", "--yes", "disbench")
    assert not (site / "bench").exists()
    assert {path: path.read_bytes() for path in (site / "datasets").rglob("*.py")} == before


def test_one_version_everywhere() -> None:
    citation = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert citation is not None
    assert {PROJECT["version"], citation[1].strip("'\"")} == {bench.__version__}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in found}


def test_constraints_pin_every_direct_requirement() -> None:
    extras = PROJECT["optional-dependencies"]
    wanted = [Requirement(text) for text in (*PROJECT["dependencies"], *extras["test"], *extras["lint"])]
    for requirement in wanted:
        if requirement.name != "disbench":
            assert requirement.specifier.contains(pins().get(canonicalize_name(requirement.name), "0")), requirement
    assert pins()["torch"] == "2.13.0"


def test_constraints_pin_all_that_an_install_pulls_in() -> None:
    try:
        distribution("disbench")
    except PackageNotFoundError:
        pytest.skip("disbench isn't installed here, only importable")
    missing, seen, queue = set(), set(), [("disbench", frozenset({"test"}))]
    while queue:
        name, extras = queue.pop()
        if (name, extras) in seen or name.startswith(PLATFORM_ONLY):
            continue
        seen.add((name, extras))
        if name not in pins() and name != "disbench":
            missing.add(name)
        for text in distribution(name).requires or []:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
                queue.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    assert missing == set()


def test_pre_commit_runs_the_pinned_ruff() -> None:
    config = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"ruff-pre-commit\n\s+rev: v(\S+)", config) == [pins()["ruff"]]
