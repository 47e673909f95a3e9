from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bench.comparison.compare import Comparisons, Row, compare, load_study
from bench.comparison.difference import Difference, seed_difference
from bench.comparison.render import markdown, render, to_csv, to_json
from bench.errors import BenchError
from bench.sharing.export import export_archive
from bench.spec import RunSpec
from helpers.synthetic import Build

A = [0.21, 0.25, 0.19, 0.30, 0.27, 0.22]
B = [0.24, 0.29, 0.20, 0.36, 0.31, 0.23]


@pytest.fixture
def studies(study_builder: Build) -> Callable[..., tuple[Path, Path]]:
    """Two studies of one method each, from their scores by seed."""

    def build(a: Mapping[str, Any], b: Mapping[str, Any], **of_b: Any) -> tuple[Path, Path]:
        paths = []
        for name, scores, changes in (("a", a, {}), ("b", b, of_b)):
            builder = study_builder(name)
            for seed in sorted({seed for values in scores.values() for seed in seeded(values)}):
                chosen = {score: seeded(values)[seed] for score, values in scores.items() if seed in seeded(values)}
                builder.run("vae", seed, chosen, **changes)
            paths.append(builder.study())
        return paths[0], paths[1]

    return build


def seeded(values: Any) -> dict[int, float]:
    return values if isinstance(values, dict) else dict(enumerate(values))


def of(a: Path, b: Path, **options: Any) -> Comparisons:
    return compare(load_study(a), load_study(b), **options)


def only_row(a: Path, b: Path, **options: Any) -> Row:
    (row,) = of(a, b, **options).rows
    return row


def differ(a: Any, b: Any, better: bool | None = True, margin: float | None = None) -> Difference:
    rng = np.random.default_rng(0)
    return seed_difference(seeded(a), seeded(b), higher_is_better=better, rng=rng, margin=margin)


# Numbers


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
    assert row.found.verdict == "no difference seen"
    assert row.found.judgement is None


def test_shuffled_seeds_give_other_pairs() -> None:
    paired, shuffled = differ(A, B), differ(A, [B[k] for k in (3, 4, 5, 0, 1, 2)])
    assert paired.difference == pytest.approx(shuffled.difference)
    assert paired.verdict == "B higher"
    assert shuffled.verdict == "no difference seen"
    assert shuffled.high - shuffled.low > 3 * (paired.high - paired.low)


def test_the_order_of_seeds_on_disk_does_not_matter() -> None:
    there, back = dict(enumerate(B)), dict(reversed(list(enumerate(B))))
    assert differ(A, there) == differ(A, back)


@pytest.mark.parametrize(
    ("b_is", "better", "verdict", "judgement"),
    [
        (B, True, "B higher", "better"),
        (B, False, "B higher", "worse"),
        (B, None, "B higher", None),
        ([0.5 - v for v in B], True, "B lower", "worse"),
        ([0.5 - v for v in B], False, "B lower", "better"),
    ],
)
def test_words_follow_the_sign_and_judgement_the_direction(
    b_is: list[float], better: bool | None, verdict: str, judgement: str | None
) -> None:
    a = A if verdict == "B higher" else [0.5 - v for v in A]
    found = differ(a, b_is, better)
    assert (found.verdict, found.judgement) == (verdict, judgement)
    assert (found.difference > 0) == (verdict == "B higher")


@pytest.mark.parametrize(("score", "judgement"), [("reconstruction_bce", "worse"), ("mig", "better"), ("kl", None)])
def test_the_direction_is_the_scores(studies: Any, score: str, judgement: str | None) -> None:
    found = only_row(*studies({score: A}, {score: B})).found
    assert (found.verdict, found.judgement) == ("B higher", judgement)


VALUES = st.lists(st.integers(-50, 50).map(lambda k: k / 8), min_size=5, max_size=9)


@given(VALUES, VALUES, st.integers(0, 6))
def test_exchanging_the_sides_changes_signs_only(a: list[float], b: list[float], shift: int) -> None:
    left, right = dict(enumerate(a)), dict(enumerate(b, start=shift))
    one, two = differ(left, right), differ(right, left)
    assert one.difference == pytest.approx(-two.difference)
    assert one.low == pytest.approx(-two.high)
    assert one.p == pytest.approx(two.p)
    assert (one.paired, one.n) == (two.paired, two.n)
    assert {one.verdict, two.verdict} in ({"B higher", "B lower"}, {"no difference seen"})
    assert one.mean_b - one.mean_a == pytest.approx(one.difference)
    if one.low != one.high:
        # The interval and the p are of one test.
        assert (one.p < 0.05) == (one.verdict != "no difference seen")


