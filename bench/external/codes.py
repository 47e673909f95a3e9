"""Codes made elsewhere, measured as a run's are: from a file, by a user's encoder, or by somebody's weights."""

from __future__ import annotations

import importlib
import sys
import traceback
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Dataset, load_dataset, quoting_hint, sample_rows
from bench.errors import BenchError, did_you_mean, in_words
from bench.factors import factor_classes
from bench.files import sha256
from bench.metrics import reconstruction
from bench.selectors import parse_selection

#: Arrays that `read_codes` knows.
ARRAYS = ("codes", "logvar", "factors", "index", "factor_names")
#: Images handed to a user's encoder at once.
CHUNK = 256


@dataclass(frozen=True)
class Representation:
    """Codes of some images, with what belongs to the same rows.

    Attributes
    ----------
    name : str
        Heading in the tables.
    inputs : dict of str to ndarray
        See `bench.metric.Input`.
    factor_names : tuple of str
        In the order of the columns of ``inputs["factors"]``; empty where there are none.
    reasons : dict of str to str
        Why an input is missing.
    source : dict
        Where the codes come from, for the record.
    warning : str
        What looks wrong with them, in one line; empty if nothing does.
    """

    name: str
    inputs: dict[str, NDArray[Any]]
    factor_names: tuple[str, ...] = ()
    reasons: dict[str, str] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    warning: str = ""


def choose_dataset(text: str) -> Dataset:
    """Load ``name`` or ``name[option=value]``.

    Raises
    ------
    BenchError
        Unknown names or options, several values of an option, missing files.
    """
    chosen = parse_selection(text)
    several = [option for option, values in chosen.values.items() if len(values) > 1]
    try:
        if several:
            raise BenchError(f"--dataset '{text}': give one value of '{several[0]}': codes belong to one dataset")
        return load_dataset(chosen.name, {option: values[0] for option, values in chosen.values.items()})
    except BenchError as error:
        raise BenchError(f"{error}{quoting_hint(chosen, [chosen.name])}") from None


