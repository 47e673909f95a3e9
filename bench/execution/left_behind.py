"""What an earlier attempt left in a run's working folder, and what of it is gone on from."""

from __future__ import annotations

import json

from bench.execution.task import Attempt
from bench.files import write_json
from bench.results import scores_by_step
from bench.results.store import CHECKPOINT, MEASURED
from bench.training import checkpoint


def sort_out(attempt: Attempt) -> int | None:
    """Empty a working folder of all that isn't gone on from; `Attempt.warning` then says what was lost by it.

    Returns
    -------
    int or None
        Step of the checkpoint that stands there now; None if the run is to begin.
    """
    _clear(attempt)
    begun_otherwise = _begun_otherwise(attempt)
    step, warning = checkpoint.recover(attempt.folder / CHECKPOINT, attempt.spec)
    # A checkpoint is set aside once, but looked for twice where training beside others failed.
    attempt.warning = warning or begun_otherwise or attempt.warning
    if step is None:
        begin_again(attempt)
    return step


def begin_again(attempt: Attempt) -> None:
    """Remove what would be gone on from."""
    (attempt.folder / CHECKPOINT).unlink(missing_ok=True)
    (attempt.folder / scores_by_step.NAME).unlink(missing_ok=True)


def _clear(attempt: Attempt) -> None:
    for leftover in attempt.folder.iterdir():
        # Files of a process that was killed while it wrote; only checkpoints are worth anything, and what was measured
        # on the way to them. Rows after it will be computed again.
        if not leftover.name.startswith(CHECKPOINT) and leftover.name not in (scores_by_step.NAME, MEASURED):
            leftover.unlink()


def _begun_otherwise(attempt: Attempt) -> str:
    """Begin a run again whose scores on the way were taken otherwise than they are now wanted; what is said of it.

    The choice of metrics isn't a part of a run's identity, but one file can't hold two kinds of scores.
    """
    if not attempt.spec.train.score_every:
        return ""
    file, wanted = attempt.folder / MEASURED, attempt.spec.evaluation.model_dump(mode="json")
    left = [*attempt.folder.glob(f"{CHECKPOINT}*"), attempt.folder / scores_by_step.NAME]
    before = json.loads(file.read_bytes()) if file.exists() else None
    write_json(file, wanted)
    if before == wanted or not any(each.exists() for each in left):
        return ""
    for each in left:
        each.unlink(missing_ok=True)
    return "its scores during training were taken with other metrics or another sample; it began again"
