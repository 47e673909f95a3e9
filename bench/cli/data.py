"""The commands `data ...`: published files of data sets, where they are, and whether they are what they should be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.common import load_plugins
from bench.cli.options import Plugins
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.dataset import Dataset
    from bench.file_world import FileWorld

app = typer.Typer(
    name="data",
    help="Published files of data sets: list, fetch, verify, prepare. Nothing but `fetch` touches a network.",
    no_args_is_help=True,
)

Names = Annotated[
    list[str], typer.Argument(metavar="DATASET...", help=r"Names, or name\[option=value] as on `bench run -d`.")
]


@app.command("list")
def list_(plugin: Plugins = None) -> None:
    """List the data sets that come from published files, and which of those are there."""
    from rich.table import Table

    from bench.cli.console import out
    from bench.data.source import data_folder
    from bench.file_world import FileWorld
    from bench.registry import DATASETS

    load_plugins(plugin)
    table = Table("data set", "files", "to fetch", "licence", box=None)
    for entry in DATASETS:
        cls = entry.value
        if not issubclass(cls, FileWorld):
            continue
        there = sum((data_folder() / cls.folder / file.name).is_file() for file in cls.files)
        known = sum(bool(file.urls) for file in cls.files)
        table.add_row(entry.name, f"{there} of {len(cls.files)}", f"{known}" if known else "by hand", cls.licence)
    out.print(f"files are looked for in {data_folder()}/<data set>")
    out.print(table)


@app.command()
def info(names: Names, plugin: Plugins = None) -> None:
    """Say what a data set is: size, memory, factors, remarks, licence, citation, and where published files are."""
    from bench.cli.console import out
    from bench.file_world import FileWorld

    load_plugins(plugin)
    for name, data in _named(names):
        pixels = len(data) * math.prod(data.image_shape)
        shape = " x ".join(map(str, data.image_shape))
        factors = ", ".join(f"{key} {size}" for key, size in zip(data.factor_names, data.factor_sizes, strict=True))
        out.print(f"{name}: {(type(data).__doc__ or '').strip().splitlines()[0]}")
        out.print(f"  {len(data):,} images of {shape}, {pixels / 2**20:,.0f} MiB as bytes")
        if (kept := getattr(data, "kept_bytes", None)) is not None:
            out.print(f"  rendered when asked for: once all have been, {kept / 2**20:,.1f} MiB are kept of them")
        out.print(f"  factors: {factors or 'not known'}")
        for remark in data.remarks:
            out.print(f"  {remark}")
        out.print(f"  licence: {data.licence}")
        out.print(f"  citation: {data.citation}")
        for file, path in data.places() if isinstance(data, FileWorld) else ():
            size = f", {file.size:,} bytes" if file.size else ""
            out.print(
                f"  {path}: {'there' if path.is_file() else 'absent'}{size}, {file.checksum or 'no checksum known'}"
            )
            for url in file.urls:
                out.print(f"    {url}")


@app.command()
def fetch(
    names: Names,
    offline: Annotated[bool, typer.Option("--offline", help="Touch no network: fail if a file isn't there.")] = False,
    plugin: Plugins = None,
) -> None:
    """Download the files that are missing; what was cut off is resumed, and each is checked before it is used."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    from bench.cli.console import out
    from bench.data.remote import fetch as fetch_file

    load_plugins(plugin)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    for _, data in _worlds(names):
        for file, path in data.places():
            if offline and not path.exists():
                raise BenchError(f"{path}: isn't there, and --offline allows no download")
            with Progress(*columns, console=Console(stderr=True), transient=True, disable=path.exists()) as bars:
                bar = bars.add_task(file.name, total=None)

                def tell(now: int, total: int, bars: Progress = bars, bar: TaskID = bar) -> None:
                    bars.update(bar, completed=now, total=total or None)

                fetch_file(file, path.parent, tell)
            out.print(f"{path}: there" + ("" if file.checksum else " (no checksum of it is known)"))


@app.command()
def verify(names: Names, plugin: Plugins = None) -> None:
    """Check files and what was prepared of them, byte for byte; exit code 1 if a file is missing, 2 if one is wrong."""
    from bench.cli.console import out

    load_plugins(plugin)
    missing = False
    for _, data in _worlds(names):
        data.verify()
        for file, path in data.places():
            missing |= not path.is_file()
            found = "as published" if file.checksum else "there; no checksum of it is known"
            out.print(f"{path}: {found if path.is_file() else 'absent'}")
    raise typer.Exit(1 if missing else 0)


@app.command("path")
def path_(
    names: Annotated[list[str] | None, typer.Argument(metavar="[DATASET...]")] = None,
    plugin: Plugins = None,
) -> None:
    """Print the folder in which files are looked for, of each data set or of all."""
    from bench.cli.console import out
    from bench.data.source import data_folder

    load_plugins(plugin)
    if not names:
        out.print(str(data_folder()))
    for _, data in _worlds(names or []):
        out.print(str(data_folder() / data.folder))


@app.command()
def prepare(names: Names, plugin: Plugins = None) -> None:
    """Unpack images once into a file whose rows are read afterwards."""
    from bench.cli.console import out

    load_plugins(plugin)
    for _, data in _worlds(names):
        out.print(f"{data.prepare()}: ready")


def _worlds(names: list[str]) -> Iterator[tuple[str, FileWorld]]:
    """The data sets that are named, with their options, where they come from published files.

    Raises
    ------
    BenchError
        As `_named`, or one that needs no published files.
    """
    from bench.file_world import FileWorld

    for name, data in _named(names):
        if not isinstance(data, FileWorld):
            raise BenchError(f"data set '{name}' has no published files; see `bench data list`")
        yield name, data


def _named(names: list[str]) -> Iterator[tuple[str, Dataset]]:
    """The data sets that are named, with their options.

    Raises
    ------
    BenchError
        An unknown one, an impossible option, or several values of one.
    """
    from bench.dataset import load_dataset
    from bench.selectors import parse_selection

    for name in names:
        selection = parse_selection(name)
        several = [key for key, values in selection.values.items() if len(values) > 1]
        if several:
            raise BenchError(f"{name}: {several[0]} has several values; name one data set at a time")
        yield name, load_dataset(selection.name, {key: values[0] for key, values in selection.values.items()})
