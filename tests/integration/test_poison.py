"""Names that are commands to Matplotlib, Markdown, TeX, HTML or a terminal: a report and a table of scores survive."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt

from helpers.synthetic import draw_curves, draw_scores

NAMES = (
    "$$",
    r"$\foo$",
    "a|b",
    "\x1b[31mred\x1b[0m",
    "two\nlines",
    r"\end{tabular} & 50 % #_^~",
    "<script>alert(1)",
    "=HYPERLINK(1)",
    "[x](javascript:alert(1)) ![y](https://example.org/y.png)",
)
#: All of it in one text, such as a study's description.
SENTENCE = "=1 <img src=x onerror=alert(1)> " + " ".join(NAMES)


def cells(line):
    """Cells of a line of a table in Markdown."""
    return re.split(r"(?<!\\)\|", line.strip())[1:-1]


def check_tables(text):
    """Every table has as many cells in each line as in its rule."""
    lines = text.splitlines()
    rules = [number for number, line in enumerate(lines) if re.fullmatch(r"\|[-:| ]+\|", line)]
    assert rules
    for rule in rules:
        width, row = len(cells(lines[rule])), rule - 1
        while row < len(lines) and lines[row].startswith("|"):
            assert len(cells(lines[row])) == width, lines[row]
            row += 1


@pytest.mark.slow
def test_a_study_of_poisoned_names_is_reported(study_builder, bench):
    builder = study_builder(
        "toy", description=SENTENCE, commands=['bench run --method "$', f"bench run {SENTENCE}"], notice=SENTENCE
    )
    builder.name = NAMES[3]
    builder.study()
    details = {
        "kl": {"kl_per_latent": [0.0, 3.0, 1.0, 2.5, 0.01, 0.5]},
        "mig": {"mig_per_factor": [0.1] * len(NAMES), "mutual_information": [[0.1] * 6] * len(NAMES)},
    }
    for place, name in enumerate(NAMES):
        for seed in range(3):
            rng = np.random.default_rng([place, seed])
            curves = draw_curves(name, 12.0, 30.0, 1.0, 12.0, 20, rng)
            scores = draw_scores((30.0, 12.0, 0.1 + 0.1 * place, 0.5, 0.2), rng)
            builder.run(
                name, seed, scores, hyper={name: 1.0}, curves=curves, pictures=True,
                result={"factor_names": list(NAMES), "details": details},
                dataset={"name": NAMES[place % 2], "version": 1, "options": {NAMES[2]: NAMES[4]}, "sha256": "ab" * 32},
            )  # fmt: skip
    code, out, err = bench("report", "toy")
    assert (err, code) == ("", 0)
    assert "\x1b" not in out
    check_tables(out)
    report = Path("reports/toy")
    text = (report / "report.md").read_text(encoding="utf-8")
    check_tables(text)
    assert "\x1b" not in text
    shown = MarkdownIt().enable("table").render(text)
    assert not re.search("<(script|img [^>]*(onerror|src=.http))|href=.(javascript|http)", shown)
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert len(list(report.glob("fig_*.pdf"))) > 5
    for table in report.glob("table_*.tex"):
        body = [line for line in table.read_text(encoding="utf-8").splitlines() if line.endswith(r"\\")]
        assert len({line.replace(r"\&", "").count("&") for line in body}) == 1
    for table in report.glob("*.csv"):
        rows = list(csv.reader(table.read_text(encoding="utf-8").splitlines(keepends=True)))
        assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@", "\t"))]
    for table in report.glob("table_*.csv"):
        assert len({len(row) for row in csv.reader(table.read_text(encoding="utf-8").splitlines(keepends=True))}) == 1


def test_poisoned_codes_are_scored_in_all_formats(bench):
    rng = np.random.default_rng(0)
    factors = rng.integers(3, size=(90, len(NAMES)))
    codes = factors + 0.1 * rng.normal(size=factors.shape)
    names = ("a|b\x1b[31m$$.npz", "two\nlines <b>.npz")
    for name in names:
        np.savez(name, codes=codes, factors=factors.astype(str), factor_names=np.array(NAMES))
    for suffix in ("md", "csv", "json"):
        code, out, err = bench("score", *names, "--metric", "mig,sap", "--out", f"table.{suffix}")
        assert (code, err) == (0, "")
        assert "\x1b" not in out
        check_tables(out)
    written = Path("table.md").read_text(encoding="utf-8")
    check_tables(written)
    assert "<script>" not in written.replace(r"\<script\>", "")
    rows = list(csv.DictReader(Path("table.csv").read_text(encoding="utf-8").splitlines(keepends=True)))
    assert {row["representation"] for row in rows} == {name[:-4] for name in names}
    found = json.loads(Path("table.json").read_text(encoding="utf-8"))["representations"]
    assert found[0]["factor_names"] == list(NAMES)


def test_poisoned_names_in_errors_are_one_line(bench):
    Path("two\nlines\x1b[31m.npz").write_bytes(b"damaged")
    code, _, err = bench("score", "two\nlines\x1b[31m.npz")
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert "\x1b" not in err
