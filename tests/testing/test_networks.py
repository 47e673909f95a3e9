"""Networks of users: a file that is held to the contract, trained by name, and refused where it breaks the contract."""

from __future__ import annotations

import pytest

from bench.results.store import Store
from bench.testing.checks import checks_of
from helpers.broken import assert_fails
from helpers.paths import EXAMPLES, ROOT
from helpers.planted import forgotten

ONE_LAYER = EXAMPLES / "one_layer.py"


@pytest.fixture(autouse=True)
def forget_plugins():
    with forgotten():
        yield


def test_a_file_keeps_to_the_contract(bench):
    code, out, _ = bench("test", str(ONE_LAYER))
    first, *_, last = out.splitlines()
    n = len(checks_of("network"))
    assert (code, first, last) == (0, "network one_layer", f"{n} checks: {n} passed, 0 failed")


def test_a_run_names_it(bench, tmp_path):
    words = ("run", "--preset", "smoke", "-m", "vae", "--seeds", "1", "--set", "train.steps=20", "-j", "1", "-q")
    words = (*words, "--study", "own", "--set", "train.network=one_layer")
    assert "unknown network 'one_layer'" in bench(*words)[2]
    assert bench(*words, "--plugin", str(ONE_LAYER))[0] == 0
    store = Store(tmp_path / "results" / "own")
    assert {store.spec(folder.name).train.network for folder in store.runs.iterdir()} == {"one_layer"}


def test_the_documentation_shows_the_file():
    assert f"```python\n{ONE_LAYER.read_text(encoding='utf-8')}```" in (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert ONE_LAYER.name in (ROOT / "docs" / "plugins.md").read_text("utf-8")


#: What breaks a network, and what fails then: words of the check, and of its reason.
BROKEN = {
    "no source": ("Source: our own.", "", "its source", "no 'Source: '"),
    "torch's layer": ("Flatten(2), ", "Flatten(2), nn.Linear(9, 9), ", "run axis", "'encoder.1' (Linear) has weights"),
    "too many outputs": ("2 * latent_dim]", "2 * latent_dim + 2]", "encodes images", "mean has shape (2, 6, 4), not"),
    "flat logits": (", nn.Unflatten(2, shape)", "", "decodes codes", "logits has shape"),
    "a tuple": ("VAE(encoder, decoder, latent_dim)", "encoder, decoder", "encodes images", "tuple, not bench.network"),
    "grey only": (
        "Unflatten(2, shape)",
        "Unflatten(2, (1, *shape[1:]))",
        "in their shape",
        "neither refused nor taken",
    ),
    "an idle layer": (
        "Flatten(2), ",
        "Flatten(2), Idle(n_runs, 1, 1), ",
        "finite gradient",
        "'encoder.1.weight'",
    ),
    "dropout": ("Flatten(2), ", "Flatten(2), nn.Dropout(), ", "same images", "differs from call to call"),
    "mixes runs": ("Flatten(2), ", "Flatten(2), Centred(0), ", "the run beside it", "nothing may mix the runs"),
    "mixes images": ("Flatten(2), ", "Flatten(2), Centred(1), ", "other images", "in another batch"),
    "one size only": ("    pixels =", "    assert shape[1] == 64\n    pixels =", "refused in", "AssertionError"),
}
#: What the broken ones are made of.
PARTS = """
from bench.nn.layers import Linear


class Centred(nn.Module):
    def __init__(self, axis):
        super().__init__()
        self.axis = axis

    def forward(self, x):
        return x - x.mean(dim=self.axis, keepdim=True)


class Idle(Linear):
    def forward(self, x):
        return x


@register"""


@pytest.mark.parametrize("what", BROKEN)
def test_a_network_that_breaks_the_contract_fails_with_a_reason(what, tmp_path):
    text = ONE_LAYER.read_text(encoding="utf-8").replace('"one_layer"', '"broken"').replace("\n@register", PARTS)
    assert_fails("network", text, BROKEN[what], tmp_path)
