"""Stored numbers: small JSON files, sorted keys, one number per line, so that a diff can be reviewed.

A file holds subjects (``"metric mig"``, ``"method beta_vae"``); a subject holds the versions its numbers belong to, the
release that stored them, a bound per column, the numbers by column and case, and digests by environment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bench
from bench.errors import BenchError, reason
from bench.files import read_json, write_json

#: Layout of the files.
FORMAT = 1
#: Digits of a stored number.
DIGITS = 12

#: Column -> case -> number; None where there is none (not applicable, or not finite).
Numbers = dict[str, dict[str, float | None]]


@dataclass(frozen=True)
class Measured:
    """The numbers of one subject, as they are now.

    Attributes
    ----------
    subject : str
        ``"method beta_vae"``.
    versions : dict of str to int
        What the numbers depend on (``"method beta_vae"``, ``"engine"``): a rise of any of them lets them move.
    numbers : Numbers
    bounds : dict of str to float
        Column to how far its numbers may be off: absolutely, and relatively where the stored one is above 1.
    digests : dict of str to str
        What is digested to its SHA-256; comparable only in the same environment.
    """

    subject: str
    versions: dict[str, int]
    numbers: Numbers
    bounds: dict[str, float]
    digests: dict[str, str] = field(default_factory=dict)


@dataclass
class Stored:
    """A file of stored numbers.

    Attributes
    ----------
    path : Path
    inputs : dict of str to str
        Checksums of the frozen arrays that the numbers are of.
    environments : dict of str to dict
        Facts of the environments that digests were taken in, by key.
    subjects : dict of str to dict
    """

    path: Path
    inputs: dict[str, str] = field(default_factory=dict)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    subjects: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self) -> None:
        """Write the file."""
        used = {key for subject in self.subjects.values() for key in subject.get("digests", {})}
        content = {
            "format": FORMAT,
            "inputs": self.inputs,
            "environments": {key: facts for key, facts in self.environments.items() if key in used},
            "subjects": self.subjects,
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.path, {key: value for key, value in content.items() if value})
        except OSError as error:
            raise BenchError(f"baselines '{self.path}': {reason(error)}") from None


def read(path: Path) -> Stored:
    """Read a file of stored numbers; an absent one holds nothing.

    Raises
    ------
    BenchError
        If it can't be read.
    """
    if not path.exists():
        return Stored(path)
    content = read_json(path, where=f"baselines '{path}'")
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise BenchError(f"baselines '{path}': format {found}, this release reads {FORMAT}")
    return Stored(path, content.get("inputs", {}), content.get("environments", {}), content.get("subjects", {}))


def baseline_folder() -> Path:
    """Folder of the project's own baselines: the checkout's, or what the wheel brought along."""
    package = Path(bench.__file__).resolve().parent
    return package.parent / "tests" / "baselines" if in_checkout() else package / "baselines"


def in_checkout() -> bool:
    """Whether this code runs from a checkout of the project, whose baselines are its own to change."""
    root = Path(bench.__file__).resolve().parent.parent
    return (root / "pyproject.toml").is_file() and (root / "tests" / "baselines").is_dir()


def rounded(value: float | None) -> float | None:
    """What of a number is stored: 12 digits, None if it isn't finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.{DIGITS}g}")


def entry(measured: Measured, known: Mapping[str, Any] | None = None, environment: str = "") -> dict[str, Any]:
    """What is stored of a subject.

    Parameters
    ----------
    measured : Measured
    known : mapping, optional
        What was stored, where only rounding lies between the two: its digits and other environments' digests stay.
    environment : str
        Key of the environment that the digests belong to.
    """
    before: Numbers = known["numbers"] if known else {}
    numbers = {
        column: {
            case: before.get(column, {}).get(case, rounded(value)) if known else rounded(value)
            for case, value in cases.items()
        }
        for column, cases in measured.numbers.items()
    }
    stored: dict[str, Any] = {
        "versions": measured.versions,
        "stored_by": bench.__version__,
        "bounds": measured.bounds,
        "numbers": numbers,
    }
    if measured.digests:
        kept = known.get("digests", {}) if known else {}
        stored["digests"] = {**kept, environment: measured.digests}
    return stored
