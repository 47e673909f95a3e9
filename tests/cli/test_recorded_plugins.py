"""A study that was made with a plug-in is read with it again, or says that it isn't."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from bench.files import parse_toml, sha256
from bench.registry import DATASETS, METHODS, METRICS, PLUGIN
from bench.sharing.archive import read_archive, write_archive
from bench.sharing.export import export_archive
from bench.sharing.import_ import import_study
from helpers.archives import finish
from helpers.synthetic import Build

Bench = Callable[..., tuple[int, str, str]]
SOURCE = """
from pathlib import Path
from bench.method import Method, Objective, register_method
from bench.metric import Score, register_metric

Path("executed").write_text("yes")

@register_method("mine", label="My VAE")
class Mine(Method):
    \"\"\"Mine.\"\"\"
    def loss(self, terms, state, step):
        return Objective(loss=terms.reconstruction + terms.kl, beta=self.full(1.0))

@register_metric("foo", version=1, inputs=("codes",), scores={"foo": Score("Foo", higher_is_better=True)})
def foo(codes):
    \"\"\"Foo.\"\"\"
    return {"foo": 0.0}
"""


@pytest.fixture(autouse=True)
def _forget_plugins() -> Iterator[None]:
    with METHODS.override(), DATASETS.override(), METRICS.override():
        yield
    for name in [name for name in sys.modules if name.startswith(PLUGIN)]:
        del sys.modules[name]


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """The file, in the working directory."""
    file = tmp_path / "my.py"
    file.write_text(SOURCE)
    return file


@pytest.fixture
def study(study_builder: Build, plugin: Path) -> Path:
    """A study that was run with ``--plugin my.py``."""
    builder = study_builder()
    evaluation = {"protocol": 1, "n_codes": 5120, "n_images": 512, "metrics": {"foo": 1, "kl": 1}}
    facts: dict[str, Any] = {"plugins": {"my.py": sha256(plugin)}}
    for seed in range(2):
        builder.run("mine", seed, {"foo": 0.1 * seed, "kl": 1.0}, hyper={}, evaluation=evaluation, provenance=facts)
    path = finish(builder.study(), methods=["mine"], seeds=[0, 1])
    name(path, {"my.py": sha256(plugin)})
    return path


def name(study: Path, plugins: dict[str, str]) -> None:
    """Let a study's record name plug-ins."""
    content = parse_toml((study / "study.toml").read_bytes(), "study.toml")
    content["record"]["plugins"] = plugins
    (study / "study.toml").write_text(tomli_w.dumps(content))


def report(bench: Bench, *words: str) -> tuple[int, str, str]:
    """Exit code, the page and the error stream."""
    code, _, err = bench("report", "toy", "--figures", "none", *words)
    page = Path("reports/toy/report.md")
    return code, page.read_text(encoding="utf-8") if page.exists() else "", err


def refusal(why: str, file: str = "my.py") -> str:
    return (
        f"bench: study 'toy' was made with plug-in '{file}', which isn't loaded ({why}): give it with --plugin {file}, "
        "or report without its scores, figures and labels with --without-plugins\n"
    )


def test_the_file_that_ran_is_loaded_again(bench: Bench, study: Path) -> None:
    code, page, err = report(bench)
    assert (code, err) == (0, "bench: plug-in 'my.py' is loaded, as the study recorded it\n")
    assert "| My VAE |" in page
    assert "Foo ↑" in page
    assert "- **Plug-ins:** my.py\n" in page
    assert "Incomplete" not in page
    assert report(bench) == (0, page, "")


def test_a_changed_file_is_never_executed_unasked(bench: Bench, study: Path, plugin: Path) -> None:
    plugin.write_text(SOURCE + "# changed\n")
    assert report(bench) == (2, "", refusal("that file has changed since"))
    assert not Path("executed").exists()
    code, page, err = report(bench, "--plugin", "my.py")
    assert (code, err) == (0, "bench: warning: plug-in 'my.py' isn't the file that study 'toy' ran with\n")
    assert "- **Plug-ins:** my.py (not the file that ran)\n" in page


def test_without_the_file_a_report_is_refused_or_says_what_it_lacks(bench: Bench, study: Path, plugin: Path) -> None:
    plugin.unlink()
    assert report(bench) == (2, "", refusal("no such file"))
    code, page, err = report(bench, "--without-plugins")
    assert code == 0
    assert err.startswith(
        "bench: warning: study 'toy' was made with plug-in 'my.py', which isn't loaded (no such file)"
    )
    assert "- **Incomplete:** not loaded here: plug-in my.py, method mine, metric foo; labels, headings" in page


