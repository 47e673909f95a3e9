"""Headings that tell representations apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path


def distinct_names(files: Sequence[Path]) -> list[str]:
    """Shortest names of files that tell them apart.

    Parameters
    ----------
    files : sequence of Path
        A file that is given twice has one name twice.

    Returns
    -------
    list of str
        A file's name without its ending; with it where that is all that differs from another one's; and with as many of
        its folders as it takes: "a/model" and "b/model".
    """
    whole = [file.absolute() for file in files]
    names = [file.stem for file in whole]
    for group in _shared(names):
        if len({whole[k].suffix for k in group}) > 1:
            for k in group:
                names[k] = whole[k].name
    for group in _shared(names):
        # From the file upwards, so that the first n are the nearest.
        folders = {k: whole[k].parent.parts[::-1] for k in group}
        n_needed = 0
        while len({parts[:n_needed] for parts in folders.values()}) < len(set(folders.values())):
            n_needed += 1
        for k, parts in folders.items():
            names[k] = "/".join([*parts[:n_needed][::-1], names[k]])
    return names


def _shared(names: Sequence[str]) -> list[list[int]]:
    """Positions of each name that several have."""
    return [[k for k, name in enumerate(names) if name == one] for one, n in Counter(names).items() if n > 1]
