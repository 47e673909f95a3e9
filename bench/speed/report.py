"""What `bench speed` prints and stores, and the comparison with an earlier call."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench import provenance, speed
from bench.errors import BenchError
from bench.files import read_json, write_out
from bench.formatting import three_digits
from bench.speed.timing import Row, Section

SCHEMA_VERSION = 1
#: Of the tables where there is no terminal, characters.
WIDTH = 140


def run(
    names: Sequence[str],
    *,
    repeats: int,
    full: bool = False,
    json_file: str = "",
    compare: Path | None = None,
    figure: Path | None = None,
) -> None:
    """Measure sections and print them, a table each as soon as it is there.

    Parameters
    ----------
    names : sequence of str
        Sections; all where empty.
    repeats : int
        Timed rounds per case.
    full : bool
        Do the long ones in full instead of extrapolating them.
    json_file : str
        Where to store the measurement; ``"-"`` prints it instead of the tables.
    compare : Path, optional
        An earlier `json_file` to compare with.
    figure : Path, optional
        Stem of a PNG and a PDF of the ratios.

    Raises
    ------
    BenchError
        Unknown sections, or files that can't be read or written.
    """
    chosen = speed.choose(names)
    # Asked before minutes are spent.
    for path in (Path(json_file) if json_file not in ("", "-") else None, figure):
        if path is not None and not path.parent.is_dir():
            raise BenchError(f"'{path}' can't be written: there is no folder '{path.parent}'")
    earlier = read(compare) if compare is not None else None
    out = Console(highlight=False, markup=False, stderr=json_file == "-")
    if not out.is_terminal:
        out.width = WIDTH
    environment = provenance.collect()
    out.print("\n".join(header(environment, repeats=repeats, full=full)))
    then = _rows(earlier) if earlier else {}
    sections = []
    for name in chosen:
        if sys.stderr.isatty():
            print(f"measuring {name} ...", file=sys.stderr)  # noqa: T201
        section = speed.load(name)(repeats=repeats, full=full)
        sections.append(section)
        if json_file != "-":
            print_section(out, section, then, compared=earlier is not None)
    result = as_json(sections, environment, repeats=repeats, full=full)
    if earlier is not None:
        differing = differences(result, earlier)
        out.print(f"compared with {compare}: {'; '.join(differing) or 'same machine, settings and versions'}")
    _write(result, json_file, out)
    if figure is not None:
        from bench.speed.figure import draw

        stem = figure.with_suffix("") if figure.suffix in (".png", ".pdf") else figure
        draw(sections, stem)
        out.print(f"figure: {stem}.png, {stem}.pdf")


def header(environment: dict[str, Any], *, repeats: int, full: bool) -> list[str]:
    """Lines that say what the numbers hold for."""
    hardware = environment["hardware"]
    machine = (hardware["cpu"], hardware["capability"], f"{hardware['cores']} cores", hardware["system"])
    gpu = f", GPU {hardware['gpu']}" if hardware["gpu"] else ""
    versions = ", ".join(f"{name} {found}" for name, found in environment["versions"].items() if found)
    commit = (environment["commit"] or "unknown")[:12] + (" with changes" if environment["dirty"] else "")
    rounds = f"{repeats} interleaved rounds, medians and quartiles" + (", long cases in full" if full else "")
    return [f"{', '.join(map(str, machine))}{gpu}", versions, f"commit {commit}; {rounds}"]


def print_section(out: Console, section: Section, then: dict[tuple[str, str], Row], *, compared: bool) -> None:
    """Print a section's table and notes; with `compared`, how many times as fast each row is now as in `then`."""
    threads = "1 thread" if section.threads == 1 else f"{section.threads} threads"
    facts = ", ".join(fact for fact in (threads, section.precision, f"{section.better} is better") if fact)
    out.print(f"\n{section.title} ({facts})", style="bold")
    ratios = any(row.ratio is not None for row in section.rows)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", overflow="fold")
    for heading in ("median", "quartiles", *(("times as fast", "quartiles") if ratios else ())):
        table.add_column(heading, justify="right")
    if ratios:
        table.add_column("as", overflow="fold")
    if compared:
        table.add_column("now / then", justify="right")
    for row in section.rows:
        cells = [row.name, f"{three_digits(row.value)} {row.unit}", _range(row.low, row.high)]
        if row.ratio is not None:
            cells += [three_digits(row.ratio), _range(row.ratio_low, row.ratio_high), row.versus]
        elif ratios:
            cells += ["", "", ""]
        if compared:
            gain = change(row, then.get((section.name, row.name)), section.better)
            cells.append("new" if gain is None else f"{gain:.2f}")
        table.add_row(*cells)
    out.print(table)
    for row in section.rows:
        if row.note:
            out.print(f"{row.name}: {row.note}")
    for note in section.notes:
        out.print(note)


def change(now: Row, then: Row | None, better: str) -> float | None:
    """How many times as fast a row is as it was; None where it wasn't measured, or in another unit."""
    if then is None or then.unit != now.unit:
        return None
    return now.value / then.value if better == "higher" else then.value / now.value


def as_json(sections: Sequence[Section], environment: dict[str, Any], *, repeats: int, full: bool) -> dict[str, Any]:
    """One measurement in JSON's types."""
    return {
        "schema_version": SCHEMA_VERSION,
        "repeats": repeats,
        "full": full,
        "environment": environment,
        "sections": [asdict(section) for section in sections],
    }


def read(path: Path) -> dict[str, Any]:
    """An earlier measurement.

    Raises
    ------
    BenchError
        If there is none, or the file is something else.
    """
    found = read_json(path)
    try:
        if found["schema_version"] != SCHEMA_VERSION:
            raise BenchError(f"'{path}' has schema {found['schema_version']}, this version reads {SCHEMA_VERSION}")
        _rows(found)
    except (KeyError, TypeError):
        raise BenchError(f"'{path}' is no measurement; `bench speed --json FILE` writes one") from None
    return dict(found)


def differences(now: dict[str, Any], then: dict[str, Any]) -> list[str]:
    """What else differs between two measurements, each as ``"torch 2.5 now, 2.4 then"``."""
    pairs = [("repeats", now["repeats"], then["repeats"]), ("full", now["full"], then["full"])]
    for kind in ("hardware", "versions"):
        new, old = now["environment"][kind], then["environment"][kind]
        pairs += [(key, new.get(key), old.get(key)) for key in dict.fromkeys([*new, *old])]
    pairs += [(key, now["environment"][key], then["environment"][key]) for key in ("commit", "dirty")]
    before = {section["name"]: section for section in then["sections"]}
    for section in now["sections"]:
        if section["name"] in before:
            for key in ("threads", "precision"):
                pairs.append((f"{section['name']}: {key}", section[key], before[section["name"]][key]))
    return [f"{key} {new} now, {old} then" for key, new, old in pairs if new != old]


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{three_digits(low)} to {three_digits(high)}"


def _rows(result: dict[str, Any]) -> dict[tuple[str, str], Row]:
    """Section and name to row."""
    return {(section["name"], row["name"]): Row(**row) for section in result["sections"] for row in section["rows"]}


def _write(result: dict[str, Any], file: str, out: Console) -> None:
    if file == "-":
        print(json.dumps(result, indent=1))  # noqa: T201
    elif file:
        write_out(Path(file), json.dumps(result, indent=1) + "\n", "--json")
        out.print(f"measurement: {file}")