def test_few_seeds_are_not_compared() -> None:
    found = differ(A[:4], B[:4])
    assert found.verdict == "too few seeds to compare"
    assert (found.n, found.low, found.high, found.effect, found.p, found.judgement) == (4, None, None, None, None, None)
    assert found.difference == pytest.approx(np.mean(B[:4]) - np.mean(A[:4]))
    for a, b in ((A, {0: 0.1}), ({0: 0.1}, {7: 0.2}), (A, dict.fromkeys(range(2, 6), 0.1))):
        assert differ(a, b, margin=1.0).verdict == "too few seeds to compare"


def test_some_common_seeds_are_paired_if_they_are_enough() -> None:
    b = {seed + 1: value for seed, value in enumerate(B)}
    found = differ(A, b)
    assert (found.paired, found.n, found.n_a, found.n_b) == (True, 5, 6, 6)
    assert found.mean_a == pytest.approx(np.mean(A[1:]))
    assert found.mean_b == pytest.approx(np.mean(B[:5]))
    found = differ(A, {seed + 2: value for seed, value in enumerate(B)})
    assert (found.paired, found.n) == (False, 6)


def test_without_spread_the_p_is_the_permutation_tests() -> None:
    same = differ(A, A)
    assert (same.difference, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)
    assert (same.verdict, same.effect) == ("no difference seen", None)
    shifted = differ([1.0] * 5, [2.0] * 5)
    assert (shifted.low, shifted.high, shifted.p) == (1.0, 1.0, 2 / 2**5)
    assert shifted.verdict == "B higher"
    apart = differ([1.0] * 5, dict.fromkeys(range(10, 15), 2.0))
    assert (apart.paired, apart.p) == (False, 2 / math.comb(10, 5))


@pytest.mark.parametrize(
    ("margin", "verdict", "judgement"),
    # Differences of mean 0.0317 and sd 0.0194: 0.0317 ± 2.571 · 0.0194 / √6.
    [(0.06, "equivalent", None), (0.03, "undecided", None), (0.01, "different", "better")],
)
def test_a_margin_asks_for_equivalence(margin: float, verdict: str, judgement: str | None) -> None:
    found = differ(A, B, margin=margin)
    assert (found.low, found.high) == pytest.approx((0.0113, 0.0520), abs=1e-4)
    assert (found.verdict, found.judgement, found.margin) == (verdict, judgement, margin)


def test_holm_is_over_all_that_is_compared(studies: Any) -> None:
    noisy = [a + s for a, s in zip(A, (0.1, -0.2, 0.15, -0.1, 0.2, -0.12), strict=True)]
    few = {0: 1.0, 1: 2.0}
    rows = of(*studies({"mig": A, "kl": A, "sap": few}, {"mig": B, "kl": noisy, "sap": few})).rows
    found = {row.score: row for row in rows}
    assert found["sap"].p_holm is None
    assert found["mig"].p_holm == pytest.approx(2 * found["mig"].found.p)
    assert found["kl"].p_holm == pytest.approx(found["kl"].found.p)


# Which configurations belong together


def test_a_study_is_the_same_as_itself(study_builder: Build) -> None:
    path = study_builder().fill(range(6), ["vae", "beta_vae", "untrained"])
    found = of(path, path)
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
    found = of(one.study(), sweep.study())
    (row,) = found.rows
    assert (row.a[1], row.b[1]) == ("β-VAE", "β-VAE (beta=4)")
    assert row.found.difference == pytest.approx(4.0)
    assert found.only == {"A": [], "B": ["β-VAE (beta=1) on dsprites", "β-VAE (beta=16) on dsprites"]}
    assert "β-VAE / β-VAE (beta=4)" in markdown(found)


def test_the_same_label_is_compared_and_what_differs_is_said(studies: Any) -> None:
    found = of(*studies({"mig": A}, {"mig": B}, steps=500, network={"name": "mlp", "version": 1}))
    assert [row.found.verdict for row in found.rows] == ["B higher"]
    assert "steps: 3000 in A, 500 in B (VAE on dsprites)." in found.notes
    assert 'network: "conv32" in A, "mlp" in B (VAE on dsprites).' in found.notes


