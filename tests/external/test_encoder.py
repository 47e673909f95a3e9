"""Encoders of users: what they return is taken from any library, or refused with what is expected and what came."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch

from bench.external.codes import choose_dataset
from bench.external.encoder import encode_with
from helpers.errors import refused

DATASET = "dsprites[scale=3,orientation=1,pos_x=6,pos_y=4,size=32]"


@pytest.fixture
def encode(tmp_path, monkeypatch):
    """Run a function as a user's encoder; it is given the means of four quarters of every image."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("def encode(images):\n    return ENCODE(images)\n", encoding="utf-8")
    monkeypatch.delitem(sys.modules, "mine", raising=False)

    def call(function, *, of=lambda images: images.reshape(len(images), 4, -1).mean(axis=2)):
        monkeypatch.setattr("builtins.ENCODE", lambda images: function(of(images)), raising=False)
        return encode_with("mine:encode", choose_dataset(DATASET), 100)

    return call


def conjugated(x):
    return torch.from_numpy(x + 0j).conj().real


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize(
    "convert",
    [
        torch.from_numpy,
        lambda x: torch.from_numpy(x).requires_grad_(),
        lambda x: torch.from_numpy(x).to_sparse(),
        lambda x: torch.from_numpy(x).to_sparse_csr(),
        conjugated,
        scipy.sparse.csr_matrix,
        scipy.sparse.coo_array,
        np.ndarray.tolist,
        list,
        tuple,
        lambda x: list(torch.from_numpy(x)),
        lambda x: (x,),
        lambda x: [x, -x],
        lambda x: (torch.from_numpy(x).requires_grad_(), scipy.sparse.csr_matrix(x)),
    ],
)
def test_numbers_of_any_library_are_taken(encode, convert):
    own = encode(lambda x: x).inputs["codes"]
    np.testing.assert_allclose(encode(convert).inputs["codes"], own, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_tensors_of_other_floats_are_taken(encode, dtype):
    found = encode(lambda x: torch.from_numpy(x).to(dtype)).inputs["codes"]
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, encode(lambda x: x).inputs["codes"], rtol=1e-2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_tensors_of_another_device_are_taken(encode):
    found = encode(lambda x: torch.from_numpy(x).cuda().requires_grad_()).inputs["codes"]
    np.testing.assert_allclose(found, encode(lambda x: x).inputs["codes"])


@pytest.mark.parametrize(
    ("convert", "came"),
    [
        (lambda x: (x, x, x), "it gave 3 things: (100, 4), (100, 4), (100, 4)"),
        (lambda x: (), "it gave 0 things: nothing"),
        (lambda x: None, "it gave NoneType: "),
        (lambda x: {"mean": x}, "it gave dict: "),
        (lambda x: "codes", "it gave str: "),
        (lambda x: x[:50], "it gave (50, 4)"),
        (lambda x: x[0], "it gave (4,)"),
        (lambda x: x[:, :0], "it gave (100, 0)"),
        (lambda x: x[:, :, None], "it gave (100, 4, 1)"),
        (lambda x: (x, x[:, :2]), "it gave (100, 4), (100, 2)"),
        (lambda x: [[1.0], [1.0, 2.0]], "it gave"),
        (lambda x: x + 1j, "complex64 instead of real numbers"),
        (lambda x: torch.from_numpy(x + 1j), "complex64 instead of real numbers"),
        (lambda x: x.astype(str), "instead of real numbers"),
    ],
)
def test_what_is_no_table_of_codes_is_refused(encode, convert, came):
    line = refused(encode, convert)
    assert "must give codes of shape (100, n_latents), or means and log-variances of that shape" in line
    assert came in line


def test_codes_that_are_not_finite_are_counted(encode):
    holes = np.where(np.arange(100)[:, None] < 7, np.nan, 0)
    assert "gave codes that are NaN or infinite, for 7 of 100 images" in refused(encode, lambda x: x + holes)
    assert "gave log-variances that are NaN" in refused(encode, lambda x: (x, x + holes))


@pytest.mark.parametrize("error", [ValueError("a\nb"), SystemExit(3), AssertionError()])
def test_an_encoder_that_fails_is_told_where(encode, error):
    def fail(x):
        raise error

    line = refused(encode, fail)
    assert f"failed on images of shape (100, 1, 32, 32): {type(error).__name__}" in line
    assert "test_encoder.py:" in line


def test_images_that_an_encoder_changes_are_its_own(encode):
    def change(images):
        images *= 0
        return images.reshape(len(images), -1)[:, :2]

    assert not encode(change, of=lambda images: images).warning


def test_an_encoder_that_draws_marks_the_table(encode, bench):
    rng = np.random.default_rng(0)
    item = encode(lambda x: x + rng.normal(size=x.shape))
    assert item.warning.startswith("encoder draws at random: the same 100 images got codes that differ by up to ")
    code, out, err = bench("score", "--encoder", "mine:encode", "-d", DATASET, "--metric", "sap", "--out", "table.csv")
    assert code == 0
    assert "encoder draws at random" in err
    assert "encoder draws at random" in out
    rows = list(csv.DictReader(Path("table.csv").read_text(encoding="utf-8").splitlines()))
    assert all("encoder draws at random" in row["marks"] for row in rows)
    _, out, _ = bench("score", "--encoder", "mine:encode", "-d", DATASET, "--metric", "sap", "--json")
    assert "encoder draws at random" in json.loads(out)["representations"][0]["warning"]


def test_batch_normalisation_in_training_mode_is_noticed(encode):
    norm = torch.nn.BatchNorm1d(4)
    assert "depend on the other images of a batch" in encode(lambda x: norm(torch.from_numpy(x))).warning
    norm.eval()
    assert not encode(lambda x: norm(torch.from_numpy(x))).warning


def test_what_an_encoder_prints_is_no_part_of_the_output(encode, bench):
    encode(lambda x: sys.stdout.write("hello") and x)
    _, out, err = bench("score", "--encoder", "mine:encode", "-d", DATASET, "--metric", "sap", "--json")
    assert json.loads(out)
    assert "hello" in err


def test_a_module_that_hides_the_users_file_is_named(bench):
    Path("signal.py").write_text("def encode(images):\n    return images\n", encoding="utf-8")
    _, _, err = bench("score", "--encoder", "signal:encode", "-d", DATASET)
    assert "'signal' is " in err
    assert "which hides signal.py here: rename that file" in err
    _, _, err = bench("score", "--encoder", "json:encode", "-d", DATASET)
    assert "json/__init__.py) has no function 'encode'" in err


@pytest.mark.parametrize(
    ("text", "says"),
    [("raise SystemExit(0)", "can't be imported: SystemExit"), ("1 +", "SyntaxError"), ("import nope", "No module")],
)
def test_a_module_that_cannot_be_imported_is_refused(bench, text, says):
    Path("broken_encoder.py").write_text(text, encoding="utf-8")
    code, _, err = bench("score", "--encoder", "broken_encoder:encode", "-d", DATASET)
    assert code == 2
    assert says in err
