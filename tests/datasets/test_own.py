"""A user's own images: a folder with its table, an HDF5 file, a Hugging Face data set on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from bench.dataset import load_dataset
from bench.errors import BenchError
from helpers.own_files import encoded, parquet, picture, pixels


def folder(path: Path, rows: list[str] | None = None, **options: Any) -> Any:
    """Load the folder of pictures, with a table of these lines beside it."""
    if rows is not None:
        (path.parent / "table.csv").write_text("\n".join(rows))
        options["table"] = str(path.parent / "table.csv")
    return load_dataset("folder", {"path": str(path), **options})


@pytest.fixture
def six(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """Write 2 x 3 colour pictures, hue and shape in their names."""
    images = pixels(6, 10, 8, 3)
    for number, image in enumerate(images):
        picture(tmp_path / "own" / f"h{number // 3}" / f"s{number % 3}.png", image)
    return tmp_path / "own", images


GRID = ["file,hue,shape,label"] + [
    f"h{n // 3}/s{n % 3}.png,{n // 3},{n % 3},{'even' if n % 2 == 0 else 'odd'}" for n in range(6)
]


def test_a_folder_is_its_pictures_in_the_order_of_names(six):
    path, images = six
    data = folder(path)
    assert (data.image_shape, data.factor_names, data.labels(np.arange(2))) == ((3, 10, 8), (), None)
    assert np.array_equal(data.images(np.arange(6)), np.moveaxis(images, -1, 1))


def test_a_table_gives_factors_and_labels_by_name(six):
    path, _ = six
    data = folder(path, [GRID[0], *reversed(GRID[1:])])
    assert (data.factor_names, data.factor_sizes, data.remarks) == (("hue", "shape"), (2, 3), ())
    assert data.factors(np.array([4])).tolist() == [[1, 1]]
    assert (data.labels(np.arange(3)).tolist(), data.label_names) == ([0, 1, 0], ("even", "odd"))


def test_factors_that_do_not_multiply_out_are_said_so(six):
    path, _ = six
    rows = ["file,hue,kind", *[f"h{n // 3}/s{n % 3}.png,{(2, 10)[n // 3]},{n}" for n in range(6)]]
    data = folder(path, rows)
    assert data.factor_sizes == (2, 6)
    assert data.remarks == ("its factors don't multiply out: 2 x 6 = 12 combinations, 6 of which have images",)
    assert data.index(np.array([[1, 5]])).tolist() == [5]
    with pytest.raises(BenchError, match="no image has hue=1, kind=0"):
        data.index(np.array([[1, 0]]))


def test_sizes_that_are_mixed_need_the_option_size(six):
    path, _ = six
    other = picture(path / "z.jpg", pixels(40, 60, 3))
    with pytest.raises(BenchError, match=f"{other}: is 60x40, but .*s0.png is 8x10"):
        folder(path)
    data = folder(path, size=28, grey=True)
    assert data.images(np.arange(7)).shape == (7, 1, 28, 28)


def test_transparent_pixels_stand_on_white(tmp_path):
    picture(tmp_path / "own" / "a.png", np.zeros((4, 4, 4), dtype=np.uint8))
    assert (folder(tmp_path / "own").images(np.array([0])) == 255).all()


def broken(path: Path) -> None:
    content = encoded(pixels(64, 64, 3), "JPEG")
    (path / "b.jpg").write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (broken, "b.jpg: can't be read as a picture"),
        (lambda path: (path / "t.png").write_text("text"), "t.png: can't be read as a picture: neither PNG nor JPEG"),
        (
            lambda path: picture(path / "d.png", pixels(4, 4).astype(np.uint16)),
            r"d.png: has more than 8 bits a channel",
        ),
    ],
)
def test_a_bad_picture_is_named(six, change, message):
    change(six[0])
    with pytest.raises(BenchError, match=message):
        folder(six[0])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (GRID[:-1], r"has no row for 'h1/s2.png'$"),
        (GRID[:-2], r"has no row for 'h1/s1.png' and 1 more$"),
        ([*GRID, "none.png,0,0,odd"], "row 8 names 'none.png', which isn't in the folder"),
        ([*GRID, GRID[1]], "row 8 names 'h0/s0.png' a second time"),
        ([GRID[0], "s0.png,0,0,odd"], "row 2 names 's0.png', which may be 'h0/s0.png' or 'h1/s0.png'"),
        ([GRID[0], "h0/s0.png,0,0"], "row 2 needs 4 values"),
        ([GRID[0], "h0/s0.png,0,,odd"], "row 2 needs 4 values"),
        (["file,hue,hue"], "its first line is 'file,hue,hue'; needs 'file'"),
        ([], "its first line is ''"),
    ],
)
def test_a_table_that_does_not_fit_is_one_line(six, rows, message):
    with pytest.raises(BenchError, match=message) as error:
        folder(six[0], rows)
    assert "table.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_folder_or_none_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchError, match=r"empty: holds no picture, .png, .jpg, .jpeg"):
        folder(tmp_path / "empty")
    with pytest.raises(BenchError, match="no such folder"):
        folder(tmp_path / "absent")


def test_memory_is_bounded(six):
    with pytest.raises(BenchError, match="option max_memory allows more"):
        folder(six[0], max_memory=1e-6)


def hdf5(path: Path, **arrays: Any) -> dict[str, Any]:
    with h5py.File(path / "own.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return {"path": str(path / "own.h5")}


def test_hdf5_has_images_factors_and_labels(tmp_path):
    images, factors = pixels(4, 9, 7, 3), np.array([[0, 5], [0, 7], [1, 5], [1, 7]])
    names = {"factor_names": ["hue", "shape"], "label_names": ["no", "yes"]}
    data: Any = load_dataset("h5", hdf5(tmp_path, images=images, factors=factors, labels=[1, 0, 1, 1], **names))
    assert np.array_equal(data.images(np.arange(4)), np.moveaxis(images, -1, 1))
    assert (data.factor_names, data.factor_sizes) == (("hue", "shape"), (2, 2))
    assert (data.labels(np.arange(4)).tolist(), data.label_names) == ([1, 0, 1, 1], ("no", "yes"))


def test_hdf5_is_resized_and_made_grey(tmp_path):
    options = hdf5(tmp_path, images=np.ones((3, 32, 64), dtype=np.uint8))
    data = load_dataset("h5", options | {"size": 28})
    assert data.image_max == 255
    assert (data.images(np.arange(3)) == 255).all()
    assert data.image_shape == (1, 28, 28)
    grey = load_dataset("h5", hdf5(tmp_path, images=np.full((2, 8, 8, 3), [255, 0, 0], np.uint8)) | {"grey": True})
    assert (grey.images(np.arange(2)) == 76).all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"other": [1]}, "has no array 'images'; it has: other"),
        ({"images": np.full((2, 8, 8), 1.5)}, r"floating-point values must lie in \[0, 1\]"),
        ({"images": pixels(2, 8, 8), "labels": [0]}, r"'labels' are int64 of shape \(1,\); needs integers"),
        (
            {"images": pixels(2, 8, 8), "labels": [0, 2], "label_names": ["a"]},
            "'label_names' are <U1 of shape .1,.; needs 2 strings",
        ),
    ],
)
def test_an_hdf5_file_that_does_not_fit_is_one_line(tmp_path, arrays, message):
    with pytest.raises(BenchError, match=message):
        load_dataset("h5", hdf5(tmp_path, **arrays))


def test_a_file_that_is_no_hdf5_is_one_line(tmp_path):
    (tmp_path / "own.h5").write_text("text")
    with pytest.raises(BenchError, match=r"own.h5: damaged or not the right kind of file"):
        load_dataset("h5", {"path": str(tmp_path / "own.h5")})


def test_a_hugging_face_data_set_in_two_files(tmp_path):
    images = pixels(6, 8, 8, 3)
    names = json.dumps({"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}})
    for part in range(2):
        some = {"label": [0, 1, 1], "hue": [part] * 3, "shape": ["a", "b", "c"]}
        parquet(tmp_path / f"train-0000{part}.parquet", images[3 * part : 3 * part + 3], {"huggingface": names}, **some)
    data: Any = load_dataset("parquet", {"path": str(tmp_path), "factors": "hue,shape"})
    assert np.array_equal(data.images(np.arange(6)), np.moveaxis(images, -1, 1))
    assert (data.factor_names, data.factor_sizes) == (("hue", "shape"), (2, 3))
    assert (data.labels(np.arange(6)).tolist(), data.label_names) == ([0, 1, 1, 0, 1, 1], ("cat", "dog"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": "imge"}, "has no column 'imge'; did you mean 'image'"),
        ({"image": "label"}, "row 1: column 'label' holds no picture as bytes"),
        ({"label": "kind"}, "has no column 'kind'"),
        ({"factors": "hue"}, "row 2: a factor or the label is missing"),
    ],
)
def test_columns_that_are_not_there_are_one_line(tmp_path, options, message):
    file = parquet(tmp_path / "own.parquet", pixels(2, 8, 8, 3), label=[0, 1], hue=[1, None])
    with pytest.raises(BenchError, match=message):
        load_dataset("parquet", {"path": str(file), **options})


def test_a_file_that_is_no_parquet_is_one_line(tmp_path):
    (tmp_path / "own.parquet").write_text("text")
    with pytest.raises(BenchError, match=r"own.parquet: damaged or not the right kind of file"):
        load_dataset("parquet", {"path": str(tmp_path / "own.parquet")})


def test_a_path_is_needed():
    for name in ("folder", "h5", "parquet"):
        with pytest.raises(BenchError, match="needs the file or folder that holds the images"):
            load_dataset(name, {})


def test_a_users_own_images_are_split_and_correlated_like_any(six):
    path, _ = six
    plain = folder(path, GRID)
    split: Any = load_dataset("folder", {"path": str(path), "split": 0.5})
    train, held = split.training_rows(), split.held_out_rows()
    assert sorted([*train, *held]) == list(range(6))
    tied: Any = folder(path, GRID, correlated="hue:shape:0.01")
    classes = tied.factors(tied.training_rows())
    assert {tuple(row) for row in classes.tolist()} == {(0, 0), (1, 2)}
    assert tied.fingerprint() == plain.fingerprint()
    with pytest.raises(BenchError, match=r"correlated=hue:shap:0.1: unknown factor 'shap'; did you mean 'shape'"):
        folder(path, GRID, correlated="hue:shap:0.1")


def class_labels(*names: str) -> dict[str, str]:
    features = {"label": {"names": names, "_type": "ClassLabel"}}
    return {"huggingface": json.dumps({"info": {"features": features}})}


@pytest.mark.parametrize("labels", [[-1, 0], [1, 2]])
def test_a_label_outside_of_its_names_is_not_given_another_one(tmp_path, labels):
    file = parquet(tmp_path / "own.parquet", pixels(2, 8, 8, 3), class_labels("cat", "dog"), label=labels)
    with pytest.raises(BenchError, match=r"column 'label' holds -?[12] in row [12] of all; its names of classes go"):
        load_dataset("parquet", {"path": str(file)})


def test_files_that_name_their_classes_otherwise_are_not_mixed(tmp_path):
    parquet(tmp_path / "a.parquet", pixels(2, 8, 8, 3), class_labels("cat", "dog"), label=[0, 1])
    parquet(tmp_path / "b.parquet", pixels(2, 8, 8, 3), class_labels("dog", "cat"), label=[0, 1])
    with pytest.raises(BenchError, match=r"b.parquet: column 'label' has other names of classes than in .*a.parquet"):
        load_dataset("parquet", {"path": str(tmp_path)})
