"""What a report says of a study's runs is what the runs have."""

from __future__ import annotations

import pytest
import tomli_w

from bench.reporting.summary import run_summary, summary_lines
from bench.results.study import read_study
from helpers.synthetic import Build


def test_hyper_parameters_say_what_the_runs_share(study_builder: Build) -> None:
    builder = study_builder(terms="equal")
    builder.run("vae", 0, {"kl": 1.0})
    builder.run("beta_vae", 0, {"kl": 1.0})
    own = builder.run("pca", 0, {"kl": 1.0}, hyper={}, steps=0)
    study = read_study(builder.study())
    said = dict(summary_lines(study))
    assert said["Hyper-parameters"] == (
        "shared: all trained methods share network, initialisation, data order, optimiser and steps; "
        "PCA builds a network of its own"
    )
    assert "network conv32 (2×) / its own (1×)" in said["Training"]
    assert "network its own" in dict(run_summary(study, own))["Training"]
    builder.run("factor_vae", 0, {"kl": 1.0}, batch_size=32)
    assert "they differ in data order" in dict(summary_lines(read_study(builder.study())))["Hyper-parameters"]


@pytest.mark.parametrize(
    ("n_data", "said"),
    [(108, "n codes 108, n images 108"), (600, "n codes 600, n images 512"), (9000, "n codes 5120, n images 512")],
)
@pytest.mark.parametrize("recorded", [True, False])
def test_sample_sizes_are_no_larger_than_the_data(study_builder: Build, n_data: int, said: str, recorded: bool) -> None:
    details = {"kl": {"n_samples": min(n_data, 5120)}, "reconstruction": {"n_images": min(n_data, 512)}}
    builder = study_builder()
    builder.run(
        "vae",
        0,
        {"kl": 1.0},
        provenance={"n_data": n_data} if recorded else {},
        result={} if recorded else {"details": details},
    )
    assert dict(summary_lines(read_study(builder.study())))["Evaluation"].startswith(said)


def test_data_of_two_sizes_have_two_sample_sizes(study_builder: Build) -> None:
    builder = study_builder()
    for name, n_data in (("small", 108), ("large", 9000)):
        data = {"name": name, "version": 1, "options": {}, "sha256": name}
        builder.run("vae", 0, {"kl": 1.0}, dataset=data, provenance={"n_data": n_data})
    assert "n codes 108 (1×) / 5120 (1×)" in dict(summary_lines(read_study(builder.study())))["Evaluation"]


def test_set_points_in_shares_are_told_with_the_kl_that_they_are_shares_of(study_builder: Build) -> None:
    builder = study_builder()
    builder.run("control_vae", 0, {"kl": 1.0})
    assert "Set points" not in dict(summary_lines(read_study(builder.study())))
    path = builder.study()
    entry = {"kl": 10.9, "sd": 0.2, "n_seeds": 10, "training": {"dataset": {"name": "dsprites"}, "steps": 18_000}}
    other = {**entry, "kl": 4.0, "n_seeds": 5, "training": {"dataset": {"name": "squares"}, "steps": 300}}
    text = (path / "study.toml").read_text()
    for entries, said in (
        ([entry], "10.90 nats (10 seeds)"),
        (
            [entry, other],
            "10.90 nats (10 seeds) on dsprites in 18,000 steps; 4.00 nats (5 seeds) on squares in 300 steps",
        ),
    ):
        (path / "study.toml").write_text(text + tomli_w.dumps({"record": {"schema_version": 1, "plain_kl": entries}}))
        assert (
            dict(summary_lines(read_study(path)))["Set points"] == f"asked for as shares of the plain VAE's KL, {said}"
        )
