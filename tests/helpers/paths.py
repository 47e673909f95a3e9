"""Where the checkout's folders are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BASELINES = ROOT / "tests" / "baselines"
EXAMPLES = ROOT / "tests" / "examples"
REFERENCE = ROOT / "results" / "reference"