def test_other_data_under_the_same_name_are_said_to_be_other(studies: Any) -> None:
    data = {"name": "dsprites", "version": 1, "options": {"resolution": 64}, "sha256": "cd" * 32}
    found = of(*studies({"mig": A}, {"mig": B}, dataset=data))
    assert "data resolution: 32 in A, 64 in B (VAE on dsprites)." in found.notes


def test_where_users_kept_their_data_is_no_difference(studies: Any) -> None:
    data = {"name": "d", "version": 1, "options": {}, "sha256": "ab", "paths": {"path": "/home/jane/d.npz"}}
    a, b = studies({"mig": A}, {"mig": B}, dataset=data)
    assert of(b, b).notes == []
    for file in a.glob("runs/*/spec.json"):
        spec = json.loads(file.read_text())
        file.write_text(json.dumps(spec | {"dataset": data | {"paths": {"path": "/mnt/d.npz"}}}))
    assert of(a, b).notes == []


def test_what_only_one_has_is_listed(study_builder: Build) -> None:
    a = study_builder("a").fill(range(5), ["vae", "beta_vae", "untrained"])
    builder = study_builder("b")
    b = builder.fill(range(5), ["vae", "factor_vae", "untrained"])
    for file in b.glob("runs/dsprites-vae-*/result.json"):
        record = json.loads(file.read_text())
        record["scores"].pop("mig")
        record["scores"]["sap"] = 0.5
        file.write_text(json.dumps(record))
    found = of(a, b)
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
    found = of(one.study(), two.study())
    assert (found.rows[0].found.n, found.rows[0].found.difference) == (6, pytest.approx(0.1))
    assert found.notes == ["1 of 7 runs diverged in B and have no part (VAE on dsprites)."]


def test_seeds_that_only_one_has_are_said(studies: Any) -> None:
    notes = of(*studies({"mig": A}, {"mig": {seed: 0.1 * seed for seed in range(1, 9)}})).notes
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
        of(a, b)
    found = of(a, b, mixed=True)
    assert len(found.rows) == 1
    assert f"{note} (VAE on dsprites)." in found.notes


def test_nothing_in_common_is_an_error(study_builder: Build) -> None:
    a, b = study_builder("a").fill(range(2), ["vae"]), study_builder("b").fill(range(2), ["beta_vae"])
    with pytest.raises(BenchError, match=r"nothing in common.*A has VAE on dsprites; B has β-VAE on dsprites"):
        of(a, b)


def test_an_archive_is_read_like_the_folder(study_builder: Build, tmp_path: Path) -> None:
    path = study_builder().fill(range(5), ["vae", "untrained"])
    for folder in list((path / "runs").iterdir()):
        run = RunSpec.model_validate_json((folder / "spec.json").read_bytes()).run_id
        (folder / "result.json").write_text(json.dumps(json.loads((folder / "result.json").read_text()) | {"run": run}))
        folder.rename(folder.with_name(run))
    export_archive(path, tmp_path / "a.zip")
    assert of(path, tmp_path / "a.zip").rows == of(path, path).rows
    (tmp_path / "b.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:-30])
    with pytest.raises(BenchError, match="no archive of `bench export`"):
        load_study(tmp_path / "b.zip")


# What is printed


def test_the_table_says_what_was_seen(studies: Any) -> None:
    b = {"mig": B, "reconstruction_bce": A, "kl": {10 + k: v for k, v in enumerate(B)}}
    text = markdown(of(*studies({"mig": A, "reconstruction_bce": B, "kl": A}, b)))
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| VAE")]
    assert [line[1:3] for line in lines] == [
        ["BCE (nats/image) ↓", "6"],
        ["KL (nats)", "6 and 6, unpaired"],
        ["MIG ↑", "6"],
    ]
    assert lines[0][-1] == "B lower (better)"
    assert lines[1][-1] == "no difference seen"
    assert lines[2][3:] == [
        "0.2400", "0.2717", "+0.03167", "[+0.01130, +0.05203]", "+1.37", "0.031", "B higher (better)",
    ]  # fmt: skip
    assert "2 of 3 intervals exclude zero" in text


def test_csv_and_json_hold_the_same_numbers(studies: Any) -> None:
    found = of(*studies({"mig": A, "kl": A[:3]}, {"mig": B, "kl": B[:3]}), margins={"mig": 0.01})
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
