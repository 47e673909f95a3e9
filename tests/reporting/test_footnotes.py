"""Scores that metrics marked: a dagger behind the value, and the sentence below the table, in all formats."""

from __future__ import annotations

import numpy as np
import pytest

from bench.external.codes import Representation
from bench.external.render import markdown as score_markdown
from bench.external.render import to_csv as score_csv
from bench.external.score import score
from bench.reporting.tables import latex, make_table, markdown
from bench.results.study import read_study

NOTE = "its error is estimated at more than 0.005"


@pytest.fixture
def table(study_builder):
    builder = study_builder()
    for method, seeds in (("vae", (0, 1)), ("beta_vae", (0, 1))):
        for seed in seeds:
            # One run of two is marked, and only of one method; a run from before there were marks has none.
            marks = {"mig": [NOTE]} if (method, seed) == ("vae", 1) else {}
            details = {"mig": {"marks": marks} if marks else {}, "kl": {"marks": {"kl": ["all of them"]}}}
            builder.run(method, seed, {"mig": 0.1 + 0.01 * seed, "kl": 9.0}, result={"details": details})
    builder.run(
        "vae", 2, {"mig": 0.3, "kl": 9.0}, status="diverged", result={"details": {"mig": {"marks": {"mig": ["x"]}}}}
    )
    return make_table(read_study(builder.study(methods=["vae", "beta_vae"])), "dsprites")


def test_markdown(table):
    text = markdown(table, intervals=False)
    rows = {line[2:3]: line for line in text.splitlines() if line.startswith("|")}
    assert rows["V"].count("†") == 2
    assert rows["β"].count("†") == 1
    assert f"\n† MIG of VAE: {NOTE}.\n" in text
    assert "\n† KL (nats): all of them.\n" in text
    assert ": x." not in text


def test_latex(table):
    text = latex(table)
    assert text.count("$^\\dagger$") == 3 + 2
    assert NOTE in text


def test_bench_score_prints_them_too():
    rng = np.random.default_rng(0)
    factors = rng.integers(8, size=(100, 2))
    codes = np.hstack([factors, rng.normal(size=(100, 1))])
    scored = score([Representation("mine", {"codes": codes, "factors": factors}, ("a", "b"))], ["mig", "active_units"])
    text = score_markdown(scored)
    (line,) = (line for line in text.splitlines() if line.startswith("| MIG"))
    assert f"{scored[0].evaluation.scores['mig']:.3f} †" in line
    assert f"\n† mig: {NOTE}.\n" in text
    rows = [row.split(",") for row in score_csv(scored).splitlines()]
    assert rows[0][-1] == "marks"
    assert {row[1]: row[-1] for row in rows[1:]} == {"mig": NOTE, "active_units": ""}
