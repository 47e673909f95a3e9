"""Errors that are the user's to mend: one clear line, no traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BenchError(Exception):
    """Something the user can put right; the command line prints its one line and exits with 2."""


def in_words(error: BaseException) -> str:
    """What a record says of an error: a `BenchError`'s own words, the type before those of any other."""
    try:
        text = str(error)
    except Exception as another:
        return f"{type(error).__name__}, which can't say what it is: its own text raises {type(another).__name__}"
    if isinstance(error, BenchError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def reason(error: BaseException) -> str:
    """What went wrong, in a few words on one line, for a message that names the file or the function itself.

    The operating system's words where it has some, else the first line of the error's own, else its type.
    """
    text = str(getattr(error, "strerror", None) or error).strip()
    return (text or type(error).__name__).splitlines()[0]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the known name nearest to `word`.

    Parameters
    ----------
    word : str
        What the user typed.
    known : iterable of str
        The names that exist.

    Returns
    -------
    str
        ``"; did you mean 'beta_vae'?"``, or the empty string when nothing is near.
    """
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if not near:
        squeezed = {name.replace("_", "").replace("-", "").lower(): name for name in names}
        near = difflib.get_close_matches(
            word.replace("_", "").replace("-", "").lower(), list(squeezed), n=1, cutoff=0.6
        )
        near = [squeezed[hit] for hit in near]
    return f"; did you mean '{near[0]}'?" if near else ""