def test_without_plugins_none_is_loaded_that_could_be(bench: Bench, study: Path) -> None:
    assert "**Incomplete:**" in report(bench, "--without-plugins")[1]
    assert not Path("executed").exists()


@pytest.mark.parametrize("words", [("aggregate", "toy"), ("compare", "toy", "toy")])
def test_tables_go_on_and_warn(bench: Bench, study: Path, plugin: Path, words: tuple[str, ...]) -> None:
    code, _, err = bench(*words)
    assert (code, err) == (0, "bench: plug-in 'my.py' is loaded, as the study recorded it\n")


@pytest.mark.parametrize("words", [("aggregate", "toy"), ("compare", "toy", "toy")])
def test_tables_without_the_file_warn(bench: Bench, study: Path, plugin: Path, words: tuple[str, ...]) -> None:
    plugin.unlink()
    code, out, err = bench(*words)
    assert code == 0
    assert out
    assert "bench: warning: study 'toy' was made with plug-in 'my.py', which isn't loaded (no such file)" in err


UNASKED = "code is only run unasked where a study's own record names it"


def test_code_of_imported_studies_is_never_executed_unasked(bench: Bench, study: Path, tmp_path: Path) -> None:
    export_archive(study, tmp_path / "toy.zip")
    assert b"plugins" not in read_archive(tmp_path / "toy.zip").files["study.toml"]
    study.rename(tmp_path / "away")
    import_study(tmp_path / "toy.zip", tmp_path / "results")
    assert report(bench) == (2, "", refusal(UNASKED))
    # Not even if its record is made to name the file.
    name(study, {"my.py": sha256(Path("my.py"))})
    assert report(bench) == (2, "", refusal(UNASKED))
    assert not Path("executed").exists()
    code, page, err = report(bench, "--plugin", "my.py")
    assert (code, err) == (0, "")
    assert "| My VAE |" in page


@pytest.mark.parametrize("runs", [True, False])
def test_an_archive_that_names_a_file_runs_nothing(bench: Bench, study: Path, tmp_path: Path, runs: bool) -> None:
    export_archive(study, tmp_path / "good.zip")
    files = dict(read_archive(tmp_path / "good.zip").files)
    content = parse_toml(files["study.toml"], "study.toml")
    content["record"]["plugins"] = {"my.py": sha256(Path("my.py"))}
    files = {name: item for name, item in files.items() if runs or not name.startswith("runs/")}
    files["study.toml"] = tomli_w.dumps(content).encode()
    (tmp_path / "evil.zip").write_bytes(write_archive("toy", files))
    study.rename(tmp_path / "away")
    assert bench("report", "evil.zip", "--figures", "none")[0] == 2
    import_study(tmp_path / "evil.zip", tmp_path / "results")
    assert b"plugins" not in (study / "study.toml").read_bytes()
    assert report(bench)[0] == 2
    assert bench("aggregate", "toy")[0] == 0
    assert not Path("executed").exists()


def test_one_imported_run_among_ones_own_is_enough(bench: Bench, study: Path) -> None:
    volatile = next(study.glob("runs/*/provenance.json"))
    volatile.write_text(json.dumps(json.loads(volatile.read_text()) | {"imported": {"file": "x.zip", "sha256": "0"}}))
    assert report(bench) == (2, "", refusal(UNASKED))
    assert not Path("executed").exists()


def test_runs_without_a_record_of_where_they_were_made_are_nobodys(bench: Bench, study: Path) -> None:
    next(study.glob("runs/*/provenance.json")).unlink()
    assert report(bench)[0] == 2
    assert not Path("executed").exists()


def test_runs_alone_tell_of_a_plug_in(bench: Bench, study: Path) -> None:
    name(study, {})
    assert report(bench) == (2, "", refusal(UNASKED))


@pytest.mark.parametrize("plugins", [["my.py"], {"my.py": 3}, "my.py"])
def test_a_damaged_record_is_one_line(bench: Bench, study: Path, plugins: Any) -> None:
    name(study, plugins)
    code, out, err = report(bench)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("bench: results/toy/study.toml: plugins")
    assert err.endswith("; move the folder away or name another --study\n")
