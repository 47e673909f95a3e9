"""The ledger in print and on the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from bench.claims.render import render
from bench.claims.verdict import choose, ledger
from bench.config.study import resolve
from bench.method import resolve_hyper
from helpers.claims import SEEDS, controllers, fill, pair, ship, two_tests, verdict_of
from helpers.synthetic import Build


def test_all_three_formats_hold_the_same_numbers(study_builder: Build) -> None:
    verdict = verdict_of(pair(study_builder(), 0.2), {**two_tests("any"), "caveat": "Mind the gap."})
    (record,) = json.loads(render([verdict], ".json"))
    rows = list(csv.DictReader(io.StringIO(render([verdict], ".csv"))))
    text = render([verdict], ".md")
    assert [row["measure"] for row in rows] == ["mig", "sap"]
    assert float(rows[0]["effect"]) == record["tests"][0]["effect"] == pytest.approx(0.2)
    assert record["verdict"] == rows[0]["verdict"] == "reproduced"
    assert rows[1]["effect"] == ""
    assert "MIG, β-VAE − VAE: 0.200 [0.128, 0.272], our margin: > 0 (of 2 tests)" in text
    assert "Mind the gap. Any one of its tests is enough. Margins: mig: toy" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("| C1")}) == 2


def test_the_command_judges_every_study_there_is(study_builder: Build, bench: Any) -> None:
    builder = study_builder("mine")
    controllers(builder, {20.0: 0.5}, {20.0: 0.1})
    builder.study()
    code, out, _ = bench("claims", "--paper", "controlvae", "--json")
    assert code == 0
    found = {item["id"]: item for item in json.loads(out)}
    assert list(found) == ["controlvae.C1", "controlvae.C2", "controlvae.C3"]
    assert found["controlvae.C1"]["verdict"] == "not run"
    code, out, _ = bench("claims", "mine", "--claim", "dynamicvae.C2", "--out", "ledger.csv")
    assert code == 0
    assert "| C2 |" in out
    assert "the plain VAE's KL isn't known at quick" in out
    assert Path("ledger.csv").read_text().startswith("id,paper,section,statement,verdict,")


def test_the_command_falls_back_to_the_committed_studies_and_needs_none(study_builder: Build, bench: Any) -> None:
    code, out, _ = bench("claims", "--json")
    assert code == 0
    assert {item["verdict"] for item in json.loads(out)} == {"not run", "proved"}
    pair(study_builder("reference/ours"), 0.5).study()
    code, out, _ = bench("claims", "--claim", "dynamicvae.C2")
    assert "at quick" in out


def test_own_studies_and_the_committed_ones_are_judged_together_and_named(study_builder: Build, bench: Any) -> None:
    fill(committed := study_builder("reference/old", name="old"), "vae", SEEDS, "elbo_tc")
    hyper = resolve_hyper("factor_vae", resolve("quick").method["factor_vae"])
    fill(committed, "factor_vae", SEEDS - 9.0, "elbo_tc", hyper=hyper)
    ship(committed.study(), "quick")

    def judged() -> dict[str, Any]:
        code, out, err = bench("claims", "--claim", "factorvae.C2", "--json")
        assert (code, err) == (0, "")
        (record,) = json.loads(out)
        return record

    before = judged()
    assert before["studies"] == ["old"]
    # A study of one's own hides nothing, and of a run that both hold its own scores count.
    fill(mine := study_builder("mine"), "vae", SEEDS - 1.0, "elbo_tc")
    ship(mine.study(), "quick")
    after = judged()
    assert after["studies"] == ["mine", "old (reference)"]
    (first,), (second,) = (record["tests"] for record in (before, after))
    assert (first["n"], second["n"]) == (10, 10)
    assert second["effect"] == pytest.approx(first["effect"] + 1.0)
    assert "Judged by the runs of: mine, old (reference)." in bench("claims", "--claim", "factorvae.C2")[1]
    assert bench("claims", "mine", "--claim", "factorvae.C2")[1].count("Judged by the runs of: mine.") == 1
    Path("x.csv").unlink(missing_ok=True)
    bench("claims", "--claim", "factorvae.C2", "--out", "x.csv")
    assert all(
        row["studies"] == "mine; old (reference)" for row in csv.DictReader(io.StringIO(Path("x.csv").read_text()))
    )


def test_a_committed_study_of_another_version_is_left_out_and_told(study_builder: Build, bench: Any) -> None:
    old = study_builder("reference/old", name="old")
    old.run("vae", 0, {"mig": 0.0}, version=2)
    mine = study_builder("mine")
    mine.run("vae", 0, {"mig": 0.0})
    for builder in (old, mine):
        ship(builder.study(), "quick")
    code, out, err = bench("claims", "--claim", "dynamicvae.C2")
    assert code == 0
    assert "bench: warning: old is left out: studies mine, old can't be judged together" in err
    assert "Judged by the runs of: mine." in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "no study 'nowhere' in 'results'"),
        (("--claim", "dynamicvae.C99"), "no claim 'dynamicvae.C99'; did you mean 'dynamicvae.C9'?"),
        (("--paper", "control"), "no claims of paper 'control'; did you mean 'controlvae'?"),
        (("--out", "ledger.txt"), "--out 'ledger.txt': the name must end in .md, .csv, .json"),
    ],
)
def test_wrong_words_are_one_line(bench: Any, words: tuple[str, ...], message: str) -> None:
    code, _, err = bench("claims", *words)
    assert code == 2
    assert err.startswith(f"bench: {message}")
    assert err.count("\n") == 1


def test_a_damaged_study_is_left_out_unless_it_is_named(study_builder: Build, bench: Any) -> None:
    pair(study_builder("good"), 0.5).study()
    broken = study_builder("broken")
    run = broken.run("vae", 0, {"mig": 0.0})
    broken.study()
    (broken.root / "runs" / run / "result.json").write_text("{")
    code, out, err = bench("claims", "--claim", "dynamicvae.C2", "--json")
    assert code == 0
    assert json.loads(out)
    assert "warning: broken is left out" in err
    assert bench("claims", "broken")[0] == 2


def test_choosing_claims_by_full_or_short_id() -> None:
    every = ledger([])
    assert [item.claim.id for item in choose(every, ["C3b"])] == ["dynamicvae.C3b"]
    firsts = [item.claim.id for item in every if item.claim.id.endswith(".C1")]
    assert len(firsts) >= 4
    assert [item.claim.id for item in choose(every, ["C1"])] == firsts
    assert [item.claim.id for item in choose(every, ["controlvae.C1"])] == ["controlvae.C1"]
