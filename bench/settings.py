"""Settings that a method or a data set declares as a frozen dataclass: checked, and completed as a spec holds them."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import MISSING, asdict, fields
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from bench.errors import BenchError, did_you_mean
from bench.neutral import neutral_values, without_neutral

#: The section of a numpydoc docstring, and one entry of it: names, type, indented text.
_ATTRIBUTES = re.compile(r"^Attributes\n-+\n(.*?)(?=^\S[^\n]*\n-+$|\Z)", re.MULTILINE | re.DOTALL)
_ATTRIBUTE = re.compile(r"^(\S.*?)(?: : .*)?\n((?:[ ]+.*\n?|\n)*)", re.MULTILINE)


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


def descriptions(cls: type) -> dict[str, str]:
    """What each field of a class of settings means, for users.

    Parameters
    ----------
    cls : type
        A dataclass or a pydantic model. A field is described by ``Field(description=...)`` in its annotation, or under
        "Attributes" in the numpydoc docstring of the class or of one that it derives from.

    Returns
    -------
    dict
        Name to text, on one line; fields without a description are left out.
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        section = _ATTRIBUTES.search(inspect.cleandoc(base.__doc__ or ""))
        for names, text in _ATTRIBUTE.findall(section[1] if section else ""):
            found |= {name.strip(): " ".join(text.split()) for name in names.split(",")}
    for name, hint in get_type_hints(cls, include_extras=True).items():
        for item in getattr(hint, "__metadata__", ()):
            if isinstance(item, FieldInfo) and item.description:
                found[name] = item.description
    return {name: text for name, text in found.items() if text}
