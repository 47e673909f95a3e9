"""What a registry takes, what it refuses and in which words, and the order it gives things in."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bench.dataset import Dataset, register_dataset
from bench.errors import BenchError
from bench.info import FigureInfo, Info, MethodInfo, Score
from bench.method import Method, Objective, register_method
from bench.metric import register_metric
from bench.registry import DATASETS, FIGURES, METHODS, METRICS, Entry, Registry, load_plugin

SCORES = {"mine": Score("mine")}


@dataclass(frozen=True, kw_only=True)
class ToolInfo(Info):
    """Of a tool."""

    handle: str


@pytest.fixture
def tools():
    """A registry of this file's, of a package without modules."""
    return Registry("tool", "bench.config.presets", ToolInfo)


class Plain(Method):
    """An objective."""

    def loss(self, terms, state, step):
        return Objective(loss=terms.reconstruction, beta=self.full(0.0))


def make(tools, name, value=len, **info):
    return tools.register(name, handle="wood", **info)(value)


def test_an_entry_knows_what_it_was_registered_with(tools):
    assert make(tools, "saw", version=3, groups=("sharp",)) is len
    assert tools.get("saw") == Entry("saw", len, 3, ToolInfo(handle="wood", groups=("sharp",)))
    assert tools.get("saw").summary == len.__doc__.split("\n")[0]


def test_order_decides_and_then_the_name(tools):
    for name, order in (("saw", 50), ("axe", 50), ("nail", 1.5), ("bolt", 99)):
        make(tools, name, order=order)
    assert [entry.name for entry in tools] == ["nail", "axe", "saw", "bolt"]


def test_a_pattern_is_a_group_a_glob_or_a_name(tools):
    for name, groups in (("saw", ("sharp",)), ("axe", ("sharp", "heavy")), ("hammer", ("heavy",))):
        make(tools, name, groups=groups)
    assert tools.match("sharp") == ["axe", "saw"]
    assert tools.match("*a*e*") == ["axe", "hammer"]
    assert tools.match("saw") == ["saw"]
    with pytest.raises(BenchError, match="unknown tool 'hamer'; did you mean 'hammer'"):
        tools.match("hamer")


def test_a_name_is_taken_once(tools):
    make(tools, "saw")
    make(tools, "saw")  # the same thing again: a module that was imported twice
    with pytest.raises(BenchError, match=r"tool 'saw' is registered twice: builtins\.len and builtins\.max"):
        make(tools, "saw", max)


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"handle": "wood", "ordr": 3}, "tool 'saw': unknown keyword 'ordr'; did you mean 'order'?; it takes: order, "),
        ({"handle": "wood", "zzz": 3}, "tool 'saw': unknown keyword 'zzz'; it takes: order, groups, handle, version"),
        ({"handle": "wood", "verson": 2}, "tool 'saw': unknown keyword 'verson'; did you mean 'version'?"),
        ({"handle": "wood", "groups": "sharp"}, "tool 'saw': groups='sharp' is a string, write ('sharp',)"),
        ({}, "tool 'saw': ToolInfo.__init__() missing 1 required keyword-only argument: 'handle'"),
    ],
)
def test_what_a_kind_does_not_take_is_refused_at_once(tools, info, message):
    with pytest.raises(BenchError) as caught:
        tools.register("saw", **info)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert "saw" not in tools


@pytest.mark.parametrize(
    ("register", "message"),
    [
        (
            lambda: register_method("my_vae", grups=("all",))(Plain),
            "method 'my_vae': unknown keyword 'grups'; did you mean 'groups'?",
        ),
        (
            lambda: register_method("my_vae", published={"dsprites": {"hypr": {}}})(Plain),
            "method 'my_vae': published settings on 'dsprites': 'hypr' is neither 'train' nor 'hyper'",
        ),
        (
            lambda: register_dataset("mine", lable="My data")(Dataset),
            "dataset 'mine': unknown keyword 'lable'; did you mean 'label'?",
        ),
        (
            lambda: register_metric("mine", version=1, inputs=("codes",), scores=SCORES, costs="cheap")(len),
            "metric 'mine': unknown keyword 'costs'; did you mean 'cost'?",
        ),
        (
            lambda: register_metric("mine", version=1, inputs=("code",), scores=SCORES)(len),
            "metric 'mine': unknown input 'code'; did you mean 'codes'?",
        ),
        (
            lambda: FIGURES.register("mine", version=1, odrer=3)(len),
            "figure 'mine': unknown keyword 'odrer'; did you mean 'order'?",
        ),
    ],
)
def test_a_typo_in_a_plug_in_is_not_ignored(register, message):
    with pytest.raises(BenchError) as caught:
        register()
    assert str(caught.value).startswith(message)
    assert not any(
        name in registry for name in ("my_vae", "mine") for registry in (METHODS, DATASETS, METRICS, FIGURES)
    )


def test_a_plug_in_file_with_a_typo_is_one_line_that_names_it(tmp_path):
    path = tmp_path / "typo.py"
    path.write_text("from bench.registry import FIGURES\n\nFIGURES.register('mine', oder=3)(print)\n")
    with pytest.raises(BenchError) as caught:
        load_plugin(path)
    assert str(caught.value).startswith(f"plug-in '{path}' can't be imported: figure 'mine': unknown keyword 'oder'")


def test_defaults_of_the_kinds():
    assert METHODS.get("vae").info.published.keys() == {"dsprites"}
    assert MethodInfo().trains
    assert not METHODS.get("pca").info.trains
    assert METHODS.get("beta_vae").info.label == "β-VAE"
    assert DATASETS.get("dsprites").info.label == "dsprites"
    assert METRICS.get("mig").info.inputs == ("codes", "factors")
    # A figure of a user's follows ours in the report.
    assert FigureInfo().order > max(
        entry.info.order for entry in FIGURES if entry.value.__module__.startswith("bench.")
    )
