"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.config.preset_files import by_rank

Methods = Annotated[
    list[str] | None,
    typer.Option(
        "-m", "--method", help=r"Method: a name, name\[key=v1,v2], a glob, or all; repeatable. Default: the preset's."
    ),
]
Datasets = Annotated[
    list[str] | None,
    typer.Option(
        "-d",
        "--dataset",
        help=r"Data set: a name, or name\[option=value]; repeatable. Default: the preset's. "
        r"""A value that holds , = \[ or ] is quoted: 'npz\[path="a,b.npz"]'.""",
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", help="Metric: a name, a group (core, all) or a glob; repeatable. Default: the preset's."),
]
Hyper = Annotated[
    str | None,
    typer.Option(
        "--hyper",
        "--terms",
        help="Hyper-parameters: shared (default: all methods have the same network, initialisation, batches, optimiser "
        "and steps), published (each method's own, from its authors' code) or tuned (by `bench tune`). --terms is "
        "the former name, with equal for shared and as_published for published.",
    ),
]
Tuned = Annotated[
    Path | None,
    typer.Option(
        "--tuned",
        help="File that `bench tune` wrote: run each method with the tuned and with its default hyper-parameters.",
    ),
]
Seeds = Annotated[str | None, typer.Option("--seeds", help="Seeds: a count (10), a range (0-4) or a list (3,7).")]
Preset = Annotated[
    str | None,
    typer.Option("--preset", help=f"Preset: {', '.join(by_rank())}. Default: the study's, else quick."),
]
Config = Annotated[
    str | None,
    typer.Argument(metavar="[STUDY]", help="Study: a name from `bench list studies`, or a TOML file."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Setting, as table.key=value: dynamic_vae.ki=0.001, train.steps=1000; repeatable."),
]
Study = Annotated[str, typer.Argument(help="Study: its name, its folder, or an archive of `bench export`.")]
StudyName = Annotated[str | None, typer.Option("--study", help="Name of the results folder.")]
Results = Annotated[Path, typer.Option("--results", help="Folder of the studies.")]
Reports = Annotated[Path, typer.Option("--reports", help="Folder of the reports.")]
Jobs = Annotated[int, typer.Option("-j", "--jobs", help="Worker processes; 0: one per core.", min=0)]
Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", help="Python file that registers methods, datasets, metrics, ...; repeatable."),
]
Mixed = Annotated[bool, typer.Option("--mixed", help="Accept runs of different versions; labels keep them apart.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print only errors and the path of the report.")]
