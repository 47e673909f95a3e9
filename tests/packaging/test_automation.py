"""The workflow on GitHub, the task runner and the scripts in .ci name only what there is, and the same things."""

from __future__ import annotations

import ast
import re
import tomllib
from typing import Any

import pytest

from helpers.paths import ROOT

yaml = pytest.importorskip("yaml")

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def runner() -> tuple[set[str], list[str], list[str]]:
    """Names of the sessions, Python versions of the tests, and the words that start pytest, as noxfile.py has them."""
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            for decorator in map(ast.unparse, node.decorator_list):
                if decorator.startswith("nox.session"):
                    names.add(node.name)
                    if "python=PYTHONS" in decorator:
                        names |= {f"{node.name}-{version}" for version in constants["PYTHONS"]}
    return names, constants["PYTHONS"], constants["PYTEST"]


def asked_for(text: str) -> list[str]:
    """Sessions that commands in a text run: the words after `-s`, up to an option or the line's end."""
    found = []
    for words in re.findall(r"\bnox\b[^\n`|]*? -s ((?:[\w.\-]+ ?)+)", text):
        for word in words.split():
            if word.startswith("-"):
                break
            found.append(word)
    return found


def steps(workflow: dict[str, Any]) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Every step with every choice of its job's matrix."""
    found = []
    for job in workflow["jobs"].values():
        choices: list[dict[str, str]] = [{}]
        for key, values in job.get("strategy", {}).get("matrix", {}).items():
            choices = [choice | {key: value} for choice in choices for value in values]
        found += [(choice, step) for choice in choices for step in job["steps"]]
    return found


def commands(workflow: dict[str, Any]) -> str:
    lines = []
    for choice, step in steps(workflow):
        line = step.get("run", "")
        for key, value in choice.items():
            line = line.replace(f"${{{{ matrix.{key} }}}}", value)
        lines.append(line)
    return "\n".join(lines)


def missing(text: str) -> set[str]:
    return set(asked_for(text)) - runner()[0]


def test_a_session_that_is_not_there_is_seen():
    assert asked_for("run: nox -s lint types\n`nox --no-venv -s check -- --tier 0`") == ["lint", "types", "check"]
    assert missing("nox -s lint tpyes") == {"tpyes"}
    assert missing("nox -s tests-3.11 tests-2.7") == {"tests-2.7"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_session_of_a_workflow_is_in_the_noxfile(path):
    text = commands(yaml.safe_load(path.read_text()))
    assert "${{ matrix" not in text
    assert asked_for(text)
    assert missing(text) == set()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_do_little_and_ends(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is True
    assert all("permissions" not in job and job["timeout-minutes"] <= 360 for job in workflow["jobs"].values())
    used = [step["uses"] for _, step in steps(workflow) if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"actions/[\w-]+@v\d+", name)] == []


def test_ci_covers_what_it_should():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    sessions, pythons, _ = runner()
    on_every_change = {
        "lint",
        "types",
        "kernels",
        "oldest",
        "wheel",
        "check",
        *(f"tests-{version}" for version in pythons),
    }
    weekly = {name for name, job in workflow["jobs"].items() if "schedule" in job.get("if", "")}
    always = {name: job for name, job in workflow["jobs"].items() if name not in weekly}
    assert on_every_change == set(asked_for(commands({"jobs": always}))) <= sessions
    assert set(asked_for(commands({"jobs": {name: workflow["jobs"][name] for name in weekly}}))) == {"check_statistics"}
    events = workflow[True]  # YAML 1.1 reads the key `on` so
    assert {"push", "pull_request", "schedule"} <= set(events)


def test_python_versions_begin_with_the_lowest_promised():
    _, pythons, _ = runner()
    assert PROJECT["requires-python"] == f">={pythons[0]}"
    minors = [int(version.partition(".")[2]) for version in pythons]
    assert minors == list(range(minors[0], minors[0] + len(minors)))


@pytest.mark.parametrize("name", [".ci/run", "CONTRIBUTING.md"])
def test_sessions_run_by_hand_are_in_the_noxfile(name):
    text = (ROOT / name).read_text()
    assert asked_for(text)
    assert missing(text) == set()


def test_readme_and_task_runner_start_the_same_tests():
    readme = (ROOT / "README.md").read_text()
    block = readme.partition("<!-- test-command -->")[2].partition("```sh\n")[2].partition("```")[0]
    assert " ".join(runner()[2]) in block
