"""What lies in a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of every file in `folder` and below, by its path inside."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def digests(folder: Path, *, without: Collection[str] = ()) -> dict[str, str]:
    """Return the SHA-256 of every file in `folder` and below, by its path inside, but for files named in `without`."""
    files = tree(folder).items()
    return {path: hashlib.sha256(content).hexdigest() for path, content in files if Path(path).name not in without}
