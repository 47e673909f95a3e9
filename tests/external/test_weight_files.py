"""Files: key maps, and what is no file of weights."""

from __future__ import annotations

import pickle
import tomllib
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import Linear

from bench.errors import BenchError
from bench.external.weight_files import State, read_key_map, read_state
from bench.external.weights import key_map_template, load_vae
from bench.nn import networks
from helpers.errors import refused
from helpers.torch_models import SHAPE, K, plain_h


@pytest.mark.parametrize("network", ["H", "B", "kim", "mlp"])
def test_the_template_names_every_parameter_and_can_be_filled_in(network, tmp_path):
    vae = networks.build(network, 1, SHAPE, K)
    networks.initialise(vae, "torch", [0], "vae")
    template = key_map_template(vae)
    names = [name for name, _ in vae.named_parameters()]
    assert list(tomllib.loads(template)["keys"]) == names
    path = tmp_path / "map.toml"
    path.write_text(template)
    assert not any(read_key_map(path).keys.values())
    state = State({f"theirs {name}": value[0] for name, value in vae.state_dict().items()}, ordered=False)
    for name in names:
        if "Linear" in type(vae.get_submodule(name.rsplit(".", 1)[0])).__name__ and name.endswith("weight"):
            state.tensors[f"theirs {name}"] = state.tensors[f"theirs {name}"].T
    assert "nothing is said of" in refused(load_vae, network, SHAPE, state, read_key_map(path))
    path.write_text(
        "\n".join(line.replace('""', f'"theirs {line[1:].split(chr(34))[0]}"') for line in template.split("\n"))
    )
    again = load_vae(network, SHAPE, state, read_key_map(path))
    assert all(torch.equal(a, b) for a, b in zip(vae.parameters(), again.parameters(), strict=True))
    # What is offered as comments is understood, too.
    options = [line[2:] for line in template.split("\n") if line.startswith("# ") and " = " in line.split("#")[1]]
    both_heads = [line for line in options if not line.startswith("head")]
    for text in (both_heads, [line for line in options if not line.startswith(("mean", "logvar"))]):
        path.write_text("\n".join(line for line in text if '"' in line))
        assert read_key_map(path).second == "log_sigma"


def test_names_need_no_quotes_in_a_key_map(tmp_path):
    (tmp_path / "map.toml").write_text("[keys]\nencoder.1.weight = 'a.b'\n'encoder.1.bias' = 'c'\n")
    assert read_key_map(tmp_path / "map.toml").keys == {"encoder.1.weight": "a.b", "encoder.1.bias": "c"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("heads = 'stacked'", "unknown key 'heads'; did you mean 'head'?"),
        ("head = 'interlaced'", "head='interlaced': Input should be 'stacked' or 'interleaved'"),
        ("second = 'sigma'", "second='sigma': Input should be 'logvar' or 'log_sigma'"),
        ("mean = 'a'", "give both or neither"),
        ("head = 'stacked'\nmean = 'a'\nlogvar = 'b'", "give one or the other"),
        ("[keys]\nencoder.1.weight = 3", "keys.encoder.1.weight=3: Input should be a valid string"),
        ("keys = 'all'", "keys='all'"),
        ("[keys", "can't be read"),
    ],
)
def test_a_malformed_key_map_is_refused(text, says, tmp_path):
    (tmp_path / "map.toml").write_text(text)
    assert says in refused(read_key_map, tmp_path / "map.toml")


def test_a_key_map_that_is_not_there(tmp_path):
    assert "no such file" in refused(read_key_map, tmp_path / "map.toml")
    assert "can't be read" in refused(read_key_map, tmp_path)


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_needs_code_is_refused_and_not_run(zipped, tmp_path):
    mark, path = tmp_path / "mark", tmp_path / "net.pt"
    torch.save({"net": plain_h().state_dict(), "extra": Touch(mark)}, path, _use_new_zipfile_serialization=zipped)
    line = refused(read_state, path)
    assert not mark.exists()
    assert "would run code" in line
    assert "unsafe" in line
    assert "safetensors" in line
    # The control: loading it the unsafe way does run it.
    torch.load(path, weights_only=False)
    assert mark.exists()


