"""Published files, downloaded on request: resumed where they were cut off, checked, then put in their place at once.

Nothing here runs unless a user asks for it with ``bench data fetch``.
"""

from __future__ import annotations

import http
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from bench.data.source import CHUNK, DataFile, checked
from bench.errors import BenchError, reason
from bench.files import fsync

if TYPE_CHECKING:
    import requests

#: Seconds to wait for a connection, and for its next bytes.
TIMEOUT = (10, 60)
#: Times that one address is tried while each brings more of the file.
TRIES = 5

#: Is told of bytes that there are now, and of those that there will be, or 0.
Progress = Callable[[int, int], None]


class _CutError(Exception):
    """A connection that ended before the file did."""


def fetch(file: DataFile, folder: Path, progress: Progress | None = None) -> Path:
    """Download a file unless it is there already.

    What a cut connection has brought stays beside it as ``NAME.part`` and is resumed if the checksum is known.

    Parameters
    ----------
    file : DataFile
        Its addresses are tried in turn.
    folder : Path
        Made if need be.
    progress : callable, optional

    Returns
    -------
    Path
        The file, which is what was published as far as that is known.

    Raises
    ------
    BenchError
        In one line: another file has its place (it is left alone), no address, none that gives the file (each with its
        reason), a full disk, no permission, or `pooch` isn't installed.
    """
    path = folder / file.name
    if path.exists():
        checked(path, file)
        return path
    if not file.urls:
        raise BenchError(f"{path}: no address of it has been verified; put it there yourself")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{file.name}.lock"):
            if path.exists():
                checked(path, file)
                return path
            return _from_any(file, path, progress or (lambda _, __: None))
    except OSError as error:
        raise BenchError(f"{path}: can't be written: {reason(error)}") from None


def _from_any(file: DataFile, path: Path, progress: Progress) -> Path:
    pooch, requests = _libraries()
    kind = file.checksum.partition(":")[0]
    failed = []
    for url in file.urls:
        for _ in range(TRIES):
            part = path.with_name(f"{path.name}.part")
            before = part.stat().st_size if part.exists() else 0
            downloader = _Resuming(file, part, progress)
            try:
                pooch.retrieve(
                    url,
                    # Those of Git aren't known to pooch; the downloader checks them.
                    file.checksum if kind in ("sha256", "md5") else None,
                    fname=path.name,
                    path=path.parent,
                    downloader=downloader,
                )
            except _CutError as error:
                why = str(error)
                if part.stat().st_size <= before:
                    break
            except requests.RequestException as error:
                why = _in_short(error)
                break
            except (BenchError, ValueError) as error:
                # A mixture of two files that differ, perhaps: once more from the beginning.
                why = str(error)
                part.unlink(missing_ok=True)
                if not downloader.resumed:
                    break
            else:
                fsync(path)
                fsync(path.parent)
                return path
        failed.append(f"{url}: {why}")
    raise BenchError(f"{path.name} can't be had: {'; '.join(failed)}")


class _Resuming:
    """Downloader of `pooch` that goes on where a file was cut off."""

    def __init__(self, file: DataFile, part: Path, progress: Progress) -> None:
        self.file, self.part, self.progress = file, part, progress
        self.resumed = False

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Bring the file to `output_file`, from where it is moved if its checksum is right."""
        import requests

        if not self.file.checksum:
            # Nothing would tell a mixture of two files.
            self.part.unlink(missing_ok=True)
        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                # It was whole already, or is longer than what this address has: the checksum tells.
                self.resumed = True
            else:
                response.raise_for_status()
                self._receive(response, have)
        checked(self.part, self.file)
        self.part.replace(output_file)

    def _receive(self, response: requests.Response, have: int) -> None:
        import requests

        span = response.headers.get("Content-Range", "")
        self.resumed = response.status_code == http.HTTPStatus.PARTIAL_CONTENT and span.startswith(f"bytes {have}-")
        if response.status_code == http.HTTPStatus.PARTIAL_CONTENT and not self.resumed:
            raise requests.RequestException(f"answers with other bytes than asked for ({span or 'not said which'})")
        have = have if self.resumed else 0
        coming = response.headers.get("Content-Length", "")
        total = have + int(coming) if coming.isdigit() else 0
        if not self.resumed:
            self.part.write_bytes(b"")
        with self.part.open("ab") as out:
            try:
                for chunk in response.iter_content(CHUNK // 16):
                    have += out.write(chunk)
                    self.progress(have, total or self.file.size)
                    if self.file.size and have > self.file.size:
                        raise ValueError(f"is longer than the {self.file.size:,} bytes of the published file")
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
                raise _CutError(f"cut off after {have:,} bytes") from error
        if total and have < total:
            raise _CutError(f"cut off after {have:,} bytes")


def _libraries() -> tuple[Any, Any]:
    try:
        import pooch
        import requests
    except ImportError:
        raise BenchError("downloads need pooch: pip install 'disbench[download]'") from None
    # It would tell of every file, and of checksums that aren't known.
    pooch.get_logger().setLevel("ERROR")
    return pooch, requests


def _in_short(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    inner: BaseException = error
    while inner.__context__ is not None:
        inner = inner.__context__
    return f"can't be reached ({reason(inner)})" if isinstance(inner, OSError) else reason(error)
