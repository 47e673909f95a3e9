"""The contract checks as parameters of a user's own pytest test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bench.errors import BenchError
from bench.testing.checks import checks_of
from bench.testing.targets import REGISTRIES, Target, find

F = TypeVar("F", bound=Callable[..., object])


def parametrize_with_checks(
    *targets: str | Path | Callable[..., Any], settings: Mapping[str, Mapping[str, Any]] | None = None
) -> Callable[[F], F]:
    """Run a test once for every method, dataset, metric or network and every check of its contract.

    They are the checks of ``bench test``; a check that fails raises `bench.testing.checks.ContractError`, whose one
    line says what is wrong. Only the decorator needs pytest.

    Parameters
    ----------
    *targets : str, Path, class or function
        What is checked: a plug-in file, an installed package or a name, as ``bench test`` takes them, or a registered
        method, dataset, metric or network itself.
    settings : mapping of str to mapping, optional
        By name what can't be done without: of a method its hyper-parameters, of a dataset its options.

    Returns
    -------
    callable
        Decorator of a test with the arguments ``name``, what is checked, and ``check``, to be called with it.

    Raises
    ------
    BenchError
        If pytest isn't installed, no target is given, one isn't registered, or a setting is of nothing that is checked.

    Examples
    --------
    >>> from bench.testing import parametrize_with_checks
    >>> @parametrize_with_checks("beta_vae")
    ... def test_contract(name, check):
    ...     check(name)

    pytest shows them as ``test_contract[loss_is_finite_and_differentiable-beta_vae]`` and so on. Settings that only a
    fixture knows are given to the check: ``check(name, settings={"path": str(file)})``.
    """
    try:
        import pytest
    except ImportError:
        raise BenchError("parametrize_with_checks needs pytest: pip install pytest") from None
    given, found = settings or {}, list(dict.fromkeys(item for target in targets for item in _found(target)))
    if not found:
        raise BenchError("parametrize_with_checks: name what is to be checked")
    names = [name for _, name in found]
    if foreign := [name for name in given if name not in names]:
        raise BenchError(f"settings of '{foreign[0]}': it isn't what is checked: {', '.join(names)}")
    cases = [
        pytest.param(name, partial(check, settings=given.get(name, {})), id=f"{check.__name__}-{name}")
        for kind, name in found
        for check in checks_of(kind)
    ]
    decorate: Callable[[F], F] = pytest.mark.parametrize(("name", "check"), cases)
    return decorate


def _found(target: str | Path | Callable[..., Any]) -> Iterator[Target]:
    if isinstance(target, str | Path):
        yield from find(str(target))
        return
    same = [(kind, e.name) for kind, registry in REGISTRIES.items() for e in registry if e.value is target]
    if not same:
        what = repr(getattr(target, "__qualname__", target))
        raise BenchError(f"{what} isn't registered as a method, dataset, metric or network")
    yield from same
