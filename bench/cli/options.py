"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.config.preset_files import by_rank

Methods = Annotated[
    list[str] | None,
    typer.Option(
        "-m", "--method", help=r"all, a name, a glob, or name\[key=v1,v2]; repeatable. Default: the preset's."
    ),
]
Datasets = Annotated[
    list[str] | None,
    typer.Option(
        "-d",
        "--dataset",
        help=r"A name, or name\[option=value]; repeatable. Default: the preset's. "
        r"""A value that holds , = \[ or ] is quoted: 'npz\[path="a,b.npz"]'.""",
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", help="all, a name or a glob; repeatable."),
]
Terms = Annotated[
    str | None,
    typer.Option(
        "--terms", help="equal: all methods share network, init, batches, optimiser, steps; as_published; tuned."
    ),
]
Tuned = Annotated[
    Path | None,
    typer.Option("--tuned", help="What `bench tune` chose: each method as in this file and at its default."),
]
Seeds = Annotated[str | None, typer.Option("--seeds", help="A count (10), a range (0-4) or a list (3,7).")]
Preset = Annotated[
    str | None,
    typer.Option("--preset", help=f"{', '.join(by_rank())}; by default the study's, else quick."),
]
Config = Annotated[
    str | None,
    typer.Argument(metavar="[STUDY]", help="A study: a name from `bench list studies`, or a TOML file."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="table.key=value, for example dynamic_vae.ki=0.001 or train.steps=1000; repeatable."),
]
Study = Annotated[str, typer.Argument(help="Name of a study, its folder, or an archive of `bench export`.")]
StudyName = Annotated[str | None, typer.Option("--study", help="Name of the results folder.")]
Results = Annotated[Path, typer.Option("--results", help="Where studies are kept.")]
Reports = Annotated[Path, typer.Option("--reports", help="Where reports are written.")]
Jobs = Annotated[int, typer.Option("-j", "--jobs", help="Worker processes; 0: one per core.", min=0)]
Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", help="A Python file that registers methods, datasets, metrics or networks; repeatable."),
]
Mixed = Annotated[bool, typer.Option("--mixed", help="Allow runs of different versions, kept apart by label.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only errors and the path of the report.")]
