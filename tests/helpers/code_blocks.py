"""Fenced code blocks of the documentation, and the commands in its shell blocks."""

from __future__ import annotations

import itertools
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from helpers.paths import ROOT

#: Every page whose code a reader may copy.
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
SHELL = ("sh", "bash", "console")
#: A block is left alone where the line before it is this comment; the reason is for the next reader.
NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+) -->\n\Z")
_BLOCK = re.compile(r"^```(?P<language>\S*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"[A-Z_]+=")
_OWN = ("bench", ".venv/bin/bench")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, its language, its text, and why it isn't run if it says so."""

    page: str
    line: int
    language: str
    code: str
    not_run: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        marker = NOT_RUN.search(text[: match.start()])
        name, line = page.relative_to(ROOT).as_posix(), text.count("\n", 0, match.start()) + 1
        found.append(Block(name, line, match["language"], match["code"], marker["reason"] if marker else ""))
    return found


def commands(code: str) -> list[list[str]]:
    """Words of each command of a shell block, without comments, variables and ``> file``."""
    found: list[list[str]] = []
    for line in code.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*itertools.takewhile(lambda word: word != ">", shlex.split(line, comments=True)), "&&"]:
            if word != "&&":
                words += [] if not words and _VARIABLE.match(word) else [word]
            elif words:
                found.append(words)
                words = []
    return found


def is_ours(words: list[str]) -> bool:
    """Whether a command is ``bench``."""
    return words[0] in _OWN