def test_a_bare_pickle_is_refused_and_not_run(tmp_path):
    path = tmp_path / "net.pkl"
    path.write_bytes(pickle.dumps(Touch(tmp_path / "mark")))
    refused(read_state, path)
    assert not (tmp_path / "mark").exists()


def test_a_whole_module_is_refused_by_its_class(tmp_path):
    torch.save(nn.Sequential(Linear(2, 2)), tmp_path / "net.pt")
    assert "would run code (torch.nn.modules.container.Sequential)" in refused(read_state, tmp_path / "net.pt")


@pytest.mark.parametrize("content", [[torch.ones(3)], torch.ones(3), {}, {"epoch": 3}, {"net": {}}, {0: torch.ones(3)}])
def test_a_file_without_a_state_dict_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "x.pt")
    assert "holds no state dict" in refused(read_state, tmp_path / "x.pt")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", "-old.pt"])
def test_damaged_files_are_refused(suffix, tmp_path):
    path = tmp_path / f"net{suffix}"
    old = {"_use_new_zipfile_serialization": False} if "old" in suffix else {}
    state = {"a.weight": torch.ones(30, 30)}
    torch.save(state, path, **old) if path.suffix == ".pt" else save_file(state, path)
    content = path.read_bytes()
    read_state(path)
    for damaged in (b"", b"hello world", content[:40], content[: len(content) // 2], content[:-30]):
        path.write_bytes(damaged)
        assert "can't be read" in refused(read_state, path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", "-old.pt"])
def test_a_file_with_a_flipped_bit_is_read_or_refused_in_one_line(suffix, tmp_path):
    path = tmp_path / f"net{suffix}"
    old = {"_use_new_zipfile_serialization": False} if "old" in suffix else {}
    state = {"a.weight": torch.ones(3, 4), "a.bias": torch.ones(3)}
    torch.save(state, path, **old) if path.suffix == ".pt" else save_file(state, path)
    content = path.read_bytes()
    lines = []
    for at in range(0, len(content), max(len(content) // 200, 1)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        try:
            read_state(path)
        except BenchError as error:
            lines.append(str(error))
    assert len(lines) > 10
    assert all(str(path) in line and "\n" not in line for line in lines)


def test_a_file_that_is_not_there(tmp_path):
    assert "no such file" in refused(read_state, tmp_path / "net.pt")
    assert "no such file" in refused(read_state, tmp_path)


def test_dictionaries_in_dictionaries_without_end_are_read(tmp_path):
    torch.save({}, tmp_path / "flat.pt")
    with zipfile.ZipFile(tmp_path / "flat.pt") as flat, zipfile.ZipFile(tmp_path / "deep.pt", "w") as deep:
        for name in flat.namelist():
            # pickle.dumps can't go so deep: {"n": {"n": ...}} by hand.
            pickled = b"\x80\x02" + b"}X\x01\x00\x00\x00n" * 5_000 + b"}" + b"s" * 5_000 + b"."
            deep.writestr(name.replace("flat", "deep"), pickled if name.endswith("data.pkl") else flat.read(name))
    assert "holds no state dict" in refused(read_state, tmp_path / "deep.pt")
    own = {"net": {"weight": torch.ones(2)}}
    own["again"] = own
    torch.save(own, tmp_path / "own.pt")
    assert list(read_state(tmp_path / "own.pt").tensors) == ["weight"]


def test_sizes_are_held_against_a_bound_before_anything_is_built(tmp_path):
    state = {"encoder.0.weight": torch.zeros(1, 1).expand(2**28, 1), "encoder.0.bias": torch.zeros(1).expand(2**28)}
    torch.save(state, tmp_path / "wide.pt")
    assert (tmp_path / "wide.pt").stat().st_size < 10_000
    assert "would take 2.00 GiB of memory, more than 1.00 GiB" in refused(
        read_state, tmp_path / "wide.pt", max_bytes=2**30
    )
    # Even where it is allowed, no network of that size is built.
    found = read_state(tmp_path / "wide.pt")
    assert "no partner for ours" in refused(load_vae, "B", SHAPE, found)
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", bytes(2**24))
    assert "more than 0.01 GiB" in refused(read_state, tmp_path / "bomb.pt", max_bytes=2**23)
