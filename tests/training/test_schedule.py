from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench.config.expand import expand
from bench.config.study import resolve
from bench.data.images import store_of
from bench.dataset import load_dataset
from bench.execution import grouping
from bench.training import checkpoint, loop, state, torch_setup
from bench.training.schedule import TailMean, one_cycle


def test_one_cycle_rises_to_1_at_30_percent_and_falls_towards_0():
    factors = np.array([one_cycle(step, 1000) for step in range(1, 1001)])
    assert np.argmax(factors) == 299
    assert factors[299] == 1
    assert factors[0] == pytest.approx(1 / 25, abs=1e-4)
    assert 0 < factors[-1] < 1e-4
    assert (np.diff(factors[:300]) > 0).all()
    assert (np.diff(factors[299:]) < 0).all()
    # A rise from a twenty-fifth and a fall, halves of cosines: their mean is known.
    assert factors.mean() == pytest.approx(0.3 * (1 + 1 / 25) / 2 + 0.7 / 2, abs=1e-3)


@pytest.mark.parametrize(("n_steps", "share", "count"), [(10, 0.25, 2), (10, 1.0, 10), (10, 0.01, 1)])
def test_the_last_weights_are_replaced_by_their_mean(n_steps, share, count):
    network = nn.Linear(1, 1, bias=False)
    mean = TailMean(network, n_steps, share)
    for step in range(1, n_steps + 1):
        with torch.no_grad():
            network.weight.fill_(step**2)
        mean.update(step)
    assert network.weight.item() == pytest.approx(
        np.mean([step**2 for step in range(n_steps - count + 1, n_steps + 1)])
    )


METHODS = ["beta_vae[beta=0.5,3]", "full_covariance_vae[beta=0.5,3]"]


def specs_of(method, data="case=L1", **train):
    settings = {"steps": 24, "log_every": 4, "lr_schedule": "one_cycle", "average": 0.5} | train
    study = resolve(
        "smoke",
        datasets=[f"linear_gaussian[n=500,{data}]"],
        methods=[method],
        controls=[],
        seeds=[0, 1],
        train={"network": "linear", "latent_dim": 2, "batch_size": 64} | settings,
        evaluation={"metrics": ["inference"]},
    )
    return expand(study)


def prepared(specs):
    torch_setup.settings(1)
    dataset = load_dataset("linear_gaussian", specs[0].dataset.all_options)
    training = state.prepare(specs, dataset.image_shape, len(dataset), dataset.known_decoder())
    return training, dataset, store_of(dataset)


def trained(specs, until=None):
    training, dataset, images = prepared(specs)
    loop.train(training, dataset, images, until=until)
    return training


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("data", ["case=L1", "case=S1"])
def test_batched_linear_models_keep_their_bits(method, data):
    specs = specs_of(method, data)
    assert [len(group) for group in grouping.group(specs, 2)] == [4], "not divided among workers"
    together = trained(specs)
    assert all(checkpoint.same_bits(together, run, trained([spec])) for run, spec in enumerate(specs))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("at", [8, 16])
def test_an_interrupted_run_has_the_same_schedule_and_mean(method, at, tmp_path):
    specs = specs_of(method)[:1]
    checkpoint.save(trained(specs, until=at), tmp_path / "half")
    again, dataset, images = prepared(specs)
    checkpoint.load(again, tmp_path / "half")
    assert again.log.step == at
    loop.train(again, dataset, images)
    assert checkpoint.same_bits(again, 0, trained(specs))


def test_the_schedule_and_the_mean_change_what_is_trained():
    def weights(**train):
        return trained(specs_of("beta_vae", **train)[:1]).model.vae.encoder[1].mean.weight

    plain = weights(lr_schedule="constant", average=0.0)
    assert not torch.equal(weights(lr_schedule="constant"), plain)
    assert not torch.equal(weights(average=0.0), plain)


def test_neutral_settings_are_no_part_of_a_runs_identity():
    (plain, *_), (other, *_) = (
        specs_of("beta_vae", lr_schedule=name, average=0.0) for name in ("constant", "one_cycle")
    )
    assert "schedule" not in plain.canonical_json()
    assert "average" not in plain.model_dump(mode="json")["optimizer"]
    assert other.model_dump(mode="json")["optimizer"]["schedule"] == "one_cycle"
    assert plain.run_id != other.run_id


def test_a_known_decoder_stays_as_it_is():
    specs = specs_of("beta_vae", "case=S1")
    training, dataset, images = prepared(specs)
    loop.train(training, dataset, images)
    known = torch.from_numpy(dataset.known_decoder().T.copy()).float()
    assert torch.equal(training.model.vae.decoder[0].weight.detach(), known.expand(len(specs), -1, -1))
    assert not training.model.vae.decoder[0].bias.any()
    assert training.model.vae.encoder[1].mean.weight.std() > 0
