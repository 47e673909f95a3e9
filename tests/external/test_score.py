"""`bench score`: codes that were made elsewhere get the numbers that a run's codes get."""

from __future__ import annotations

import csv
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.data.images import store_of
from bench.dataset import sample_rows
from bench.evaluation import codes as evaluation_codes
from bench.external.codes import choose_dataset, read_codes
from bench.external.encoder import encode_with
from bench.external.score import score
from bench.external.with_weights import encode_with_weights
from bench.training import checkpoint, loop, state
from bench.training.trained import take, weights
from helpers.specs import specs_of

GRID = {"scale": 3, "orientation": 1, "pos_x": 6, "pos_y": 4, "size": 32}
DATASET = "dsprites[" + ",".join(f"{key}={value}" for key, value in GRID.items()) + "]"
METRICS = ["core", "total_correlation", "mig_sampled"]


@pytest.fixture
def bench(bench):
    return partial(bench, "score")


@pytest.fixture(scope="module")
def trained():
    """A run of some steps, with its own evaluation."""
    settings = ["train.steps=600", *(f"dsprites.{key}={value}" for key, value in GRID.items())]
    (spec,) = specs_of(["vae"], *settings, seeds=[5], evaluation={"metrics": METRICS})
    dataset = choose_dataset(DATASET)
    store = store_of(dataset)
    training = state.prepare([spec], dataset.image_shape, len(dataset))
    loop.train(training, dataset, store)
    return training, dataset, store, evaluation_codes.evaluate(take(training, 0), dataset, store)


def by_turns(rows):
    """Means and then log-variances, along the last axis, as one of each by turns."""
    return torch.stack(rows.chunk(2, dim=-1), dim=-1).flatten(-2)


def code_table(n=300):
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(size, size=n) for size in (3, 4, 5)], axis=1)
    return np.hstack([factors, factors[:, :1]]) + 0.2 * rng.normal(size=(n, 4)), factors


