"""Several studies together, and whether a study counts for the paper."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from bench.claims.presets import is_shipped
from bench.claims.render import verdict_words
from bench.claims.verdict import ledger, ledger_for
from bench.config.study import resolve
from bench.errors import BenchError
from bench.results.study import read_study
from helpers.claims import CLAIM, SEEDS, SPREAD, fill, pair, paper_of, ship
from helpers.synthetic import Build


def test_a_run_that_two_studies_hold_counts_once(study_builder: Build) -> None:
    paths = [ship(pair(study_builder(name), 0.3).study(), "quick") for name in ("one", "two")]
    studies = [read_study(path) for path in paths]
    (together,) = ledger(studies, papers=paper_of(CLAIM))
    assert together.outcomes[0].n == 10
    assert together.outcomes == ledger(studies[:1], papers=paper_of(CLAIM))[0].outcomes


def test_studies_at_one_preset_complete_each_other(study_builder: Build) -> None:
    fill(first := study_builder("one"), "beta_vae", SEEDS + 0.5 + 0.1 * SPREAD)
    fill(second := study_builder("two"), "vae", SEEDS)
    first.run("vae", 0, {}, status="diverged")
    studies = [read_study(ship(builder.study(), "quick")) for builder in (first, second)]
    assert [item.status for study in studies for item in ledger([study], papers=paper_of(CLAIM))] == ["not run"] * 2
    (verdict,) = ledger(studies, papers=paper_of(CLAIM))
    assert verdict.status == "reproduced"
    # The run that diverged in one study and ended well in the other ended well.
    assert (verdict.outcomes[0].n, verdict.outcomes[0].n_diverged) == (10, 0)


def test_mixed_versions_are_refused_across_studies(study_builder: Build) -> None:
    old, new = pair(study_builder("old"), 0.3), study_builder("new")
    for seed in range(10):
        new.run("vae", seed, {"mig": 0.0}, version=2)
    studies = [read_study(ship(builder.study(), "quick")) for builder in (old, new)]
    with pytest.raises(BenchError, match=r"studies old, new can't be judged together, name one: .*method vae: 1 and 2"):
        ledger(studies, papers=paper_of(CLAIM))


@pytest.mark.parametrize(
    ("preset", "shipped", "least", "counts", "words"),
    [
        ("standard", True, "standard", True, "reproduced"),
        ("quick", True, "standard", False, "reproduced (at quick only)"),
        ("standard", False, "standard", False, "reproduced (at standard with changes only)"),
        ("quick", True, "quick", True, "reproduced"),
        ("paper", True, "standard", True, "reproduced"),
        ("standard", True, "none", False, "reproduced (at standard only; no preset is the paper's setting)"),
    ],
)
def test_only_an_unchanged_preset_that_is_large_enough_counts_for_the_paper(
    study_builder: Build, preset: str, least: str, words: str, *, shipped: bool, counts: bool
) -> None:
    path = pair(study_builder(), 0.5).study(preset=preset)
    if shipped:
        ship(path, preset)
    (verdict,) = ledger([read_study(path)], papers=paper_of({**CLAIM, "least_preset": least}))
    assert (verdict.counts, verdict_words(verdict)) == (counts, words)
    wants_more = not counts and least != "none"
    assert verdict.next == ("bench run toy --preset standard --seeds 10" if wants_more else "")


@pytest.mark.parametrize(
    "line", ["[train]\nsteps = 7", "[dataset.dsprites]\nsize = 16", "[method.beta_vae]\nbeta = 5.0"]
)
def test_a_changed_setting_is_seen(study_builder: Build, line: str) -> None:
    path = study_builder().study(preset="standard")
    tables = resolve("standard").model_dump(mode="json", include={"train", "evaluation", "method", "dataset"})
    ((name, changed),) = tomllib.loads(line).items()
    text = (path / "study.toml").read_text()
    (path / "study.toml").write_text(text + tomli_w.dumps(tables))
    study_builder("toy").run("vae", 0, {})
    assert is_shipped(read_study(path))
    (path / "study.toml").write_text(text + tomli_w.dumps({**tables, name: {**tables[name], **changed}}))
    assert not is_shipped(read_study(path))


def test_a_smaller_grid_asked_for_by_name_is_seen(study_builder: Build) -> None:
    (builder := study_builder()).run("vae", 0, {})
    assert is_shipped(
        read_study(ship(builder.study(preset="standard", datasets=["dsprites", "npz[file=a]"]), "standard"))
    )
    assert not is_shipped(
        read_study(ship(builder.study(preset="standard", datasets=["dsprites[scale=2]"]), "standard"))
    )


def test_presets_are_judged_apart(study_builder: Build) -> None:
    quick = ship(pair(study_builder("quick"), 0.5).study(), "quick")
    standard = ship(pair(study_builder("standard"), -0.5).study(preset="standard"), "standard")
    found = ledger([read_study(path) for path in (quick, standard)], papers=paper_of(CLAIM))
    assert {item.preset: (item.status, item.counts) for item in found} == {
        "quick": ("reproduced", False),
        "standard": ("contradicted", True),
    }


def test_the_committed_quick_study_decides_nothing_for_a_paper(reference_study: Callable[[str], Path]) -> None:
    study = read_study(reference_study("quick-dsprites"))
    found = ledger_for(study, names=["dynamicvae", "controlvae"])
    ran = [item for item in found if item.status != "not run"]
    assert {"controlvae.C2", "dynamicvae.C4"} <= {item.claim.id for item in ran}
    assert not any(item.counts for item in found)
    assert all("at quick only" in verdict_words(item) for item in ran)
    # An independent look at two numbers: how far off ControlVAE's KL is, and where its set point lies.
    runs = study.runs.set_index("method")
    (c2,) = [item for item in ran if item.claim.id == "controlvae.C2"]
    (outcome,) = c2.outcomes
    own = runs.loc["control_vae"]
    assert outcome.effect == pytest.approx((own["final.kl"] - own["final.set_point"]).abs().mean())
    share = own["final.set_point"].mean() / runs.loc["vae", "final.kl"].mean()
    assert c2.regime == f"at a set point of {share:.2f} of the plain VAE's KL"
