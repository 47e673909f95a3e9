"""The whole of dSprites: golden checksums, the authors' frames, and 32 pixels."""

from __future__ import annotations

import hashlib
import io
import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.datasets._dsprites_files import BLOCK
from bench.datasets._dsprites_render import FACTORS, render
from bench.datasets.dsprites import GOLDEN, DSprites
from bench.errors import BenchError
from helpers.dsprites import SMALL, dsprites, everything

#: Computed once by this renderer; no vertex comes near a rounding tie at 32 px either.
GOLDEN_32 = "d1dc63a1f25357548351f0b135b5e3408fdc1f39f9eb847d52abd5992338e76a"


@pytest.fixture(scope="module")
def full() -> tuple[DSprites, int]:
    """The whole set, and the most memory (bytes) that rendering it took."""
    data = dsprites()
    tracemalloc.start()
    data.packed()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return data, peak


@pytest.fixture(scope="module")
def unpacked(full: tuple[DSprites, int]) -> tuple[str, np.ndarray]:
    """SHA-256 of all pixels as bytes, and the number of white pixels of each image."""
    digest, white = hashlib.sha256(), []
    packed = full[0].packed()
    for start in range(0, len(packed), BLOCK):
        pixels = np.unpackbits(packed[start : start + BLOCK], axis=1)
        digest.update(pixels.data)
        white.append(pixels.sum(axis=1, dtype=np.int64))
    return digest.hexdigest(), np.concatenate(white).reshape(full[0].factor_sizes)


def test_full_set_has_the_golden_checksums(full, unpacked):
    packed = full[0].packed()
    assert packed.shape == (737_280, 512)
    assert hashlib.sha256(packed.data).hexdigest() == GOLDEN == full[0].fingerprint()
    assert unpacked[0] == "2c612e5234d21c2b576c375ebe1faa1b363ab97d340164c5d2dcf27f35dd5eb6"


def test_white_pixels_by_shape_and_scale(unpacked):
    white = unpacked[1]
    # The authors' files hold 128,328,862: about 100 of their frames differ from these by one pixel.
    assert white.sum() == 128_328_864
    assert white.sum(axis=(1, 2, 3, 4)).tolist() == [53_612_886, 42_070_950, 32_645_028]
    assert np.rint(white.mean(axis=(2, 3, 4))).astype(int).tolist() == [
        [92, 133, 181, 236, 299, 369],
        [72, 104, 142, 185, 234, 289],
        [56, 81, 110, 144, 182, 224],
    ]


def test_mean_per_image_deviation_is_the_published_one(unpacked):
    white = unpacked[1] / 4096
    deviation = np.sqrt(white * (1 - white) * 4096 / 4095).mean()
    assert deviation == pytest.approx(0.1951664545102, abs=1e-12)
    # Recorded by disent of the authors' own file.
    assert deviation == pytest.approx(0.1951664588063, abs=1e-8)


def test_first_and_last_orientation_are_the_same_image(full):
    grid = full[0].packed().reshape(*full[0].factor_sizes, 512)
    assert np.array_equal(grid[:, :, 0], grid[:, :, 39])
    assert not np.array_equal(grid[:, :, 0], grid[:, :, 38])


def test_sprites_stay_off_the_border(full):
    lit = np.unpackbits(np.bitwise_or.reduce(full[0].packed(), axis=0)).reshape(64, 64)
    rows, columns = np.nonzero(lit)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 61, 2, 61)


def test_whole_set_fits_in_400_mib(full):
    data, peak = full
    assert data.packed().nbytes <= peak <= 400 * 2**20
    assert data.packed() is data.packed()


def test_x_grows_rightwards_y_downwards_and_turns_are_counter_clockwise(full):
    data, _ = full
    row = data.index(np.array([[1, 5, 0, 0, 31], [1, 5, 0, 31, 0], [1, 5, 4, 16, 16]]))
    low_left, top_right, turned = data.images(row)[:, 0]
    assert low_left[32:, :32].sum() == low_left.sum() > 0
    assert top_right[:32, 32:].sum() == top_right.sum() > 0
    # The long axis starts out horizontal; 37 degrees later its right end is up.
    rows, columns = np.nonzero(turned)
    assert np.cov(columns, rows)[0, 1] < 0


@pytest.fixture(scope="module")
def real() -> Path:
    folder = Path(os.environ.get("BENCH_DATA", "")) / "dsprites"
    if "BENCH_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("no real frames: BENCH_DATA isn't set or has no dsprites")
    return folder


def differing_pixels(data: DSprites, path: Path) -> dict[int, list[tuple[int, int, int]]]:
    """Row of the full set -> (column, row, real value) of each pixel that isn't as it is in `path`."""
    with np.load(path, allow_pickle=False) as file:
        images, index, values = file["imgs"], file["original_dataset_indices"], file["latents_values"]
    assert np.abs(data.latents_values(index)[:, 1:] - values).max() < 1e-12
    rendered = data.images(index)[:, 0]
    return {
        int(index[i]): [(int(c), int(r), int(images[i, r, c])) for r, c in np.argwhere(rendered[i] != images[i])]
        for i in np.flatnonzero((rendered != images).any(axis=(1, 2)))
    }


