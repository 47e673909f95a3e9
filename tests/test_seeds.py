"""Random streams: the same everywhere and for ever, and no two alike."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from bench.seeds import stream, stream_key, torch_stream


@pytest.mark.parametrize(
    ("seed", "name", "key"),
    [  # first 16 digits of `printf %s 0:init | sha256sum`
        (0, "init", 0x63E1A981777FB7AF),
        (0, "data", 0xF5928D159A315A4E),
        (1, "init", 0xD9768442D07587A2),
        (2**63, "metric:mig", 0xA7F1C34468454C50),
    ],
)
def test_keys_never_change(seed: int, name: str, key: int) -> None:
    # Every stored run was made with these: another key is another study.
    assert stream_key(seed, name) == key


def test_no_two_keys_are_alike() -> None:
    names = ["init", "data", "noise", "metric", "metric:mig", "1:init", ""]
    keys = [stream_key(seed, name) for seed, name in itertools.product(range(100), names)]
    assert len(set(keys)) == len(keys)


def test_a_stream_repeats_and_differs_by_seed_and_by_name() -> None:
    first = stream(0, "data").random(5)
    np.testing.assert_array_equal(stream(0, "data").random(5), first)
    assert not np.isin(stream(1, "data").random(5), first).any()
    assert not np.isin(stream(0, "init").random(5), first).any()


def test_a_torch_stream_repeats_and_differs_by_seed_and_by_name() -> None:
    first = torch.randn(5, generator=torch_stream(0, "init"))
    assert torch.equal(torch.randn(5, generator=torch_stream(0, "init")), first)
    assert not torch.isin(torch.randn(5, generator=torch_stream(1, "init")), first).any()
    assert not torch.isin(torch.randn(5, generator=torch_stream(0, "noise")), first).any()


def test_torch_states_its_seed_as_a_positive_number() -> None:
    largest = max(range(50), key=lambda seed: stream_key(seed, "init"))
    assert stream_key(largest, "init") > 2**63
    assert torch_stream(largest, "init").initial_seed() == stream_key(largest, "init") // 2
