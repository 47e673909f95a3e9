"""The method contract: which class has which hooks, and that a hook nobody would call is refused."""

from __future__ import annotations

import inspect

import pytest

from bench import method_kinds
from bench.errors import BenchError
from bench.method import HOOKS_OF_KINDS, Method, Objective, register_method
from bench.method_kinds import ClosedFormMethod, StagedMethod
from bench.registry import METHODS


class Plain(Method):
    """An objective."""

    def loss(self, terms, state, step):
        return Objective(loss=terms.reconstruction, beta=self.full(0.0))


@pytest.mark.parametrize(("hook", "kind"), HOOKS_OF_KINDS.items())
def test_a_plain_method_with_a_hook_of_a_kind_is_refused_with_the_base_class_it_needs(hook, kind):
    mine = type("Mine", (Plain,), {hook: lambda self, *_: None})
    with pytest.raises(BenchError) as caught:
        register_method("my_vae")(mine)
    assert str(caught.value) == (
        f"method 'my_vae': '{hook}' is a hook of {kind}: derive from bench.method_kinds.{kind}"
    )
    assert "my_vae" not in METHODS


def test_a_hook_of_another_kind_is_refused_as_well():
    mine = type("Mine", (StagedMethod, Plain), {"fit": lambda self, *_: None})
    with pytest.raises(BenchError, match="'fit' is a hook of ClosedFormMethod"):
        register_method("my_vae")(mine)


def test_the_hooks_that_are_refused_are_those_that_the_kinds_add():
    added = {
        (hook, kind.__name__)
        for kind in vars(method_kinds).values()
        if inspect.isclass(kind) and issubclass(kind, Method) and kind is not Method
        for hook, value in vars(kind).items()
        if inspect.isfunction(value) and not hasattr(Method, hook)
    }
    assert added == set(HOOKS_OF_KINDS.items())


@pytest.mark.parametrize(("kind", "missing"), [(StagedMethod, "begin_stage"), (ClosedFormMethod, "fit")])
def test_a_kind_without_its_hook_cannot_be_made(kind, missing):
    unfinished = type("Unfinished", (Plain, kind), {})
    with pytest.raises(TypeError, match=missing):
        unfinished([None], latent_dim=2)


def test_a_method_of_a_kind_is_registered():
    fitted = type("Fitted", (ClosedFormMethod,), {"fit": lambda self, vae, store, seeds: None})
    with METHODS.override():
        assert register_method("my_fit")(fitted) is fitted
        assert METHODS.get("my_fit").value is fitted
