"""Codes by a user's encoder: imported, run over a sample, and its results taken whatever library they come from."""

from __future__ import annotations

import contextlib
import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.arrays import as_numpy
from bench.dataset import Dataset, sample_rows
from bench.errors import BenchError, in_words
from bench.external.codes import Representation

#: Images handed to a user's encoder at once.
CHUNK = 256
#: Largest difference between two calls on the same images, in standard deviations of a code, that is rounding.
ROUNDING = 1e-3

Encoder = Callable[[NDArray[np.float32]], Any]


def encode_with(target: str, dataset: Dataset, n_codes: int) -> Representation:
    """Run a user's encoder over a sample of a dataset: the rows on which runs are measured.

    Parameters
    ----------
    target : str
        ``module:function``, importable from here. The function is given images, (n, C, H, W) float32 in [0, 1], and
        returns codes, (n, D), or a pair of means and log-variances: arrays or tensors of any library, of any real
        type, sparse or dense, on any device.
    dataset : Dataset
    n_codes : int
        Images to encode; all of them if there are no more.

    Returns
    -------
    Representation
        With a warning if the same images get other codes when they are encoded again.

    Raises
    ------
    BenchError
        Nothing to import, an encoder that fails, or results of another shape or that aren't finite.
    """
    function, rows = _import(target), sample_rows(dataset, n_codes)
    scale = np.float32(1 / dataset.image_max)

    def images(part: NDArray[np.int64]) -> NDArray[np.float32]:
        return dataset.images(part).astype(np.float32) * scale

    parts = [_encode(function, target, images(rows[at : at + CHUNK])) for at in range(0, len(rows), CHUNK)]
    if len({(len(part), part[0].shape[1]) for part in parts}) != 1:
        raise BenchError(f"encoder '{target}' gives codes of different shapes for different images")
    arrays = [np.concatenate(each) for each in zip(*parts, strict=True)]
    inputs: dict[str, NDArray[Any]] = dict(zip(("codes", "logvar"), arrays, strict=False))
    warning = _unsteady(lambda part: _encode(function, target, images(part))[0], inputs["codes"], rows)
    if dataset.factor_names:
        inputs["factors"] = dataset.factors(rows)
    if (labels := dataset.labels(rows)) is not None:
        inputs["labels"] = labels
    reasons = {"logvar": "the encoder gives no log-variances", "images": "an encoder alone is measured"}
    source = {"encoder": target, "rows": len(rows)}
    return Representation(target, inputs, dataset.factor_names, reasons, source, warning, rows=rows)


def _encode(function: Encoder, target: str, images: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
    """Codes of one batch, and log-variances if the encoder gives them."""
    try:
        # What it prints is no part of our output.
        with contextlib.redirect_stdout(sys.stderr):
            found = function(images.copy())
    except (Exception, SystemExit) as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{_first_line(error)} ({Path(frame.filename).name}:{frame.lineno})"
        raise BenchError(f"encoder '{target}' failed on images of shape {images.shape}: {said}") from error
    wanted = f"codes of shape ({len(images)}, n_latents), or means and log-variances of that shape"
    given = found if isinstance(found, tuple | list) and not _is_table(found) else (found,)
    if not 1 <= len(given) <= 2:
        raise BenchError(f"encoder '{target}' must give {wanted}; it gave {len(given)} things: {_kinds(given)}")
    try:
        arrays = tuple(map(to_array, given))
    except Exception as error:  # every library has its own
        said = f"it gave {_kinds(given)}: {_first_line(error)}"
        raise BenchError(f"encoder '{target}' must give {wanted}; {said}") from error
    shapes = [array.shape for array in arrays]
    if len({*shapes}) != 1 or len(shapes[0]) != 2 or shapes[0][0] != len(images) or shapes[0][1] == 0:
        raise BenchError(f"encoder '{target}' must give {wanted}; it gave {', '.join(map(str, shapes))}")
    for array, what in zip(arrays, ("codes", "log-variances"), strict=False):
        if bad := int((~np.isfinite(array)).any(axis=1).sum()):
            raise BenchError(
                f"encoder '{target}' gave {what} that are NaN or infinite, for {bad} of {len(array)} images"
            )
    return arrays


def to_array(value: Any) -> NDArray[np.float64]:
    """Real numbers of any library as an array.

    Parameters
    ----------
    value : array-like
        Arrays and nested lists; tensors with a gradient, on another device, sparse, quantised, of bfloat16 or float16;
        SciPy's sparse matrices; CuPy's arrays.

    Raises
    ------
    ValueError, TypeError
        What holds no real numbers, or has no shape.
    """
    array = np.asarray(as_numpy(value))
    # Types that NumPy doesn't know, bfloat16 of JAX among them, are of kind V, and convert all the same.
    if array.dtype.kind not in "fiubV" or array.dtype.names is not None:
        raise ValueError(f"{array.dtype} instead of real numbers")
    return array.astype(np.float64)


def _unsteady(encode: Callable[[NDArray[np.int64]], NDArray[np.float64]], codes: NDArray[Any], rows: Any) -> str:
    """Whether the first images get other codes when they are encoded again, and beside other images."""
    first = rows[:CHUNK]
    spread = codes.std(axis=0).max() or 1.0
    off = np.abs(encode(first) - codes[: len(first)]).max() / spread
    if off > ROUNDING:
        return (
            f"encoder draws at random: the same {len(first)} images got codes that differ by up to {off:.2g} standard "
            "deviations; give means, and switch dropout off (eval mode)"
        )
    half = np.arange(len(first)) % max(len(first) // 2, 1)
    off = np.abs(encode(first[half]) - codes[half]).max() / spread
    if off > ROUNDING:
        return (
            f"encoder's codes depend on the other images of a batch, by up to {off:.2g} standard deviations: is batch "
            "normalisation in training mode?"
        )
    return ""


def _import(target: str) -> Encoder:
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise BenchError(f"--encoder '{target}': write it as module:function")
    # The console script's search path has no working directory, unlike `python -m`.
    sys.path.insert(0, "")
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise BenchError(f"--encoder '{target}' can't be imported: {_first_line(error)}") from error
    finally:
        sys.path.remove("")
    origin = getattr(found, "__file__", None) or "a module that is built in"
    for own in (Path(f"{module.replace('.', '/')}.py"), Path(module.replace(".", "/"), "__init__.py")):
        if own.is_file() and not (Path(origin).is_file() and own.samefile(origin)):
            raise BenchError(f"--encoder '{target}': '{module}' is {origin}, which hides {own} here: rename that file")
    function = getattr(found, name, None)
    if not callable(function):
        raise BenchError(f"--encoder '{target}': module '{module}' ({origin}) has no function '{name}'")
    encoder: Encoder = function
    return encoder


def _is_table(found: Any) -> bool:
    """Whether a list or tuple is rows of numbers, rather than the tables of codes and log-variances."""

    def is_row(row: Any) -> bool:
        of_numbers = isinstance(row, list | tuple) and all(map(np.isscalar, row))
        return of_numbers or getattr(row, "ndim", None) == 1

    return len(found) > 0 and all(map(is_row, found))


def _kinds(given: Any) -> str:
    return ", ".join(str(getattr(each, "shape", "")) or type(each).__name__ for each in given) or "nothing"


def _first_line(error: BaseException) -> str:
    said = in_words(error) if isinstance(error, Exception) else f"{type(error).__name__} {error}"
    return (said.splitlines() or [""])[0]
