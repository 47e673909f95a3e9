"""Which settings a study's methods share, as its runs have them."""

from __future__ import annotations

from typing import Any

import pytest

from bench.results.shared_settings import own_network, sharing
from helpers.specs import specs_of

ALL = "all trained methods share network, initialisation, data order, optimiser and steps"
OWN = "all trained methods share data order, optimiser and steps"


def shared(*args: Any, **kwargs: Any) -> str:
    return sharing(spec.model_dump(mode="json") for spec in specs_of(*args, **kwargs))


def test_who_has_a_network_of_its_own() -> None:
    assert [own_network(name) for name in ("vae", "full_covariance_vae", "pca", "no_such_plugin")] == [
        "", "linear", "its own", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        (["vae", "beta_vae"], ALL),
        (["vae", "beta_vae", "untrained"], ALL),
        (["vae", "beta_vae", "pca"], f"{ALL}; PCA builds a network of its own"),
        (["vae", "beta_vae[beta=1,4]"], ALL),
        (["vae"], "one method is trained"),
        (["untrained"], "no method is trained"),
        (["pca", "vae"], "one method is trained; PCA builds a network of its own"),
    ],
)
def test_what_is_shared(methods: list[str], said: str) -> None:
    assert shared(methods) == said


def test_a_trained_method_with_its_own_network_shares_none() -> None:
    on_vectors = {"preset": "quick", "datasets": ["linear_gaussian"]}
    settings = ["train.network=linear", "train.latent_dim=2"]
    two = shared(["beta_vae", "full_covariance_vae"], *settings, **on_vectors)
    assert two == f"{OWN}; β-VAE, full covariance builds a network of its own"
    three = shared(["beta_vae", "full_covariance_vae", "control_vae[set_point=2]"], *settings, **on_vectors)
    assert three == (
        f"{OWN}; all but β-VAE, full covariance share network and initialisation; "
        "β-VAE, full covariance builds a network of its own"
    )


def test_what_differs_as_published_is_what_differs_in_the_runs() -> None:
    data = {"preset": "paper", "datasets": ["dsprites"]}
    assert shared(["vae", "beta_vae"], **data) == ALL
    assert shared(["beta_vae", "factor_vae"], **data) == (
        "all trained methods share data order and optimiser; they differ in network, initialisation and steps"
    )


def test_settings_that_every_method_has_in_turn_are_shared() -> None:
    short, long = (specs_of(["vae", "beta_vae"], f"train.steps={steps}") for steps in (10, 20))
    assert sharing(spec.model_dump(mode="json") for spec in [*short, *long]) == ALL
    uneven = [*short, *(spec for spec in long if spec.method.name == "vae")]
    assert sharing(spec.model_dump(mode="json") for spec in uneven).endswith("; they differ in steps")
