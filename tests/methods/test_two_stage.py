"""Two-stage training: what stage 2 may change, and what it must leave alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.data.order import Order
from bench.errors import BenchError
from bench.evaluation import codes as evaluation_codes
from bench.method import kl_per_latent, resolve_hyper
from bench.method_kinds import StagedMethod
from bench.nn import networks
from bench.registry import METHODS
from bench.seeds import stream
from bench.spec import RunSpec
from bench.training import checkpoint, loop, step
from bench.training import state as training_state
from bench.training.trained import take, weights
from helpers.blobs import Blobs
from helpers.specs import run_spec

SMALL = "discriminator_width=8;discriminator_layers=2"
#: Methods and hyper-parameters of stage 1.
BASES = {
    "vae": "",
    "beta_vae": "beta=100",
    "annealed_vae": "annealing_steps=4",
    "factor_vae": SMALL,
    "control_vae": "ki=0.01",
    "dynamic_vae": "beta0=3;window=2",
    "info_vae": "lambda_=10",
    "switch_beta": "late_share=0.5",
    "autoencoder": "",
}
STEPS, FIRST = 12, 7


MEASURED = {"n_codes": 60, "n_images": 60, "metrics": {"mig": 1, "kl": 1, "active_units": 1}}


@pytest.fixture(scope="module")
def data(blobs):
    return blobs


def make(name="two_stage", steps=STEPS, **hyper) -> RunSpec:
    if name == "two_stage" and "base" not in hyper:
        hyper = {"base_hyper": "beta=100"} | hyper
    return run_spec(name, hyper, 3, steps=steps, evaluation=MEASURED)


def prepare(spec):
    return training_state.prepare([spec], Blobs().image_shape, 60)


def trained(spec, data, until=None):
    training = prepare(spec)
    loop.train(training, *data, until=until)
    return training


def copy(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def at_the_stage(spec, data):
    """Train; also the decoder and the optimiser's number of moments right after the stage began."""
    training, seen = prepare(spec), {}
    begin = training.model.method.begin_stage

    def watched(stage):
        state = begin(stage)
        seen.update(
            decoder=copy(training.model.vae.decoder), moments=len(training.optimizers[0].state), step=stage.step
        )
        return state

    training.model.method.begin_stage = watched
    loop.train(training, *data)
    return training, seen


@pytest.mark.parametrize("beta", [1.0, 100.0, 1e6])
def test_the_kl_has_no_gradient_in_the_decoder(data, beta):
    training = prepare(make("vae"))
    mean, logvar = training.model.vae.encode(data[1].gather(np.arange(16)[None]))
    logits = training.model.vae.decode(
        mean + (0.5 * logvar).exp() * torch.randn(mean.shape, generator=training.streams.noise[0])
    )
    rec = step.reconstruction(logits, data[1].gather(np.arange(16)[None]), "bernoulli").sum()
    kl = kl_per_latent(mean, logvar).sum()
    decoder = list(training.model.vae.decoder.parameters())
    alone = torch.autograd.grad(rec, decoder, retain_graph=True)
    both = torch.autograd.grad(rec + beta * kl, decoder, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(alone, both, strict=True))
    encoder = list(training.model.vae.encoder.parameters())
    assert not torch.equal(
        torch.autograd.grad(rec, encoder, retain_graph=True)[0], torch.autograd.grad(rec + beta * kl, encoder)[0]
    )


@pytest.mark.parametrize("base", BASES)
def test_stage_two_trains_the_decoder_alone(data, base):
    spec = make(base=base, base_hyper=BASES[base])
    before, after = trained(spec, data, until=FIRST - 1), trained(spec, data)
    assert after.log.step == STEPS
    assert equal(copy(before.model.vae.encoder), copy(after.model.vae.encoder))
    assert not equal(copy(before.model.vae.decoder), copy(after.model.vae.decoder))
    if before.model.modules is not None:
        assert equal(copy(before.model.modules), copy(after.model.modules))


