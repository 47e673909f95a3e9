"""Settings that a method or a data set declares as a frozen dataclass: checked, completed, left out where neutral."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, field, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bench.errors import BenchError, did_you_mean


def validate_dataclass(cls: type, values: dict[str, Any], *, where: str, what: str) -> dict[str, Any]:
    """Check `values` against a frozen dataclass whose fields carry pydantic constraints.

    Parameters
    ----------
    cls : type
        A dataclass; constraints are written as ``Annotated[float, Field(ge=0)]``, cross-field ones in
        ``__post_init__`` as `ValueError`.
    values : dict
        What the user set; the rest are the defaults.
    where, what : str
        For the message: ``"method 'beta_vae'"``, ``"hyper-parameter"``.

    Returns
    -------
    dict
        All fields, JSON-ready, but for those that `neutral` leaves out.

    Raises
    ------
    BenchError
        In one line: the field, the value and what it may be.
    """
    known = [item.name for item in fields(cls)]
    for key in values:
        if key not in known:
            raise BenchError(
                f"{where}: unknown {what} '{key}'{did_you_mean(key, known)}; it has: {', '.join(known) or 'none'}"
            )
    try:
        # Defaults are validated with the rest, so that `weight: float = 2` is the same run as `weight=2.0`.
        defaults = {item.name: item.default for item in fields(cls) if item.default is not MISSING}
        checked: Any = TypeAdapter(cls).validate_python(defaults | values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or what
        reason = first["msg"].removeprefix("Value error, ")
        shown = f"{name}={first['input']!r}" if first["loc"] else reason
        raise BenchError(f"{where}: {shown}" + (f": {reason}" if first["loc"] else "")) from None
    resolved: dict[str, Any] = json.loads(json.dumps(asdict(checked)))
    unset = neutral_values(cls)
    return {key: value for key, value in resolved.items() if key not in unset or value != unset[key]}


def neutral(default: Any) -> Any:
    """Default of an option that does nothing at this value: left out of the spec there.

    A method or a dataset can so gain an option without renaming every run that doesn't use it.

    Raises
    ------
    TypeError
        If it isn't a scalar: those alone are sure to be found again in a spec.
    """
    if not isinstance(default, bool | int | float | str):
        raise TypeError(f"a neutral default is a number, a string or a truth value, not {default!r}")
    return field(default=default, metadata={"neutral": True})


def neutral_values(cls: type) -> dict[str, Any]:
    """Options at the value at which specs leave them out."""
    return {item.name: item.default for item in fields(cls) if item.metadata.get("neutral")}
