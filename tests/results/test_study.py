from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.errors import BenchError
from bench.registry import METHODS
from bench.results.curves import read_curves
from bench.results.read import write_runs_jsonl
from bench.results.study import read_study
from bench.results.summary import resampling, score_info, summarise
from bench.seeds import stream
from bench.stats import summary
from helpers.synthetic import Build

EVALUATION = {"protocol": 1, "n_codes": 10, "n_images": 10, "metrics": {"mig": 1}}


def test_one_row_per_run_with_spec_scores_and_final_values(study_builder: Build) -> None:
    study = read_study(study_builder().fill(range(3), ["vae", "beta_vae", "untrained"]))
    runs = study.runs
    assert len(runs) == 9
    assert list(runs["method"]) == ["vae"] * 3 + ["beta_vae"] * 3 + ["untrained"] * 3
    assert list(runs["seed"]) == [0, 1, 2] * 3
    assert runs["run"].is_unique
    row = runs.iloc[3]
    stored = json.loads((study.path / "runs" / row["run"] / "result.json").read_text())
    assert {score: row[score] for score in study.scores} == stored["scores"]
    assert (row["hyper.beta"], row["final.kl"], row["steps"], row["wall_s"]) == (4.0, 18.0, 3000, 61.5)
    assert math.isnan(runs.iloc[0]["hyper.beta"])
    assert study.planned == study.finished == 9


def test_kl_stands_beside_reconstruction_and_factor_scores_last(study_builder: Build) -> None:
    scores = read_study(study_builder().fill([0], ["vae"])).scores
    assert scores[:2] == ["reconstruction_bce", "kl"]
    assert set(scores[-5:]) == {
        "mig", "factor_vae_score", "dci_disentanglement", "dci_completeness", "dci_informativeness",
    }  # fmt: skip


def test_a_score_nobody_registers_is_kept_under_its_own_name(study_builder: Build) -> None:
    builder = study_builder()
    builder.run("vae", 0, {"kl": 1.0, "my_new_score": 0.5})
    study = read_study(builder.study())
    assert study.scores == ["kl", "my_new_score"]
    info = score_info("my_new_score")
    assert (info.label, info.higher_is_better) == ("my_new_score", None)


def test_labels_name_only_what_differs(study_builder: Build) -> None:
    with METHODS.override():
        METHODS.register("toy_vae", label="ToyVAE")(None)
        builder = study_builder()
        for beta in (16.0, 1.0, 4.0):
            builder.run("toy_vae", 0, {"kl": 1.0}, hyper={"beta": beta, "gamma": 2.0})
        builder.run("unknown_vae", 0, {"kl": 1.0}, hyper={"beta": 3.0})
        builder.run("untrained", 0, {"kl": 1.0})
        runs = read_study(builder.study(methods=["untrained", "unknown_vae", "toy_vae"])).runs
        # In the user's order of methods, by value within one, and the control last in any case.
        assert list(runs["label"]) == [
            "unknown_vae", "ToyVAE (beta=1)", "ToyVAE (beta=4)", "ToyVAE (beta=16)", "untrained",
        ]  # fmt: skip


def test_hyper_parameters_that_go_with_the_data_are_no_sweep(study_builder: Build) -> None:
    builder = study_builder()
    for name, set_point in (("dsprites", 20.0), ("mnist", 25.0)):
        data = {"name": name, "version": 1, "options": {}, "sha256": "0"}
        builder.run("control_vae", 0, {"kl": 1.0}, hyper={"set_point": set_point}, dataset=data)
    assert read_study(builder.study()).runs["label"].unique().size == 1


def test_training_settings_that_differ_are_kept_apart(study_builder: Build) -> None:
    builder = study_builder()
    for steps in (3000, 300):
        builder.run("vae", 0, {"kl": 1.0}, steps=steps)
    labels = list(read_study(builder.study()).runs["label"])
    assert [label.split(" ", 1)[1] for label in labels] == ["(steps=300)", "(steps=3000)"]


def test_dataset_labels_name_only_what_differs(study_builder: Build) -> None:
    builder = study_builder()
    for size in (32, 64):
        options = {"resolution": size, "sizes": [3, 6]}
        data = {"name": "d", "version": 1, "options": options, "sha256": f"{size:064x}"}
        builder.run("vae", 0, {"kl": 1.0}, dataset=data)
    assert read_study(builder.study()).datasets == ["d (resolution=32)", "d (resolution=64)"]


