"""Networks of R runs: what has no run axis is refused, and what a constructor draws is a run's own."""

from __future__ import annotations

import pytest
import torch

from bench import assembly
from bench.assembly import assemble, check_assembly
from bench.errors import BenchError
from bench.registry import METHODS, NETWORKS, load_plugin
from bench.spec import RunSpec
from bench.training.state import build, prepare
from helpers.planted import forgotten, write
from helpers.specs import run_spec

SHAPE = (1, 6, 8)


@pytest.fixture(autouse=True)
def forget_plugins():
    with forgotten():
        yield


def spec_of(name: str, seed: int = 0, *, network: str = "mlp", **hyper) -> RunSpec:
    return run_spec(name, hyper, seed, network=network)


def planted(folder, **words):
    load_plugin(write(folder, "planted", **words))
    return "planted"


LINEAR = "has weights without the leading run axis; use bench.nn.layers.Linear(n_runs, n_in, n_out)"
#: What is planted, and the line that it gets. Layers of one or two outputs begin with R by accident.
REFUSED = {
    "linear": ({"modules": "nn.Sequential(nn.Linear(4, 8))"}, f"method 'planted': its module '0' (Linear) {LINEAR}"),
    "linear of one": ({"modules": "nn.Linear(4, 1)"}, f"method 'planted': its module (Linear) {LINEAR}"),
    "linear of two": (
        {"modules": "nn.ModuleDict({'critic': nn.Sequential(nn.ReLU(), nn.Linear(4, 2))})"},
        f"method 'planted': its module 'critic.1' (Linear) {LINEAR}",
    ),
    "one per run": (
        {"modules": "nn.ModuleList(nn.Linear(4, 8) for _ in range(self.n_runs))"},
        f"method 'planted': its module '0' (Linear) {LINEAR}",
    ),
    "convolution": (
        {"modules": "nn.Sequential(nn.Conv2d(1, 2, 4))"},
        "method 'planted': its module '0' (Conv2d) has weights without the leading run axis; "
        "use bench.nn.layers.Conv(n_runs, n_in, n_out)",
    ),
    "batch norm's buffers": (
        {"modules": "nn.Sequential(nn.BatchNorm1d(self.n_runs, affine=False))"},
        "method 'planted': its module '0' (BatchNorm1d) has 'num_batches_tracked' of shape () without the leading run "
        "axis; make every parameter and buffer (n_runs, ...)",
    ),
    "own parameter": (
        {"modules": "Own(scale=torch.zeros(1, 3))"},
        "method 'planted': its module (Own) has 'scale' of shape (1, 3) without the leading run axis; "
        "make every parameter and buffer (n_runs, ...)",
    ),
    "own buffer": (
        {"modules": "Own(buffer_steps=torch.zeros(()))"},
        "method 'planted': its module (Own) has 'buffer_steps' of shape () without the leading run axis; "
        "make every parameter and buffer (n_runs, ...)",
    ),
    "no value": (
        {"modules": "nn.ModuleDict({'a': Own(scale=torch.empty(self.n_runs, 3))})"},
        "method 'planted': 'a.scale' has no value (torch.empty, or not a number); set it where it is made: "
        "torch's global generator is seeded there for each run",
    ),
    "state": (
        {"state": "{'count': torch.zeros(())}"},
        "method 'planted': its state 'count' of shape () has no leading run axis; "
        "make it (n_runs, ...), such as self.full(0.0)",
    ),
    "state of one": (
        {"state": "{'count': torch.zeros(1)}"},
        "method 'planted': its state 'count' of shape (1,) has no leading run axis; "
        "make it (n_runs, ...), such as self.full(0.0)",
    ),
    "build": (
        {"build": "vae = own_net(self.n_runs, shape, 4); vae.encoder[1] = nn.Linear(48, 128); return vae"},
        f"method 'planted': its network's module 'encoder.1' (Linear) {LINEAR}",
    ),
    "two runs": (
        {"modules": "[None][self.n_runs - 1]"},
        "method 'planted' can't be built for two runs that are trained together: IndexError: list index out of range",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_no_run_axis_is_refused_in_one_line(what, tmp_path):
    words, line = REFUSED[what]
    with pytest.raises(BenchError) as refused:
        check_assembly(spec_of(planted(tmp_path, **words)), SHAPE, 60)
    assert str(refused.value) == line


@pytest.mark.parametrize("network", [entry.name for entry in NETWORKS])
def test_ours_leave_nothing_without_a_value(network, monkeypatch):
    """Only somebody else's is looked at for it when runs are planned."""
    monkeypatch.setattr(assembly, "is_foreign", lambda spec: True)
    for entry in METHODS:
        check_assembly(spec_of(entry.name, network=network), (1, 64, 64), 60)


def test_a_network_without_the_run_axis_is_refused_for_every_method(tmp_path):
    planted(tmp_path, network="vae.decoder[0] = nn.Linear(latent_dim, 128)")
    with pytest.raises(
        BenchError, match=r"^network 'own_net': its network's module 'decoder.0' \(Linear\) has weights"
    ):
        check_assembly(spec_of("vae", network="own_net"), SHAPE, 60)


def test_whoever_plans_nothing_gets_the_same_refusal(tmp_path):
    name = planted(tmp_path, modules="nn.Linear(4, 8)")
    for specs in ([spec_of(name)], [spec_of(name), spec_of(name, 1)]):
        with pytest.raises(BenchError, match="without the leading run axis"):
            prepare(specs, SHAPE, 60)


@pytest.mark.parametrize(
    "modules",
    [
        "nn.Sequential(layers.Linear(self.n_runs, 4, 8), nn.ReLU(), nn.Flatten(2), nn.Softplus())",
        "Own(scale=torch.ones(self.n_runs, 3), buffer_n=torch.zeros(self.n_runs, dtype=torch.int64))",
        "nn.Dropout(0.1)",
    ],
)
def test_layers_with_the_axis_or_without_parameters_are_allowed(modules, tmp_path):
    check_assembly(spec_of(planted(tmp_path, modules=modules)), SHAPE, 60)


DRAWN = {
    "modules": "Own(code=torch.randn(self.n_runs, 8), buffer_b=torch.rand(self.n_runs))",
    "state": "{'centre': torch.randn(self.n_runs, 2)}",
    "network": "vae.prior = nn.Parameter(torch.randn(n_runs, latent_dim))",
}


def drawn(specs):
    return assemble(specs, SHAPE, 60).own_values()


def test_what_a_constructor_draws_is_a_runs_own_in_any_batch(tmp_path):
    name = planted(tmp_path, **DRAWN)
    specs = [spec_of(name, seed, network="own_net") for seed in range(3)]
    torch.manual_seed(1)
    together = drawn(specs)
    assert set(together) == {"state.centre", "vae.prior", "modules.code", "modules.buffer_b"}
    torch.manual_seed(2)
    for run, spec in enumerate(specs):
        for key, value in drawn([spec]).items():
            assert torch.equal(value[0], together[key][run])
            assert value[0].flatten()[0] not in together[key][:run], "another seed has other numbers"
    # What was drawn is what is trained.
    trained = build(specs, SHAPE, 60)
    assert torch.equal(trained.vae.prior, together["vae.prior"])
    assert torch.equal(trained.state["centre"], together["state.centre"])


def test_a_generator_that_everybody_seeds_alike_gives_a_run_the_same_in_any_batch(tmp_path):
    generator = "torch.Generator().manual_seed(0)"
    name = planted(tmp_path, modules=f"Own(code=torch.randn(self.n_runs, 8, generator={generator}))")
    together = drawn([spec_of(name, seed) for seed in range(2)])["modules.code"]
    assert torch.equal(together[1], drawn([spec_of(name, 1)])["modules.code"][0])


def test_construction_leaves_torch_as_it_was(tmp_path):
    name = planted(tmp_path, **DRAWN)
    before = torch.get_rng_state(), torch.get_deterministic_debug_mode()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    drawn([spec_of(name, network="own_net")])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_deterministic_debug_mode(), torch.utils.deterministic.fill_uninitialized_memory) == (
        before[1],
        fill,
    )
