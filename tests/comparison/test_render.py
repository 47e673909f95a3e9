"""A comparison in print and on the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from bench.comparison.render import markdown, render, to_csv, to_json
from helpers.comparison import A, B, comparison_of


def test_the_table_says_what_was_seen(studies: Any) -> None:
    b = {"mig": B, "reconstruction_bce": A, "kl": {10 + k: v for k, v in enumerate(B)}}
    text = markdown(comparison_of(*studies({"mig": A, "reconstruction_bce": B, "kl": A}, b)))
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| VAE")]
    assert [line[1:3] for line in lines] == [
        ["BCE (nats/image) ↓", "6"],
        ["KL (nats)", "6 and 6, unpaired"],
        ["MIG ↑", "6"],
    ]
    assert lines[0][-1] == "B lower (better)"
    assert lines[1][-1] == "undecided"
    assert lines[2][3:] == [
        "0.2400", "0.2717", "+0.03167", "[+0.01130, +0.05203]", "+1.37", "0.031", "B higher (better)",
    ]  # fmt: skip
    assert "2 of 3 intervals exclude zero" in text


def test_csv_and_json_hold_the_same_numbers(studies: Any) -> None:
    found = comparison_of(*studies({"mig": A, "kl": A[:3]}, {"mig": B, "kl": B[:3]}), margins={"mig": 0.01})
    content = json.loads(to_json(found))
    rows = list(csv.DictReader(io.StringIO(to_csv(found))))
    assert [row["score"] for row in rows] == [row["score"] for row in content["rows"]] == ["kl", "mig"]
    for row, record in zip(rows, content["rows"], strict=True):
        assert row == {key: "" if value is None else str(value) for key, value in record.items()}
    assert content["rows"][1]["verdict"] == "different"
    assert content["rows"][0]["low"] is None
    assert content["tests"] == 1
    assert render(found, ".md") == markdown(found)
    assert "different: B higher (better) (margin 0.01)" in markdown(found)


def test_compare_on_the_command_line(bench: Any, studies: Any, tmp_path: Path) -> None:
    studies({"mig": A}, {"mig": B})
    code, out, err = bench("compare", "a", "results/b", "--out", "x.csv", "--margin", "mig=0.1")
    assert (code, err) == (0, "")
    assert "equivalent (margin 0.1)" in out
    assert (tmp_path / "x.csv").read_text().count("\n") == 2
    code, out, _ = bench("compare", "b", "a", "--json")
    assert json.loads(out)["rows"][0]["verdict"] == "B lower"


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["a", "c"], "no study 'c' in 'results'"),
        (["a", "b", "--margin", "mig"], "write it as score=value"),
        (["a", "b", "--margin", "mig=-1"], "write it as score=value"),
        (["a", "b", "--margin", "mig=nan"], "write it as score=value"),
        (["a", "b", "--margin", "migg=0.1"], "no such score is compared; did you mean 'mig'?"),
        (["a", "b", "--out", "x.txt"], "must end in .md or .csv or .json"),
        (["a", "b", "--out", "none/x.md"], "--out 'none/x.md': No such file or directory"),
        (["a", "results/a/study.toml"], "no archive of `bench export`"),
    ],
)
def test_mistakes_are_one_line(bench: Any, studies: Any, words: list[str], match: str) -> None:
    studies({"mig": A}, {"mig": B})
    code, out, err = bench("compare", *words)
    assert (code, out) == (2, "")
    assert err.startswith("bench: ")
    assert err.count("\n") == 1
    assert match in err
