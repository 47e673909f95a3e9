"""How everybody prints: numbers and headings in words, tables as Markdown, LaTeX, CSV and HTML, and what each escapes.

`numbers` makes the texts of cells, `tables` puts them together, one function per medium; `escape` has the one function
per medium that makes any text harmless there.

From outside: everything that this package imports here.
"""

from bench.formatting.escape import (
    escape_csv,
    escape_html,
    escape_markdown,
    escape_mathtext,
    escape_name,
    escape_terminal,
    escape_tex,
)
from bench.formatting.numbers import (
    DAGGER,
    DOUBLE_DAGGER,
    decimals_for,
    duration,
    heading,
    interval,
    number,
    ranges,
    three_digits,
)
from bench.formatting.tables import csv_table, html_table, latex_table, markdown_table

__all__ = [
    "DAGGER",
    "DOUBLE_DAGGER",
    "csv_table",
    "decimals_for",
    "duration",
    "escape_csv",
    "escape_html",
    "escape_markdown",
    "escape_mathtext",
    "escape_name",
    "escape_terminal",
    "escape_tex",
    "heading",
    "html_table",
    "interval",
    "latex_table",
    "markdown_table",
    "number",
    "ranges",
    "three_digits",
]
