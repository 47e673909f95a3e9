"""`import bench` in a notebook: studies, models, scores, and the names that there are."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import bench
from bench.api.request import make_request
from bench.dataset import sample_rows
from bench.errors import BenchError
from bench.registry import METHODS
from helpers.paths import ROOT

NAMES = {
    "run", "load_study", "score", "compare", "load_dataset", "Study", "TrainedModel",
    "list_methods", "list_datasets", "list_metrics", "list_figures", "list_networks", "list_presets", "list_studies",
    "Method", "Objective", "Terms", "Encoded", "StagedMethod", "ClosedFormMethod", "register_method",
    "Dataset", "register_dataset", "Score", "register_metric", "register_network", "BenchError",
}  # fmt: skip
FACTORS = np.stack(np.unravel_index(np.arange(64), (8, 8)), axis=1)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    methods = [entry.name for entry in METHODS if entry.value.data == "any" or entry.value.data == "images"]
    return bench.run("smoke", methods=methods, seeds=1, results=results, settings={"train.steps": 40}, n_jobs=1)


def test_the_public_names_are_these():
    assert set(bench.__all__) == NAMES | {"__version__"}
    assert set(dir(bench)) >= NAMES
    stub = (ROOT / "bench" / "__init__.pyi").read_text(encoding="utf-8")
    assert {line.split(" as ")[-1] for line in stub.splitlines() if " as " in line} == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_public_name_is_there_and_described(name):
    assert (getattr(bench, name).__doc__ or "").strip()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        bench.trian  # noqa: B018


@pytest.mark.slow
def test_importing_bench_imports_neither_torch_nor_pandas():
    code = "import sys, bench; print(sorted({'torch', 'pandas', 'numpy', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", sorted({f"bench.api.{file.stem}" for file in (ROOT / "bench/api").glob("[!_]*.py")}))
def test_examples_in_docstrings_hold(module, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_a_study_is_run_once_and_opened(study, tmp_path):
    again = bench.run("smoke", methods="vae", seeds=1, results=study.path.parent, settings=["train.steps=40"])
    assert again.path == study.path
    assert again.runs["run"].tolist() == study.runs["run"].tolist()
    assert (study.runs["status"] == "ok").all()
    assert study.failures.empty
    mine = study.runs
    mine["mig"] = -1.0
    assert (study.runs["mig"] >= 0).all()
    assert study.report(tmp_path / "report", n_jobs=1).name == "report.md"


def test_summary_curves_and_claims_are_tables(study):
    assert {"label", "score", "mean", "low", "high", "n"} <= set(study.summary().columns)
    run = study.runs["run"].iloc[0]
    curves = study.curves()
    one = curves[curves["run"] == run].dropna(axis=1).reset_index(drop=True)
    pd.testing.assert_frame_equal(one, study.curves(run).dropna(axis=1))
    assert {"id", "verdict", "statement"} <= set(study.claims(["dynamicvae"]).columns)
    assert study.figure("tradeoff").get_size_inches()[0] > 0


def test_what_a_study_lacks_is_said_with_the_nearest_name(study):
    run = study.runs["run"].iloc[0]
    for call in (study.model, study.curves):
        with pytest.raises(BenchError, match=f"has no run '{run}x'; did you mean"):
            call(f"{run}x")
    with pytest.raises(BenchError, match="unknown figure 'tradeof'"):
        study.figure("tradeof")


@pytest.mark.parametrize("method", [entry.name for entry in METHODS if entry.name != "full_covariance_vae"])
def test_a_trained_model_gives_the_scores_that_are_stored(study, method):
    row = study.runs[study.runs["method"] == method].iloc[0]
    model = study.model(row["run"])
    rows = sample_rows(model.dataset, model.spec.evaluation.n_codes)
    images = model.dataset.images(rows)
    codes = model.encode(images)
    again = bench.score(codes.mean, model.dataset.factors(rows), metrics="mig", seed=int(row["seed"]))
    assert again.loc["mig", "value"] == row["mig"]
    decoded = model.reconstruct(images).astype(np.float64)
    if not pd.isna(row["reconstruction_bce"]):
        x = images.astype(np.float64) / model.dataset.image_max
        with np.errstate(divide="ignore"):
            bce = -np.log(np.where(x == 1, decoded, 1 - decoded)).reshape(len(x), -1).sum(axis=1).mean()
        assert bce == pytest.approx(row["reconstruction_bce"], rel=1e-3)
    assert model.sample(2).shape == (2, *model.dataset.image_shape)
    np.testing.assert_array_equal(model.sample(2), model.sample(2, rng=0))
    walked = model.traverse(images[0], values=[-1, 0, 1])
    assert walked.shape == (model.latent_dim, 3, *model.dataset.image_shape)


def test_a_model_takes_one_image_floats_and_tensors_alike(study):
    model = study.model(study.runs.loc[study.runs["method"] == "vae", "run"].iloc[0])
    images = model.dataset.images(np.arange(3))
    expected = model.encode(images).mean
    floats = images.astype(np.float64) / model.dataset.image_max
    np.testing.assert_array_equal(model.encode(torch.from_numpy(floats)).mean, expected)
    np.testing.assert_allclose(model.encode(images[0]).mean, expected[:1], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x[:, :, 1:], r"images must have shape \(n, 1, 32, 32\)"),
        (lambda x: x * 255, "images must be integers from 0 to 1, got values from 0 to 255"),
        (lambda x: x.astype(float) - 0.5, r"images must be in \[0, 1\]"),
        (lambda x: x.astype(float) * np.nan, r"images must be in \[0, 1\]"),
        (lambda x: x.astype(str), "not numbers"),
    ],
)
def test_images_that_are_none_are_refused(study, change, said):
    model = study.model(study.runs.loc[study.runs["method"] == "vae", "run"].iloc[0])
    with pytest.raises(ValueError, match=said):
        model.encode(change(model.dataset.images(np.arange(100, 103))))


def test_codes_of_another_width_or_without_end_are_refused(study):
    model = study.model(study.runs.loc[study.runs["method"] == "vae", "run"].iloc[0])
    with pytest.raises(ValueError, match=r"codes must have shape \(n, 10\)"):
        model.decode(np.zeros((2, 9)))
    with pytest.raises(ValueError, match="NaN"):
        model.decode(np.full((2, 10), np.nan))


def test_weights_that_were_changed_are_refused(study):
    run = study.runs.loc[study.runs["method"] == "beta_vae", "run"].iloc[0]
    file = study.path / "runs" / run / "weights.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        with pytest.raises(BenchError, match="isn't what the run recorded"):
            study.model(run)
    finally:
        file.write_bytes(content)


def test_an_archive_is_a_study_without_models():
    study = bench.load_study(ROOT / "results/reference/quick-dsprites.tar.xz")
    run = study.runs["run"].iloc[0]
    assert len(study.curves(run)) > 1
    with pytest.raises(BenchError, match="stored without its weights"):
        study.model(run)


def test_scores_of_lists_frames_and_tensors_are_the_same():
    table = pd.DataFrame({"a": pd.Categorical(list("hgfedcba")).repeat(8), "b": np.tile(np.arange(8), 8)})
    for codes in (FACTORS.tolist(), torch.tensor(FACTORS, dtype=torch.bfloat16, requires_grad=True), FACTORS):
        found = bench.score(codes, table, metrics=["mig", "sap"])
        assert found.loc["mig", "value"] == pytest.approx(1.0)
    assert found.loc["mig", "error"] >= 0
    assert found.loc["mig", "version"] >= 2


def test_what_a_score_lacks_has_a_note():
    found = bench.score(FACTORS, metrics="core")
    assert found.loc["mig", "note"] == "no factors are given"
    assert np.isnan(found.loc["mig", "value"])


def test_class_labels_are_scored_beside_codes():
    found = bench.score(10 * FACTORS, labels=FACTORS[:, 0] // 4, metrics="linear_probe,mig")
    assert found.loc["linear_probe", "value"] == 1.0
    assert found.loc["mig", "note"] == "no factors are given"
    assert bench.score(FACTORS, metrics="linear_probe").loc["linear_probe", "note"] == "no labels are given"
    with pytest.raises(BenchError, match=r"'labels' must be whole numbers of shape \(64,\)"):
        bench.score(FACTORS, labels=FACTORS[:5, 0], metrics="linear_probe")


def test_one_score_of_a_metric_can_be_undefined():
    table = bench.score(FACTORS, FACTORS[:, :1], metrics="infomec,mig")
    assert list(table.index[table["value"].isna()]) == ["infom"]
    assert table.loc["infom", "note"] == "undefined on these codes"


@pytest.mark.parametrize(
    ("codes", "factors", "metric", "missing"),
    [
        (np.ones((64, 2)), None, "total_correlation", {"gaussian_tc_samples"}),
        (np.random.default_rng(0).normal(size=(5, 50)), FACTORS[:5], "modularity", {"modularity", "explicitness"}),
    ],
)
def test_a_score_that_its_metric_cannot_give_is_a_row_with_the_reason(codes, factors, metric, missing):
    found = bench.score(codes, factors, metrics=metric)
    assert {*found.index[found["value"].isna()]} == missing
    assert found.loc[list(missing), "note"].str.len().gt(0).all()
    assert found["version"].eq(2).all()


def test_masked_and_missing_values_are_never_taken_for_values():
    codes = np.ma.masked_array(FACTORS.astype(float), mask=FACTORS == 3)
    with pytest.raises(BenchError, match="codes are masked in 16 places"):
        bench.score(codes, FACTORS, metrics="mig")
    with pytest.raises(BenchError, match="factors are masked in 16 places"):
        bench.score(FACTORS, np.ma.masked_array(FACTORS, mask=FACTORS == 3), metrics="mig")
    words = pd.DataFrame({"shape": ["square", None] * 32, "x": FACTORS[:, 1]})
    with pytest.raises(BenchError, match="factor shape is NaN or infinite in 32 of 64 rows"):
        bench.score(FACTORS, words, metrics="mig")


def test_a_seed_is_a_whole_number():
    with pytest.raises(BenchError, match=r"seed=1\.5: give a whole number"):
        bench.score(FACTORS, FACTORS, metrics="factor_vae_score", seed=1.5)
    one, other = (bench.score(FACTORS, FACTORS, metrics="factor_vae_score", seed=seed) for seed in (1, np.int64(1)))
    pd.testing.assert_frame_equal(one, other)


def test_texts_of_settings_stay_what_they_are():
    for path in ("a=b, c.npz", "123", "true", " x.npz", "'q'.npz", 'a"b.npz'):
        with pytest.raises(BenchError) as caught:
            make_request("smoke", methods="vae", datasets="npz", settings={"npz.path": path})
        assert str(caught.value).endswith(f"/{path}: no such file")
    request = make_request("smoke", methods="control_vae", seeds=np.int64(1), settings={"control_vae.set_point": "80%"})
    assert {spec.seed for spec in request.specs} == {0}
    assert {spec.method.hyper.get("set_point") for spec in request.specs} == {11.18, None}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n_jobs": -1}, "n_jobs=-1: give a number"),
        ({"plugins": "mine.py"}, r"plug-in 'mine\.py': no such file"),
        ({"reuse": "other"}, "no study 'other'"),
    ],
)
def test_what_run_is_given_is_refused_in_one_line(given, said, tmp_path):
    with pytest.raises(BenchError, match=said):
        bench.run("smoke", methods="vae", seeds=1, results=tmp_path, **given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("factors", "said"),
    [(FACTORS[:5], "5 rows of factors for 64 codes"), (np.full((64, 1), np.nan), "NaN or infinite in 64 of 64 rows")],
)
def test_factors_that_are_none_are_refused(factors, said):
    with pytest.raises(BenchError, match=said):
        bench.score(FACTORS, factors)


def test_two_studies_compare_as_a_table(study):
    table = bench.compare(study, study.path)
    assert (table["difference"] == 0).all()


def test_failed_runs_warn_and_are_listed(tmp_path):
    plugin = tmp_path / "raising.py"
    plugin.write_text(
        "from bench import Method, register_method\n\n\n"
        "@register_method('raising')\nclass Raising(Method):\n"
        "    def loss(self, terms, state, step):\n        raise RuntimeError('no loss today')\n"
    )
    with METHODS.override(), pytest.warns(UserWarning, match="1 of 2 runs failed"):
        study = bench.run(
            "smoke", methods="raising", seeds=[3], results=tmp_path, plugins=[plugin], settings={"train.steps": 2},
            n_jobs=1, name="mine",
        )  # fmt: skip
    assert "no loss today" in study.failures["error"].iloc[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"study": "quik"}, "unknown study 'quik'; did you mean 'quick'"),
        ({"seeds": 0}, "at least one seed"),
        ({"seeds": [0.5]}, "seeds=.0.5.: give a count"),
        ({"settings": {"train.stepz": 3}}, "did you mean 'steps'"),
        ({"study": "smoke", "preset": "quick"}, "is a preset"),
        ({"name": "a/b"}, "can't be a folder's name"),
    ],
)
def test_what_run_refuses_it_refuses_in_one_line(options, said, tmp_path):
    with pytest.raises(BenchError, match=said) as error:
        bench.run(**{"study": "smoke", **options}, results=tmp_path)
    assert "\n" not in str(error.value)
    assert not list(Path(tmp_path).iterdir())


def test_lists_have_what_the_command_line_has():
    assert "dynamic_vae" in bench.list_methods().index
    assert "quick" in bench.list_presets().index
    assert "equal_kl" in bench.list_studies().index
    assert {"dsprites"} <= set(bench.list_datasets().index)
    assert {"mig"} <= set(bench.list_metrics().index)
    assert {"tradeoff"} <= set(bench.list_figures().index)
    assert {"H"} <= set(bench.list_networks().index)


def test_metrics_need_no_generator_and_take_an_integer():
    from bench.metrics import factor_vae_score, mig

    codes = np.random.default_rng(1).normal(size=(64, 3))
    assert mig(codes, FACTORS)["mig"] == mig(codes.tolist(), pd.DataFrame(FACTORS), rng=5)["mig"]
    free, zero = (factor_vae_score(codes, FACTORS, **given) for given in ({}, {"rng": 0}))
    assert free["factor_vae_score"] == zero["factor_vae_score"]
    own = factor_vae_score(codes, FACTORS, rng=np.random.default_rng(0))
    assert own["factor_vae_score"] == zero["factor_vae_score"]
