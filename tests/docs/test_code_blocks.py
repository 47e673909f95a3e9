"""Every code block of the documentation is run, or at least resolved: unknown options and names fail here.

A shell block's ``bench`` commands are parsed by the command line itself; those that resolve a study are resolved by
their own ``--dry-run``, and listings are run. Python blocks run one after another, in an empty folder, at smoke scale.
A block that can't be run says so in the line before it: ``<!-- not run: reason -->``.
"""

from __future__ import annotations

import functools
import itertools
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib
import numpy as np
import pytest
import typer

import bench as package
from bench.api.request import make_request
from bench.claims.schema import Population
from bench.cli.main import app
from bench.config.study import resolve
from bench.external.codes import choose_dataset
from bench.metrics.measure import match_metrics
from bench.registry import DATASETS, FIGURES, METHODS, METRICS, NETWORKS, load_plugin
from bench.selectors import parse_selection, split_list
from bench.speed import section_names
from helpers.code_blocks import PAGES, SHELL, Block, blocks, commands, is_ours
from helpers.paths import EXAMPLES, ROOT

BLOCKS = [block for page in PAGES for block in blocks(page)]
REGISTRIES = (METHODS, DATASETS, METRICS, NETWORKS, FIGURES)
COMMAND: Any = typer.main.get_command(app)
#: Commands that resolve a study, and so can be asked for their plan.
STUDIES = ("run", "plan", "tune")
#: Files of a reader's that commands name.
PLUGINS = {"my_vae.py": "README.md", "my_method.py": "README.md"}


def of(*languages: str) -> list[Any]:
    return [pytest.param(block, id=str(block)) for block in BLOCKS if block.language in languages]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A reader's folder with the files that the pages speak of; what blocks register is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    for name, page in PLUGINS.items():
        (code,) = [each.code for each in BLOCKS if each.page == page and "class MyVAE" in each.code]
        Path(name).write_text(code, encoding="utf-8")
    for name in ("warm_vae.py", "one_layer.py"):
        Path(name).write_text((EXAMPLES / name).read_text(encoding="utf-8"), encoding="utf-8")
    Path("tests").symlink_to(ROOT / "tests")
    images = np.random.default_rng(0).integers(0, 256, size=(80, 32, 32), dtype=np.uint8)
    np.savez("my_images.npz", images=images)
    with ExitStack() as stack:
        for registry in REGISTRIES:
            stack.enter_context(registry.override())
        yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path.resolve())):
            del sys.modules[name]


def test_the_documentation_has_blocks_of_all_kinds():
    assert {"python", "toml", *SHELL} <= {block.language for block in BLOCKS}


@pytest.mark.parametrize("block", [pytest.param(block, id=str(block)) for block in BLOCKS])
def test_every_block_names_a_language_that_is_checked_or_says_why_not(block: Block) -> None:
    assert block.not_run or block.language in (*SHELL, "python", "toml", "text")


@pytest.mark.parametrize("block", of(*SHELL))
def test_commands_exist_with_their_options_and_names(block: Block, folder: Path, monkeypatch, capsys) -> None:
    others = [words[0] for words in commands(block.code) if not is_ours(words)]
    assert block.not_run or not others, f"{others} can't be checked: mark the block as not run, with the reason"
    # A plan is timed where it is asked for; here only what it resolves to counts.
    monkeypatch.setattr("bench.cli.progress.estimate", lambda *_, **__: None)
    for words in commands(block.code):
        if is_ours(words):
            check_command(words[1:])


