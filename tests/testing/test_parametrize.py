"""`parametrize_with_checks`: the checks of a contract as tests of a plug-in's author."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.errors import BenchError
from bench.metrics.mig import mig
from bench.registry import METHODS
from bench.testing import parametrize_with_checks
from bench.testing.checks import checks_of
from helpers.paths import EXAMPLES, ROOT


def cases(*targets: Any, **options: Any) -> list[Any]:
    """Return the parameters of a decorated test."""

    @parametrize_with_checks(*targets, **options)
    def test(name: str, check: Any) -> None:
        check(name)

    (mark,) = test.pytestmark  # type: ignore[attr-defined]
    names, found = mark.args
    assert names == ("name", "check")
    return list(found)


def test_every_check_of_the_kind_has_an_id_that_says_it() -> None:
    ids = [case.id for case in cases("beta_vae")]
    assert ids == [f"{check.__name__}-beta_vae" for check in checks_of("method")]


def test_several_kinds_have_the_checks_of_each() -> None:
    both = cases("vae", mig)
    assert [case.values[0] for case in both] == ["vae"] * len(checks_of("method")) + ["mig"] * len(checks_of("metric"))


def test_a_class_and_its_name_are_one_target() -> None:
    vae = METHODS.get("vae").value
    assert [case.id for case in cases(vae, "vae")] == [case.id for case in cases("vae")]


def test_settings_reach_the_checks_and_can_be_given_later() -> None:
    chosen = {case.id.split("-")[0]: case.values for case in cases("beta_vae", settings={"beta_vae": {"bta": 1.0}})}
    name, check = chosen["same_inputs_same_loss"]
    with pytest.raises(BenchError, match="unknown hyper-parameter 'bta'"):
        check(name)
    check(name, settings={"beta": 2.0})


@pytest.mark.parametrize(
    ("targets", "settings", "message"),
    [
        ((), {}, "name what is to be checked"),
        (("beta_vea",), {}, "did you mean 'beta_vae'"),
        ((Path("nowhere.py"),), {}, "nowhere.py': no such file"),
        ((dict,), {}, "'dict' isn't registered as a method, dataset, metric or network"),
        (("vae",), {"beta_vae": {}}, "settings of 'beta_vae': it isn't what is checked: vae"),
    ],
)
def test_what_cannot_be_checked_is_refused(targets: tuple[Any, ...], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        parametrize_with_checks(*targets, settings=settings)


def test_without_pytest_only_the_decorator_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(BenchError, match="needs pytest: pip install pytest"):
        parametrize_with_checks("vae")


def test_the_documentation_shows_the_file_that_is_run_here() -> None:
    shown = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert f"```python\n{(EXAMPLES / 'test_warm_vae.py').read_text(encoding='utf-8')}```" in shown


@pytest.mark.slow
def test_an_authors_test_passes_and_names_what_is_broken(tmp_path: Path) -> None:
    for file in ("warm_vae.py", "test_warm_vae.py"):
        shutil.copy(EXAMPLES / file, tmp_path)

    def run() -> tuple[int, str]:
        command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
        path = {"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True, timeout=300, check=False)
        return done.returncode, done.stdout

    code, out = run()
    assert code == 0, out
    assert "test_warm_vae.py::test_contract[runs_do_not_mix-warm_vae] PASSED" in out
    assert f"{len(checks_of('method'))} passed" in out
    text = (tmp_path / "warm_vae.py").read_text()
    (tmp_path / "warm_vae.py").write_text(text.replace("beta * terms.kl", "beta * terms.kl.mean()"))
    code, out = run()
    assert code == 1
    assert "test_warm_vae.py::test_contract[runs_do_not_mix-warm_vae] FAILED" in out
    assert "reduce over batch and latents, not over runs" in out
    assert f"1 failed, {len(checks_of('method')) - 1} passed" in out