def test_summary_counts_only_runs_that_ended_well(study_builder: Build) -> None:
    builder = study_builder()
    values = [0.1, 0.2, 0.3, 0.4]
    for seed, value in enumerate(values):
        builder.run("vae", seed, {"mig": value})
    builder.run("vae", 4, {"mig": 99.0}, status="diverged")
    builder.run("vae", 5, {"mig": None})
    builder.fail("vae", 6)
    row = read_study(builder.study()).summary.iloc[0]
    assert (row["n"], row["n_ok"], row["n_diverged"], row["n_failed"]) == (4, 5, 1, 1)
    assert row["mean"] == pytest.approx(0.25)
    assert row["sd"] == pytest.approx(np.std(values, ddof=1))
    assert row["low"] < 0.25 < row["high"]


def test_a_new_column_or_method_shifts_nobody_elses_interval(study_builder: Build) -> None:
    small, large = study_builder("a", name="same"), study_builder("b", name="same")
    more = {"evaluation": {**EVALUATION, "metrics": {"mig": 1, "another": 1}}, "log_every": 7}
    for seed in range(6):
        scores = {"mig": 0.1 + 0.01 * seed**2}
        small.run("vae", seed, scores, evaluation=EVALUATION)
        large.run("vae", seed, {"another": 1.0 * seed, **scores}, **more)
        large.run("beta_vae", seed, {"mig": 0.5 * seed}, **more)
    before, after = read_study(small.study()).summary, read_study(large.study()).summary
    (one,) = before.to_dict("records")
    two = after[(after["method"] == "vae") & (after["score"] == "mig")].iloc[0]
    assert (one["low"], one["high"]) == (two["low"], two["high"])


def test_the_interval_comes_from_the_named_stream(study_builder: Build) -> None:
    builder = study_builder()
    values = [0.1, 0.15, 0.3, 0.32, 0.5]
    for seed, value in reversed(list(enumerate(values))):
        builder.run("vae", seed, {"mig": value})
    study = read_study(builder.study())
    chosen = " ".join(f"{study.runs['config'].iloc[0]}-s{seed}" for seed in range(5))
    expected = summary(values, rng=stream(0, f"bootstrap:mig:{chosen}"))
    row = summarise(study.runs).iloc[0]
    assert (row["low"], row["high"], row["interval"]) == (expected.low, expected.high, "bca")


def test_the_same_runs_have_the_same_interval_in_every_study_and_other_runs_draw_otherwise(
    study_builder: Build,
) -> None:
    values = [0.1, 0.15, 0.3, 0.32, 0.5, 0.51]
    here, there = study_builder("a", name="here"), study_builder("b", name="there")
    for seed, value in enumerate(values):
        scores = {"mig": value if seed < 5 else None, "sap": value}
        for builder in (here, there):
            builder.run("vae", seed, scores)
        # Beside another configuration the label is another, and the runs are the same.
        there.run("vae", seed, {"mig": 0.0}, steps=9)
    one, two = (read_study(builder.study()) for builder in (here, there))
    bounds = {}
    for study, label in ((one, "VAE"), (two, "VAE (steps=3000)")):
        cells = [study.cells["dsprites", label, score] for score in ("mig", "sap")]
        bounds[study.name] = [(cell["n"], cell["low"], cell["high"]) for cell in cells]
    assert bounds["here"] == bounds["there"]
    known = one.runs[one.runs["mig"].notna()]
    other = two.runs[two.runs["steps"] == 9].head(len(known))
    drawn = [(known, "mig"), (one.runs, "mig"), (known, "sap"), (other, "mig")]
    assert len({resampling(runs, score).random() for runs, score in drawn}) == 4


def test_failed_attempts(study_builder: Build) -> None:
    builder = study_builder()
    run = builder.fail("vae", 0, attempt=1)
    builder.fail("vae", 0, attempt=2)
    mended = builder.fail("beta_vae", 0)
    assert builder.run("beta_vae", 0, {"kl": 2.0}) == mended
    study = read_study(builder.study())
    assert [(item["run"], item["attempt"]) for item in study.failures] == [(run, 2)]
    assert dict(zip(study.runs["run"], study.runs["status"], strict=True)) == {run: "failed", mended: "ok"}
    assert study.finished == 1


