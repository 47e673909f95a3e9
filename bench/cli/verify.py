"""The command `verify`: what is damaged of a stored study."""

from __future__ import annotations

from pathlib import Path

import typer

from bench.cli.common import say
from bench.cli.options import Results, Study


def verify(study: Study, results: Results = Path("results")) -> None:
    """Verify the checksums of all files of a study; prints a line per damaged file and exits with 3 if there is one."""
    from bench.sharing.opening import locate
    from bench.sharing.verify import verify as verify_study

    path = locate(study, results)
    found = verify_study(path)
    for name, what in found.damaged.items():
        say(f"{path / name} {what}" if path.is_dir() else f"{path}: {name} {what}" if name else what)
    if found.unsealed:
        text = "were recorded before results had a checksum of their own: an edited score can't be seen in them"
        say(f"bench: {len(found.unsealed)} of {found.n_runs} runs {text}", err=True)
    if found.damaged:
        say(f"bench: {len(found.damaged)} damaged files; `bench run --repair` trains their runs again", err=True)
        raise typer.Exit(3)
    say(f"bench: {path}: {found.n_runs} runs, nothing is damaged", err=True)
