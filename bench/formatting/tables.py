"""Tables, one function per medium: the same heads and rows as Markdown, LaTeX (booktabs), CSV or HTML."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from markupsafe import Markup

from bench.formatting.escape import escape_csv, escape_html

#: A bar that ends a cell: one with an even number of backslashes before it.
_BAR = re.compile(r"(?<!\\)((?:\\\\)*)\|")

Style = Literal["compact", "spaced", "padded"]


def markdown_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], align: str = "", *, style: Style = "compact"
) -> str:
    """A table in Markdown, without a newline at its end.

    Parameters
    ----------
    head : sequence of str
        Headings.
    rows : iterable of sequences of str
        A cell per heading. Cells may hold Markdown; a bar or a newline in one doesn't end it, whatever else is in it.
        Text that is no Markdown is escaped by the caller (`bench.formatting.escape_markdown`).
    align : str
        "l" or "r" per column; the last letter holds for all columns after it. Empty: to the left.
    style : {"compact", "spaced", "padded"}
        How the rule below the headings is written, and whether cells are padded to columns, for a terminal.
    """
    lines = [[_markdown_cell(text) for text in row] for row in (head, *rows)]
    sides = (align or "l").ljust(len(head), (align or "l")[-1])
    if style == "padded":
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        pad = {"l": str.ljust, "r": str.rjust}
        lines = [
            [pad[side](text, width) for text, side, width in zip(line, sides, widths, strict=True)] for line in lines
        ]
        rule = [f"{'-' * (width + 1)}{'-:'[side == 'r']}" for side, width in zip(sides, widths, strict=True)]
    else:
        rule = ["---" + ":" * (side == "r") for side in sides]
    ruled = f"| {' | '.join(rule)} |" if style == "spaced" else f"|{'|'.join(rule)}|"
    first, *others = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([first, ruled, *others])


def latex_table(head: Sequence[str], groups: Iterable[Sequence[Sequence[str]]], *, align: str, caption: str) -> str:
    """A LaTeX ``table*`` for booktabs, as wide as the text.

    Parameters
    ----------
    head : sequence of str
        Headings.
    groups : iterable of sequences of rows
        Rows with a rule between the groups.
    align : str
        Letters of ``tabular``, one per column.
    caption : str

    Notes
    -----
    All texts are TeX: what isn't is escaped by the caller (`bench.formatting.escape_tex`).
    """
    lines = [
        "% \\usepackage{booktabs}; \\usepackage{graphicx}",
        "\\begin{table*}",
        "\\centering",
        f"\\caption{{{caption}}}",
        "\\resizebox{\\textwidth}{!}{%",
        f"\\begin{{tabular}}{{{align}}}",
        "\\toprule",
        _tex_row(head),
    ]
    for rows in groups:
        lines += ["\\midrule", *map(_tex_row, rows)]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}}", "\\end{table*}"]) + "\n"


def csv_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in CSV: numbers with all their digits, texts quoted where they must be, nothing for None and NaN.

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(map(_csv_cell, row) for row in rows)
    return out.getvalue()


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """A table in HTML, the first cell of each row its heading; texts are escaped, `Markup` stays as it is."""
    heads = Markup("").join(Markup('<th scope="col">{}</th>').format(escape_html(text)) for text in head)
    lines = []
    for first, *others in rows:
        cells = Markup("").join(Markup("<td>{}</td>").format(escape_html(text)) for text in others)
        lines.append(Markup('<tr><th scope="row">{}</th>{}</tr>').format(escape_html(first), cells))
    return Markup("<table>\n<thead><tr>{}</tr></thead>\n<tbody>{}</tbody></table>").format(
        heads, Markup("\n").join(lines)
    )


def _markdown_cell(text: str) -> str:
    return _BAR.sub(r"\1\\|", " ".join(text.splitlines()))


def _csv_cell(value: Any) -> Any:
    if isinstance(value, str):
        # The writer quotes newlines only, but a reader takes a carriage return for one.
        return escape_csv(value.replace("\r\n", "\n").replace("\r", "\n"))
    return None if isinstance(value, float) and math.isnan(value) else value


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
