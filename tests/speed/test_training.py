"""The benchmark of training: the plain loop does the same work as ours, and the arithmetic of its table."""

from __future__ import annotations

from concurrent.futures import Executor, Future

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.execution import grouping
from bench.nn import networks
from bench.nn.layers import Conv, ConvTranspose, Linear
from bench.speed import _ceiling, _jobs, _plain, compiled, training
from bench.speed.timing import Row
from bench.training import loop as training_loop
from bench.training import state

PIXELS = {"H": (1, 64, 64), "B": (1, 64, 64), "mlp": (1, 12, 20), "linear": (1, 1, 6)}


def plain_with_our_weights(name):
    ours = networks.build(name, 1, PIXELS[name], 2 if name == "linear" else 10)
    networks.initialise(ours, "he", [0], "vae")
    if name == "linear":
        torch.nn.init.normal_(ours.encoder[1].logvar)
    plain = _plain.Plain(name, torch.rand(64, *PIXELS[name]), 16, lr=1e-3)
    theirs = [p for part in (plain.encoder, plain.decoder) for p in part.parameters()]
    layers = [layer for layer in ours.modules() if list(layer.parameters(recurse=False))]
    values = [
        (v[0].T if isinstance(la, Linear) and v.ndim == 3 else v[0])
        for la in layers
        for v in la.parameters(recurse=False)
    ]
    with torch.no_grad():
        for parameter, value in zip(theirs, values, strict=True):
            parameter.copy_(value.reshape(parameter.shape))
    return ours, plain


@pytest.mark.parametrize("name", PIXELS)
def test_the_plain_network_is_ours(name):
    ours, plain = plain_with_our_weights(name)
    x = torch.rand(4, *PIXELS[name])
    mean, logvar = ours.encode(x.unsqueeze(0))
    with torch.no_grad():
        torch.testing.assert_close(plain.encoder(x), torch.cat([mean, logvar], dim=2)[0], rtol=1e-4, atol=1e-5)
        expected = ours.decode(mean)[0]
        torch.testing.assert_close(plain.decoder(mean[0]).view_as(expected), expected, rtol=1e-4, atol=1e-5)


def test_the_plain_loop_trains_and_reads_its_loss_every_100_steps():
    torch.manual_seed(0)
    images = (torch.rand(64, 1, 8, 8) < 0.3).float()
    loop = _plain.Plain("mlp", images, 16, lr=1e-3)
    loop.train(250)
    assert len(loop.losses) == 2
    assert loop.losses[1] < loop.losses[0]


def test_the_plain_loop_takes_half_the_squared_error_of_real_vectors():
    loop = _plain.Plain("linear", torch.randn(64, 1, 1, 6), 16, lr=1e-3)
    x = torch.randn(16, 1, 1, 6)
    reconstruction, _, z = loop.terms(x)
    expected = 0.5 * (loop.decoder(z).view_as(x) - x).square().sum(dim=(1, 2, 3)).mean()
    assert reconstruction.item() == pytest.approx(expected.item(), rel=1e-6)


def test_plain_factor_vae_trains_both_of_its_networks():
    torch.manual_seed(0)
    loop = _plain.Plain("mlp", torch.rand(64, 1, 8, 8), 16, lr=1e-3, factor=True)
    assert sum(p.numel() for p in loop.discriminator.parameters()) == 4_017_002
    before = [p.clone() for p in (*loop.encoder.parameters(), *loop.discriminator.parameters())]
    loop.train(1)
    after = [*loop.encoder.parameters(), *loop.discriminator.parameters()]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_ceiling_has_every_product_once():
    """Net H has 10 convolutions and 2 dense layers: forward and backward of each, a dense one's backward is two."""
    calls = _ceiling.products("H", PIXELS["H"], 2, torch.float32, 10)
    assert len(calls) == 10 * 2 + 2 * 3
    for call in calls:
        call()


def test_the_ceiling_of_batched_runs_is_the_products_of_each():
    """Six dense layers, of two runs: batched or one after the other, and the very first has no gradient to give."""
    layers = list(_ceiling.layers_of("mlp", PIXELS["mlp"], 4, 10, n_runs=2))
    assert len(layers) == 6
    assert layers[0][1] == (2, 4, 240)
    for number, (layer, *shapes) in enumerate(layers):
        x, g = (torch.randn(shape) for shape in shapes)
        found = list(_ceiling.forms(layer, x, g, first=number == 0))
        assert len(found) == (2 if number == 0 else 3)
        for batched, in_turn in found:
            torch.testing.assert_close(batched(), torch.stack(in_turn()))
    assert len(_ceiling.products("mlp", PIXELS["mlp"], 4, torch.float32, 10, n_runs=2)) == 6 * 3 - 1