def read_codes(path: Path, dataset: Dataset | None = None) -> Representation:
    """Read codes from an ``.npz`` file.

    Parameters
    ----------
    path : Path
        Arrays ``codes`` (N, D); optionally ``logvar`` (N, D), and either ``factors`` (N, F) with ``factor_names``
        (F,), or ``index`` (N,), rows of `dataset`.
    dataset : Dataset, optional
        Gives the factors. Without ``index``, row n of the codes is image n of it.

    Raises
    ------
    BenchError
        No such file, not such a file, Python objects in it, arrays that don't fit each other.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise BenchError(f"codes '{path}': no such file") from None
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile):
        raise BenchError(
            f"codes '{path}' isn't an .npz file of plain arrays, as numpy.savez(path, codes=...) writes it"
        ) from None
    for name in arrays:
        if name not in ARRAYS:
            raise BenchError(
                f"codes '{path}': unknown array '{name}'{did_you_mean(name, ARRAYS)}; there may be: {', '.join(ARRAYS)}"
            )
    if "codes" not in arrays:
        raise BenchError(f"codes '{path}': there is no array 'codes' of shape (n_samples, n_latents)")
    inputs = {name: arrays[name] for name in ("codes", "logvar", "factors") if name in arrays}
    if inputs["codes"].ndim != 2:
        raise BenchError(f"codes '{path}': 'codes' must have shape (n_samples, n_latents), not {inputs['codes'].shape}")
    names = tuple(map(str, arrays.get("factor_names", ())))
    if dataset is not None:
        if "factors" in arrays:
            raise BenchError(f"codes '{path}': 'factors' and --dataset both say what the images show; give one of them")
        rows = _rows(path, arrays.get("index"), dataset, len(inputs["codes"]))
        names = dataset.factor_names
        if names:
            inputs["factors"] = dataset.factors(rows)
    elif "index" in arrays:
        raise BenchError(f"codes '{path}': 'index' counts rows of a dataset; say which with --dataset")
    if "factors" in inputs and inputs["factors"].ndim == 2:
        n_factors = inputs["factors"].shape[1]
        if names and len(names) != n_factors:
            raise BenchError(f"codes '{path}': {len(names)} factor_names for {n_factors} factors")
        try:
            factor_classes(inputs["factors"], names)
        except ValueError as error:
            raise BenchError(f"codes '{path}': {error}") from None
        names = names or tuple(f"factor {k}" for k in range(n_factors))
    reasons = {
        "logvar": "the file has no 'logvar'",
        "factors": "the dataset has no factors" if dataset is not None else "the file has no 'factors'",
        "images": "codes alone are measured",
    }
    source = {"file": path.name, "sha256": sha256(path)}
    return Representation(path.stem, inputs, names, reasons, source)


def encode_with(target: str, dataset: Dataset, n_codes: int) -> Representation:
    """Run a user's encoder over a sample of a dataset: the rows on which runs are measured.

    Parameters
    ----------
    target : str
        ``module:function``, importable from here. The function is given images, (n, C, H, W) float32 in [0, 1], and
        returns codes, (n, D), or a pair of means and log-variances, as arrays or tensors.
    dataset : Dataset
    n_codes : int
        Images to encode; all of them if there are no more.

    Raises
    ------
    BenchError
        Nothing to import, an encoder that fails, or results of another shape.
    """
    function, rows = _import(target), sample_rows(dataset, n_codes)
    scale = np.float32(1 / dataset.image_max)
    parts: list[tuple[NDArray[Any], ...]] = []
    for start in range(0, len(rows), CHUNK):
        images = dataset.images(rows[start : start + CHUNK]).astype(np.float32) * scale
        try:
            found = function(images)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{in_words(error).splitlines()[0]} ({Path(frame.filename).name}:{frame.lineno})"
            raise BenchError(f"encoder '{target}' failed on images of shape {images.shape}: {said}") from error
        arrays = tuple(map(_to_numpy, found if isinstance(found, tuple | list) else (found,)))
        shapes = [array.shape for array in arrays]
        if len(arrays) > 2 or len({*shapes}) != 1 or len(shapes[0]) != 2 or shapes[0][0] != len(images):
            raise BenchError(
                f"encoder '{target}' must give codes of shape ({len(images)}, n_latents), or means and log-variances "
                f"of that shape; it gave {', '.join(map(str, shapes))}"
            )
        parts.append(arrays)
    if len({(len(part), part[0].shape[1]) for part in parts}) != 1:
        raise BenchError(f"encoder '{target}' gives codes of different shapes for different images")
    inputs = dict(zip(("codes", "logvar"), map(np.concatenate, zip(*parts, strict=True)), strict=False))
    if dataset.factor_names:
        inputs["factors"] = dataset.factors(rows)
    reasons = {"logvar": "the encoder gives no log-variances", "images": "an encoder alone is measured"}
    return Representation(target, inputs, dataset.factor_names, reasons, {"encoder": target, "rows": len(rows)})


def encode_with_weights(
    path: Path, network: str, dataset: Dataset, *, keys: Path | None = None, n_codes: int, n_images: int
) -> Representation:
    """Encode and decode a sample of a dataset with weights that were trained elsewhere.

    Parameters
    ----------
    path : Path
        safetensors, or a state dict that torch can load without running code.
    network : str
        Registered network whose layers these are.
    dataset : Dataset
    keys : Path, optional
        Key map, see `bench.external.weight_files.read_key_map`.
    n_codes, n_images : int
        Images to encode, and how many of them are decoded as well.

    Raises
    ------
    BenchError
        As `bench.external.weights` says; or weights for other images.
    """
    from bench.data.images import ImageStore
    from bench.evaluation.codes import decode_codes, encode_images
    from bench.external import weight_files, weights

    key_map = weight_files.read_key_map(keys) if keys is not None else None
    state = weight_files.read_state(path, key_map.inside if key_map is not None else "")
    vae = weights.load_vae(network, dataset.image_shape, state, key_map)
    rows = sample_rows(dataset, n_codes)
    store = ImageStore(dataset)
    mean, logvar = encode_images(vae, store, rows)
    part = slice(min(n_images, len(rows)))
    inputs: dict[str, NDArray[Any]] = {"codes": mean, "logvar": logvar}
    inputs |= {"images": store.gather(rows[part]).numpy(), "decoded": decode_codes(vae, mean[part])}
    if dataset.factor_names:
        inputs["factors"] = dataset.factors(rows)
    source = {"weights": path.name, "sha256": sha256(path), "network": network, "rows": len(rows)}
    warning = _reads_wrong(inputs["images"], inputs["decoded"])
    return Representation(path.stem, inputs, dataset.factor_names, {}, source, f"{path}: {warning}" if warning else "")


def _reads_wrong(images: NDArray[Any], decoded: NDArray[Any]) -> str:
    """What shapes can't show: a head read in the wrong order decodes to worse than the mean image."""
    mean = np.clip(images.mean(axis=0, dtype=np.float64), 1e-6, 1 - 1e-6)
    plain = np.broadcast_to(np.log(mean / (1 - mean)), images.shape)
    ours, least = (reconstruction(images, logits)["reconstruction_bce"] for logits in (decoded, plain))
    if ours <= least:
        return ""
    return (
        f"reconstructs worse ({ours:.1f} nats per image) than the mean image does ({least:.1f}): untrained, "
        "trained on other images, or in need of a key map (--keys: head, order of layers)"
    )


def _rows(path: Path, index: NDArray[Any] | None, dataset: Dataset, n: int) -> NDArray[np.int64]:
    if index is None:
        if n != len(dataset):
            raise BenchError(
                f"codes '{path}': {n:,} rows, but the dataset has {len(dataset):,} images; an array 'index' must say "
                "which image each row belongs to"
            )
        return np.arange(n, dtype=np.int64)
    if index.shape != (n,) or not np.issubdtype(index.dtype, np.integer):
        raise BenchError(f"codes '{path}': 'index' must be {n:,} whole numbers, it is {index.dtype} {index.shape}")
    if len(index) and (index.min() < 0 or index.max() >= len(dataset)):
        raise BenchError(
            f"codes '{path}': 'index' runs from {index.min():,} to {index.max():,}, but the dataset has images 0 to "
            f"{len(dataset) - 1:,}"
        )
    return index.astype(np.int64)


def _import(target: str) -> Callable[[NDArray[np.float32]], Any]:
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise BenchError(f"--encoder '{target}': write it as module:function")
    # The console script's search path has no working directory, unlike `python -m`.
    sys.path.insert(0, "")
    try:
        function = getattr(importlib.import_module(module), name, None)
    except Exception as error:
        raise BenchError(f"--encoder '{target}' can't be imported: {in_words(error).splitlines()[0]}") from error
    finally:
        sys.path.remove("")
    if not callable(function):
        raise BenchError(f"--encoder '{target}': module '{module}' has no function '{name}'")
    found: Callable[[NDArray[np.float32]], Any] = function
    return found


def _to_numpy(value: Any) -> NDArray[Any]:
    for step in ("detach", "cpu"):
        value = getattr(value, step, lambda value=value: value)()
    return np.asarray(value)
