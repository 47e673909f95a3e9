from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

import pytest

from bench.reporting.tables import TOO_FEW, Table, latex, make_table, markdown, to_csv
from bench.results.study import read_study
from helpers.synthetic import Build

FIVE = (0.10, 0.11, 0.12, 0.13, 0.14)  # mean 0.12, sd 0.0158


def table_of(
    builder: Any,
    values: dict[str, Sequence[float | None]],
    score: str = "mig",
) -> Table:
    """Build the table of a study with one score; one value per seed."""
    for method, per_seed in values.items():
        for seed, value in enumerate(per_seed):
            builder.run(method, seed, {score: value, "kl": 10.0})
    study = read_study(builder.study(methods=list(values)))
    return make_table(study, study.datasets[0])


def plus(values: Sequence[float], by: float) -> list[float]:
    return [value + by for value in values]


def test_markdown_by_hand(study_builder: Build) -> None:
    table = table_of(study_builder(), {"toy_a": FIVE, "toy_b": plus(FIVE, 0.5)})
    lines = markdown(table).splitlines()
    assert lines[0] == "| method | seeds | KL (nats) | MIG ↑ |"
    assert lines[1] == "| --- | ---: | ---: | ---: |"
    assert re.fullmatch(
        r"\| toy\\_a \| 5 \| 10\.00 ± 0\.00 \[10\.00, 10\.00\] \| 0\.120 ± 0\.016 \[0\.1\d\d, 0\.1\d\d\] \|",
        lines[2],
    )
    assert re.fullmatch(r"\| toy\\_b \| 5 \| .* \| \*\*0\.620 ± 0\.016 \[0\.6\d\d, 0\.6\d\d\]\*\* \|", lines[3])
    assert len(lines) == 4
    assert "[" not in markdown(table, intervals=False)


def test_kl_is_never_bold(study_builder: Build) -> None:
    builder = study_builder()
    for seed in range(5):
        builder.run("a", seed, {"kl": 1.0 + 0.01 * seed})
        builder.run("b", seed, {"kl": 9.0 + 0.01 * seed})
    assert make_table(read_study(builder.study()), "dsprites").best == {}


@pytest.mark.parametrize(
    ("score", "values", "best"),
    [
        ("mig", {"a": FIVE, "b": plus(FIVE, 0.5)}, "b"),
        ("reconstruction_bce", {"a": FIVE, "b": plus(FIVE, 0.5)}, "a"),  # less is better
        ("mig", {"a": FIVE, "b": plus(FIVE, 0.015)}, None),  # overlap
        ("mig", {"a": FIVE, "b": plus(FIVE, 0.5), "untrained": plus(FIVE, 0.51)}, None),
        ("mig", {"a": FIVE, "b": plus(FIVE, 0.5), "untrained": plus(FIVE, 0.9)}, None),
        ("mig", {"a": FIVE, "b": plus(FIVE, 0.5), "untrained": FIVE}, "b"),
        ("mig", {"a": FIVE, "untrained": plus(FIVE, -0.1)}, None),  # nothing to compare with
        ("mig", {"a": FIVE[:4], "b": plus(FIVE[:4], 0.5)}, None),
        ("mig", {"a": FIVE[:4], "b": plus(FIVE, 0.5)}, None),
        ("some_new_score", {"a": FIVE, "b": plus(FIVE, 0.5)}, None),  # unknown direction
    ],
)
def test_bold_rule(study_builder: Build, score: str, values: dict[str, Sequence[float]], best: str | None) -> None:
    table = table_of(study_builder(), values, score)
    assert table.best.get(score) == best
    assert markdown(table).count("**") == (2 if best else 0)
    assert latex(table).count("\\textbf") == (1 if best else 0)


@pytest.mark.parametrize(("n", "said"), [(4, True), (5, False)])
def test_too_few_seeds(study_builder: Build, n: int, said: bool) -> None:
    table = table_of(study_builder(), {"a": FIVE[:n], "b": FIVE})
    assert (TOO_FEW in markdown(table)) is said
    assert ("Too few seeds" in latex(table)) is said


def test_one_seed_has_neither_spread_nor_interval(study_builder: Build) -> None:
    table = table_of(study_builder(), {"a": [0.25]})
    assert "| 0.250 |" in markdown(table)
    row = next(csv.DictReader(io.StringIO(to_csv(table))))
    assert (row["mig_mean"], row["mig_sd"], row["mig_low"], row["mig_high"]) == ("0.25", "", "", "")