@pytest.mark.parametrize(("name", "frames"), [("downsampled", 46_080), ("subset", 20_000)])
def test_real_frames_are_reproduced(full, real, name, frames):
    differing = differing_pixels(full[0], real / f"dsprites_{name}.npz")
    assert 1 - len(differing) / frames >= 0.9998
    assert all(len(pixels) == 1 for pixels in differing.values())


def test_real_frames_differ_in_nine_known_pixels_only(full, real):
    paths = [real / f"dsprites_{name}.npz" for name in ("downsampled", "subset")]
    index: set[int] = set()
    for path in paths:
        with np.load(path, allow_pickle=False) as file:
            index.update(file["original_dataset_indices"].tolist())
    assert len(index) == 64_834
    assert differing_pixels(full[0], paths[0]) | differing_pixels(full[0], paths[1]) == {
        111508: [(43, 29, 0)],
        127956: [(36, 35, 0)],
        151882: [(21, 17, 0)],
        159073: [(28, 27, 0)],
        258370: [(26, 12, 1)],
        456189: [(37, 35, 0)],
        475532: [(37, 28, 1)],
        650103: [(44, 44, 0)],
        717724: [(41, 54, 0)],
    }


def test_real_sub_grid_loads_as_a_source(real):
    path = real / "dsprites_downsampled.npz"
    grid = {"orientation": 10, "pos_x": 16, "pos_y": 16}
    data = dsprites(source=str(path), **grid)
    with np.load(path, allow_pickle=False) as file:
        assert np.array_equal(everything(data)[:, 0], file["imgs"])
    one = dsprites(source=str(path), shape="2,", **grid)
    assert np.array_equal(one.packed(), data.packed()[-15_360:])
    assert data.fingerprint() != dsprites(**grid).fingerprint()
    with pytest.raises(BenchError, match="has no images of orientation class 1; choose orientation=0,4,8,"):
        dsprites(source=str(path)).packed()
    with pytest.raises(BenchError, match="aren't the full grid 3 x 6 x 40 x 32 x 32 in C order"):
        dsprites(source=str(real / "dsprites_subset.npz")).packed()


@pytest.mark.parametrize("options", [SMALL, {"shape": "2,", "orientation": "39,", "pos_y": "7:20:5", "scale": 1}])
def test_sub_grids_are_the_full_sets_frames(full, options):
    data, whole = dsprites(**options), full[0]
    rows = np.arange(len(data))
    factors = data.factors(rows)
    assert data.factor_names == ("shape", "scale", "orientation", "pos_x", "pos_y")
    assert factors.min() == 0
    assert (factors.max(axis=0) + 1).tolist() == list(data.factor_sizes)
    assert np.array_equal(data.index(factors), rows)
    classes = np.stack([np.array(level)[factors[:, i]] for i, level in enumerate(data.levels)], axis=1)
    same = whole.index(classes)
    assert np.array_equal(everything(data), whole.images(same))
    assert np.array_equal(data.latents_values(rows), whole.latents_values(same))


def test_32_px_images_are_the_same_shapes_at_half_size(full):
    grid = {"orientation": 8, "pos_x": "all", "pos_y": 8}
    half, whole = dsprites(size=32, **grid), dsprites(**grid)
    images = everything(half)
    assert images.shape == (len(whole), 1, 32, 32)
    assert set(np.unique(images)) == {0, 1}
    assert half.packed().shape == (len(whole), 128)
    ratio = images.sum(axis=(1, 2, 3)).reshape(3, 6, -1).mean(axis=2)
    ratio /= everything(whole).sum(axis=(1, 2, 3)).reshape(3, 6, -1).mean(axis=2)
    assert ratio == pytest.approx(0.25, rel=0.01)


def test_32_px_square_is_where_its_corners_say():
    # Scale 1, no turn, centre (8 + 16 i / 31, 8 + 16 j / 31) = (8, 24): x 3.2 to 12.8, y 19.2 to 28.8.
    image = dsprites(size=32).images(np.array([5 * 40 * 1024 + 31]))[0, 0]
    expected = np.zeros((32, 32), dtype=np.uint8)
    expected[19:29, 3:13] = 1
    assert np.array_equal(image, expected)


def test_full_32_px_set_is_pinned():
    packed = render([range(total) for total in FACTORS.values()], 32)
    assert packed.shape == (737_280, 128)
    assert hashlib.sha256(packed.data).hexdigest() == GOLDEN_32


@pytest.mark.slow
def test_file_of_the_full_size_needs_no_latent_values(tmp_path, full):
    # Written a block at a time: unpacked, the set is 2.8 GiB.
    path = tmp_path / "dsprites.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (737_280, 64, 64)})
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("imgs.npy", "w", force_zip64=True) as member,
    ):
        member.write(header.getvalue())
        for start in range(0, 737_280, BLOCK):
            member.write(full[0].images(np.arange(start, start + BLOCK)).data)
    tracemalloc.start()
    packed = dsprites(source=str(path)).packed()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 400 * 2**20
    assert np.array_equal(packed, full[0].packed())
