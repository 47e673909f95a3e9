"""Random numbers of an image's own: drawn from its row alone, whatever rows are asked for with it.

Philox counts instead of remembering, so each row has a stretch of 2**64 blocks of one stream to itself; NumPy promises
that the words of a bit generator stay the same from version to version.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.dataset import Index
from bench.seeds import stream_key


def random_words(name: str, rows: Index, count: int) -> NDArray[np.uint64]:
    """Words of the stream `name` of each row.

    Parameters
    ----------
    name : str
        The stream; what is drawn for another data set has another name.
    rows : ndarray of shape (n,), int64
    count : int
        Words per row.

    Returns
    -------
    ndarray of shape (n, count), uint64
        Uniform; a row's words depend on `name` and the row alone, and more of them begin with the same ones.
    """
    generator = np.random.Philox(key=stream_key(0, name))
    # The state of a generator that has given nothing yet; setting it is six times as fast as a new generator.
    state = dict(generator.state)
    key = state["state"]["key"]
    words = np.empty((len(rows), count), dtype=np.uint64)
    for place, row in enumerate(rows.tolist()):
        state["state"] = {"counter": np.array([0, row, 0, 0], dtype=np.uint64), "key": key}
        generator.state = state
        words[place] = generator.random_raw(count)
    return words


def random_bytes(name: str, rows: Index, count: int) -> NDArray[np.uint8]:
    """Bytes of the stream `name` of each row, shape (n, count), uniform; `count` is a multiple of 8."""
    # Little-endian on every machine, so that images are the same on all.
    return random_words(name, rows, count // 8).astype("<u8", copy=False).view(np.uint8)


def uniform(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Words as numbers in [0, 1), of 53 bits."""
    return (words >> np.uint64(11)) * 2.0**-53
