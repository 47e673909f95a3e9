"""Colour- and noisy-dSprites: dSprites' sprites, with a colour or a noise that rows keep and that no factor tells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.dataset import Dataset, load_dataset
from bench.datasets._sprite_worlds import SpriteOptions, Sprites, SpriteWorld
from bench.datasets.color_dsprites import ColorDSprites
from bench.datasets.noisy_dsprites import NoisyDSprites
from helpers.dsprites import SMALL, dsprites, everything

WORLDS = [ColorDSprites, NoisyDSprites]
#: All positions of four sprites: 4,096 images.
WIDE = {"shape": "0,2", "scale": "5,", "orientation": "0,7"}


def world(cls: type[SpriteWorld], **options: Any) -> SpriteWorld:
    return cls(SpriteOptions(**options))


def masks(**options: Any) -> NDArray[np.bool_]:
    return everything(dsprites(**options))[:, 0] == 1


def correlation_with_factors(data: Dataset, values: NDArray[Any]) -> float:
    factors = data.factors(np.arange(len(data)))
    varying = factors[:, np.ptp(factors, axis=0) > 0]
    values = values.reshape(len(values), -1)
    both = np.corrcoef(np.column_stack([varying, values]).T)
    return float(np.abs(both[: varying.shape[1], varying.shape[1] :]).max())


def test_masks_are_dsprites_whatever_rows_are_asked_for() -> None:
    data = dsprites(**SMALL)
    expected = everything(data)[:, 0]
    classes = data.factors(np.arange(len(data)))
    levels = [np.array(level)[classes[:, i]] for i, level in enumerate(data.levels)]
    rows = np.ravel_multi_index(levels, (3, 6, 40, 32, 32)).astype(np.int64)
    order = np.random.default_rng(0).permutation(len(rows))
    sprites = Sprites()
    assert np.array_equal(sprites.masks(rows[order]), expected[order])
    assert np.array_equal(sprites.masks(rows), expected)


@pytest.mark.parametrize("cls", WORLDS)
def test_a_sub_grid_shows_images_of_the_whole_grid(cls: type[SpriteWorld]) -> None:
    small, whole = world(cls, **SMALL), world(cls)
    rows = np.arange(0, len(small), 7)
    assert np.array_equal(small.images(rows), whole.images(small.rows_of_whole_grid(rows)))


@pytest.mark.parametrize("cls", WORLDS)
def test_smaller_images_are_averages_over_areas(cls: type[SpriteWorld]) -> None:
    rows = np.arange(9)
    large, small = world(cls, **SMALL).images(rows), world(cls, **SMALL, size=32).images(rows)
    means = large.reshape(9, 3, 32, 2, 32, 2).mean(axis=(3, 5))
    # Pillow rounds after each direction.
    assert np.abs(small - means).max() <= 1


@pytest.mark.parametrize("cls", WORLDS)
def test_query_images_are_those_of_dsprites(cls: type[SpriteWorld]) -> None:
    assert np.array_equal(world(cls, **SMALL).query_indices(), dsprites(**SMALL).query_indices())


def test_each_sprite_has_one_colour_on_black() -> None:
    data = world(ColorDSprites, **WIDE)
    images, sprites = everything(data), masks(**WIDE)
    colours = images.max(axis=(2, 3))
    assert np.array_equal(images, sprites[:, None] * colours[:, :, None, None])
    assert colours.min() == 128
    assert colours.max() == 255


def test_colours_are_uniform_from_half_on_and_tell_nothing_of_factors() -> None:
    data = world(ColorDSprites, **WIDE)
    colours = everything(data).max(axis=(2, 3)) / 255
    assert abs(colours.mean() - 0.75) < 4 * np.sqrt(1 / 48 / colours.size)
    assert abs(colours.var() - 1 / 48) < 4 * np.sqrt((1 / 80 - 1 / 144) / 16 / colours.size)
    bound = 4 / np.sqrt(len(data))
    assert correlation_with_factors(data, colours) < bound
    assert np.abs(np.corrcoef(colours.T)[~np.eye(3, dtype=bool)]).max() < bound


def test_sprites_are_white_on_noise() -> None:
    images, sprites = everything(world(NoisyDSprites, **SMALL)), masks(**SMALL)
    assert (np.moveaxis(images, 1, -1)[sprites] == 255).all()
    noise = np.moveaxis(images, 1, -1)[~sprites].astype(float)
    # A uniform variable of 256 levels: variance (256² - 1) / 12, kurtosis 1.8 but for 1e-5.
    assert abs(noise.mean() - 127.5) < 4 * np.sqrt(65535 / 12 / noise.size)
    assert abs(noise.var() - 65535 / 12) < 4 * 65535 / 12 * np.sqrt(0.8 / noise.size)


def test_noise_tells_nothing_of_factors_neighbours_channels_or_other_rows() -> None:
    data = world(NoisyDSprites, **WIDE)
    # A corner that no sprite of any position reaches.
    corner = everything(data)[:, :, :3, :3].astype(float)
    assert not masks(**WIDE)[:, :3, :3].any()
    # 27 pixels with 4 factors, and with each other: five standard errors for hundreds of pairs.
    bound = 5 / np.sqrt(len(data))
    assert correlation_with_factors(data, corner) < bound
    pixels = corner.reshape(len(corner), -1)
    beside = np.column_stack([pixels[1:], pixels[:-1]])
    assert np.abs(np.corrcoef(beside.T)[~np.eye(54, dtype=bool)]).max() < bound


@pytest.mark.parametrize("name", ["color_dsprites", "noisy_dsprites"])
def test_images_never_change(name: str) -> None:
    assert load_dataset(name, {}).identity() == GOLDEN[name]  # type: ignore[attr-defined]


GOLDEN = {
    "color_dsprites": "af9cdf100530e66db2d200a89ebbea4ff1ec4ab59d9f7326737ffd226bd34667",
    "noisy_dsprites": "d47e28db9de80424a2a4a731c389f6953dfde6bc7690532945dabe3d0becb25b",
}