def check_command(words: list[str]) -> None:
    """Parse a command, hold its names to what there is, and ask for its plan where it has one."""
    top = COMMAND.make_context("bench", list(words))
    name, command, rest = COMMAND.resolve_command(top, list(words))
    assert name is not None
    assert command is not None, f"there is no command {words[0]}"
    values = parsed(command, name, rest)
    for path in values.get("plugin") or []:
        load_plugin(Path(path))
    for item in values.get("metric") or []:
        for part in split_list(item):
            match_metrics(part)
    for item in values.get("method") or []:
        assert all(METHODS.match(parse_selection(part).name) for part in split_list(item))
    if name == "score" and values.get("dataset"):
        choose_dataset(values["dataset"])
    if values.get("network"):
        NETWORKS.get(values["network"])
    assert name != "speed" or set(values["section"] or []) <= set(section_names())
    if name in STUDIES:
        if values.get("tuned"):
            values["tuned"] = None  # the file is what `bench tune` writes
        if name == "run":
            values["reuse"] = None
        call(command, values | ({} if name == "plan" else {"dry_run": True}))
    elif name == "list":
        call(command, values)


def parsed(command: Any, name: str, words: list[str]) -> dict[str, Any]:
    return dict(command.make_context(name, list(words)).params)


def call(command: Any, values: dict[str, Any]) -> None:
    command.callback(**values)


@pytest.mark.parametrize("block", of("toml"))
def test_toml_is_read_by_what_it_is_for(block: Block, folder: Path) -> None:
    content = tomllib.loads(block.code)
    if "population" in content:
        Population.model_validate(content["population"])
    elif "project" in content:
        assert list(content["project"]["entry-points"]) == ["disbench.plugins"]
    else:
        Path("study.toml").write_text(block.code, encoding="utf-8")
        resolve("smoke", study_file=Path("study.toml"))


def small(run: Any) -> Any:
    """`bench.run` that resolves what it is asked for, and then does as little as it can of it."""

    @functools.wraps(run)
    def call(study: Any = "quick", **options: Any) -> Any:
        make_request(study, **{key: value for key, value in options.items() if key not in ("plugins", "n_jobs")})
        return run("smoke", **options | {"seeds": 1, "settings": {"train.steps": 20}, "n_jobs": 1})

    return call


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page) for page in dict.fromkeys(b.page for b in BLOCKS if b.language == "python")]
)
def test_python_runs(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page share their names, as in a reader's session; one that registers something is a plug-in."""
    matplotlib.use("Agg")
    monkeypatch.setattr(package, "run", small(package.run))
    rng = np.random.default_rng(0)
    factors = rng.integers(4, size=(600, 2))
    module = ModuleType("documentation")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names = module.__dict__
    names |= {
        "__file__": str(folder / "test_mine.py"),
        "factors": factors,
        "codes": factors + 0.1 * rng.normal(size=(600, 2)),
        "logvar": np.full((600, 2), -4.0),
    }
    numbers = itertools.count()
    for block in BLOCKS:
        if block.page != page or block.language != "python" or block.not_run:
            continue
        if "register" in block.code:
            file = folder / f"block_{Path(page).stem.lower()}_{next(numbers)}.py"
            file.write_text(block.code, encoding="utf-8")
            before = {entry.name for registry in REGISTRIES for entry in registry}
            load_plugin(file)
            assert {entry.name for registry in REGISTRIES for entry in registry} > before, f"{block} registers nothing"
        else:
            exec(compile(block.code, str(block), "exec"), names)  # noqa: S102


def test_a_wrong_option_or_name_is_found(folder: Path) -> None:
    for line in (
        "bench run --pre smoke",
        "bench plan -m beta_vea",
        "bench plan --set beta_vae.betta=3",
        "bench plan -d dsprites[sice=3]",
        "bench run equal_lk",
        "bench list method",
        "bench score a.npz --metric migg",
        "bench speed kernel",
        "bench trian",
    ):
        with pytest.raises(Exception, match=r"(?i)no such|unknown|no .* called|nothing|assert|isn't|there is no"):
            check_command(commands(line)[0][1:])


def test_commands_are_read_as_a_shell_reads_them() -> None:
    code = "A=1 bench run \\\n  -m vae  # comment\nbench check --json > a.json\npip install x && bench list methods\n"
    assert commands(code) == [
        ["bench", "run", "-m", "vae"],
        ["bench", "check", "--json"],
        ["pip", "install", "x"],
        ["bench", "list", "methods"],
    ]
