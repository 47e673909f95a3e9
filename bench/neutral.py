"""Settings that do nothing at their default are left out of specs there: the one rule, for whoever writes or reads one.

So a method, a data set or the training can gain a setting without renaming every run that doesn't use it. A field of a
frozen dataclass is declared with `neutral`, one of a pydantic model is marked with `Neutral`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any


class Neutral:
    """Marks a field of a pydantic model: ``average: Annotated[float, Field(ge=0), Neutral] = 0.0``."""


def neutral(default: Any) -> Any:
    """Default of a dataclass's field that does nothing at this value: ``window: str = neutral("")``.

    Raises
    ------
    TypeError
        If it isn't a scalar: those alone are sure to be found again in a spec.
    """
    return field(default=_scalar(default), metadata={"neutral": True})


def neutral_values(cls: type) -> dict[str, Any]:
    """Values at which specs leave settings out.

    Parameters
    ----------
    cls : type
        A frozen dataclass or a pydantic model that declares them.

    Raises
    ------
    TypeError
        If a marked field of a model has a default that isn't a scalar.
    """
    model = getattr(cls, "model_fields", None)
    if model is None:
        return {item.name: item.default for item in fields(cls) if item.metadata.get("neutral")}
    return {name: _scalar(item.default) for name, item in model.items() if Neutral in item.metadata}


def without_neutral(values: Mapping[str, Any], neutral: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a spec holds them: those that aren't at their neutral value, in their order."""
    return {key: value for key, value in values.items() if key not in neutral or value != neutral[key]}


def with_neutral(values: Mapping[str, Any], neutral: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they compare with others: those that a spec leaves out come first, then `values`."""
    return {**neutral, **values}


def _scalar(default: Any) -> Any:
    if not isinstance(default, bool | int | float | str):
        raise TypeError(f"a neutral default is a number, a string or a truth value, not {default!r}")
    return default