def test_scores_that_do_not_apply_are_columns_with_a_reason(study_builder: Build) -> None:
    study = read_study(study_builder().fill([0], ["vae"], factors=False))
    assert study.not_applicable["dsprites", "mig"] == "the factors aren't known"
    assert study.not_applicable["dsprites", "dci_completeness"] == "the factors aren't known"
    assert study.runs["mig"].isna().all()


def test_no_study(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"no study at .*nowhere"):
        read_study(tmp_path / "nowhere")


def test_an_empty_study_is_an_empty_table(study_builder: Build) -> None:
    study = read_study(study_builder().study())
    assert (len(study.runs), study.finished, study.scores, len(study.summary)) == (0, 0, [], 0)


def test_a_folder_without_a_result_is_no_run(study_builder: Build) -> None:
    builder = study_builder()
    builder.run("vae", 0, {"kl": 1.0})
    (builder.root / "runs" / "half-written").mkdir()
    assert len(read_study(builder.study()).runs) == 1


@pytest.mark.parametrize("file", ["result.json", "spec.json", "provenance.json"])
@pytest.mark.parametrize("content", ['{"schema_version": 1, "sco', "", "[1]", "\x00\x01"])
def test_a_damaged_file_is_named(study_builder: Build, file: str, content: str) -> None:
    builder = study_builder()
    run = builder.run("vae", 0, {"kl": 1.0})
    (builder.root / "runs" / run / file).write_text(content)
    with pytest.raises(BenchError, match=rf"{run}/{file}.*remove that run's folder"):
        read_study(builder.study())


def test_a_missing_key_is_named(study_builder: Build) -> None:
    builder = study_builder()
    run = builder.run("vae", 0, {"kl": 1.0})
    (builder.root / "runs" / run / "result.json").write_text('{"schema_version": 1, "status": "ok"}')
    with pytest.raises(BenchError, match="lacks 'scores'"):
        read_study(builder.study())


def test_a_damaged_study_file(study_builder: Build) -> None:
    builder = study_builder()
    builder.study()
    (builder.root / "study.toml").write_text("name = ")
    with pytest.raises(BenchError, match=r"study\.toml can't be read"):
        read_study(builder.root)


@pytest.mark.parametrize(("version", "way_out"), [(0, "run the study again"), (None, "again"), (2, "update")])
def test_another_schema(study_builder: Build, version: int | None, way_out: str) -> None:
    builder = study_builder()
    builder.run("vae", 0, {"kl": 1.0}, result={"schema_version": version})
    with pytest.raises(BenchError, match=rf"schema {version}, this version reads 1: .*{way_out}"):
        read_study(builder.study())


def test_provenance_may_be_missing(study_builder: Build) -> None:
    builder = study_builder()
    run = builder.run("vae", 0, {"kl": 1.0})
    (builder.root / "runs" / run / "provenance.json").unlink()
    assert math.isnan(read_study(builder.study()).runs["wall_s"].iloc[0])


DATASET = {"name": "d", "version": 1, "options": {}, "sha256": "0"}


@pytest.mark.parametrize(
    ("one", "two", "message"),
    [
        ({}, {"version": 2}, "method vae: 1 and 2"),
        (
            {"evaluation": EVALUATION},
            {"evaluation": {**EVALUATION, "metrics": {"mig": 2}}},
            "metric mig: 1 and 2",
        ),
        (
            {"evaluation": EVALUATION},
            {"evaluation": {**EVALUATION, "protocol": 2}},
            "evaluation protocol: 1 and 2",
        ),
        ({"dataset": DATASET}, {"dataset": {**DATASET, "version": 2}}, "dataset d: 1 and 2"),
    ],
)
def test_mixed_versions_are_refused_unless_asked_for(
    study_builder: Build, one: dict[str, object], two: dict[str, object], message: str
) -> None:
    builder = study_builder()
    builder.run("vae", 0, {"mig": 0.1}, **one)
    builder.run("vae", 1, {"mig": 0.2}, **two)
    path = builder.study()
    with pytest.raises(BenchError, match=message):
        read_study(path)
    runs = read_study(path, mixed=True).runs
    assert (runs["label"] + runs["dataset_label"]).nunique() == 2