def test_diverged_and_failed_are_counted_where_there_are_any(study_builder: Build) -> None:
    builder = study_builder()
    builder.run("vae", 5, {}, status="diverged")
    builder.fail("beta_vae", 0)
    table = table_of(builder, {"vae": FIVE})
    lines = markdown(table).splitlines()
    assert lines[0].startswith("| method | seeds | diverged | failed | KL")
    assert "| 5 | 1 | 0 | 10.00" in lines[2]
    assert lines[3].endswith("| 0 | 0 | 1 | – | – |")
    assert "no part in the means" in markdown(table)
    assert TOO_FEW not in markdown(table)


def test_scores_that_do_not_apply(study_builder: Build) -> None:
    study = read_study(study_builder().fill(range(5), ["vae", "untrained"], factors=False))
    table = make_table(study, "dsprites")
    text = markdown(table)
    assert text.splitlines()[2].endswith("n/a | n/a | n/a | n/a | n/a |")
    assert "the factors aren't known" in text
    assert "MIG" in text.split("n/a (")[1]
    assert "n/a" in latex(table)


def test_the_control_is_the_last_row_behind_a_rule(study_builder: Build) -> None:
    table = table_of(study_builder(), {"untrained": FIVE, "a": FIVE, "z": FIVE})
    assert [row.label for row in table.rows][-1] == "untrained"
    tex = latex(table)
    assert tex.rindex("\\midrule") < tex.index("untrained") < tex.index("\\bottomrule")


def test_csv_has_full_precision(study_builder: Build) -> None:
    values = [0.1, 0.2, 1 / 3]
    (row,) = csv.DictReader(io.StringIO(to_csv(table_of(study_builder(), {"a": values}))))
    assert row["method"] == "a"
    assert (row["n_ok"], row["mig_n"]) == ("3", "3")
    assert float(row["mig_mean"]) == sum(values) / 3
    assert float(row["mig_median"]) == 0.2
    assert 0.1 <= float(row["mig_low"]) < float(row["mig_high"]) <= 1 / 3


def test_latex_escapes(study_builder: Build) -> None:
    table = table_of(study_builder(), {r"50%_of~$&#{\x}^β": FIVE})
    row = next(line for line in latex(table).splitlines() if line.startswith("50"))
    name = row.split(" & ")[0]
    assert name == (r"50\%\_of\textasciitilde{}\$\&\#\{\textbackslash{}x\}\textasciicircum{}$\beta$")


def test_latex_is_well_formed(study_builder: Build) -> None:
    study = read_study(study_builder().fill(range(5)))
    tex = latex(make_table(study, "dsprites"))
    assert tex.isascii()
    for name in ("table*", "tabular"):
        assert tex.count(f"\\begin{{{name}}}") == tex.count(f"\\end{{{name}}}") == 1
    rows = [line for line in tex.splitlines() if line.endswith(r"\\")]
    columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", tex)
    assert columns is not None
    assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {len(columns[1])}
    assert len(rows) == 1 + 2 * 6
    unescaped = re.sub(r"\\.", "", tex)
    assert unescaped.count("{") == unescaped.count("}")
    assert unescaped.count("$") % 2 == 0


def test_markdown_cells_cannot_break_the_table(study_builder: Build) -> None:
    table = table_of(study_builder(), {"a|b*c_d": FIVE})
    row = markdown(table).splitlines()[2]
    assert row.startswith(r"| a\|b\*c\_d | 5 |")


def test_no_negative_zero(study_builder: Build) -> None:
    assert "-0.0000" not in markdown(table_of(study_builder(), {"a": [-1e-9, -2e-9]}, "some_score"))


def test_runs_without_a_score_are_not_hidden(study_builder: Build) -> None:
    builder = study_builder()
    builder.run("a", 5, {"kl": 10.0}, result={"not_applicable": {"mig": "undefined on these codes"}}, hyper={})
    table = table_of(builder, {"a": FIVE})
    text = markdown(table)
    assert re.search(r"\| 6 \|.*0\.120 ± 0\.016 \[0\.\d+, 0\.\d+\] \(n = 5\) \|", text)
    assert "Missing in some runs (MIG): undefined on these codes." in text
    assert "(n = 5)" in latex(table)
