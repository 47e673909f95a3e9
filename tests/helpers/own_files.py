"""Images of a user's, written in each format that they may come in."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray
from PIL import Image


def pixels(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return random ones."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    """Return the bytes of a picture (h, w) or (h, w, C)."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, format=kind, **({"quality": 95} if kind == "JPEG" else {}))
    return file.getvalue()


def picture(path: Path, image: NDArray[np.uint8]) -> Path:
    """Write a picture in the format that the file's name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(image, "PNG" if path.suffix == ".png" else "JPEG"))
    return path


def parquet(path: Path, images: NDArray[np.uint8], metadata: dict[str, str] | None = None, **columns: Any) -> Path:
    """Write images (N, h, w, C) as Hugging Face does, a structure of bytes and a path; and other columns."""
    rows = [{"bytes": encoded(image), "path": None} for image in images]
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    table = pyarrow.table({"image": pyarrow.array(rows, type=kind), **columns})
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path


def written(folder: Path) -> dict[str, dict[str, str]]:
    """Write eight images for each data set of a user's; return its options."""
    images = pixels(8, 8, 8, 3)
    np.savez(folder / "own.npz", images=images)
    with h5py.File(folder / "own.h5", "w") as file:
        file["images"] = images
    for number, image in enumerate(images):
        picture(folder / "pictures" / f"{number}.png", image)
    rows = [f"{number}.png,{number // 4},{number % 4}" for number in range(8)]
    (folder / "own.csv").write_text("\n".join(["file,hue,shape", *rows]))
    parquet(folder / "own.parquet", images, label=list(range(8)))
    return {
        "npz": {"path": str(folder / "own.npz")},
        "h5": {"path": str(folder / "own.h5")},
        "folder": {"path": str(folder / "pictures"), "table": str(folder / "own.csv")},
        "parquet": {"path": str(folder / "own.parquet")},
    }