@pytest.mark.parametrize("base", BASES)
def test_representation_metrics_are_the_base_methods(data, base):
    """Exactly those of the base method alone, trained for as many steps as stage 1 has."""
    two = trained(make(base=base, base_hyper=BASES[base]), data)
    hyper = dict(part.split("=") for part in BASES[base].split(";") if part)
    one = trained(make(base, steps=FIRST - 1, **hyper), data)
    rows = np.arange(60)
    for a, b in zip(
        evaluation_codes.encode(two.model, data[1], rows),
        evaluation_codes.encode(one.model, data[1], rows),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert (
        evaluation_codes.evaluate(take(two, 0), *data).scores == evaluation_codes.evaluate(take(one, 0), *data).scores
    )
    assert evaluation_codes.evaluate(take(two, 0), *data).scores
    np.testing.assert_array_equal(np.array(two.log.rows)[:3], np.array(one.log.rows))


def test_metrics_of_the_prior_are_given_what_decoder_two_is_given(data):
    """Its codes at evaluation, and what it makes of draws from the prior."""
    spec = run_spec(
        "two_stage",
        {"base_hyper": "beta=100", "code_mode": "mean_plus_std"},
        3,
        steps=STEPS,
        evaluation=MEASURED | {"n_images": 40, "metrics": {"prior_gap": 1, "generation": 1}},
    )
    run = take(trained(spec, data), 0)
    inputs, reasons = evaluation_codes.inputs_of(run, *data)
    mean, logvar = inputs["codes"], inputs["logvar"]
    np.testing.assert_allclose(inputs["decoder_codes"], mean + np.exp(logvar / 2), rtol=1e-5)
    draws = stream(3, evaluation_codes.PRIOR).standard_normal((40, mean.shape[1]))
    np.testing.assert_array_equal(inputs["generated"], evaluation_codes.decode(run.model, draws))
    assert reasons == {}
    without = take(trained(spec.model_copy(update={"method": make("autoencoder").method}), data), 0)
    inputs, reasons = evaluation_codes.inputs_of(without, *data)
    assert "generated" not in inputs
    assert reasons["generated"] == "the codes carry no noise"
    # Nobody who doesn't ask for them pays for them.
    assert (
        not {"generated", "decoder_codes"} & evaluation_codes.inputs_of(take(trained(make(), data), 0), *data)[0].keys()
    )


def test_codes_of_the_frozen_encoder_are_computed_once(data):
    training, calls = prepare(make()), []
    encode = training.model.vae.encode
    training.model.vae.encode = lambda x: calls.append(x.shape[1]) or encode(x)
    loop.train(training, *data)
    assert calls == [16] * (FIRST - 1) + [60]


def test_a_fresh_decoder_is_initialised_anew(data):
    spec = make(decoder="fresh")
    stage1 = copy(trained(spec, data, until=FIRST - 1).model.vae.decoder)
    training, seen = at_the_stage(spec, data)
    expected = prepare(spec).model.vae.decoder
    networks.initialise(expected, "he", [3], "decoder2")
    assert seen["step"] == FIRST
    assert equal(seen["decoder"], copy(expected))
    assert not equal(seen["decoder"], stage1)
    assert not equal(seen["decoder"], copy(prepare(spec).model.vae.decoder)), "not stage 1's own start again"
    assert seen["moments"] == 0
    assert not equal(seen["decoder"], copy(training.model.vae.decoder))


def test_a_warm_decoder_goes_on(data):
    spec = make(decoder="warm")
    stage1 = trained(spec, data, until=FIRST - 1)
    _, seen = at_the_stage(spec, data)
    assert equal(seen["decoder"], copy(stage1.model.vae.decoder))
    assert seen["moments"] == len(stage1.optimizers[0].state) > 0


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("mode", ["mean", "sample", "mean_plus_std"])
def test_code_modes(data, mode, standardise):
    """What decoder 2 is given in training and in evaluation, seen where it arrives."""
    training, given = prepare(make(code_mode=mode, standardise=standardise)), []
    decode, normal = training.model.vae.decode, torch.Generator()
    loop.train(training, *data, until=FIRST - 1)
    normal.set_state(training.streams.noise[0].get_state())
    training.model.vae.decode = lambda z: given.append(z.detach()) or decode(z)
    loop.train(training, *data, until=FIRST)
    mean, logvar = (
        torch.from_numpy(v).float() for v in evaluation_codes.encode(training.model, data[1], np.arange(60))
    )
    rows = Order(3, 60, 16)(FIRST)
    noise = torch.randn(16, 4, generator=normal)
    factor = {"mean": 0.0, "sample": noise, "mean_plus_std": 1.0}[mode]
    expected = mean[rows] + factor * (logvar[rows] / 2).exp()
    still = mean + (mode == "mean_plus_std") * (logvar / 2).exp()
    if standardise:
        variance = still.var(dim=0) + (mode == "sample") * logvar.exp().mean(dim=0)
        expected, still = ((code - still.mean(dim=0)) / variance.sqrt() for code in (expected, still))
    torch.testing.assert_close(given[0][0], expected, rtol=1e-4, atol=1e-4)
    evaluated = evaluation_codes.decoder_input(training.model, mean.numpy(), logvar.numpy())
    np.testing.assert_allclose(evaluated, still.numpy(), rtol=1e-4, atol=1e-4)


def test_stage_one_is_given_the_base_methods_codes():
    noise = torch.ones(1, 5, 4)
    mean, logvar = torch.zeros(1, 5, 4), torch.full((1, 5, 4), 2 * np.log(3.0))
    for base, expected in (("vae", 3.0), ("autoencoder", 0.0)):
        method = prepare(make(base=base, base_hyper="", code_mode="mean_plus_std")).model.method
        code = method.code(mean, logvar, noise, method.initial_state(), FIRST - 1)
        torch.testing.assert_close(code, torch.full_like(code, expected))


@pytest.mark.parametrize("mode", ["mean", "sample", "mean_plus_std"])
def test_standardised_codes_have_mean_zero_and_deviation_one(data, mode):
    """Over the training set; sampled ones over their noise too."""
    training = trained(make(code_mode=mode, standardise=True), data)
    mean, logvar = (
        torch.from_numpy(v).float()[None] for v in evaluation_codes.encode(training.model, data[1], np.arange(60))
    )
    draws = 2000 if mode == "sample" else 1
    noise = torch.randn(draws, 60, 4, generator=torch.Generator().manual_seed(0))
    codes = training.model.method.code(mean, logvar, noise, training.model.state, STEPS).reshape(-1, 4)
    close = 0.02 if mode == "sample" else 1e-3
    torch.testing.assert_close(codes.mean(dim=0), torch.zeros(4), rtol=0, atol=close)
    # Of 60 images the unbiased deviation is asked for; of many draws there is no difference.
    torch.testing.assert_close(codes.std(dim=0), torch.ones(4), rtol=0, atol=close)
    raw = mean + (0.5 * logvar).exp() * noise if mode != "mean" else mean
    assert (raw.reshape(-1, 4).std(dim=0) - 1).abs().max() > 0.05, "they wouldn't have it by themselves"


def test_a_constant_latent_is_not_amplified(data):
    training = prepare(make(base="untrained", base_hyper="", standardise=True, code_mode="mean"))
    with torch.no_grad():
        training.model.vae.encoder[-1].weight[:, :, 0] = 0
    loop.train(training, *data)
    assert training.model.state["code_scale"][0, 0] == 1
    assert training.log.diverged == [None]


@pytest.mark.parametrize("until", [4, 6, 8])
@pytest.mark.parametrize(
    "hyper",
    [
        {},
        {"code_mode": "sample", "decoder": "warm"},
        {"standardise": True, "code_mode": "mean_plus_std"},
        {"base": "factor_vae", "base_hyper": SMALL, "code_mode": "sample"},
        {"base": "dynamic_vae", "base_hyper": "window=2"},
    ],
    ids=["mean", "sample-warm", "standardised", "factor_vae", "dynamic_vae"],
)
def test_resumed_equals_uninterrupted_bit_for_bit(data, tmp_path, hyper, until):
    """With the checkpoint in stage 1, at its end, and in stage 2."""
    spec = make(**hyper)
    whole = trained(spec, data)
    checkpoint.save(trained(spec, data, until=until), tmp_path / "c.safetensors")
    second = prepare(spec)
    checkpoint.load(second, tmp_path / "c.safetensors")
    assert second.log.step == until
    loop.train(second, *data)
    assert np.array_equal(np.array(whole.log.rows), np.array(second.log.rows), equal_nan=True)
    assert equal(weights(whole.model), weights(second.model))


def test_a_random_frozen_encoder_trains_the_decoder_from_the_first_step(data):
    spec = make(base="untrained", base_hyper="", decoder="warm", stage2_share=0.1)
    training = prepare(spec)
    assert training.model.method.stage2_start == 1
    loop.train(training, *data, until=2)
    assert equal(copy(training.model.vae.encoder), copy(prepare(spec).model.vae.encoder))
    assert not equal(copy(training.model.vae.decoder), copy(prepare(spec).model.vae.decoder))
    assert (np.array(training.log.rows)[:, 0, 3] == 0).all(), "no KL is charged"


def test_codes_without_noise_have_no_kl(data):
    curves = np.array(trained(make(base="autoencoder", base_hyper=""), data).log.rows)
    assert np.isnan(curves[:, 0, [2, 5, 6, 7, 8]]).all()


@pytest.mark.parametrize(("share", "first"), [(0.0, 11), (0.1, 10), (0.3, 8), (0.7, 4), (0.9, 2), (1.0, 1)])
def test_first_step_of_stage_two(share, first):
    assert prepare(make(steps=10, stage2_share=share)).model.method.stage2_start == first


def test_without_a_second_stage_it_is_the_base_method(data):
    two, one = trained(make(stage2_share=0.0), data), trained(make("beta_vae", beta=100), data)
    assert equal(copy(two.model.vae), copy(one.model.vae))
    assert np.array_equal(np.array(two.log.rows), np.array(one.log.rows), equal_nan=True)
    assert evaluation_codes.evaluate(take(two, 0), *data) == evaluation_codes.evaluate(take(one, 0), *data)


def test_runs_with_different_stages_are_not_batched():
    with pytest.raises(ValueError, match="batched runs"):
        training_state.prepare([make(stage2_share=0.5), make(stage2_share=0.25)], Blobs().image_shape, 60)


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        ({"base": "beta_vea"}, "unknown method 'beta_vea'; did you mean 'beta_vae'"),
        ({"base": "two_stage"}, "nest"),
        ({"base": "two_stage", "base_hyper": ""}, "nest"),
        ({"base_hyper": "beat=4"}, "unknown hyper-parameter 'beat'; did you mean 'beta'"),
        ({"base_hyper": "beta"}, "'beta' isn't key=value"),
        ({"base_hyper": "beta=-1"}, "beta=-1"),
        ({"base_hyper": "beta=high"}, "beta='high'"),
        ({"base": "pca", "base_hyper": ""}, "base='pca' isn't trained on the run's network"),
        ({"stage2_share": 1.5}, "stage2_share=1.5"),
        ({"code_mode": "std"}, "code_mode='std'"),
    ],
)
def test_an_impossible_base_is_one_line(hyper, message):
    with pytest.raises(BenchError) as caught:
        resolve_hyper("two_stage", hyper)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_base_with_stages_of_its_own_is_refused():
    with METHODS.override():
        METHODS.register("staged")(type("Staged", (StagedMethod,), {}))
        with pytest.raises(BenchError, match="base='staged' has stages of its own, which would be left out"):
            resolve_hyper("two_stage", {"base": "staged"})