@pytest.mark.parametrize("name", ["H", "B"])
def test_forms_of_a_product_agree(name):
    """Whichever is the fastest here, it is the same work: the values of the outputs, and the gradients' norms."""
    n_compared = 0
    for number, (layer, *shapes) in enumerate(_ceiling.layers_of(name, PIXELS[name], 2, 10)):
        x, g = (torch.randn(shape, dtype=torch.float64) for shape in shapes)
        for forms in _ceiling.forms(layer, x, g, first=number == 0):
            results = [form() for form in forms]
            norms = []
            for result in results:
                parts = [result] if torch.is_tensor(result) else [part for part in result if part is not None]
                norms.append(sorted(part.norm().item() for part in parts))
            if isinstance(layer, ConvTranspose) and layer.weight.shape[2] == 1 and torch.is_tensor(results[0]):
                assert norms.pop() not in norms  # the last layer's patches, before they are added up
            n_compared += (len(norms) - 1) * isinstance(layer, Conv | ConvTranspose)
            assert all(norm == pytest.approx(norms[0], rel=1e-9) for norm in norms)
    assert n_compared >= 16


def test_sweeps_are_told_in_runs_per_hour():
    found = [Row("net H, 64: plain loop", 10.0, "steps/s", 9.0, 11.0)]
    found += [Row("net H, 64: ours", 25.0, "steps/s", 24.0, 26.0, 2.5, 2.4, 2.6, "net H, 64: plain loop", "a note")]
    plain, ours = training.per_hour(found, "standard")
    assert (plain.name, plain.value, plain.unit) == ("standard, plain loop", 3600 * 10 / 300_000, "runs/h")
    assert (ours.low, ours.high, ours.ratio, ours.versus) == (
        3600 * 24 / 300_000,
        3600 * 26 / 300_000,
        2.5,
        "standard, plain loop",
    )
    assert training.per_hour(found, "quick")[0].value == 3600 * 10 / 18_000


def test_shares_are_those_of_the_same_precision():
    jobs = list(training.convolutional(*training.CEILING_AT, 2).values())
    assert [job.kind for job in jobs] == ["plain", "apart", "ours", "ours", *["ceiling", "peak"] * 2]
    speeds = dict(zip(jobs, [5.0, 6.0, 9.0, 16.0, 10.0, 12.0, 20.0, 32.0], strict=True))
    found = training.with_shares({job: Row(str(job), speed, "steps/s", 0.0, 0.0) for job, speed in speeds.items()})
    ours = ["90% of the ceiling, 75% of one large product", "80% of the ceiling, 50% of one large product"]
    assert [row.note for row in found] == ["", "", *ours, "", "", "", ""]


@pytest.mark.parametrize(("name", "n_runs"), [("H", 1), ("B", 1), ("mlp", 3)])
def test_one_large_product_has_the_multiplications_of_all(name, n_runs, monkeypatch):
    """As many as torch counts in a step of the plain loop."""
    monkeypatch.setattr(_ceiling, "SIDE", 8)
    (call,) = _ceiling.one_product(name, PIXELS[name], 4, torch.float32, 10, n_runs=n_runs)
    loop = _plain.Plain(name, torch.rand(4, *PIXELS[name]), 4, lr=1e-3)
    with FlopCounterMode(display=False) as step:
        loop.train(1)
    with FlopCounterMode(display=False) as product:
        call()
    assert product.get_total_flops() == pytest.approx(n_runs * step.get_total_flops(), rel=1e-3)


def test_every_method_that_is_trained_is_measured():
    names = " ".join(training.methods(2))
    assert "dip_vae, 2 processes, bfloat16" in names
    for other in ("pca", "untrained", "full_covariance_vae"):
        assert other not in names, "it isn't trained, or not on images"


def test_a_job_goes_on_where_it_was():
    job = _jobs.Job("ours", "mlp", 64, n_runs=2)
    _jobs.work(job, 2)
    _jobs.work(job, 3)
    (trained,) = (cell.cell_contents for cell in _jobs._prepared(job).__closure__ if is_training(cell))
    assert (len(trained.specs), trained.log.step) == (2, 5)


