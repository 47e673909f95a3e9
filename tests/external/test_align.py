"""UDR compares codes of the same images, whatever order the files are in."""

from __future__ import annotations

import json

import numpy as np
import pytest

DATASET = "dsprites[scale=3,orientation=1,pos_x=6,pos_y=4,size=32]"
N = 216


@pytest.fixture
def udr(bench):
    """Caller of UDR on `a.npz`, `b.npz` and `c.npz`: (what is found, stderr), or the error."""

    def call(*words):
        code, out, err = bench(
            "score", "a.npz", "b.npz", "c.npz", "--metric", "active_units", "--udr", "--json", *words
        )
        return (json.loads(out)["udr"], err) if code == 0 else (None, err)

    return call


def copies(n=N, **more):
    """Write one model three times, each file in an order of its own; `more` are arrays of all images."""
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(n, 4))
    for number, name in enumerate("abc"):
        order = np.random.default_rng(number).permutation(n)
        rows = {key: np.asarray(value)[order] for key, value in more.items()}
        np.savez(f"{name}.npz", codes=codes[order], logvar=np.full((n, 4), -3.0), **rows)
    return codes


def test_rows_are_put_in_one_order_by_their_index(udr):
    copies(index=np.arange(N))
    found, _ = udr("-d", DATASET)
    assert min(found["udr"]) == pytest.approx(0.9, abs=0.01)
    assert found["n_images"] == N


@pytest.mark.parametrize("kind", ["int64", "float64", "<U8"])
def test_rows_are_put_in_one_order_by_factors_that_tell_them_apart(udr, kind):
    grid = np.stack(np.unravel_index(np.arange(60), (3, 4, 5)), axis=1)
    copies(60, factors=grid.astype(kind))
    found, err = udr()
    assert min(found["udr"]) == pytest.approx(0.9, abs=0.02)
    assert not found["warning"] + err


def test_factors_may_stand_in_another_order_if_they_have_names(udr):
    grid = np.stack(np.unravel_index(np.arange(60), (3, 4, 5)), axis=1)
    copies(60, factors=grid)
    for name, columns in {"a": [0, 1, 2], "b": [2, 0, 1], "c": [0, 2, 1]}.items():
        arrays = dict(np.load(f"{name}.npz"))
        names = np.array(["shape", "size", "place"])[columns]
        np.savez(f"{name}.npz", **arrays | {"factors": arrays["factors"][:, columns], "factor_names": names})
    assert min(udr()[0]["udr"]) == pytest.approx(0.9, abs=0.02)


def test_files_of_part_of_the_images_are_compared_on_those_that_all_have(udr):
    codes = np.random.default_rng(0).normal(size=(N, 4))
    for name, start in {"a": 0, "b": 10, "c": 20}.items():
        index = np.random.default_rng(start).permutation(np.arange(start, start + 150))
        np.savez(f"{name}.npz", codes=codes[index], logvar=np.full((150, 4), -3.0), index=index)
    found, _ = udr("-d", DATASET)
    assert found["n_images"] == 130
    assert min(found["udr"]) == pytest.approx(0.9, abs=0.02)


def test_factors_that_repeat_do_not_tell_which_image_is_which(udr):
    copies(60, factors=np.arange(60)[:, None] // 2)
    found, err = udr()
    assert found is None
    assert "30 of 60 rows repeat combinations of factors" in err
    assert "'index'" in err
    # In one order they needn't.
    codes = np.random.default_rng(0).normal(size=(60, 4))
    for name in "abc":
        np.savez(f"{name}.npz", codes=codes, logvar=np.full((60, 4), -3.0), factors=np.arange(60)[:, None] // 2)
    assert min(udr()[0]["udr"]) == pytest.approx(0.9, abs=0.02)


def test_an_image_twice_in_a_file_is_refused(udr):
    copies(index=np.arange(N) // 2)
    assert "rows repeat images" in udr("-d", DATASET)[1]


def test_other_images_are_refused(udr):
    copies(50, index=np.arange(50))
    arrays = dict(np.load("b.npz"))
    np.savez("b.npz", **arrays | {"index": arrays["index"] + 100})
    assert "0 images in common" in udr("-d", DATASET)[1]


def test_other_factors_are_refused(udr):
    copies(60, factors=np.arange(60)[:, None])
    np.savez("b.npz", **dict(np.load("b.npz")), factor_names=np.array(["hue"]))
    assert "have other factors" in udr()[1]


def test_one_order_is_assumed_with_a_warning_where_nothing_tells(udr):
    copies(60)
    found, err = udr()
    assert "row n of each is taken for the same one" in err
    assert found["warning"] in err
    arrays = dict(np.load("a.npz"))
    for name, order in {"a": slice(None), "b": slice(None, None, -1)}.items():
        np.savez(f"{name}.npz", **arrays, factors=np.arange(60)[order, None])
    assert "nothing tells those of c" in udr()[1]
    np.savez("b.npz", codes=arrays["codes"][:50], logvar=arrays["logvar"][:50])
    np.savez("a.npz", **arrays)
    assert "all models need codes of the same images, got [60, 50, 60]" in udr()[1]
