"""Text from outside can't give commands: not to a terminal, to Matplotlib, to Markdown nor to TeX."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from matplotlib import cbook
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.formatting import escape_csv, escape_mathtext, escape_name, escape_terminal, escape_tex

#: Any text, surrogates too, and more often what some medium takes for a command.
TEXT = st.text(st.characters()) | st.text("$\\|*_`<>[]&%#{}~^\n\r\t\x1b\x9b\x00\u202e\u2028ab ", max_size=20)
POISON = [
    "$$",
    r"$\foo$",
    "$",
    r"\$",
    "a|b",
    "\x1b[31mred",
    "x\ny",
    r"\begin{x}",
    "50 % & #1_^~",
    "\u202eback",
    "_",
    "",
]


@given(TEXT)
def test_terminals_get_no_control_characters_but_newlines_and_tabs(text):
    shown = escape_terminal(text)
    left = [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in "\n\t"]
    assert not left
    assert not set("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c") & set(shown)
    assert escape_terminal(shown) == shown
    shown.encode()


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"))))
def test_ordinary_text_is_left_alone_on_terminals(text):
    assert escape_terminal(text) == text


@given(TEXT)
def test_no_text_is_a_formula_to_matplotlib(text):
    escaped = escape_mathtext(text)
    assert not cbook.is_math_text(escaped)
    # What it draws of a text that is no formula.
    assert escaped.replace(r"\$", "$") == text


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("text", POISON)
def test_matplotlib_draws_the_text_itself(text):
    figure = Figure()
    drawn = figure.text(0.5, 0.5, escape_mathtext(text))
    FigureCanvasAgg(figure).draw()
    assert drawn._preprocess_math(drawn.get_text()) == (text, False)


@given(TEXT)
def test_names_are_one_line_of_plain_text_in_markdown(text):
    escaped = escape_name(text)
    assert len(escaped.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(\\\\)*[|<`*]", escaped)
    (inline,) = MarkdownIt("commonmark").parseInline(f"x {escaped} x")
    kinds = {child.type for child in inline.children}
    emphasis = {"em_open", "em_close", "strong_open", "strong_close"}
    assert kinds <= {"text", "text_special", "softbreak", "entity"} | emphasis


def test_underscores_in_names_stay_readable():
    assert escape_name("my_codes") == "my_codes"
    assert escape_name(r"a\_b") == r"a\\_b"


@given(TEXT)
def test_texts_are_one_line_of_balanced_tex(text):
    escaped = escape_tex(text)
    assert "\n" not in escaped
    bare = re.sub(r"\\([#$%&_{}]|[A-Za-z]+)|\$\^[^$]*\$", "", escaped)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"(?<!\\)[#%&]", escaped)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") and c != "\t" for c in escaped)


@given(TEXT)
@example(" \r")
def test_no_text_is_a_formula_to_a_spreadsheet(text):
    escaped = escape_csv(text)
    assert escaped in (text, f"'{text}")
    try:
        float(escaped)
    except ValueError:
        assert not escaped.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize("text", ["-0.05", "+1", "-1e-05", "beta_vae", "a=b", ""])
def test_numbers_and_names_are_left_alone_in_csv(text):
    assert escape_csv(text) == text