def test_linear_gaussian_runs_are_batched_at_a_constant_rate():
    plain, *ours = training.linear(2).values()
    assert (plain.kind, plain.network, [job.n_runs for job in ours]) == ("plain", "linear", [1, 64])
    dataset, _, specs = _jobs.problem(_jobs.Job("ours", "linear", training.LINEAR_BATCH, n_runs=3))
    assert dataset.known_decoder() is None
    assert dataset.likelihood == "gaussian_unit"
    assert [spec.seed for spec in specs] == [0, 1, 2]
    assert {(spec.train.batch_size, spec.train.lr_schedule, spec.train.average) for spec in specs} == {
        (256, "constant", 0.0)
    }
    assert grouping.group_limit(specs[0]) == grouping.MANY


def is_training(cell):
    return isinstance(cell.cell_contents, state.Training)


def test_compiling_is_paid_back_by_the_time_it_saves_per_step():
    plain, faster, slower = (Row("x", value, "steps/s", value, value) for value in (10.0, 20.0, 8.0))
    # 1 s a step for each of 10 runs against 0.5 s: 30 s are won back after 60 steps.
    assert compiled.break_even([plain, faster], 30.0, 10).endswith("paid back after 60 steps.")
    assert compiled.break_even([plain, slower], 30.0, 10).endswith("never paid back.")


def test_without_a_compiler_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(compiled.shutil, "which", lambda _: None)
    section = compiled.measure(repeats=1, full=False)
    assert section.rows == []
    assert "no C++ compiler" in section.notes[0]


def test_the_discriminators_products_are_all_that_its_gradients_need():
    calls = _ceiling.discriminator_products(4, torch.float32, latent_dim=10, width=6)
    shapes = [tuple(call().shape) for call in calls]
    # Of each layer, for codes and permuted codes: output, gradient of the weights and, but for the first layer, of the
    # input; and the gradient of the codes.
    assert len(shapes) == 2 * (3 * 6 - 1) + 6
    assert shapes[:5] == [(4, 6), (10, 6), (4, 6), (10, 6), (4, 10)]


def test_what_a_discriminator_adds_is_the_difference_of_two_steps():
    rates = (Row("x", value, "steps/s", value, value) for value in (40.0, 20.0, 25.0))
    assert "adds 50.0 ms to a step" in training.discriminator_share(list(rates), cores=2)


def test_windows_are_measured_by_trials_that_are_long_enough():
    """A step of 10 ms behind a pause of 150 ms, which two steps alone would take for steps of 80 ms."""
    now, settled = [0.0], []

    def go_on(n_steps):
        now[0] += 0.15 + 0.01 * n_steps

    n_steps = training.steps_that_last(2.0, go_on, lambda: settled.append(now[0]), clock=lambda: now[0])
    assert 130 <= n_steps <= 200
    assert len(settled) == 8  # 1, 2, 4 ... 64 steps, and these once more


def test_every_timed_call_follows_a_warm_up_and_idle_workers(monkeypatch):
    """All workers are asked twice for next to nothing, the job's own go on with a tenth, then all again."""
    done = []

    class Worker(Executor):
        def __init__(self, name):
            self.name = name

        def submit(self, function, *args):
            done.append(f"{self.name} {args[1]}" if args else self.name)
            future = Future()
            future.set_result(None)
            return future

    monkeypatch.setattr(training, "steps_that_last", lambda *_: 30)
    workers = [Worker(name) for name in "abcde"]  # all threads; one thread, twice; ours, twice
    jobs = {"plain": _jobs.Job("plain", "mlp", 64), "ours": _jobs.Job("ours", "mlp", 64, n_runs=5)}
    plain, ours = training._timed(workers, jobs, repeats=1, window_s=2.0)
    idle = [*"abcde" * 2]
    of_plain, of_ours = [*idle, "a 3", *idle, "a 30"], [*idle, "d 3", "e 3", *idle, "d 30", "e 30"]
    assert done == [*of_plain, *of_ours, *of_ours, *of_plain]
    assert (plain.versus, ours.versus) == ("", "plain")
    done.clear()
    training._timed(workers, {"apart": _jobs.Job("apart", "mlp", 64)}, repeats=1, window_s=2.0)
    assert [each for each in done if " " in each] == ["b 3", "c 3", "b 30", "c 30"] * 2


def test_runs_that_diverge_are_not_timed_as_if_they_went_on(monkeypatch):
    monkeypatch.setattr(training_loop, "train", lambda training, *_, until: None)
    with pytest.raises(RuntimeError, match="stopped at step 0"):
        _jobs._prepared.__wrapped__(_jobs.Job("ours", "mlp", 64))(3)


def test_a_step_longer_than_the_window_is_one_step():
    now = [0.0]

    def go_on(n_steps):
        now[0] += 5.0 * n_steps

    assert training.steps_that_last(2.0, go_on, list, clock=lambda: now[0]) == 1
