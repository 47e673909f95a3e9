"""Findings as text, JSON, JUnit XML and the Markdown of a pull request's comment."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

import bench
from bench.check.finding import REGRESSIONS, Finding, Status
from bench.check.run import TIERS
from bench.formatting import markdown_table, number

#: Status words in the order in which they are counted.
ORDER: tuple[Status, ...] = ("moved", "missing", "outside", "undecided", "new", "skipped", "within", "same")
#: What is worth a line even where all is well.
SHOWN = ("moved", "missing", "outside", "undecided", "new", "skipped")


def regressions(findings: Sequence[Finding]) -> list[Finding]:
    """Findings that make the command exit with 3."""
    return [finding for finding in findings if finding.status in REGRESSIONS]


def verdict(findings: Sequence[Finding]) -> str:
    """Say in one sentence how it went."""
    bad = regressions(findings)
    if not bad:
        return "No regression."
    subjects = list(dict.fromkeys(finding.subject for finding in bad))
    more = f" and {len(subjects) - 5} more" if len(subjects) > 5 else ""
    return f"Regression: {len(bad)} finding{'s' * (len(bad) > 1)} in {', '.join(subjects[:5])}{more}."


def text(findings: Sequence[Finding]) -> str:
    """What the terminal shows: a sentence per finding that isn't plain, a line per tier, the verdict."""
    lines = [f"{finding.status}: {finding.message}" for finding in _shown(findings)]
    lines += _published(findings)
    for tier in sorted({finding.tier for finding in findings}):
        lines.append(f"tier {tier}, {TIERS[tier][0]}: {_counts(findings, tier)}")
    return "\n".join([*lines, verdict(findings)]) + "\n"


def as_json(findings: Sequence[Finding]) -> str:
    """All findings and the verdict."""
    content: dict[str, Any] = {
        "disbench": bench.__version__,
        "regression": bool(regressions(findings)),
        "verdict": verdict(findings),
        "findings": [asdict(finding) for finding in findings],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def junit(findings: Sequence[Finding]) -> str:
    """A test suite per tier, a test case per finding."""
    root = ElementTree.Element("testsuites", name="bench check")
    for tier in sorted({finding.tier for finding in findings}):
        own = [finding for finding in findings if finding.tier == tier]
        failures = len(regressions(own))
        skipped = sum(finding.status in ("new", "skipped", "undecided", "outside") for finding in own)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=f"tier {tier}: {TIERS[tier][0]}",
            tests=str(len(own)),
            failures=str(failures),
            errors="0",
            skipped=str(skipped),
        )
        for finding in own:
            case = ElementTree.SubElement(suite, "testcase", classname=finding.subject, name=finding.quantity)
            if finding.status in REGRESSIONS:
                ElementTree.SubElement(case, "failure", type=finding.status, message=finding.message)
            elif finding.status in ("new", "skipped", "undecided", "outside"):
                ElementTree.SubElement(case, "skipped", message=finding.message)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def markdown(findings: Sequence[Finding]) -> str:
    """A summary for a pull request: the verdict, what moved, and the counts."""
    lines = ["### bench check", "", f"**{verdict(findings)}**", ""]
    shown = _shown(findings)
    if shown:
        rows = [[str(finding.tier), finding.status, finding.message] for finding in shown]
        lines += [markdown_table(["tier", "what", "finding"], rows, "rl"), ""]
    table = _published(findings)
    lines += [*table, ""] if table else []
    tiers = sorted({finding.tier for finding in findings})
    rows = [[str(tier), TIERS[tier][0], _counts(findings, tier)] for tier in tiers]
    return "\n".join([*lines, markdown_table(["tier", "", "findings"], rows, "rl")]) + "\n"


def _counts(findings: Sequence[Finding], tier: int) -> str:
    counts = Counter(finding.status for finding in findings if finding.tier == tier)
    return ", ".join(f"{counts[status]} {status}" for status in ORDER if counts[status])


def _shown(findings: Sequence[Finding]) -> list[Finding]:
    """What gets a sentence, the worst first; published values have a table."""
    shown = [finding for finding in findings if finding.status in SHOWN and not _is_published(finding)]
    return sorted(shown, key=lambda finding: (ORDER.index(finding.status), finding.tier))


def _is_published(finding: Finding) -> bool:
    return finding.tier == 3 and finding.status in ("within", "outside")


def _published(findings: Sequence[Finding]) -> list[str]:
    """Ours beside published values as a Markdown table, nothing without any."""
    rows = []
    for finding in findings:
        if _is_published(finding):
            spread = "" if finding.bound is None else f" ± {finding.bound:g}"
            ours = finding.got if isinstance(finding.got, float) else None
            within = "yes" if finding.status == "within" else "no"
            rows.append([finding.quantity, number(ours, 3), f"{finding.expected}{spread}", within])
    return [markdown_table(["", "ours", "published", "within"], rows, "lrrl")] if rows else []
