"""What `bench test` says of plug-ins that break a contract."""

from __future__ import annotations

from pathlib import Path

from bench.registry import load_plugin
from bench.testing.checks import Kind, run_checks


def failures(kind: Kind, text: str, folder: Path) -> dict[str, str]:
    """Checks that the plug-in "broken" with this text fails, and the reasons."""
    file = folder / "broken.py"
    file.write_text(text)
    load_plugin(file)
    return {outcome.check: outcome.reason for outcome in run_checks(kind, "broken") if not outcome.passed}


def assert_fails(kind: Kind, text: str, change: tuple[str, str, str, str], folder: Path) -> None:
    """With the first string replaced by the second, a check that has the third in its title gives the fourth."""
    old, new, check, reason = change
    assert old in text
    failed = failures(kind, text.replace(old, new), folder)
    assert any(check in title and reason in why for title, why in failed.items()), failed
