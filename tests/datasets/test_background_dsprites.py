"""Background-dSprites: pieces of a user's pictures, tinted and inverted as written down by Locatello et al."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench.datasets._backgrounds import painting
from bench.datasets.background_dsprites import BackgroundDSprites, BackgroundOptions
from bench.errors import BenchError
from helpers.dsprites import SMALL, dsprites, everything

#: All positions of a square of the smallest size: 1,024 images.
WIDE = {"shape": [0], "scale": [0], "orientation": [0]}


def world(**options: Any) -> BackgroundDSprites:
    return BackgroundDSprites(BackgroundOptions(**options))


def save(file: Path, pixels: NDArray[np.uint8]) -> str:
    Image.fromarray(pixels).save(file)
    return str(file)


def plain(file: Path, level: int, shape: tuple[int, int] = (80, 90)) -> str:
    return save(file, np.full((*shape, 3), level, dtype=np.uint8))


def backgrounds(data: BackgroundDSprites) -> NDArray[np.uint8]:
    """Return images with their sprites inverted back."""
    sprites = everything(dsprites(**WIDE)) == 1
    images = everything(data)
    return np.where(sprites, 255 - images, images)


def test_sprites_are_the_negative_of_a_tinted_picture(tmp_path: Path) -> None:
    found = backgrounds(world(**WIDE, source=plain(tmp_path / "plain.png", 100)))
    tint = found[:, :, :1, :1]
    assert (found == tint).all()
    # The mean of 100 and a uniform number from 0 to 255.
    assert tint.min() >= 50
    assert tint.max() <= 178
    assert abs(tint.mean() - (100 + 127.5) / 2) < 4 * np.sqrt(255**2 / 12 / 4 / tint.size)
    assert abs(tint.var() - 255**2 / 48) < 4 * 255**2 / 48 * np.sqrt(0.8 / tint.size)


def test_pieces_lie_anywhere_in_the_picture_and_tell_nothing_of_factors(tmp_path: Path) -> None:
    across, down = np.meshgrid(2 * np.arange(104), 2 * np.arange(84))
    pixels = np.stack([across, down, np.zeros_like(down)], axis=-1).astype(np.uint8)
    data = world(**WIDE, source=save(tmp_path / "ramp.png", pixels))
    drawn = backgrounds(data).astype(int)
    # Half of 2 px a pixel: the piece's ramp goes up by one level a pixel, whatever its place and tint.
    assert (np.diff(drawn[:, 0], axis=2) == 1).all()
    assert (np.diff(drawn[:, 0], axis=1) == 0).all()
    assert (np.diff(drawn[:, 1], axis=1) == 1).all()
    # A piece's corner shows in the levels: left + 255 u / 2 with left from 0 to 39, mean 19.5, variance (40² - 1) / 12.
    left = drawn[:, 0, 0, 0]
    spread = (40**2 - 1) / 12 + 255**2 / 48
    assert abs(left.mean() - (19.5 + 63.75)) < 4 * np.sqrt(spread / len(left))
    factors = data.factors(np.arange(len(data)))[:, 3:]
    corners = np.column_stack([factors, left, drawn[:, 1, 0, 0], drawn[:, 2, 0, 0]])
    off_diagonal = np.corrcoef(corners.T)[~np.eye(5, dtype=bool)]
    assert np.abs(off_diagonal).max() < 4 / np.sqrt(len(left))


def test_all_pictures_of_a_folder_are_used_alike(tmp_path: Path) -> None:
    for number, name in enumerate(["a.png", "b.JPG", "c.jpeg"]):
        plain(tmp_path / name, 120 * number)
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    data = world(**WIDE, source=str(tmp_path))
    assert [int(picture.mean()) for picture in data.pictures()] == [0, 120, 240]
    # Blue isn't tinted the same as red, but pictures share a floor: below 60 only the first, above 187.5 only the last.
    blue = backgrounds(data)[:, 2, 0, 0]
    assert abs((blue < 60).mean() - 60 / 127.5 / 3) < 4 * np.sqrt(0.16 * 0.84 / len(blue))
    assert abs((blue > 188).mean() - 60 / 127.5 / 3) < 4 * np.sqrt(0.16 * 0.84 / len(blue))


def test_large_pictures_are_shrunk_into_a_frame(tmp_path: Path) -> None:
    (picture,) = world(source=plain(tmp_path / "large.png", 7, (1096, 700))).pictures()
    assert picture.shape == (274, 175, 3)


def test_the_pictures_and_not_their_place_identify_the_data(tmp_path: Path) -> None:
    options = [{"source": plain(tmp_path / name, level)} for name, level in [("a.png", 9), ("b.png", 9), ("c.png", 8)]]
    same, moved, other = (world(**SMALL, **each).fingerprint() for each in options)
    assert same == moved
    assert len({same, other, world(**SMALL).fingerprint()}) == 3


def test_unusable_sources_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    whole = plain(tmp_path / "whole.png", 9)
    (tmp_path / "broken" / "cut.png").write_bytes(Path(whole).read_bytes()[:60])
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    cases = {
        str(tmp_path / "none.png"): "no such picture or folder",
        str(tmp_path / "empty"): "no picture",
        str(tmp_path / "broken"): "cut.png: no picture that can be read",
        str(tmp_path / "text.png"): "text.png: no picture that can be read",
        plain(tmp_path / "small.png", 9, (64, 200)): "200×64 pixels; needs more than 64",
    }
    for source, words in cases.items():
        with pytest.raises(BenchError, match=words) as caught:
            world(source=source).images(np.arange(1))
        assert "\n" not in str(caught.value)


def test_pictures_of_too_many_pixels_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = plain(tmp_path / "bomb.png", 9)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    with pytest.raises(BenchError, match="more than 5000 pixels"):
        world(source=source).images(np.arange(1))


def test_the_drawn_picture_uses_all_levels_and_is_smooth() -> None:
    picture = painting().astype(int)
    assert picture.shape == (274, 350, 3)
    assert (picture.min(axis=(0, 1)) == 0).all()
    assert (picture.max(axis=(0, 1)) == 255).all()
    assert np.abs(np.diff(picture, axis=0)).max() < 40
    assert np.abs(np.diff(picture, axis=1)).max() < 40


def test_images_never_change() -> None:
    assert world().identity() == GOLDEN


GOLDEN = "b2964ce27b744cbd7fd9f793bb2bfd4dd565023662aa659e7177e9cc1667a535"
