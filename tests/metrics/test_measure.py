"""Metrics with options, and what becomes of inputs that aren't there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.errors import BenchError
from bench.metrics import dci, mig, mig_sampled, total_correlation
from bench.metrics.measure import column_info, find_metric, known_version, match_metrics, measure
from bench.registry import METRICS
from bench.seeds import stream


def table(n=400) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(size, size=n) for size in (3, 4, 5)], axis=1)
    codes = np.hstack([factors, factors[:, :1]]) + 0.2 * rng.normal(size=(n, 4))
    return {"codes": codes, "logvar": np.full_like(codes, -3.0), "factors": factors}


class TestNames:
    def test_options_are_in_one_order_and_defaults_left_out(self):
        assert match_metrics("mig[n_samples=100, n_bins=10]") == ["mig[n_bins=10,n_samples=100]"]
        assert match_metrics("mig[n_bins=20]") == ["mig"]

    def test_several_values_are_several_metrics(self):
        assert match_metrics("mig[n_bins=5,10]") == ["mig[n_bins=5]", "mig[n_bins=10]"]

    def test_numbers_that_belong_together_are_joined_by_a_plus(self):
        (name,) = match_metrics("mig_sampled[exclude=0+2]")
        assert find_metric(name).options == {"exclude": (0, 2)}
        assert match_metrics(name) == [name]

    def test_a_whole_number_is_taken_where_a_real_one_is_meant(self):
        assert find_metric("active_units[threshold=1]").options == {"threshold": 1.0}

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("mgi", "unknown metric 'mgi'; did you mean 'mig'"),
            ("mig[bins=3]", "unknown option 'bins'; did you mean 'n_bins'"),
            ("mig[n_bins=many]", "n_bins=many: a value like 20 is needed"),
            ("mig[n_bins=1]", "n_bins must be at least 2, got 1"),
            ("dci[predictor=forest]", "predictor must be 'hist_gbt', 'sklearn_gbt' or 'linear'"),
            ("mig_sampled[exclude=a]", "whole numbers joined by"),
            ("mig_sampled[exclude=7]", "7"),
        ],
    )
    def test_what_the_metric_would_refuse_is_refused_before_anything_runs(self, text, words):
        with pytest.raises(BenchError, match=words.replace("[", r"\[")):
            match_metrics(text)

    def test_version_of_a_metric_that_nobody_registers_is_unknown(self):
        assert known_version("mig[n_bins=10]") == find_metric("mig").version
        assert known_version("somebody_elses") is None
        assert known_version("mig[gone=1]") is None


class TestColumns:
    def test_the_predictor_is_part_of_the_heading(self):
        assert column_info("dci")["dci_disentanglement"].label == "DCI-D (hist_gbt)"
        exact = column_info("dci[predictor=sklearn_gbt]")
        assert exact["dci_disentanglement[predictor=sklearn_gbt]"].label == "DCI-D (sklearn_gbt)"

    def test_other_options_stand_behind_the_heading(self):
        assert column_info("mig[n_bins=10]")["mig[n_bins=10]"].label == "MIG (n_bins=10)"
        (both,) = match_metrics("dci[predictor=sklearn_gbt,n_train=100]")
        assert {s.label for s in column_info(both).values()} >= {"DCI-C (sklearn_gbt) (n_train=100)"}


class TestMeasure:
    def test_gives_what_the_function_gives_with_the_options_and_the_metrics_own_stream(self):
        data = table()
        names = ["dci", "mig", "mig[n_bins=10]", "mig_sampled[exclude=0]"]
        scores = measure(data, names, seed=3).scores
        codes, logvar, factors = data.values()
        assert scores["mig"] == mig(codes, factors, rng=stream(3, "metric:mig"))["mig"]
        assert scores["mig[n_bins=10]"] == mig(codes, factors, n_bins=10, rng=stream(3, "metric:mig"))["mig"]
        drawn = mig_sampled(codes, logvar, factors, exclude=(0,), rng=stream(3, "metric:mig_sampled"))
        assert scores["mig_sampled[exclude=0]"] == drawn["mig_sampled"]
        assert scores["mig"] != scores["mig[n_bins=10]"]
        assert scores["dci_completeness"] == dci(codes, factors, rng=stream(3, "metric:dci"))["dci_completeness"]

    def test_what_cannot_be_measured_is_absent_with_its_reason(self):
        codes = table()["codes"]
        found = measure({"codes": codes}, match_metrics("all"), seed=0, reasons={"logvar": "PCA has no noise"})
        assert found.not_applicable["mig"] == "the dataset has no factors"
        assert found.not_applicable["kl"] == "PCA has no noise"
        assert found.not_applicable["gaussian_tc_samples"] == "PCA has no noise"
        assert found.not_applicable["reconstruction"] == "there are no images"
        assert set(found.scores) == {"active_units", "gaussian_tc_means", "mutual_information_codes"}

    def test_the_means_total_correlation_needs_no_noise(self):
        data = table()
        with_noise = total_correlation(data["codes"], data["logvar"], rng=stream(0, "x"))
        without = total_correlation(data["codes"], rng=stream(0, "x"))
        assert without["gaussian_tc_means"] == with_noise["gaussian_tc_means"] > 0
        assert without["gaussian_tc_samples"] is None
        assert with_noise["gaussian_tc_samples"] < with_noise["gaussian_tc_means"]

    def test_nan_codes_are_an_error_and_not_a_score(self):
        data = table()
        data["codes"][3, 1] = np.nan
        with pytest.raises(ValueError, match="NaN"):
            measure(data, ["mig"], seed=0)


def test_a_metric_that_writes_to_its_input_is_refused_rather_than_heard_by_the_others():
    def writes(codes, *, rng):
        codes[:] = 0
        return {"mig": 0.0}

    codes = np.random.default_rng(0).normal(size=(50, 2))
    entry = METRICS.get("mig")
    fake = replace(entry, value=writes, info=replace(entry.info, inputs=("codes",), optional=()))
    with METRICS.override({"mig": fake}), pytest.raises(ValueError, match="read-only"):
        measure({"codes": codes}, ["mig"], seed=0)
    assert codes.any()
