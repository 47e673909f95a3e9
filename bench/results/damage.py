"""What is damaged of a run, all its files read: for who checks, shares, reuses or repairs stored runs."""

from __future__ import annotations

from pathlib import Path

from bench.errors import reason
from bench.files import sha256
from bench.results.record import (
    OTHER,
    PROVENANCE,
    RESULT,
    SPEC,
    WEIGHTS,
    Fault,
    is_shared,
    look,
    read_json,
    read_or_fault,
)
from bench.results.schemas import ProvenanceRecord, ResultRecord

#: Files that a run's numbers are read from, and its weights: recorded where they are there, and only then.
RECORDED = ("curves.csv", WEIGHTS, "scores_by_step.csv")


def faults(folder: Path, *, weights: bool = False) -> list[Fault]:
    """Damaged files of a committed run: all that `bench.results.record.look` sees, and files whose checksum is another.

    Parameters
    ----------
    folder : Path
        ``runs/<run>``.
    weights : bool
        Whether weights that aren't there are damage, too, of a run that was made here: others come without.

    Returns
    -------
    list of Fault
        One per file; what ``result.json`` names can't be held to it where that is damaged itself.
    """
    looked = look(folder)
    seen = {each.file: each for each in looked} if isinstance(looked, list) else {}
    if (volatile := folder / PROVENANCE).exists():
        odd = read_or_fault(volatile, ProvenanceRecord)
        seen |= {PROVENANCE: odd} if isinstance(odd, Fault) else {}
    if RESULT not in seen:
        named: dict[str, str] = read_json(folder / RESULT, ResultRecord).get("files", {})
        # A record that names no file has nothing to hold one to.
        for name in dict.fromkeys((*named, *(RECORDED if named else ()))):
            found = fault(folder / name, named.get(name)) if name != SPEC else None
            if found is not None and name not in seen:
                seen[name] = found
    gone = WEIGHTS in seen and not (folder / WEIGHTS).exists()
    if gone and (not weights or PROVENANCE in seen or is_shared(folder)):
        del seen[WEIGHTS]
    return list(seen.values())


def fault(file: Path, recorded: str | None) -> Fault | None:
    """What is wrong with a file of which a run recorded this checksum, or none; None if nothing is."""
    try:
        found = sha256(file) if file.exists() else None
    except OSError as error:
        return Fault(file.name, f"can't be read: {reason(error)}")
    if found == recorded:
        return None
    if recorded is None:
        return Fault(file.name, "isn't among the files that the run recorded")
    return Fault(file.name, OTHER if found else "isn't there")
