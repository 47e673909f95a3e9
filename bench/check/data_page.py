"""What ``docs/datasets.md`` says of each data set, from what is registered."""

from __future__ import annotations

import inspect
import math
from dataclasses import fields
from typing import Any

from bench.check import strips
from bench.dataset import Dataset
from bench.info import DatasetInfo
from bench.registry import DATASETS, Entry, is_plugin


def sections() -> str:
    """A section for each data set that comes with Disbench, in Markdown, without a newline at its end."""
    drawn = strips.drawn_without_files()
    return "\n\n".join(_section(entry, drawn=entry.name in drawn) for entry in DATASETS if not is_plugin(entry.value))


def _section(entry: Entry[Any, DatasetInfo], *, drawn: bool) -> str:
    cls: type[Dataset] = entry.value
    facts = {
        "Factors": _factors(cls),
        "Likelihood": _likelihood(cls),
        "Licence": cls.licence,
        "Citation": cls.citation,
        "Files": _files(cls),
    }
    # The first paragraphs: what follows under headings is for those who read code.
    text = (
        (inspect.getdoc(cls) or "").split("\n\nRaises\n")[0].split("\n\nParameters\n")[0].split("\n\nAttributes\n")[0]
    )
    label = entry.info.label or entry.name
    heading = f"### `{entry.name}`" + (f": {label}" if label != entry.name else "")
    picture = [f"![{label}: images](datasets/{entry.name}.png)", ""] if drawn else []
    return "\n".join(
        [heading, "", text, "", *picture, *(f"* {name}: {value}" for name, value in facts.items() if value)]
    )


def _likelihood(cls: type[Dataset]) -> str:
    chosen = "likelihood" in {item.name for item in fields(cls.Options)}
    return cls.likelihood + (", or `likelihood=gaussian`" if chosen else "")


def _factors(cls: type[Dataset]) -> str:
    full = getattr(cls.Options, "full", {})
    if not full:
        return ", ".join(cls.factor_names)
    return f"{', '.join(f'{name} {size}' for name, size in full.items())}: {math.prod(full.values()):,} images"


def _files(cls: type[Dataset]) -> str:
    described = []
    for file in getattr(cls, "files", ()):
        size = f"{file.size:,} bytes" if file.size else ""
        source = file.urls[0] if file.urls else "no address verified"
        checksum = f"`{file.checksum}`" if file.checksum else "no checksum known"
        described.append(f"`{file.name}` ({', '.join(filter(None, [size, source, checksum]))})")
    return "; ".join(described)
