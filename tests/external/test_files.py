"""Files of codes: whatever is in them is read right, or refused in one line that says what to do."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.errors import BenchError
from bench.external.codes import read_codes
from bench.npz import read_arrays
from helpers.errors import refused

RNG = np.random.default_rng(0)
FACTORS = np.stack(np.unravel_index(np.arange(240) % 60, (3, 4, 5)), axis=1)
CODES = FACTORS[:, [0, 1, 2, 0]] + 0.1 * RNG.normal(size=(240, 4))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def npy(array):
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("_npy", ".npy"), content)
    return Path(path)


@pytest.mark.parametrize("save", [np.save, np.savez, lambda path, codes: np.savez(path, z=codes)])
def test_a_plain_table_is_enough(bench, save):
    save("codes", CODES)
    (file,) = Path().iterdir()
    code, out, _ = bench("score", file.name, "--metric", "active_units")
    assert code == 0
    assert "| Active units | 4.000 |" in out


def test_the_kind_of_file_is_what_is_in_it():
    np.savez("codes.npz", codes=CODES)
    Path("codes.npz").rename("codes.dat")
    assert read_codes(Path("codes.dat")).inputs["codes"].shape == (240, 4)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "i8", "u1", "?"])
def test_real_numbers_of_any_type_are_taken(dtype, order):
    np.savez("codes.npz", codes=np.asarray(CODES, dtype=dtype, order=order))
    np.testing.assert_array_equal(read_codes(Path("codes.npz")).inputs["codes"], CODES.astype(dtype))


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (CODES.astype("<U9"), "'codes' must be real numbers, they are <U9"),
        (CODES.astype("S9"), "'codes' must be real numbers, they are |S9"),
        (CODES.astype(complex), "'codes' must be real numbers, they are complex128"),
        (CODES.astype("M8[s]"), "'codes' must be real numbers, they are datetime64[s]"),
        (CODES.astype(object), "'codes' holds Python objects"),
        (np.zeros(4, dtype=[("a", "f8")]), "'codes' must have shape"),
        (np.float64(3), "'codes' must have shape (n_samples, n_latents), not ()"),
    ],
)
def test_codes_of_another_kind_are_refused_by_name(array, says):
    np.savez("codes.npz", codes=array)
    assert says in refused(read_codes, Path("codes.npz"))


@pytest.mark.parametrize(
    ("logvar", "says"),
    [(CODES[:, :2], "must have the shape of the codes, (240, 4), not (240, 2)"), (CODES * np.nan, "NaN")],
)
def test_log_variances_that_do_not_fit_are_refused(logvar, says):
    np.savez("codes.npz", codes=CODES, logvar=logvar)
    assert says in refused(read_codes, Path("codes.npz"))


@pytest.mark.parametrize("kind", ["<U3", "S3"])
def test_strings_are_classes(bench, kind):
    np.savez("ints.npz", codes=CODES, factors=FACTORS, factor_names=np.array(["a", "b", "c"]))
    np.savez("strings.npz", codes=CODES, factors=FACTORS.astype(kind), factor_names=np.array([b"a", b"b", b"c"]))
    code, out, _ = bench("score", "ints.npz", "strings.npz", "--metric", "mig,sap", "--json")
    assert code == 0
    ints, strings = json.loads(out)["representations"]
    assert ints["scores"] == strings["scores"]
    assert ints["factor_names"] == strings["factor_names"] == ["a", "b", "c"]


@pytest.mark.parametrize("names", [np.array([1, 2, 3]), np.array([["a", "b", "c"]]), np.array(["a", 1, None], object)])
def test_names_of_factors_are_strings(names):
    np.savez("codes.npz", codes=CODES, factors=FACTORS, factor_names=names)
    assert "'factor_names'" in refused(read_codes, Path("codes.npz"))


def test_a_name_in_another_encoding_stays_readable():
    np.savez("codes.npz", codes=CODES, factors=FACTORS, factor_names=np.array([b"caf\xe9", b"b", b"c"]))
    assert read_codes(Path("codes.npz")).factor_names[0] == "caf\\xe9"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "damaged or not the right kind of file"),
        (b"no archive", "damaged or not the right kind of file"),
        (npy(CODES)[:-1], "it is shorter than its header says"),
        (npy(CODES) + b"x", "it is longer than its header says"),
        (npy(CODES)[:20], "damaged or not the right kind of file"),
        (npy(CODES.astype(object)), "Python objects"),
        (npy(CODES[:, 0]), "codes must have shape (n_samples, n_latents), not (240,)"),
    ],
)
def test_damaged_plain_arrays_are_refused(content, says):
    Path("codes.npy").write_bytes(content)
    assert says in refused(read_codes, Path("codes.npy"))


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({}, "there is no array 'codes'"),
        ({"codes_npy": b"text"}, "array 'codes': "),
        ({"codes": npy(CODES), "codes_npy": npy(CODES)}, "two arrays have the name 'codes'"),
        ({"codes_npy": npy(CODES)[:-8]}, "array 'codes': it is shorter than its header says"),
        ({"codes_npy": npy(CODES) + b"12345678"}, "array 'codes': it is longer than its header says"),
        ({"codes_npy": npy(CODES).replace(b"(240, 4)", b"(-24, 4)")}, "array 'codes': no array is float64"),
        ({"codes_npy": npy(CODES).replace(b"'<f8'", b"'<U0'")}, "array 'codes': no array is <U0"),
        ({"codes_npy": npy(CODES).replace(b"\x93NUMPY\x01", b"\x93NUMPY\x07")}, "array 'codes': "),
        ({"codes_npy": npy(np.array(["a"])).replace(b"a\0\0\0", b"a\0\0\1")}, "its texts hold what is no character"),
        ({"codes_npy": b"\x93NUMPY\x02\x00" + b"\xff" * 100}, "its header is too long"),
    ],
)
def test_damaged_members_are_refused_by_name(members, says):
    assert says in refused(read_codes, archive("codes.npz", **members))


def test_what_would_take_too_much_memory_is_refused_unread(bench):
    np.savez_compressed("codes.npz", codes=np.zeros((2_000_000, 4), np.float32))
    assert Path("codes.npz").stat().st_size < 50_000
    code, _, err = bench("score", "codes.npz", "--metric", "active_units", "--max-memory", "0.02")
    assert code == 2
    assert "would take 0.03 GiB of memory (codes float32 (2000000, 4)), more than 0.02 GiB; --max-memory" in err
    assert len(err.strip().splitlines()) == 1


def test_what_is_not_asked_for_is_not_unpacked():
    np.savez_compressed("codes.npz", codes=CODES, huge=np.zeros(1_000_000), odd=np.array([{}], dtype=object))
    found = read_arrays(Path("codes.npz"), lambda names: [names[0]], max_bytes=10_000)
    assert list(found) == ["codes"]


def test_every_flipped_byte_and_every_truncation_is_read_right_or_refused():
    np.savez_compressed("whole.npz", codes=CODES[:40], factors=FACTORS[:40].astype(np.uint8))
    np.save("whole.npy", CODES[:20])
    for file in ("whole.npz", "whole.npy"):
        whole, path = Path(file).read_bytes(), Path(f"damaged{file[-4:]}")
        own, lines = read_codes(Path(file)).inputs, []
        step = max(len(whole) // 500, 1)
        contents = [
            whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in range(0, len(whole), step)
        ]
        contents += [whole[:at] for at in range(0, len(whole), 7 * step)]
        for content in contents:
            path.write_bytes(content)
            try:
                found = read_codes(path).inputs
            except BenchError as error:
                lines.append(str(error))
                continue
            # A plain array has no checksum: its values are what the file says.
            if file == "whole.npz":
                for name, array in found.items():
                    np.testing.assert_array_equal(array, own[name])
        assert len(lines) > len(contents) / 10
        assert all(str(path) in line and "\n" not in line for line in lines)


def test_codes_too_large_to_compute_with_are_refused(bench):
    np.save("codes.npy", CODES * 1e200)
    code, _, err = bench("score", "codes.npy", "--metric", "active_units")
    assert code == 2
    assert "codes: codes of up to 4e+200 are too large to be squared: scale them" in err


@pytest.mark.parametrize("name", ["", "none.npz"])
def test_what_is_no_file_is_said(name):
    assert ("no such file" if name else "no plain file") in refused(read_codes, Path(name))


def test_class_labels_lie_beside_codes_or_come_with_the_dataset():
    np.savez("codes.npz", codes=CODES, labels=FACTORS[:, 0])
    assert read_codes(Path("codes.npz")).inputs["labels"].tolist() == FACTORS[:, 0].tolist()
    np.savez("codes.npz", codes=CODES)
    assert read_codes(Path("codes.npz")).reasons["labels"] == "the file has no 'labels'"
    np.savez("codes.npz", codes=CODES, labels=FACTORS)
    with pytest.raises(BenchError, match=r"'labels' must be whole numbers of shape \(240,\), one a row of the codes"):
        read_codes(Path("codes.npz"))
