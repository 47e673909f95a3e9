"""Tables and what they escape: any text in a cell gives a table with the right number of cells."""

from __future__ import annotations

import csv
import html
import io
import math
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markupsafe import Markup

from bench.formatting import (
    csv_table,
    escape_csv,
    escape_html,
    escape_markdown,
    escape_tex,
    html_table,
    latex_table,
    markdown_table,
)

#: Any text, and more often what the media take for markup.
TEXT = st.text() | st.text("\\|*_`<>[]&$%#{}~^\"'\n\r,; ab", max_size=12)
ROWS = st.lists(st.lists(TEXT, min_size=3, max_size=3), min_size=1, max_size=4)
HEAD = ["method", "MIG ↑", "KL"]


class Cells(HTMLParser):
    """Texts of the cells of an HTML table, row by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.inside = False
        self.feed(str(text))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("th", "td")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


def rendered(markdown: str, *, html: bool = True) -> list[list[str]]:
    """Cells of a table as an independent reader of Markdown shows them, one that takes HTML for text if not `html`."""
    reader = MarkdownIt("commonmark", {"html": html}).enable("table")
    return [[text.strip() for text in row] for row in Cells(reader.render(markdown)).rows]


@given(ROWS, st.sampled_from(["compact", "spaced", "padded"]))
def test_any_text_in_a_cell_gives_a_markdown_table_with_as_many_cells(rows, style):
    text = markdown_table(HEAD, rows, "lr", style=style)
    assert text.count("\n") == 1 + len(rows)
    # HTML is Markdown, too: a caller who wants none of it escapes it, which the next test looks at.
    found = rendered(text, html=False)
    assert found[0] == HEAD
    assert [len(row) for row in found] == [3] * (1 + len(rows))


@given(st.text("\\|*_`<>[]!() ab1.-", min_size=1))
def test_escaped_text_reads_in_markdown_as_it_was(text):
    ((_, shown),) = rendered(markdown_table(["a", "b"], [["x", escape_markdown(text)]]))[1:]
    assert shown.split() == text.split()


def test_markup_in_a_cell_stays_markup_and_a_bar_in_it_is_no_border():
    text = markdown_table(["a", "b"], [["**1|2**", "`x|y`"], ["already \\| there", "\\\\|"]])
    assert text.splitlines()[2:] == ["| **1\\|2** | `x\\|y` |", "| already \\| there | \\\\\\| |"]


def test_the_styles_of_markdown_tables():
    rows = [["vae", "0.1", "24.5"]]
    assert markdown_table(HEAD, rows) == "| method | MIG ↑ | KL |\n|---|---|---|\n| vae | 0.1 | 24.5 |"
    assert markdown_table(HEAD, rows, "lr").splitlines()[1] == "|---|---:|---:|"
    assert markdown_table(HEAD, rows, "lrl", style="spaced").splitlines()[1] == "| --- | ---: | --- |"
    assert markdown_table(HEAD, rows, "lr", style="padded").splitlines() == [
        "| method | MIG ↑ |   KL |",
        "|--------|------:|-----:|",
        "| vae    |   0.1 | 24.5 |",
    ]


def test_a_row_with_a_cell_too_many_is_no_table():
    with pytest.raises(ValueError, match="zip"):
        markdown_table(HEAD, [["only one"]], style="padded")


@given(ROWS)
def test_any_text_reads_back_from_csv_but_for_what_makes_formulas_harmless(rows):
    text = csv_table(HEAD, rows)
    lines = [[escape_csv(re.sub("\r\n?", "\n", cell)) for cell in row] for row in rows]
    assert list(csv.reader(io.StringIO(text, newline=""))) == [HEAD, *lines]


def test_csv_has_all_digits_and_nothing_for_no_value():
    assert csv_table(["a", "b", "c", "d"], [[0.1 + 0.2, None, math.nan, 3]]) == "a,b,c,d\n0.30000000000000004,,,3\n"


@given(ROWS)
def test_any_text_in_a_cell_gives_an_html_table_with_it(rows):
    found = Cells(html_table(HEAD, rows))
    assert found.tags == {"table", "thead", "tbody", "tr", "th", "td"}
    assert found.rows == [HEAD, *rows]


@given(TEXT)
def test_escaped_html_reads_as_it_was(text):
    escaped = escape_html(text)
    assert not set(escaped) & set("<>\"'")
    assert html.unescape(escaped) == text
    assert escape_html(escaped) == escaped


def test_markup_stays_in_html():
    assert "<td>1 <small>[0, 2]</small></td>" in html_table(["a", "b"], [["x", Markup("1 <small>[0, 2]</small>")]])


@given(TEXT)
def test_escaped_tex_has_no_special_character_left(text):
    commands = r"\\text[a-z]+\{\}|\\ldots\{\}|\\[#$%&_{}]|\$\\[a-z]+(?:\{-\})?\$|\$\^2\$"
    assert not set(re.sub(commands, "", escape_tex(text))) & set("\\#$%&_{}~^<>|")


def test_symbols_of_reports_in_tex():
    assert escape_tex("β-VAE (β = 4) ↑ 50 % a_b") == r"$\beta$-VAE ($\beta$ = 4) $\uparrow$ 50 \% a\_b"


def test_a_latex_table_has_a_rule_between_its_groups():
    text = latex_table(["a", "b"], [[["1", "2"], ["3", "4"]], [["5", "6"]]], align="lr", caption="C")
    body = text[text.index("\\toprule") : text.index("\\bottomrule")].splitlines()
    assert body == ["\\toprule", r"a & b \\", "\\midrule", r"1 & 2 \\", r"3 & 4 \\", "\\midrule", r"5 & 6 \\"]
    assert "\\begin{tabular}{lr}" in text
    assert "\\caption{C}" in text
    assert text.endswith("\\end{table*}\n")
