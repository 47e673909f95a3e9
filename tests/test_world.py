"""What data sets of images have in common: a sub-grid is rows of the whole, sizes and grey are what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.dataset import DATASETS, Index, load_dataset, resolve_options
from bench.errors import BenchError
from bench.levels import Levels
from bench.neutral import neutral
from bench.settings import validate_dataclass
from bench.world import World, WorldOptions, resized


@dataclass(frozen=True, kw_only=True)
class TinyOptions(WorldOptions):
    full: ClassVar[Mapping[str, int]] = {"hue": 4, "shape": 3}
    hue: Levels = neutral("all")
    shape: Levels = neutral("all")


class Tiny(World):
    """Each image is of one colour: its row of the whole grid in red, nothing in green, full blue."""

    Options = TinyOptions
    channels = 3

    def native(self, rows: Index) -> NDArray[np.uint8]:
        images = np.zeros((len(rows), 3, 128, 128), dtype=np.uint8)
        images[:, 0] = rows[:, None, None]
        images[:, 2] = 255
        return images


@pytest.mark.parametrize("options", [{}, {"hue": 2}, {"hue": "1:4:2", "shape": [2]}, {"size": 28, "shape": "0,2"}])
def test_a_sub_grid_holds_rows_of_the_whole(options: dict[str, Any]) -> None:
    tiny = Tiny(TinyOptions(**options))
    index = np.arange(len(tiny))
    classes = tiny.factors(index)
    hue, shape = (np.array(level)[classes[:, i]] for i, level in enumerate(tiny.levels))
    assert (tiny.images(index)[:, 0] == (hue * 3 + shape)[:, None, None]).all()
    assert tiny.images(index).shape[1:] == tiny.image_shape


def test_images_do_not_depend_on_the_blocks_they_are_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = Tiny(TinyOptions(size=28, grey=True))
    whole = tiny.images(np.arange(12))
    monkeypatch.setattr("bench.world.BLOCK", 5)
    assert np.array_equal(tiny.images(np.arange(12)), whole)
    assert tiny.images(np.arange(0)).shape == (0, 1, 28, 28)


def test_all_classes_are_left_out_of_a_spec_however_they_are_written() -> None:
    for value in ("all", 4, "0:4", [3, 2, 1, 0]):
        assert validate_dataclass(TinyOptions, {"hue": value}, where="", what="option") == {"size": 64}
    assert validate_dataclass(TinyOptions, {"hue": "3,1"}, where="", what="option") == {"size": 64, "hue": [1, 3]}


@pytest.mark.parametrize("options", [{"size": 33}, {"hue": 5}, {"shape": "0,0"}, {"shape": "x"}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        TinyOptions(**options)


def test_grey_is_luminance() -> None:
    colour = np.zeros((1, 3, 64, 64), dtype=np.uint8)
    colour[0, 0], colour[0, 1], colour[0, 2] = 100, 150, 200
    assert resized(colour, 64, grey=True).shape == (1, 1, 64, 64)
    assert abs(int(resized(colour, 64, grey=True)[0, 0, 0, 0]) - (0.299 * 100 + 0.587 * 150 + 0.114 * 200)) < 1


def test_shrinking_averages_over_areas() -> None:
    fine = np.random.default_rng(0).integers(0, 256, (2, 1, 128, 128), dtype=np.uint8)
    means = fine.reshape(2, 1, 64, 2, 64, 2).mean(axis=(3, 5))
    # It rounds after each direction.
    assert np.abs(resized(fine, 64) - means).max() <= 1


def test_fingerprints_tell_options_and_pictures_apart() -> None:
    class Other(Tiny):
        def native(self, rows: Index) -> NDArray[np.uint8]:
            return np.asarray(255 - super().native(rows))

    prints = [Tiny(TinyOptions(**options)).fingerprint() for options in ({}, {"hue": 2}, {"grey": True}, {"size": 32})]
    assert len({*prints, Other(TinyOptions()).fingerprint()}) == 5
    assert prints[0] == Tiny(TinyOptions(hue=[0, 1, 2, 3])).fingerprint()


def test_a_world_of_neither_factors_nor_a_count_has_no_length() -> None:
    class Nameless(Tiny):
        Options = WorldOptions

    with pytest.raises(NotImplementedError, match="Nameless has neither factors nor a count"):
        len(Nameless(WorldOptions()))


def test_a_world_without_factors_says_how_many_images_it_has() -> None:
    class Photos(World):
        channels = 1

        def count(self) -> int:
            return 7

        def native(self, rows: Index) -> NDArray[np.uint8]:
            return np.zeros((len(rows), 1, 40, 50), dtype=np.uint8)

    photos = Photos(WorldOptions(size=96))
    assert (len(photos), photos.factor_names, photos.factors(np.arange(3)).shape) == (7, (), (3, 0))
    assert photos.images(np.arange(2)).shape == (2, 1, 96, 96)


def test_what_is_trained_on_changes_no_image_of_a_world() -> None:
    plain = Tiny(TinyOptions())
    rows = Tiny(TinyOptions(split=0.4, correlated="hue:shape:0.2"))
    assert rows.fingerprint() == plain.fingerprint() != Tiny(TinyOptions(hue=2)).fingerprint()
    held, seen = rows.held_out_rows(), rows.training_rows()
    assert held is not None
    assert seen is not None
    assert not set(held) & set(seen)


def test_the_reconstruction_term_is_an_option_where_published_code_disagrees() -> None:
    few: dict[str, Any] = {"category": 2, "instance": 1, "elevation": 1, "azimuth": 2, "lighting": 2, "size": 28}
    plain, squared = (
        load_dataset("smallnorb_like", few),
        load_dataset("smallnorb_like", few | {"likelihood": "gaussian"}),
    )
    assert (plain.likelihood, squared.likelihood) == ("bernoulli", "gaussian")
    assert plain.fingerprint() == squared.fingerprint()  # the images are the same, the runs aren't
    assert resolve_options("smallnorb_like", few | {"likelihood": "bernoulli"}) == resolve_options(
        "smallnorb_like", few
    )
    assert resolve_options("smallnorb_like", {"likelihood": "gaussian"})["likelihood"] == "gaussian"
    with pytest.raises(BenchError, match="likelihood"):
        load_dataset("smallnorb_like", few | {"likelihood": "squared"})


@pytest.mark.parametrize("name", ["smallnorb", "chairs3d", "celeba"])
def test_so_it_is_where_the_images_come_from_files(name: str) -> None:
    assert load_dataset(name, {}).likelihood == "bernoulli"
    assert load_dataset(name, {"likelihood": "gaussian"}).likelihood == "gaussian"


@pytest.mark.parametrize("name", ["digits_like", "mnist", "fashion_mnist", "smallnorb", "smallnorb_like"])
def test_grey_of_what_is_grey_is_no_other_run(name: str) -> None:
    assert resolve_options(name, {"grey": True}) == resolve_options(name, {})
    assert DATASETS.get(name).value.channels == 1


def test_every_grey_world_says_so_in_its_options() -> None:
    worlds = [item.value for item in DATASETS if issubclass(item.value, World)]
    assert len(worlds) > 10
    assert [cls.__name__ for cls in worlds if cls.Options.coloured != (cls.channels == 3)] == []
