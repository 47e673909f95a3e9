"""What CI does, by hand: ``nox -s lint types``, or ``nox --list``.

By itself nox makes an environment per session, with the versions of constraints.txt; read there how to get torch's CPU
build. ``nox --no-venv -s lint types`` takes the environment that it runs in, which needs ``.[test,lint]``, as it is.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_venv = "yes"

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
#: Two workers: a file's tests stay together, since they share what is slow to make.
PYTEST = ["python", "-m", "pytest", "-n", "2", "--dist", "loadfile"]


@nox.session
def lint(session: nox.Session) -> None:
    """Style."""
    _install(session, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strict on bench/."""
    _install(session, "-e", ".[lint]")
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests; arguments go to pytest."""
    _install(session, "-e", ".[test]")
    session.run(*PYTEST, *session.posargs)


@nox.session(venv_backend="none")
def oldest(session: nox.Session) -> None:
    """Nearly all tests with the lowest versions that pyproject.toml promises; arguments go to pytest."""
    session.run("bash", ".ci/oldest", *session.posargs, external=True)


@nox.session
def wheel(session: nox.Session) -> None:
    """Gate on what the wheel holds, and the tests that it lives beside Hugging Face's `datasets`."""
    _install(session, "-e", ".[test]")
    session.run("python", "-m", "pytest", "tests/packaging/test_packaging.py", *session.posargs)
    if _own_environment(session):
        # As a user has it: no checkout in sight.
        out = Path(session.create_tmp()).resolve()
        shutil.rmtree(out / "dist", ignore_errors=True)
        session.run("python", "-m", "build", "--wheel", "--outdir", str(out / "dist"))
        (built,) = (out / "dist").glob("*.whl")
        session.install("--force-reinstall", "--no-deps", str(built))
        with session.chdir(out):
            session.run("bench", "doctor")


@nox.session
def kernels(session: nox.Session) -> None:
    """The GPU's kernels, on a GPU or in Triton's interpreter."""
    _install(session, "-e", ".[test,kernels]")
    session.run("python", "-m", "pytest", "tests/nn/convolution/test_gpu.py", *session.posargs)


@nox.session
def check(session: nox.Session) -> None:
    """Whether scores are what they were: formulas and short trajectories; arguments go to `bench check`."""
    _install(session, "-e", ".")
    session.run("bench", "check", "--tier", "0,1", *session.posargs)


@nox.session
def check_statistics(session: nox.Session) -> None:
    """Whether scores are what they were: fresh seeds against stored ones; arguments go to `bench check`."""
    _install(session, "-e", ".")
    session.run("bench", "check", "--tier", "2", *session.posargs)


@nox.session
def reports(session: nox.Session) -> None:
    """The reference studies' reports as git keeps them: tables, and the figures that README.md and docs/ show."""
    _install(session, "-e", ".")
    text = "".join(path.read_text(encoding="utf-8") for path in [Path("README.md"), *Path("docs").glob("*.md")])
    for page in sorted(Path("reports/reference").glob("*/report.md")):
        study = f"reference/{page.parent.name}"
        shown = sorted(set(re.findall(rf"reports/{study}/fig_(\w+)\.png", text)))
        session.run("bench", "report", study, "--figures", ",".join(shown) or "none", "--quiet")


def _own_environment(session: nox.Session) -> bool:
    """Whether nox made the environment, and may install into it."""
    return session.venv_backend != "none"


def _install(session: nox.Session, *what: str) -> None:
    if _own_environment(session):
        session.install("-c", "constraints.txt", *what)
