"""What all metrics have in common."""

import json

import numpy as np
import pytest

from bench.metrics import elbo, kl, mig, mig_sampled, rmig
from bench.registry import METRICS
from helpers.factors import grid, standardised
from helpers.paths import ROOT
from helpers.rng import rng

OWN = [entry for entry in METRICS if entry.value.__module__.startswith("bench.metrics.")]
NAMES = [entry.name for entry in OWN]
DETERMINISTIC = ["irs", "mig_sampled", "mutual_information", "rmig", "total_correlation"]


def inputs() -> dict[str, np.ndarray]:
    factors = np.tile(grid((3, 4, 5)), (5, 1))
    codes = np.hstack([factors / factors.std(axis=0), rng(1).normal(size=(300, 1))])
    codes += 0.2 * rng(2).normal(size=codes.shape)
    images = rng(3).random((10, 1, 12, 12)).astype(np.float32)
    return {
        "codes": codes,
        "logvar": rng(4).normal(size=codes.shape) - 2,
        "factors": factors,
        "labels": factors[:, 0],
        "images": images,
        "decoded": rng(5).normal(size=images.shape).astype(np.float32),
        "decoder_codes": rng(6).normal(size=codes.shape),
        "generated": rng(7).normal(size=images.shape).astype(np.float32),
        "train_codes": codes[::2] + 0.5,
        "train_logvar": rng(8).normal(size=codes[::2].shape) - 2,
        "train_images": images[:6],
        "train_decoded": rng(9).normal(size=images[:6].shape).astype(np.float32),
        "sources": standardised(factors),
        "covariance": np.tile(0.1 * np.eye(codes.shape[1]), (len(codes), 1, 1)),
    }


def score(name: str, table: dict[str, np.ndarray], **options) -> dict[str, float]:
    entry = METRICS.get(name)
    result = entry.value(*(table[need] for need in entry.info.inputs), rng=rng(), **options)
    return {column: result[column] for column in entry.info.scores}


def test_all_is_all_and_the_core_is_what_it_was():
    # Factors that are real numbers have a metric of their own, which nothing else can be measured by; the gap is
    # measured wherever images are held out.
    assert set(NAMES) == {*METRICS.match("all"), "inference", "generalisation"}
    assert set(METRICS.match("core")) == {"active_units", "dci", "factor_vae_score", "kl", "mig", "reconstruction"}
    assert set(DETERMINISTIC) <= set(NAMES)


def test_no_two_metrics_share_a_column():
    columns = [column for entry in METRICS for column in entry.info.scores]
    assert len(columns) == len(set(columns))


@pytest.mark.parametrize("entry", OWN)
def test_the_guide_names_it_and_its_columns(entry):
    guide = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert f"`{entry.name}`" in guide
    assert all(f"`{column}`" in guide for column in entry.info.scores)


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_measured(name):
    entry, table = METRICS.get(name), inputs()
    result = entry.value(*(table[need] for need in entry.info.inputs), rng=rng())
    assert (result["metric"]["name"], result["metric"]["version"]) == (name, entry.version)
    for column, about in result["metric"]["scores"].items():
        low, high = (-np.inf if about["low"] is None else about["low"], about["high"] or np.inf)
        assert result[column] is None or low <= result[column] <= high
        assert about["higher_is_better"] in (True, False, None)
    json.dumps(result, allow_nan=False)
    assert result["settings"] or name in ("reconstruction", "inference")
    assert {"n_samples", "n_rows", "n_train", "n_images"} & set(result)
    assert "n_active" in result or "codes" not in entry.info.inputs or name == "inference"
    if "factors" in entry.info.inputs:
        assert result["factors_left_out"] == []
        assert any(key.endswith("_per_factor") and len(result[key]) == 3 for key in result)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_order_of_rows_does_not_matter(name):
    table = inputs()
    order = rng(6).permutation(300)
    shuffled = {key: value[order] if len(value) == 300 else value for key, value in table.items()}
    assert score(name, shuffled) == pytest.approx(score(name, table), abs=1e-9)


@pytest.mark.parametrize("name", [n for n in NAMES if "factors" in METRICS.get(n).info.inputs])
def test_factors_of_other_rows_score_less(name):
    table = inputs()
    wrong = {**table, "factors": table["factors"][rng(7).permutation(300)]}
    for column, value in score(name, table).items():
        if column in ("modularity", "downstream_efficiency", "unfairness"):
            # The tiny information of a noise code has a largest entry too, few labels teach as little as many where
            # there is nothing to learn, and a prediction of nothing is fair.
            continue
        better = METRICS.get(name).info.scores[column].higher_is_better
        assert (score(name, wrong)[column] < value) == better, column


@pytest.mark.parametrize("name", [n for n in NAMES if "codes" in METRICS.get(n).info.inputs])
def test_single_precision_is_worked_on_in_double(name):
    table = inputs()
    single = {key: value.astype(np.float32) if value.dtype == np.float64 else value for key, value in table.items()}
    double = {key: value.astype(np.float64) if value.dtype == np.float32 else value for key, value in single.items()}
    assert score(name, single) == score(name, double)


def test_the_noise_of_posteriors_is_counted_alike_by_whoever_counts_it():
    table = inputs()
    args = table["codes"], table["logvar"], table["factors"]
    fine, coarse = mig_sampled(*args, rng=rng()), rmig(*args, rng=rng())
    np.testing.assert_allclose(coarse["mutual_information"], fine["mutual_information"], atol=5e-3)
    assert fine["mig_sampled"] < mig(table["codes"], table["factors"], rng=rng())["mig"]
    parts = elbo(*args[:2], rng=rng())
    np.testing.assert_allclose(parts["entropy_per_latent"], fine["entropy_per_latent"], atol=1e-9)
    assert parts["kl"] == pytest.approx(kl(*args[:2])["kl"], abs=1e-9)
