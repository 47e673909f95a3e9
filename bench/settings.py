"""Settings that a method or a data set declares as a frozen dataclass: checked, and completed as a spec holds them."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bench.errors import BenchError, did_you_mean
from bench.neutral import neutral_values, without_neutral


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
        All fields, JSON-ready, but for those at their neutral value; see `bench.neutral`.

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
    return without_neutral(resolved, neutral_values(cls))
