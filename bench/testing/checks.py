"""A check is a function of a name that raises `ContractError` with one line; its docstring says what holds."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Kind = Literal["method", "dataset", "metric", "network"]

#: Kind -> module with a list ``CHECKS``.
MODULES: dict[Kind, str] = {
    "method": "bench.testing.methods",
    "dataset": "bench.testing.datasets",
    "metric": "bench.testing.metrics",
    "network": "bench.testing.networks",
}


class Check(Protocol):
    """Takes the name of something registered, and settings it can't do without."""

    __name__: str

    def __call__(self, name: str, settings: Mapping[str, Any]) -> None:
        """Raise `ContractError` unless what the docstring says holds."""


class ContractError(AssertionError):
    """Something registered breaks the contract of its kind; one line says how."""


@dataclass(frozen=True)
class Outcome:
    """What a check said.

    Attributes
    ----------
    kind, name : str
        What was checked.
    check : str
        What should hold.
    reason : str
        Why it doesn't; empty if it does.
    """

    kind: Kind
    name: str
    check: str
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return not self.reason


def require(condition: object, reason: str) -> None:
    """Raise `ContractError` unless the condition holds."""
    if not condition:
        raise ContractError(reason)


def checks_of(kind: Kind) -> Sequence[Check]:
    """The checks of a kind, in the order in which they are best read."""
    found: Sequence[Check] = importlib.import_module(MODULES[kind]).CHECKS
    return found


def title(check: Check) -> str:
    """What a check says must hold: its docstring's first line, without the full stop."""
    return (check.__doc__ or "").strip().split("\n")[0].rstrip(".")


def run_checks(kind: Kind, name: str, settings: Mapping[str, Any] | None = None) -> Iterator[Outcome]:
    """Run all checks of a kind on something registered; errors of any type are outcomes.

    Parameters
    ----------
    kind : {"method", "dataset", "metric", "network"}
    name : str
        As registered.
    settings : mapping, optional
        Of a method, its hyper-parameters; of a dataset, its options.
    """
    for check in checks_of(kind):
        reason = ""
        try:
            check(name, settings or {})
        except ContractError as error:
            reason = str(error)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        yield Outcome(kind, name, title(check), " ".join(reason.split()))
