"""Which images are trained on: the split, correlated factors, and the order of a training."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.chosen import training_images
from bench.data.images import ImageStore
from bench.data.order import Order, order_of
from bench.dataset import load_dataset, resolve_options, sample_rows, sample_training_rows
from bench.errors import BenchError
from bench.rows import draw_correlated, is_held_out
from bench.training.loop import train_anew
from helpers.rng import rng
from helpers.specs import specs_of

SMALL = {"scale": 2, "orientation": 1, "pos_x": 8, "pos_y": 8, "size": 32}


def dsprites(**options):
    return load_dataset("dsprites", SMALL | options)


def test_a_split_depends_on_the_row_and_the_share_alone():
    rows = np.arange(100_000)
    held = is_held_out(rows, 0.2)
    assert abs(held.mean() - 0.2) < 0.005
    mixed = rng(0).permutation(rows)
    assert np.array_equal(is_held_out(mixed, 0.2), held[mixed])
    assert np.array_equal(is_held_out(rows[:7], 0.2), held[:7])
    assert not (is_held_out(rows, 0.1) & ~held).any()
    # Pinned: another hash would hold out other images of stored runs.
    assert np.flatnonzero(held)[:8].tolist() == [2, 3, 14, 17, 19, 23, 25, 30]


def test_a_split_divides_the_rows_in_two():
    data = dsprites(split=0.25)
    seen, held = data.training_rows(), data.held_out_rows()
    assert np.array_equal(np.sort(np.concatenate([seen, held])), np.arange(len(data)))
    assert data.n_train == len(seen) < len(data)
    assert set(sample_rows(data, 50)) <= set(held)
    assert set(sample_training_rows(data, 50)) <= set(seen)
    assert len(sample_rows(data, 10**6)) == len(held)


def test_without_options_nothing_changes():
    data = dsprites()
    assert (data.training_rows(), data.held_out_rows(), data.n_train) == (None, None, len(data))
    assert resolve_options("dsprites", {"split": 0, "correlated": "none"}) == resolve_options("dsprites", {})
    assert dsprites(split=0.5, correlated="pos_x:pos_y:0.3").fingerprint() == data.fingerprint()
    plain, mapped = Order(3, len(data), 32), order_of(data, 3, 32)
    assert np.array_equal(plain(7), mapped(7))
    store = ImageStore(data)
    assert training_images(data, store) is store


@pytest.mark.parametrize("strength", [0.1, 0.3, 1.0])
def test_two_factors_correlate_as_the_weights_say(strength):
    a, b = (each.reshape(-1) for each in np.indices((8, 6, 500))[:2])
    rows = draw_correlated(a, b, (8, 6), strength)
    assert len(rows) == len(a)
    assert np.array_equal(rows, draw_correlated(a, b, (8, 6), strength))
    u, v = np.meshgrid(np.arange(8) / 7, np.arange(6) / 5, indexing="ij")
    weights = np.exp(-((u - v) ** 2) / (2 * strength**2))
    counts = np.histogram2d(a[rows], b[rows], bins=[np.arange(9) - 0.5, np.arange(7) - 0.5])[0]
    assert np.abs(counts - len(a) * weights / weights.sum()).max() < 1 + 1e-6
    per_row = np.bincount(rows, minlength=len(a))
    expected = (len(a) * weights / weights.sum() / 500)[a, b]
    assert (np.abs(per_row - expected) < 1).all()


def test_correlation_falls_with_the_strength():
    found = []
    for strength in (0.1, 0.2, 0.5, 5):
        data = dsprites(correlated=f"pos_x:pos_y:{strength}")
        classes = data.factors(data.training_rows())
        found.append(np.corrcoef(classes[:, 3], classes[:, 4])[0, 1])
        assert data.held_out_rows() is None
        assert sorted(sample_rows(data, len(data))) == list(range(len(data)))
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.9
    assert found[-1] < 0.05


def test_a_tiny_strength_leaves_the_closest_pairs():
    data = dsprites(correlated="pos_x:pos_y:1e-9")
    classes = data.factors(data.training_rows())
    assert (classes[:, 3] == classes[:, 4]).all()
    assert len(np.unique(classes[:, 3])) == 8


def test_both_together_hold_out_of_the_full_grid():
    data = dsprites(split=0.25, correlated="scale:pos_x:0.2")
    assert np.array_equal(data.held_out_rows(), dsprites(split=0.25).held_out_rows())
    assert set(data.training_rows()) <= set(dsprites(split=0.25).training_rows())
    assert data.n_train == dsprites(split=0.25).n_train


def test_the_order_maps_through_the_rows_in_steps_and_in_blocks():
    data = dsprites(split=0.5, correlated="pos_x:pos_y:0.3")
    order = order_of(data, 1, 16)
    per_epoch = data.n_train // 16
    steps = [order(step) for step in range(1, per_epoch + 4)]
    assert np.array_equal(order_of(data, 1, 16).block(1, per_epoch + 3), np.stack(steps))
    epoch = np.sort(np.concatenate(steps[:per_epoch]))
    multiset = np.bincount(data.training_rows(), minlength=len(data))
    assert (np.bincount(epoch, minlength=len(data)) <= multiset).all()
    assert not set(epoch) & set(data.held_out_rows())


def test_the_images_of_an_epoch_are_those_of_its_rows():
    data = dsprites(split=0.5)
    store = ImageStore(data)
    some = training_images(data, store)
    assert some.n == data.n_train
    places = np.array([[0, 3], [5, 0]])
    assert np.array_equal(some.gather(places), store.gather(data.training_rows()[places]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": 1.0}, "split=1.0: needs the share of images to hold out, above 0 and below 1"),
        ({"split": -0.1}, "split=-0.1: needs the share"),
        ({"split": 1e-9}, "split=1e-09 of 384 images leaves 0 held out"),
        ({"split": 0.9999999}, "split=0.9999999 of 384 images leaves 0 to train on"),
        ({"correlated": "pos_x:pos_y"}, "needs two factors and a strength, such as pos_x:pos_y:0.2"),
        ({"correlated": "pos_x:pos_y:0"}, "the strength '0' must be a number above 0"),
        ({"correlated": "pos_x:pos_y:much"}, "the strength 'much' must be a number above 0"),
        ({"correlated": "pos_x:pos_y:1e-200"}, "the strength '1e-200' must lie from 1e-09 to 1e+09"),
        ({"correlated": "pos_x:pos_y:1e200"}, "the strength '1e200' must lie from 1e-09 to 1e+09"),
        ({"correlated": "pos_x:pos_x:0.1"}, "factor 'pos_x' can't be correlated with itself"),
        ({"correlated": "posx:pos_y:0.1"}, "unknown factor 'posx'; did you mean 'pos_x'?; it has: shape, scale"),
        ({"correlated": "orientation:pos_y:0.1"}, "factor 'orientation' has one class only"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(options, message):
    with pytest.raises(BenchError) as caught:
        dsprites(**options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "dataset 'dsprites'" in str(caught.value)


SPLIT = ("dsprites.split=0.3", "dsprites.correlated=pos_x:pos_y:0.2")


def test_a_split_that_leaves_less_than_a_batch_is_refused_at_planning():
    with pytest.raises(
        BenchError, match=r"batch_size=32 is larger than the part of the dataset that is trained on \(\d"
    ):
        specs_of(["vae"], "dsprites.split=0.95")


def test_ids_tell_splits_apart_and_not_where_nothing_is_held_out():
    ids = {specs_of(["vae"], *more)[0].run_id for more in ((), ("dsprites.split=0",), SPLIT, SPLIT[:1])}
    assert len(ids) == 3


@pytest.mark.parametrize("method", ["beta_vae", "factor_vae", "two_stage[standardise=true]", "pca"])
def test_nothing_is_seen_of_what_is_held_out(method):
    specs = specs_of([method], *SPLIT, seeds=(0, 1))
    data = load_dataset("dsprites", specs[0].dataset.all_options)
    spoilt = ImageStore(data)
    unseen = np.setdiff1d(np.arange(len(data)), data.training_rows())
    whole = train_anew(specs, data, ImageStore(data), until=200)
    spoilt._floats[unseen] = 0.5
    again = train_anew(specs, data, spoilt, until=200)
    for (name, a), b in zip(whole.model.vae.state_dict().items(), again.model.vae.state_dict().values(), strict=True):
        assert np.array_equal(a, b), name
    assert all(np.array_equal(whole.model.state[key], again.model.state[key]) for key in whole.model.state)
    assert whole.model.method.n_train == data.n_train
