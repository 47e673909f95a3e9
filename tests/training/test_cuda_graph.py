"""The step that a GPU replays: on a CPU it goes kernel by kernel, and must give what the plain loop gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.config.expand import expand
from bench.config.study import resolve
from bench.data.images import ImageStore, ResidentImages
from bench.data.order import Order
from bench.dataset import load_dataset
from bench.errors import BenchError
from bench.registry import METHODS
from bench.training import checkpoint, loop, state, torch_setup
from bench.training.cuda_graph import Replay
from bench.training.log import COLUMNS
from bench.training.step import Forward

STEPS = 12


def specs_of(method, n_runs=2, **train):
    settings = [f"train.{key}={value}" for key, value in {"steps": STEPS, "log_every": 5, **train}.items()]
    study = resolve("smoke", settings=settings, methods=[method], controls=[], seeds=list(range(n_runs)))
    return expand(study)


def problem(specs):
    torch_setup.settings(1)
    dataset = load_dataset(specs[0].dataset.name, specs[0].dataset.all_options)
    return dataset, state.prepare(specs, dataset.image_shape, len(dataset))


def replayed(specs):
    dataset, training = problem(specs)
    store = ResidentImages(dataset, "cpu")
    first = specs[0]
    names = ("data", "data:second")[: training.model.method.n_batches]
    orders = [[Order(spec.seed, store.n, first.train.batch_size, name) for spec in specs] for name in names]
    width = len(COLUMNS) + first.train.latent_dim
    buffer = torch.zeros(len(specs), STEPS, width, dtype=torch.float64)
    steps = Replay(Forward(training, dataset.likelihood, store), orders, buffer)
    # Blocks of different lengths, of which the second doesn't begin at the buffer's start.
    steps.block(1, 4, 0)
    steps.block(5, 7, 4)
    steps.block(8, STEPS, 7)
    training.log.step = STEPS
    return training, buffer


def plain(specs):
    dataset, training = problem(specs)
    loop.train(training, dataset, ImageStore(dataset))
    return training


CAPTURABLE = [
    entry.name
    for entry in METHODS
    if entry.info.trains and entry.value.capturable and entry.value.data in ("any", "images")
]


@pytest.mark.parametrize("method", CAPTURABLE)
def test_a_replayed_step_has_the_bits_of_a_plain_one(method):
    specs = specs_of(method)
    expected = plain(specs)
    training, _ = replayed(specs)
    for mine, other in zip(
        training.model.vae.state_dict().items(), expected.model.vae.state_dict().items(), strict=True
    ):
        assert mine[0] == other[0]
        assert torch.equal(mine[1], other[1]), mine[0]
    assert training.model.state.keys() == expected.model.state.keys()
    for key, value in expected.model.state.items():
        assert torch.equal(training.model.state[key], value), key


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("method", CAPTURABLE)
def test_a_recorded_step_gives_what_its_kernels_give_one_by_one(method):
    size = {"dsprites.size": 64, "train.network": "H", "train.device": "cuda", "train.steps": STEPS}
    settings = [f"{key}={value}" for key, value in size.items()]
    specs = expand(resolve("smoke", settings=settings, methods=[method], controls=[], seeds=[0, 1]))
    found = []
    for recorded in (True, False):
        dataset, training = problem(specs)
        store = ResidentImages(dataset, "cuda")
        names = ("data", "data:second")[: training.model.method.n_batches]
        orders = [[Order(spec.seed, store.n, spec.train.batch_size, name) for spec in specs] for name in names]
        width = len(COLUMNS) + specs[0].train.latent_dim
        buffer = torch.zeros(2, STEPS, width, dtype=torch.float64, device="cuda")
        forward = Forward(training, dataset.likelihood, store)
        if recorded:
            Replay(forward, orders, buffer).block(1, STEPS, 0)
        else:
            loop.plain_block(forward, orders, buffer, 1, STEPS, 0)
        found.append(buffer.cpu().numpy())
    np.testing.assert_allclose(*found, rtol=1e-12, atol=0)


def test_batches_of_many_steps_are_those_of_each_step():
    """Over the bound of an epoch too: 10 images make 3 batches of 3."""
    order, alone = Order(0, 10, 3), Order(0, 10, 3)
    for first, last in ((1, 1), (2, 3), (2, 11), (4, 6)):
        np.testing.assert_array_equal(order.block(first, last), [alone(step) for step in range(first, last + 1)])


def test_log_rows_are_those_of_the_plain_loop():
    specs = specs_of("dynamic_vae", log_every=STEPS)
    expected = plain(specs)
    _, buffer = replayed(specs)
    np.testing.assert_array_equal(buffer.mean(dim=1).numpy(), expected.log.rows[0][:, 1:])


def test_schedules_move_although_the_step_is_a_tensor():
    hyper = "control_vae[set_point=9,set_point_every=3,set_point_step=0.5]"
    _, buffer = replayed(specs_of(hyper))
    assert len(torch.unique(buffer[0, :, COLUMNS.index("set_point")])) == 1 + STEPS // 3


def test_images_on_a_device_are_those_in_memory():
    for settings in ([], ["dsprites.size=64"]):
        spec = expand(resolve("smoke", settings=settings, methods=["vae"], controls=[], seeds=[0]))[0]
        dataset = load_dataset(spec.dataset.name, spec.dataset.all_options)
        rows = np.array([[0, 5, 3], [len(dataset) - 1, 0, 7]])
        mine = ResidentImages(dataset, "cpu")
        assert torch.equal(mine.gather(rows), ImageStore(dataset).gather(rows))
        assert torch.equal(mine.gather(torch.from_numpy(rows)), ImageStore(dataset).gather(rows))


class Grey:
    """Bytes instead of bits."""

    image_shape, image_max = (3, 2, 2), 255

    def __len__(self):
        return 4

    def packed(self):
        return None

    def images(self, index):
        return (np.asarray(index)[:, None] * 12 + np.arange(12)).reshape(-1, 3, 2, 2).astype(np.uint8)


def test_grey_and_colour_images_are_kept_as_bytes():
    rows = np.array([2, 0])
    assert torch.equal(ResidentImages(Grey(), "cpu").gather(rows), ImageStore(Grey()).gather(rows))


def test_a_checkpoint_after_replayed_steps_goes_on_as_after_plain_ones(tmp_path):
    specs = specs_of("dynamic_vae", n_runs=1)
    training, _ = replayed(specs)
    checkpoint.save(training, tmp_path / "c")
    _, again = problem(specs)
    checkpoint.load(again, tmp_path / "c")
    assert checkpoint.same_bits(training, 0, again)


def test_tf32_is_refused_without_a_gpu():
    with pytest.raises(BenchError, match=r"precision 'tf32' is a GPU's; use 'bfloat16' or 'float32'"):
        specs_of("vae", precision="tf32")
