"""Text made harmless: one function per medium, for every text that isn't written in that medium already."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\|*_`<>[]"})

_TEX = str.maketrans({
    **{c: f"\\{c}" for c in "#$%&_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    **{c: f"$\\{name}$" for c, name in {
        "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "λ": "lambda", "μ": "mu", "σ": "sigma", "×":
        "times", "±": "pm", "↑": "uparrow", "↓": "downarrow", "−": "mathord{-}", "≥": "geq", "≤": "leq",
    }.items()},
    "–": "--", "†": "$^\\dagger$", "‡": "$^\\ddagger$", "…": "\\ldots{}", "²": "$^2$",
})  # fmt: skip
#: What moves a terminal's cursor, colours it or turns its text around, but for newlines and tabs; halves of characters.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

#: What a spreadsheet takes for a formula, unless it is a number.
_FORMULA = re.compile(r"\s*[=+\-@]| *[\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def escape_csv(text: str) -> str:
    """A text that a spreadsheet would take for a formula, with an apostrophe before it; a number stays as it is."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def escape_markdown(text: str) -> str:
    """What Markdown would take for markup, with a backslash before it."""
    return text.translate(_MARKDOWN)


def escape_name(text: str) -> str:
    """A name from outside for Markdown on a terminal and in a file: one line, underscores, which are common, as is."""
    return escape_markdown(escape_terminal(" ".join(text.splitlines()))).replace("\\_", "_")


def escape_tex(text: str) -> str:
    """TeX's special characters, and the symbols that reports use, as commands; all on one line."""
    return _CONTROL.sub("", " ".join(text.splitlines())).translate(_TEX)


def escape_html(text: str) -> Markup:
    """HTML's special characters as entities, quotes included; what is `Markup` already stays as it is."""
    return escape(text)


def escape_mathtext(text: str) -> str:
    """What Matplotlib would take for a formula, with a backslash before its dollars: the text is drawn as it is."""
    return text.replace("$", "\\$")


def escape_terminal(text: str) -> str:
    """Control characters as Python writes them in a string; newlines and tabs stay."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
