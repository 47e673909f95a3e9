"""Plug-ins of users: a file, an installable package, and what `bench test` and `bench check` make of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from bench.errors import BenchError
from bench.registry import plugin_module
from bench.testing import targets
from helpers.broken import assert_fails, failures
from helpers.paths import EXAMPLES
from helpers.planted import forgotten

WARM_VAE = EXAMPLES / "warm_vae.py"


@pytest.fixture(autouse=True)
def forget_plugins():
    with forgotten():
        yield


def forget(path):
    """Let the next call read a file anew, as the next process would."""
    sys.modules.pop(plugin_module(path), None)


class TestFile:
    def test_is_listed_with_the_built_in_methods(self, bench):
        code, out, _ = bench("list", "methods", "--plugin", str(WARM_VAE))
        assert code == 0
        assert "warm_vae" in out
        assert "beta_vae" in out

    def test_keeps_to_the_contract(self, bench):
        code, out, _ = bench("test", str(WARM_VAE))
        lines = out.splitlines()
        assert code == 0
        assert lines[0] == "method warm_vae"
        assert all(line.startswith("  passed  ") for line in lines[1:-1])
        assert lines[-1] == f"{len(lines) - 2} checks: {len(lines) - 2} passed, 0 failed"

    def test_as_json(self, bench):
        code, out, _ = bench("test", str(WARM_VAE), "--json")
        content = json.loads(out)
        assert (code, content["passed"]) == (0, True)
        assert {(check["kind"], check["name"], check["passed"]) for check in content["checks"]} == {
            ("method", "warm_vae", True)
        }

    def test_settings_reach_the_checks(self, bench):
        code, out, _ = bench("test", str(WARM_VAE), "-m", "warm_vae[beta=2,warm_steps=5]")
        assert code == 0
        code, out, _ = bench("test", str(WARM_VAE), "-m", "warm_vae[bta=2]")
        assert code == 1
        assert "unknown hyper-parameter 'bta'; did you mean 'beta'?" in out

    def test_settings_of_something_else_are_refused(self, bench):
        code, _, err = bench("test", str(WARM_VAE), "-m", "beta_vae[beta=2]")
        assert (code, err) == (2, "bench: method 'beta_vae' isn't what is tested: method 'warm_vae'\n")

    def test_is_guarded_by_a_folder_of_baselines(self, bench, tmp_path):
        file = tmp_path / "warm_vae.py"
        shutil.copy(WARM_VAE, file)
        guard = ("check", "--plugin", str(file), "--baselines", str(tmp_path / "baselines"), "--tier", "0", "-q")
        assert bench(*guard, "--record")[0] == 0
        stored = "".join(path.read_text() for path in (tmp_path / "baselines").iterdir())
        assert "method warm_vae" in stored
        assert "beta_vae" not in stored, "a user's folder holds what is the user's"
        forget(file)
        assert bench(*guard)[0] == 0
        file.write_text(file.read_text().replace("beta * terms.kl", "1.02 * beta * terms.kl"))
        forget(file)
        code, out, _ = bench(*guard)
        assert code == 3
        assert "method warm_vae" in out
        assert "since version 1" in out

    def test_is_never_stored_among_the_projects_own_baselines(self, bench):
        code, _, err = bench("check", "--plugin", str(WARM_VAE), "--record")
        assert code == 2
        assert "--plugin needs --baselines" in err

    def test_a_plug_in_without_scores_has_nothing_to_check(self, bench, tmp_path):
        file = tmp_path / "data.py"
        file.write_text(DATASET)
        code, _, err = bench("check", "--plugin", str(file), "--baselines", str(tmp_path / "own"), "--record")
        assert code == 2
        assert "registers no method and no metric" in err


class TestTargets:
    def test_a_name_is_what_is_registered_under_it(self):
        assert targets.find("beta_vae") == [("method", "beta_vae")]
        assert targets.find("dsprites") == [("dataset", "dsprites")]
        assert targets.find("kl") == [("metric", "kl")]
        assert targets.find("mlp") == [("network", "mlp")]

    def test_a_wrong_name_gets_the_nearest(self, bench):
        code, _, err = bench("test", "beta_vea")
        assert code == 2
        assert "did you mean 'beta_vae'?" in err

    def test_a_file_that_is_not_there(self, bench):
        assert bench("test", "nothing.py")[0] == 2

    def test_a_file_that_registers_nothing(self, tmp_path):
        file = tmp_path / "empty.py"
        file.write_text("x = 1\n")
        with pytest.raises(BenchError, match="registers nothing that has a contract"):
            targets.find(str(file))


METHOD = '''
from dataclasses import dataclass
from typing import Annotated
from pydantic import Field
from bench.method import Method, Objective, register_method
import torch


@register_method("broken")
class Broken(Method):
    """``min R + KL``, R summed over pixels and averaged over the batch. Source: none. Known deviations: none."""

    @dataclass(frozen=True)
    class Hyper:
        """beta: weight."""

        beta: Annotated[float, Field(allow_inf_nan=False)] = 1.0

    def initial_state(self):
        return {"last": self.full(0.0)}

    def loss(self, terms, state, step):
        loss = terms.reconstruction + self.hyper.beta * terms.kl
        return Objective(loss=loss, beta=self.hyper.beta, state={"last": terms.kl.detach().double()})
'''
#: What breaks a method, and what fails then: a word of the check, and of its reason.
BROKEN_METHODS = {
    "no source": ("Source: none.", "", "documents", "no 'Source: '"),
    "no reduction": ("summed over pixels", "", "documents", "summed over pixels"),
    "Hyper isn't frozen": ("(frozen=True)", "", "frozen", "isn't a frozen dataclass"),
    "NaN": ("Annotated[float, Field(allow_inf_nan=False)]", "float", "NaN", "beta = nan was taken"),
    "one loss for all": ("terms.kl\n", "terms.kl.mean()\n", "the run beside it", "not over runs"),
    "a loss per image": ("Objective(loss=loss", "Objective(loss=loss[:, None]", "one number per run", "shape (2, 1)"),
    "beta in the graph": ("beta=self.hyper.beta, ", "beta=terms.kl, ", "part of the graph", "requires a gradient"),
    "state changes its type": (".double()", "", "keeps its keys", "float32"),
    "global generator": ("terms.kl\n", "terms.kl + torch.rand(2)\n", "same inputs", "terms.uniform"),
    "first image counts twice": (
        "terms.kl\n",
        "terms.kl + terms.encoded.mean[:, 0].sum(dim=1)\n",
        "order of the images",
        "in reverse",
    ),
    "auxiliary loss without modules": ("Objective(", "Objective(auxiliary=loss, ", "auxiliary", "no modules"),
    "no gradient": ("Objective(loss=loss", "Objective(loss=0 * loss", "differentiable", "is zero"),
    "torch's layers": (
        "    def initial_state",
        "    def modules(self):\n        return torch.nn.Sequential(torch.nn.Linear(4, 2))\n\n    def initial_state",
        "begin with the run axis",
        "module '0' (Linear) has weights without the leading run axis; use bench.nn.layers.Linear(",
    ),
    "memory on self": (
        "loss = terms.reconstruction",
        "self.calls = getattr(self, 'calls', 0) + 1\n        loss = self.calls * terms.reconstruction",
        "remembers nothing",
        "Objective.state",
    ),
    "an error": ("loss = terms", "loss = 1 / 0 * terms", "same inputs", "ZeroDivisionError"),
}


@pytest.mark.parametrize("what", BROKEN_METHODS)
def test_a_method_that_breaks_the_contract_fails_with_a_reason(what, tmp_path):
    assert_fails("method", METHOD, BROKEN_METHODS[what], tmp_path)


def test_the_method_that_is_broken_above_is_sound(tmp_path):
    assert failures("method", METHOD, tmp_path) == {}


METRIC = '''
import numpy as np
from bench.metric import Score, check_codes, register_metric


@register_metric("broken", version=1, inputs=("codes", "factors"), scores={"broken": Score("broken")})
def broken(codes, factors, *, rng=None):
    """Share of variance.

    Returns
    -------
    dict

    Notes
    -----
    Source: none.
    """
    table, _ = check_codes(codes, factors)
    spread = table.std(axis=0)
    return {"broken": float(spread.min() / spread.max())}
'''
BROKEN_METRICS = {
    "out of range": ("spread.min() / spread.max()", "spread.max()", "range", "outside its range"),
    "no such column": ('{"broken": float', '{"brokn": float', "all there", "has no 'broken'"),
    "changes its input": ("spread = table", "codes *= 2; spread = table", "leaves its inputs", "changes an array"),
    "another generator": ("spread.min()", "np.random.default_rng().random()", "its generator", "two calls differ"),
    "NaN with a dead latent": ("spread.min() / spread.max()", "(0 / (table[0, 4] - 1))", "constant", "nan"),
    "takes NaN": ("table, _ = check_codes(codes, factors)", "table = np.nan_to_num(codes)", "NaN in", "was taken"),
    "an array in the result": ('"broken": float', '"array": spread, "broken": float', "JSON", "ndarray"),
    "no source": ("Source: none.", "None.", "documents", "neither 'Source' nor"),
}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("what", BROKEN_METRICS)
def test_a_metric_that_breaks_the_contract_fails_with_a_reason(what, tmp_path):
    assert_fails("metric", METRIC, BROKEN_METRICS[what], tmp_path)


DATASET = '''
import numpy as np
from bench.dataset import Dataset, register_dataset


@register_dataset("broken", version=1)
class Broken(Dataset):
    """Eight images of one bright column."""

    factor_names = ("column",)
    factor_sizes = (8,)
    image_shape = (1, 8, 8)
    licence = "none"

    def images(self, index):
        return (255 * np.eye(8, dtype=np.uint8)).repeat(8, 0).reshape(8, 1, 8, 8)[index]
'''
BROKEN_DATASETS = {
    "another shape": ("image_shape = (1, 8, 8)", "image_shape = (1, 4, 16)", "shape, type", "image_shape says"),
    "brighter than it says": ('licence = "none"', 'licence = "none"; image_max = 1', "range", "image_max 1"),
    "drawn at random": (
        "[index]\n",
        "[np.random.default_rng().integers(8, size=len(index))]\n",
        "asked for with",
        "are others",
    ),
    "too many classes": (
        "    def images",
        "    def factors(self, index):\n        return index[:, None] + 1\n\n    def images",
        "each other's inverse",
        "isn't below",
    ),
    "other bits": (
        "    def images",
        "    def packed(self):\n        return np.zeros((8, 8), dtype=np.uint8)\n\n    def images",
        "Packed bits",
        "doesn't hold the bits",
    ),
    "no licence": ('licence = "none"', 'licence = ""', "licence", "is empty"),
    "classes without a name": (
        "    def images",
        "    label_names = ('a',)\n\n    def labels(self, index):\n        return index % 2\n\n    def images",
        "Class labels",
        "there are 1 label_names",
    ),
    "a table of classes": (
        "    def images",
        "    def labels(self, index):\n        return index[:, None]\n\n    def images",
        "Class labels",
        "labels are (8, 1), not (8,)",
    ),
    "shows what isn't there": (
        "    def images",
        "    def query_indices(self):\n        return np.array([8])\n\n    def images",
        "shown in reports",
        "[8]",
    ),
}


@pytest.mark.parametrize("what", BROKEN_DATASETS)
def test_a_dataset_that_breaks_the_contract_fails_with_a_reason(what, tmp_path):
    from bench import dataset

    dataset._load.cache_clear()
    assert_fails("dataset", DATASET, BROKEN_DATASETS[what], tmp_path)
    dataset._load.cache_clear()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install the example package as pip does, without network; the folder that it lies in."""
    pytest.importorskip("setuptools")
    source = tmp_path_factory.mktemp("source") / "package"
    shutil.copytree(EXAMPLES / "package", source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(site), str(source)], check=True, capture_output=True, timeout=300)
    return site


def call(site, *words, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(EXAMPLES.parent.parent)])},
        cwd=site,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.mark.slow
class TestPackage:
    def test_what_it_brings_is_listed_without_being_named(self, installed):
        assert "squares" in call(installed, "list", "datasets")

    def test_is_found_by_its_distributions_name_and_keeps_to_the_contract(self, installed):
        content = json.loads(call(installed, "test", "disbench-squares", "--json"))
        assert content["passed"]
        assert {(check["kind"], check["name"]) for check in content["checks"]} == {
            ("dataset", "squares"),
            ("metric", "best_correlation"),
        }

    def test_is_not_there_without_the_package(self, bench):
        code, _, err = bench("test", "disbench-squares")
        assert code == 2
        assert "is no file, installed plug-in" in err
