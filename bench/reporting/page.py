"""The report as one page for a browser: nothing is fetched from anywhere, so it works from a disk and in ten years."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup
from PIL import Image

from bench.figures.axes import slug
from bench.figures.frames import halved
from bench.formatting import escape_html, html_table
from bench.reporting import across, controllers, correlated, front_tables, published, run_rows, tuning
from bench.reporting.answers import LEADING, Answer
from bench.reporting.fronts import FrontRow
from bench.reporting.summary import PARTIAL, command, failures, summary_lines
from bench.reporting.tables import Table, printed
from bench.results import per_factor
from bench.results.fronts import DISENTANGLEMENT
from bench.results.study import Study

TEMPLATES = Path(__file__).parent / "templates"

#: Figures are drawn at 200 dpi; at this share of their size in pixels their text is as large as the page's.
SCALE = 0.62

CLAIM = ("id", "statement", "verdict", "effect", "n", "next")


class _Markdown(MarkdownIt):
    """What reports are written in: lists, emphasis, code, links to a report's own tables, nothing else.

    A name from outside makes no element, picture or link to another place: it is shown as it is written.
    """

    def validateLink(self, url: str) -> bool:  # noqa: N802  (markdown-it's name)
        return re.fullmatch(r"\w+\.csv", url) is not None


MARKDOWN = _Markdown("zero").enable(["list", "emphasis", "backticks", "escape", "link"])


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it: data URIs (of a film its last frame too), sizes in CSS pixels, its PDF if any."""

    stem: str
    caption: str
    uri: str
    width: int
    height: int
    pdf: str
    still: str = ""
    title: str = ""


def page(
    study: Study,
    tables: Sequence[Table],
    pictures: Sequence[tuple[str, str]],
    folder: Path,
    *,
    of_factors: Mapping[str, Sequence[per_factor.Table]],
    fronts: Mapping[str, Sequence[FrontRow]],
    beside: Sequence[published.Comparison],
    how_to_read: str,
    claims: Sequence[Mapping[str, str]] = (),
    missing: Sequence[str] = (),
    of_tuning: Sequence[tuning.Section] = (),
    over_all: Sequence[across.Across] = (),
    of_falls: Sequence[correlated.Fall] = (),
    opening: Sequence[Answer] = (),
) -> str:
    """Write the page of a study.

    Parameters
    ----------
    study : Study
    tables : sequence of Table
        One per data set, in order.
    pictures : sequence of (str, str)
        Stem and caption of figures that have been drawn.
    folder : Path
        Where ``<stem>.png``, or ``<stem>.gif``, lies; the page links to the files beside it.
    of_factors : mapping of str to sequence of tables
        Data set to its tables factor by factor, from `bench.results.per_factor.tables`.
    fronts : mapping of str to sequence of FrontRow
        Data set to comparisons of methods over their strength, from `bench.reporting.fronts.front_rows`.
    beside : sequence of Comparison
        Ours beside published values.
    how_to_read : str
        In the Markdown of reports.
    claims : sequence of mappings
        ``id``, ``statement``, ``verdict`` ("reproduced", "contradicted (at quick only)", ...), ``effect`` with its
        interval, ``n`` and ``next``, the command that would tell more; all plain text. What is missing stays empty.
    missing : sequence of str
        What the report lacks because it raised, a line each.
    of_tuning : sequence of Section
        What is to be said of tuning.
    over_all : sequence of Across
        Ranks over all data sets.
    of_falls : sequence of Fall
        What correlated training factors cost.
    opening : sequence of Answer
        What the page begins with, from `bench.reporting.answers.answers`.

    Returns
    -------
    str
        HTML without any address outside it. The same runs give the same text.
    """
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    data = json.dumps(run_rows.details(study), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    drawn = _titled([_picture(folder, stem, caption) for stem, caption in pictures])
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"rich": rich, "cell": cell, "heading": heading, "slug": slug, "table": scrolled}
    return environment.get_template("report.html").render(
        study=study,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704  (our own file)
        script=Markup(script),  # noqa: S704
        data=Markup(data.replace("<", "\\u003c")),  # noqa: S704  (nothing in it can end the element)
        summary=summary_lines(study),
        partial=PARTIAL,
        fronts={data: (front_tables.front_tables(rows), front_tables.notes(rows)) for data, rows in fronts.items()},
        opening=[(each, _id(each.anchor)) for each in opening],
        tables=[(table, *_led(table), of_factors.get(table.dataset, ())) for table in tables],
        of_tuning=[(each.heading, [_block(block) for block in each.blocks]) for each in of_tuning],
        over_all=across.printed(over_all) if over_all else None,
        of_ranks=across.notes(over_all) if over_all else (),
        of_falls=[(correlated.title(fall), correlated.printed(fall)) for fall in of_falls],
        how_falls=correlated.HOW_TO_READ,
        controllers=controllers.printed(study) if controllers.rows(study) else None,
        of_controllers=controllers.HOW_TO_READ,
        not_met=controllers.not_met_lines(study),
        published=published.table(beside) if beside else None,
        notes=published.notes(beside),
        many=len(study.datasets) > 1,
        how_to_read=how_to_read,
        claims=[{key: str(claim.get(key, "")) for key in CLAIM} for claim in claims],
        leading=[picture for picture in drawn if picture.stem.startswith(LEADING)],
        pictures=[picture for picture in drawn if not picture.stem.startswith(LEADING)],
        runs=run_rows.rows(study, tables),
        headings=run_rows.headings(study, tables),
        origin=run_rows.ORIGIN,
        missing=missing,
        failures=failures(study),
        command=command(study),
    )


