"""Two studies compared: differences by seed, and which configurations belong together."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.comparison.compare import Row, load_study
from bench.comparison.render import markdown
from bench.errors import BenchError
from bench.sharing.export import export_archive
from bench.spec import RunSpec
from helpers.comparison import A, B, comparison_of
from helpers.synthetic import Build


def only_row(a: Path, b: Path, **options: Any) -> Row:
    (row,) = comparison_of(a, b, **options).rows
    return row


def test_the_paired_difference_is_that_of_the_textbook(studies: Any) -> None:
    found = only_row(*studies({"mig": A}, {"mig": B})).found
    d = np.array(B) - np.array(A)
    half = scipy_stats.t.ppf(0.975, 5) * d.std(ddof=1) / math.sqrt(6)
    correction = math.gamma(5 / 2) / (math.sqrt(5 / 2) * math.gamma(4 / 2))
    assert (found.paired, found.n, found.n_a, found.n_b) == (True, 6, 6, 6)
    assert (found.mean_a, found.mean_b) == pytest.approx((np.mean(A), np.mean(B)))
    assert found.difference == pytest.approx(0.19 / 6)
    assert (found.low, found.high) == pytest.approx((d.mean() - half, d.mean() + half))
    assert found.effect == pytest.approx(correction * d.mean() / d.std(ddof=1))
    assert found.p == pytest.approx(scipy_stats.ttest_rel(B, A).pvalue)
    assert (found.verdict, found.judgement) == ("B higher", "better")


def test_without_common_seeds_the_comparison_is_welchs(studies: Any) -> None:
    b = dict(zip(range(10, 16), B, strict=True))
    row = only_row(*studies({"mig": A}, {"mig": b}))
    test = scipy_stats.ttest_ind(B, A, equal_var=False)
    interval = test.confidence_interval(0.95)
    assert (row.found.paired, row.found.n) == (False, 6)
    assert (row.found.low, row.found.high) == pytest.approx((interval.low, interval.high))
    assert row.found.p == pytest.approx(test.pvalue)
    assert row.found.verdict == "undecided"
    assert row.found.judgement is None


@pytest.mark.parametrize(("score", "judgement"), [("reconstruction_bce", "worse"), ("mig", "better"), ("kl", None)])
def test_the_direction_is_the_scores(studies: Any, score: str, judgement: str | None) -> None:
    found = only_row(*studies({score: A}, {score: B})).found
    assert (found.verdict, found.judgement) == ("B higher", judgement)


def test_holm_is_over_all_that_is_compared(studies: Any) -> None:
    noisy = [a + s for a, s in zip(A, (0.1, -0.2, 0.15, -0.1, 0.2, -0.12), strict=True)]
    few = {0: 1.0, 1: 2.0}
    rows = comparison_of(*studies({"mig": A, "kl": A, "sap": few}, {"mig": B, "kl": noisy, "sap": few})).rows
    found = {row.score: row for row in rows}
    assert found["sap"].p_holm is None
    assert found["mig"].p_holm == pytest.approx(2 * found["mig"].found.p)
    assert found["kl"].p_holm == pytest.approx(found["kl"].found.p)


def test_a_study_is_the_same_as_itself(study_builder: Build) -> None:
    path = study_builder().fill(range(6), ["vae", "beta_vae", "untrained"])
    found = comparison_of(path, path)
    assert len(found.rows) == 30
    assert {row.found.verdict for row in found.rows} == {"no difference seen"}
    assert (found.only, found.notes) == ({"A": [], "B": []}, [])
    assert "30 of the 30 are the same number at every seed" in markdown(found)


def test_the_same_training_is_found_under_another_label(study_builder: Build) -> None:
    one, sweep = study_builder("one"), study_builder("sweep")
    for seed in range(5):
        one.run("beta_vae", seed, {"mig": 0.1 * seed}, hyper={"beta": 4.0})
        for beta in (1.0, 4.0, 16.0):
            sweep.run("beta_vae", seed, {"mig": 0.1 * seed + beta}, hyper={"beta": beta})
    found = comparison_of(one.study(), sweep.study())
    (row,) = found.rows
    assert (row.a[1], row.b[1]) == ("β-VAE", "β-VAE (beta=4)")
    assert row.found.difference == pytest.approx(4.0)
    assert found.only == {"A": [], "B": ["β-VAE (beta=1) on dsprites", "β-VAE (beta=16) on dsprites"]}
    assert "β-VAE / β-VAE (beta=4)" in markdown(found)


def test_the_same_label_is_compared_and_what_differs_is_said(studies: Any) -> None:
    network = {"name": "mlp", "version": 1, "latent_dim": 6, "init": "he"}
    found = comparison_of(*studies({"mig": A}, {"mig": B}, steps=500, network=network))
    assert [row.found.verdict for row in found.rows] == ["B higher"]
    assert "steps: 3000 in A, 500 in B (VAE on dsprites)." in found.notes
    assert 'network: "conv32" in A, "mlp" in B (VAE on dsprites).' in found.notes


def test_other_data_under_the_same_name_are_said_to_be_other(studies: Any) -> None:
    data = {"name": "dsprites", "version": 1, "options": {"resolution": 64}, "sha256": "cd" * 32}
    found = comparison_of(*studies({"mig": A}, {"mig": B}, dataset=data))
    assert "data resolution: 32 in A, 64 in B (VAE on dsprites)." in found.notes


def test_where_users_kept_their_data_is_no_difference(studies: Any) -> None:
    data = {"name": "d", "version": 1, "options": {}, "sha256": "ab", "paths": {"path": "/home/jane/d.npz"}}
    _, b = studies({"mig": A}, {"mig": B}, dataset=data)
    assert comparison_of(b, b).notes == []
    a = shutil.copytree(b, b.parent / "copy")
    for file in a.glob("runs/*/spec.json"):
        spec = json.loads(file.read_text())
        file.write_text(json.dumps(spec | {"dataset": data | {"paths": {"path": "/mnt/d.npz"}}}))
    assert comparison_of(a, b).notes == []


def test_what_only_one_has_is_listed(study_builder: Build) -> None:
    a = study_builder("a").fill(range(5), ["vae", "beta_vae", "untrained"])
    builder = study_builder("b")
    b = builder.fill(range(5), ["vae", "factor_vae", "untrained"])
    for file in b.glob("runs/dsprites-vae-*/result.json"):
        record = json.loads(file.read_text())
        record["scores"].pop("mig")
        record["scores"]["sap"] = 0.5
        file.write_text(json.dumps(record))
    found = comparison_of(a, b)
    assert {row.a[1] for row in found.rows} == {"VAE", "untrained"}
    assert found.only == {
        "A": ["β-VAE on dsprites", "mig of VAE on dsprites"],
        "B": ["FactorVAE on dsprites", "sap of VAE on dsprites"],
    }
    assert "Only in A: β-VAE on dsprites; mig of VAE on dsprites." in markdown(found)


def test_diverged_runs_have_no_part_and_are_counted(study_builder: Build) -> None:
    one, two = study_builder("one"), study_builder("two")
    for seed in range(7):
        one.run("vae", seed, {"mig": 0.1 + 0.01 * seed})
        two.run("vae", seed, {"mig": 0.2 + 0.01 * seed if seed else 99.0}, status="ok" if seed else "diverged")
    found = comparison_of(one.study(), two.study())
    assert (found.rows[0].found.n, found.rows[0].found.difference) == (6, pytest.approx(0.1))
    assert found.notes == ["1 of 7 runs diverged in B and have no part (VAE on dsprites)."]


def test_seeds_that_only_one_has_are_said(studies: Any) -> None:
    notes = comparison_of(*studies({"mig": A}, {"mig": {seed: 0.1 * seed for seed in range(1, 9)}})).notes
    assert notes == ["Seeds only in A: 0 (VAE on dsprites).", "Seeds only in B: 6-8 (VAE on dsprites)."]


@pytest.mark.parametrize(
    ("change", "message", "note"),
    [
        ({"version": 2}, "method vae: 1 and 2", "version: 1 in A, 2 in B"),
        (
            {"evaluation": {"protocol": 2, "n_codes": 5120, "n_images": 512, "metrics": {"mig": 1}}},
            "evaluation protocol: 1 and 2",
            "evaluation.protocol: 1 in A, 2 in B",
        ),
        (
            {"evaluation": {"protocol": 1, "n_codes": 5120, "n_images": 512, "metrics": {"mig": 2}}},
            "metric mig: 1 and 2",
            "version of mig: 1 in A, 2 in B",
        ),
    ],
)
def test_mixed_versions_are_refused_with_a_way_out(
    studies: Any, change: dict[str, Any], message: str, note: str
) -> None:
    a, b = studies({"mig": A}, {"mig": B}, **change)
    with pytest.raises(BenchError, match=rf"{message}.*--mixed"):
        comparison_of(a, b)
    found = comparison_of(a, b, mixed=True)
    assert len(found.rows) == 1
    assert f"{note} (VAE on dsprites)." in found.notes


def test_nothing_in_common_is_an_error(study_builder: Build) -> None:
    a, b = study_builder("a").fill(range(2), ["vae"]), study_builder("b").fill(range(2), ["beta_vae"])
    with pytest.raises(BenchError, match=r"nothing in common.*A has VAE on dsprites; B has β-VAE on dsprites"):
        comparison_of(a, b)


def test_an_archive_is_read_like_the_folder(study_builder: Build, tmp_path: Path) -> None:
    path = study_builder().fill(range(5), ["vae", "untrained"])
    for folder in list((path / "runs").iterdir()):
        run = RunSpec.model_validate_json((folder / "spec.json").read_bytes()).run_id
        (folder / "result.json").write_text(json.dumps(json.loads((folder / "result.json").read_text()) | {"run": run}))
        folder.rename(folder.with_name(run))
    export_archive(path, tmp_path / "a.zip")
    assert comparison_of(path, tmp_path / "a.zip").rows == comparison_of(path, path).rows
    (tmp_path / "b.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:-30])
    with pytest.raises(BenchError, match="no archive of `bench export`"):
        load_study(tmp_path / "b.zip")
