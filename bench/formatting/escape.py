"""Text made harmless: one function per medium, for every text that isn't written in that medium already."""

from __future__ import annotations

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
    "–": "--", "†": "$^\\dagger$", "…": "\\ldots{}", "²": "$^2$",
})  # fmt: skip


def escape_markdown(text: str) -> str:
    """What Markdown would take for markup, with a backslash before it."""
    return text.translate(_MARKDOWN)


def escape_tex(text: str) -> str:
    """TeX's special characters, and the symbols that reports use, as commands."""
    return text.translate(_TEX)


def escape_html(text: str) -> Markup:
    """HTML's special characters as entities, quotes included; what is `Markup` already stays as it is."""
    return escape(text)