def rich(text: str) -> Markup:
    """Turn the little Markdown that reports are written in into HTML."""
    return Markup(MARKDOWN.render(text).strip())  # noqa: S704  (the renderer escapes)


def scrolled(table: tuple[Sequence[str], Sequence[Sequence[str]]]) -> Markup:
    """A table of texts, headings and rows, that scrolls by itself where it is wider than the page."""
    head, rows = table
    return Markup('<div class="scroll" role="region" tabindex="0" aria-label="{}">{}</div>').format(
        head[0], html_table(head, [[first, *map(cell, others)] for first, *others in rows])
    )


def _block(block: str | tuple[list[str], list[list[str]]]) -> Markup:
    """A text or a table of a section."""
    return rich(block) if isinstance(block, str) else scrolled(block)


def cell(text: str) -> Markup:
    """Put the interval of "mean ± sd [low, high]" below the number, smaller."""
    number, _, interval = text.partition(" [")
    return Markup("{} <small>[{}</small>").format(number, interval) if interval else escape_html(text)


def heading(text: str) -> str:
    """Keep the arrow of a heading on the line of its last word."""
    return re.sub(" ([↑↓])$", "\u00a0\\1", text)


def _picture(folder: Path, stem: str, caption: str) -> Picture:
    pdf = f"{stem}.pdf" if (folder / f"{stem}.pdf").exists() else ""
    moving = folder / f"{stem}.gif"
    if moving.exists():
        with Image.open(moving) as image:
            width, height = image.size
        film = halved(moving)
        return Picture(stem, caption, run_rows.data_uri(film, "gif"), width, height, pdf, _last_frame(film))
    file = folder / f"{stem}.png"
    with Image.open(file) as image:
        width, height = (round(SCALE * size) for size in image.size)
    return Picture(stem, caption, run_rows.data_uri(file.read_bytes(), "png"), width, height, pdf)


def _titled(pictures: Sequence[Picture]) -> list[Picture]:
    """Name each picture by how its caption begins, and tell those apart that begin alike."""
    seen: Counter[str] = Counter()
    out = []
    for picture in pictures:
        title = re.split(r"[:.;](?:\s|$)", picture.caption, maxsplit=1)[0]
        seen[title] += 1
        out.append(replace(picture, title=title if seen[title] == 1 else f"{title} ({seen[title]})"))
    return out


def _last_frame(film: bytes) -> str:
    """The end of a GIF as a PNG, for readers who don't want motion."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(film)) as image:
        image.seek(getattr(image, "n_frames", 1) - 1)
        image.convert("RGB").quantize(64).save(out, "png", optimize=True)
    return run_rows.data_uri(out.getvalue(), "png")


def _led(table: Table) -> tuple[list[str], list[list[tuple[str, bool]]], bool]:
    """Headings and cells with the headline score beside the method's name, and whether there is such a score."""
    head, rows = printed(table)
    lead = next((score for score in DISENTANGLEMENT if score in table.scores), None)
    if lead is None:
        return head, rows, False
    at = len(head) - len(table.scores) + list(table.scores).index(lead)
    order = [0, at, *(place for place in range(1, len(head)) if place != at)]
    return [head[place] for place in order], [[row[place] for place in order] for row in rows], True


def _id(anchor: str) -> str:
    """An id of the page: its kind as it is, the data set's part as file names have it."""
    kind, dash, dataset = anchor.partition("-")
    return f"{kind}-{slug(dataset)}" if dash and kind in ("data", "fronts") else anchor


def _policy(style: str, script: str) -> str:
    """Content security policy: our one script, our one style sheet, pictures within the page, and nothing else."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    allowed = f"style-src 'sha256-{digest(style)}'; script-src 'sha256-{digest(script)}'; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
