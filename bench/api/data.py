"""`load_dataset` by keywords."""

from __future__ import annotations

from typing import Any

from bench.dataset import Dataset
from bench.dataset import load_dataset as load


def load_dataset(name: str, **options: Any) -> Dataset:
    """Load a data set.

    Parameters
    ----------
    name : str
        As `bench.list_datasets` has it.
    **options
        As ``name[option=value]`` on the command line; ``bench show NAME`` lists them.

    Returns
    -------
    Dataset
        ``len()``, ``images(rows)`` and ``factors(rows)``, ``factor_names``, ``factor_sizes``.

    Raises
    ------
    BenchError
        Unknown names, impossible options, missing or damaged files.

    Examples
    --------
    >>> data = load_dataset("dsprites", size=32, orientation=1, scale=2)
    >>> len(data), data.factor_names
    (6144, ('shape', 'scale', 'orientation', 'pos_x', 'pos_y'))
    """
    return load(name, options)
