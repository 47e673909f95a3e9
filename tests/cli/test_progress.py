"""What somebody in front of a running study is told."""

from __future__ import annotations

from bench.cli.progress import Progress
from bench.execution.task import Outcome


def test_a_warning_is_printed_once_however_many_runs_have_it(capfd):
    progress = Progress(quiet=True)
    for run, warning in (("a", "mixed"), ("b", ""), ("c", "mixed"), ("d", "other")):
        progress.finished(Outcome(run, "ok", warning=warning))
    assert capfd.readouterr() == ("", "bench: warning: mixed\nbench: warning: other\n")
