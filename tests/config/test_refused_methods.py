"""`bench plan` and `bench run` refuse a method that can't be trained beside other runs, and write nothing."""

from __future__ import annotations

import pytest

from helpers.planted import forgotten, write

LINE = (
    "bench: method 'my_vae': its module 'critic.0' (Linear) has weights without the leading run axis; "
    "use bench.nn.layers.Linear(n_runs, n_in, n_out)\n"
)
CRITIC = "nn.ModuleDict({'critic': nn.Sequential(nn.Linear(4, 1), nn.ReLU())})"


@pytest.fixture(autouse=True)
def forget_plugins():
    with forgotten():
        yield


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize("method", ["my_vae", "two_stage[base=my_vae]"])
def test_torchs_layers_are_refused_before_anything_is_trained(command, method, bench, tmp_path):
    plugin = write(tmp_path, "my_vae", modules=CRITIC)
    line = LINE.replace("my_vae", "two_stage") if "two_stage" in method else LINE
    words = ("--plugin", str(plugin), "-m", f"vae,{method}", "--preset", "smoke")
    assert bench(command, *words) == (2, "", line)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my_vae.py"]


def test_bench_test_says_the_same(bench, tmp_path):
    code, out, _ = bench("test", str(write(tmp_path, "my_vae", modules=CRITIC)))
    assert code == 1
    reason = LINE.removeprefix("bench: method 'my_vae': ")
    assert f"state begin with the run axis and have values: {reason}" in out