@pytest.mark.slow
class TestAgainstARun:
    def test_its_codes_from_a_file_get_its_scores(self, trained, tmp_path):
        training, dataset, store, own = trained
        rows = sample_rows(dataset, training.specs[0].evaluation.n_codes)
        mean, logvar = evaluation_codes.encode(training.model, store, rows)
        np.savez(tmp_path / "codes.npz", codes=mean, logvar=logvar, index=rows)
        (found,) = score([read_codes(tmp_path / "codes.npz", dataset)], METRICS, seed=5)
        without = {k: v for k, v in own.scores.items() if not k.startswith(("reconstruction", "psnr"))}
        assert found.evaluation.scores == without
        assert found.evaluation.not_applicable == {"reconstruction": "codes alone are measured"}

    def test_its_weights_get_its_scores_reconstruction_included(self, trained, tmp_path):
        training, dataset, _, own = trained
        checkpoint.save_atomically(weights(training.model), tmp_path / "weights.safetensors")
        spec = training.specs[0]
        sizes = {"n_codes": spec.evaluation.n_codes, "n_images": spec.evaluation.n_images}
        item = encode_with_weights(tmp_path / "weights.safetensors", spec.train.network, dataset, **sizes)
        (found,) = score([item], METRICS, seed=5)
        assert found.evaluation.scores == own.scores
        assert not found.evaluation.not_applicable
        assert item.warning == ""

    def test_the_layout_of_the_head_is_found_by_reconstructing(self, trained, tmp_path):
        training, dataset, _, _ = trained
        network, sizes = training.specs[0].train.network, {"n_codes": 100, "n_images": 100}
        changes = {"own": torch.clone, "by_turns": by_turns, "shuffled": lambda rows: rows.flip(-1)}
        for name, change in changes.items():
            tensors = weights(training.model)
            for head in [key for key in tensors if key.startswith("encoder.")][-2:]:
                tensors[head] = change(tensors[head]).contiguous()
            checkpoint.save_atomically(tensors, tmp_path / f"{name}.safetensors")
        own, by, shuffled = (
            encode_with_weights(tmp_path / f"{name}.safetensors", network, dataset, **sizes) for name in changes
        )
        assert (own.source["head"], by.source["head"]) == ("stacked", "interleaved")
        assert "is read as stacked" in own.note
        assert "is read as interleaved" in by.note
        assert not own.warning + by.warning
        np.testing.assert_array_equal(own.inputs["codes"], by.inputs["codes"])
        # Neither way: a key map is asked for.
        assert "reconstructs worse" in shuffled.warning
        assert "--keys" in shuffled.warning
        assert not shuffled.note
        # What the key map says isn't questioned.
        (tmp_path / "map.toml").write_text('head = "stacked"')
        said = encode_with_weights(
            tmp_path / "by_turns.safetensors", network, dataset, keys=tmp_path / "map.toml", **sizes
        )
        assert "reconstructs worse" in said.warning
        assert not said.note

    def test_its_encoder_as_a_function_gets_its_scores(self, trained, tmp_path, monkeypatch):
        training, dataset, _, own = trained
        (tmp_path / "my_encoder.py").write_text("def encode(images):\n    return ENCODE(images)\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.delitem(sys.modules, "my_encoder", raising=False)

        def encode(images):
            assert images.dtype == np.float32
            assert 0 <= images.min() < images.max() <= 1
            mean, logvar = training.model.vae.encode(torch.from_numpy(images)[None])
            return mean[0], logvar[0]

        monkeypatch.setattr("builtins.ENCODE", encode, raising=False)
        item = encode_with("my_encoder:encode", dataset, training.specs[0].evaluation.n_codes)
        (found,) = score([item], METRICS, seed=5)
        assert found.evaluation.scores == {k: own.scores[k] for k in found.evaluation.scores}
        assert found.evaluation.not_applicable == {"reconstruction": "an encoder alone is measured"}
        assert sys.path.count("") <= 1


class TestFiles:
    def test_rows_are_the_images_of_the_dataset_where_there_are_as_many(self, tmp_path):
        dataset = choose_dataset(DATASET)
        factors = dataset.factors(np.arange(len(dataset)))
        np.savez(tmp_path / "all.npz", codes=factors.astype(float))
        item = read_codes(tmp_path / "all.npz", dataset)
        np.testing.assert_array_equal(item.inputs["factors"], factors)
        assert item.factor_names == dataset.factor_names

    def test_an_index_puts_factors_to_the_right_rows(self, tmp_path):
        dataset = choose_dataset(DATASET)
        index = np.random.default_rng(0).permutation(len(dataset))[:100]
        codes = dataset.factors(index) + 1e-3 * np.random.default_rng(1).normal(size=(100, 5))
        np.savez(tmp_path / "right.npz", codes=codes, index=index)
        np.savez(tmp_path / "wrong.npz", codes=codes, index=np.sort(index))
        right, wrong = score([read_codes(tmp_path / f"{n}.npz", dataset) for n in ("right", "wrong")], ["sap"])
        assert right.evaluation.scores["sap_continuous"] > 0.8 > 0.3 > wrong.evaluation.scores["sap_continuous"]

    @pytest.mark.parametrize(
        ("arrays", "dataset", "words"),
        [
            ({"code": 1}, "", "unknown array 'code'; did you mean 'codes'"),
            ({"factors": [[1]]}, "", "no array 'codes'"),
            ({"codes": [1.0, 2.0]}, "", "'codes' must have shape (n_samples, n_latents), not (2,)"),
            ({"codes": [[1.0], [np.nan]], "factors": [[0], [1]]}, "", "NaN"),
            ({"codes": [[1.0], [2.0]], "factors": [[0], [1], [1]]}, "", "factors must have shape"),
            ({"codes": [[1.0], [2.0]], "factors": [[0], [1]], "factor_names": ["a", "b"]}, "", "2 factor_names for 1"),
            ({"codes": [[1.0], [2.0]], "index": [0, 1]}, "", "say which with --dataset"),
            ({"codes": [[1.0], [2.0]], "index": [0, 9999]}, DATASET, "images 0 to 215"),
            ({"codes": [[1.0], [2.0]], "index": [0.5, 1]}, DATASET, "'index' must be 2 whole numbers"),
            ({"codes": [[1.0], [2.0]]}, DATASET, "an array 'index' must say"),
            ({"codes": [[1.0], [2.0]], "factors": [[0], [1]]}, DATASET, "give one of them"),
        ],
    )
    def test_what_does_not_fit_is_one_line_and_exit_2(self, bench, arrays, dataset, words):
        np.savez("codes.npz", **{name: np.array(value) for name, value in arrays.items()})
        code, out, err = bench("codes.npz", "--metric", "mig", *(["-d", dataset] if dataset else []))
        assert (code, out) == (2, "")
        assert words in err
        assert len(err.strip().splitlines()) == 1

    def test_python_objects_are_refused_unread(self, bench):
        np.savez("codes.npz", codes=np.array([{"a": 1}], dtype=object))
        code, _, err = bench("codes.npz")
        assert code == 2
        assert "isn't an .npz file of plain arrays" in err


class TestCommand:
    def test_a_column_per_file_and_what_is_missing_with_its_reason(self, bench):
        codes, factors = code_table()
        np.savez("first.npz", codes=codes, factors=factors, factor_names=np.array(["shape", "size", "place"]))
        np.savez("second.npz", codes=codes[:, :2])
        code, out, _ = bench("first.npz", "second.npz", "--metric", "mig,active_units", "--out", "table.csv")
        assert code == 0
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines() if line[:1] == "|"]
        assert lines[0] == ["score", "first", "second", "range", "version"]
        table = {line[0]: line[1:] for line in lines}
        assert table["MIG ↑"][1:] == ["n/a", "0 to 1", "2"]
        assert table["Active units"][:2] == ["4.000", "2.000"]
        assert table["value"] == ["shape", "size", "place"]
        assert "n/a (second): mig: the file has no 'factors'." in out
        rows = list(csv.DictReader(Path("table.csv").read_text(encoding="utf-8").splitlines()))
        (value,) = (r["value"] for r in rows if (r["representation"], r["score"]) == ("first", "mig"))
        assert table["MIG ↑"][0] == f"{float(value):.3f} †"
        assert [r["value"] for r in rows if (r["representation"], r["score"]) == ("second", "mig")] == [""]

    def test_json_says_where_every_number_comes_from(self, bench):
        codes, factors = code_table()
        np.savez("codes.npz", codes=codes, factors=factors)
        code, out, _ = bench("codes.npz", "--metric", "dci[predictor=sklearn_gbt],mig", "--seed", "3", "--json")
        assert code == 0
        content = json.loads(out)
        assert content["seed"] == 3
        assert {"numpy", "scikit-learn", "disbench"} <= set(content["versions"])
        (item,) = content["representations"]
        assert item["shapes"] == {"codes": [300, 4], "factors": [300, 3]}
        assert len(item["source"]["sha256"]) == 64
        assert item["scores"]["dci_disentanglement[predictor=sklearn_gbt]"] > 0.5
        about = item["details"]["mig"]["metric"]
        assert about == {
            "name": "mig",
            "version": 2,
            "scores": {"mig": {"low": 0.0, "high": 1.0, "higher_is_better": True}},
        }

    def test_same_command_same_bytes(self, bench):
        codes, factors = code_table()
        np.savez("codes.npz", codes=codes, factors=factors)
        assert bench("codes.npz", "--metric", "core,elbo", "--json") == bench(
            "codes.npz", "--metric", "core,elbo", "--json"
        )

    def test_informativeness_per_factor_and_the_predictor_stand_beside_dci(self, bench):
        codes, factors = code_table()
        np.savez("codes.npz", codes=codes, factors=factors)
        _, out, _ = bench("codes.npz", "--metric", "dci")
        assert "DCI-D (hist_gbt)" in out
        assert "dci informativeness (hist_gbt)" in out

    def test_udr_ranks_seeds_without_labels(self, bench):
        codes, _ = code_table()
        logvar = np.full_like(codes, -3.0)
        turned = codes @ np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
        for name, table in {"a": codes, "b": codes[:, ::-1], "c": turned}.items():
            np.savez(f"{name}.npz", codes=table, logvar=logvar)
        code, out, _ = bench("a.npz", "b.npz", "c.npz", "--metric", "active_units", "--udr", "--json")
        assert code == 0
        found = json.loads(out)["udr"]
        assert found["udr"][0] == pytest.approx(found["udr"][1], abs=0.02)
        assert found["pairs"][0][1] > 0.6 > 0.5 > found["udr"][2]
        _, out, _ = bench("a.npz", "b.npz", "--metric", "active_units", "--udr", "--out", "t.csv")
        assert "UDR ↑" in out
        assert Path("t.csv").read_text(encoding="utf-8").count(",udr,") == 2
        np.savez("bare.npz", codes=codes)
        assert bench("a.npz", "bare.npz", "--udr")[0] == 2
        assert "at least two" in bench("a.npz", "--udr", "--metric", "kl")[2]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ([], "nothing to score"),
            (["--encoder", "a:b"], "need --dataset"),
            (["--encoder", "a:b", "-d", DATASET], "'a:b' can't be imported: ModuleNotFoundError"),
            (["--encoder", "json", "-d", DATASET], "write it as module:function"),
            (["--encoder", "json:nothing", "-d", DATASET], "has no function 'nothing'"),
            (["--encoder", "json:dumps", "-d", DATASET], "failed on images of shape"),
            (["--encoder", "numpy:shape", "-d", DATASET], "must give codes of shape"),
            (["--weights", "none.safetensors", "-d", DATASET], "no such file"),
            (["x.npz", "--keys", "map.toml"], "--keys belongs to --weights"),
            (["x.npz", "--out", "table.xls"], "must end in .md, .csv, .json"),
            (["x.npz", "--metric", "mig"], "no such file"),
            (["--encoder", "a:b", "-d", "dsprites[scale=2,3]"], "give one value of 'scale'"),
        ],
    )
    def test_mistakes_are_one_line_and_exit_2(self, bench, words, said):
        code, out, err = bench(*words)
        assert (code, out) == (2, "")
        assert said in err
        assert len(err.strip().splitlines()) == 1

    def test_a_key_map_to_fill_in_names_every_weight(self, bench):
        code, out, _ = bench("--print-keys", "--network", "B")
        assert code == 0
        assert '"encoder.1.weight"' in out
