"""Registries: how they fill from a package and from plug-ins, and that `override` leaves nothing behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import registry as registry_module
from bench.errors import BenchError
from bench.info import Info
from bench.registry import Registry, load_plugin, loaded_plugins, plugin_module

Fruits = Registry[Any, Info]
PACKAGE = """
from bench.info import Info
from bench.registry import Registry

FRUITS = Registry("fruit", "fruit", Info)
"""
MODULE = """
from fruit import FRUITS

FRUITS.register("{name}", version={version}, order={order}, groups={groups})("{name} of the package")
"""


@pytest.fixture
def fruits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fruits]:
    """Return a registry that isn't loaded yet, of a package with three modules; one of them is private."""
    package = tmp_path / "fruit"
    package.mkdir()
    (package / "__init__.py").write_text(PACKAGE, encoding="utf-8")
    for name, order, groups in (("pear", 2, ("all",)), ("apple", 2, ("all", "red")), ("quince", 1, ())):
        text = MODULE.format(name=name, version=3, order=order, groups=groups)
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    (package / "_rotten.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import fruit

    yield fruit.FRUITS
    for name in [name for name in sys.modules if name.partition(".")[0] == "fruit"]:
        del sys.modules[name]


def names(registry: Fruits) -> list[str]:
    return [entry.name for entry in registry]


class TestLoading:
    def test_it_imports_the_packages_public_modules_when_it_is_first_asked(self, fruits: Fruits) -> None:
        assert "fruit.apple" not in sys.modules
        assert "apple" in fruits
        assert {"fruit.apple", "fruit.pear", "fruit.quince"} <= set(sys.modules)

    def test_it_goes_by_order_and_then_by_name(self, fruits: Fruits) -> None:
        assert names(fruits) == ["quince", "apple", "pear"]

    def test_a_plugin_that_cannot_be_imported_is_named_and_tried_again(
        self, fruits: Fruits, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> None:
            raise ImportError("no module named 'melon'")

        points = [SimpleNamespace(value="melons.plugin", load=fail)]
        monkeypatch.setattr(registry_module, "entry_points", lambda group: points)
        for _ in range(2):
            with pytest.raises(BenchError, match=r"plug-in 'melons.plugin' can't be imported: ImportError: no module"):
                fruits.load()
        points.clear()
        assert "pear" in fruits


class TestOverride:
    @pytest.fixture
    def before(self, fruits: Fruits) -> Iterator[None]:
        """Hold that everything is as it was once the test is over."""
        entries = list(fruits)
        yield
        assert list(fruits) == entries

    def test_it_loads_first_or_it_would_forget_what_was_loaded_inside(self, fruits: Fruits) -> None:
        with fruits.override({"apple": "wax"}):
            assert fruits.get("apple").value == "wax"
        assert names(fruits) == ["quince", "apple", "pear"]
        assert fruits.get("apple").value == "apple of the package"

    def test_a_value_keeps_the_facts_of_the_one_it_replaces(self, fruits: Fruits, before: None) -> None:
        known = fruits.get("apple")
        with fruits.override({"apple": "wax"}):
            assert fruits.get("apple") == replace(known, value="wax")

    def test_an_entry_is_taken_as_it_is(self, fruits: Fruits, before: None) -> None:
        newer, plum = replace(fruits.get("apple"), version=4), replace(fruits.get("pear"), name="plum")
        with fruits.override({"apple": newer, "plum": plum}):
            assert fruits.get("apple") is newer
            assert fruits.get("plum") is plum

    def test_none_removes(self, fruits: Fruits, before: None) -> None:
        with fruits.override({"apple": None}):
            assert names(fruits) == ["quince", "pear"]

    @pytest.mark.parametrize("only", [(), ("apple",), ("pear", "quince")])
    def test_only_those_named_are_kept(self, fruits: Fruits, before: None, only: tuple[str, ...]) -> None:
        with fruits.override(only=only):
            assert sorted(names(fruits)) == sorted(only)

    def test_what_is_registered_inside_is_forgotten(self, fruits: Fruits, before: None) -> None:
        with fruits.override():
            fruits.register("plum")("a plum")
            assert "plum" in fruits
        assert "plum" not in fruits

    def test_an_error_inside_restores_as_well(self, fruits: Fruits, before: None) -> None:
        with pytest.raises(RuntimeError, match="inside"), fruits.override(only=()):
            raise RuntimeError("inside")

    def test_overrides_nest(self, fruits: Fruits, before: None) -> None:
        with fruits.override({"apple": "wax"}):
            with fruits.override({"apple": None}):
                assert "apple" not in fruits
            assert fruits.get("apple").value == "wax"

    @pytest.mark.parametrize("change", ["wax", None])
    def test_a_name_that_is_not_there_is_refused(self, fruits: Fruits, before: None, change: str | None) -> None:
        with pytest.raises(BenchError, match="unknown fruit 'aple'"), fruits.override({"aple": change}):
            pass
        with pytest.raises(BenchError, match="unknown fruit 'aple'"), fruits.override(only=["aple"]):
            pass


class TestPluginFiles:
    @pytest.fixture(autouse=True)
    def modules_are_forgotten(self) -> Iterator[None]:
        before = set(sys.modules)
        yield
        for name in set(sys.modules) - before:
            del sys.modules[name]

    def test_a_file_is_imported_once(self, tmp_path: Path) -> None:
        file, log = tmp_path / "count_me.py", tmp_path / "log"
        log.write_text("")
        file.write_text(f"from pathlib import Path\nlog = Path({str(log)!r})\nlog.write_text(log.read_text() + 'x')\n")
        load_plugin(file)
        load_plugin(file)
        assert log.read_text() == "x"
        assert file in loaded_plugins()

    @pytest.mark.parametrize(
        ("text", "reason"),
        [(None, "no such file"), ("1 / 0", "can't be imported: ZeroDivisionError"), ("def", "SyntaxError")],
    )
    def test_what_cannot_be_imported_leaves_nothing(self, tmp_path: Path, text: str | None, reason: str) -> None:
        file = tmp_path / "broken_plugin.py"
        if text is not None:
            file.write_text(text)
        with pytest.raises(BenchError, match=reason):
            load_plugin(file)
        assert plugin_module(file) not in sys.modules
