"""Errors that users read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import BenchError


def refused(function: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """Return the one line with which a call is refused."""
    with pytest.raises(BenchError) as caught:
        function(*args, **kwargs)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 500
    return line
