"""Models made elsewhere."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Give plain torch models, which draw from the global generator, the same weights in every order of tests."""
    torch.manual_seed(0)