def test_other_data_under_the_same_name_are_kept_apart(study_builder: Build) -> None:
    builder = study_builder()
    builder.run("vae", 0, {"mig": 0.1}, dataset=DATASET)
    builder.run("vae", 1, {"mig": 0.2}, dataset={**DATASET, "sha256": "f"})
    assert read_study(builder.study()).runs["dataset_label"].nunique() == 2


def test_curves(study_builder: Build) -> None:
    study = read_study(study_builder().fill([0], ["vae", "control_vae"], rows=7))
    vae, control = (read_curves(study, run) for run in study.runs["run"])
    assert len(vae) == 7
    assert vae["set_point"].isna().all()
    assert control["set_point"].notna().all()
    assert vae.filter(regex=r"^kl_\d").sum(axis=1).to_numpy() == pytest.approx(vae["kl"].to_numpy())


@pytest.mark.parametrize("content", [None, "", "step,kl\n1,abc\n", "step,kl\n1,2\n3,4,5\n"])
def test_damaged_curves_are_named(study_builder: Build, content: str | None) -> None:
    builder = study_builder()
    run = builder.run("vae", 0, {"kl": 1.0}, curves=content)
    with pytest.raises(BenchError, match=r"curves\.csv can't be read"):
        read_curves(read_study(builder.study()), run)


def test_runs_jsonl_can_be_rebuilt(study_builder: Build) -> None:
    path = study_builder().fill(range(2), ["vae", "untrained"])
    file = write_runs_jsonl(path)
    first = file.read_bytes()
    records = [json.loads(line) for line in first.splitlines()]
    assert [record["run"] for record in records] == sorted(record["run"] for record in records)
    assert len(records) == 4
    assert records[0]["spec"]["seed"] == 0
    assert "kl" in records[0]["scores"]
    file.unlink()
    assert write_runs_jsonl(path).read_bytes() == first
    assert sorted(item.name for item in path.iterdir()) == ["runs", "runs.jsonl", "study.toml"]


def test_runs_jsonl_on_a_full_or_read_only_disk(study_builder: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    path = study_builder().fill([0], ["vae"])
    before = write_runs_jsonl(path).read_bytes()

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(BenchError, match=r"runs\.jsonl can't be written: No space left"):
        write_runs_jsonl(path)
    assert (path / "runs.jsonl").read_bytes() == before


def test_many_runs_load_fast(study_builder: Build) -> None:
    builder = study_builder()
    for seed in range(300):
        builder.run("vae", seed, {"kl": 1.0 * seed})
    path = builder.study()
    read_study(path)
    start = time.perf_counter()
    read_study(path)
    # Two seconds for 3,000 runs are the aim; the factor of ten is for a busy machine.
    assert time.perf_counter() - start < 2.0


def test_curves_of_all_seeds_are_read_as_each_is_alone(study_builder: Build) -> None:
    path = study_builder().fill(range(3), ["vae", "control_vae"], rows=7)
    study = read_study(path)
    for run in study.runs["run"]:
        alone = pd.read_csv(path / "runs" / run / "curves.csv", dtype=float)
        pd.testing.assert_frame_equal(read_curves(study, run), alone)


@pytest.mark.parametrize("end", ["\n8,0.5", "\n8,0.5,1,2,3,4,5,6,7,8,9,9,9,9,9,9,9\n", "\nx\n"])
def test_a_damaged_file_of_one_seed_leaves_the_others_alone(study_builder: Build, end: str) -> None:
    path = study_builder().fill(range(3), ["vae"], rows=7)
    expected = read_curves(read_study(path), (runs := list(read_study(path).runs["run"]))[2])
    file = path / "runs" / runs[1] / "curves.csv"
    file.write_text(file.read_text().rstrip("\n") + end)
    study = read_study(path)
    for run in (runs[0], runs[2]):
        assert len(read_curves(study, run)) == 7
    pd.testing.assert_frame_equal(read_curves(study, runs[2]), expected)
    if end.endswith("\n"):
        with pytest.raises(BenchError, match=rf"{runs[1]}/curves\.csv can't be read"):
            read_curves(study, runs[1])
