"""The common checks, over everything that is registered: what a contributor gets for free."""

from __future__ import annotations

import inspect
import pickle
import re
from dataclasses import asdict, fields, is_dataclass, replace

import numpy as np
import pytest
import torch

from bench import networks
from bench.data import load_dataset, resolve_options
from bench.errors import BenchError
from bench.method import Encoded, Terms, kl_per_latent, resolve_hyper
from bench.registry import DATASETS, FIGURES, METHODS, METRICS, NETWORKS
from bench.seeds import stream, torch_stream

METHOD_NAMES = [entry.name for entry in METHODS]
METRIC_NAMES = [entry.name for entry in METRICS]
NETWORK_NAMES = [entry.name for entry in NETWORKS]
DATASET_NAMES = [entry.name for entry in DATASETS]

#: Options that make a dataset small, or that it can't do without.
SMALL = {"dsprites": {"scale": 2, "orientation": 2, "pos_x": 4, "pos_y": 4, "size": 32}}


def terms(n_runs=2, n_batch=6, k=4, *, requires_grad=False, steps_seed=0):
    generator = torch_stream(steps_seed, "test")
    mean, logvar, noise = (torch.randn(n_runs, n_batch, k, generator=generator) for _ in range(3))
    mean.requires_grad_(requires_grad)
    z = mean + (logvar / 2).exp() * noise
    second = Encoded(*(torch.randn(n_runs, n_batch, k, generator=generator) for _ in range(3)))
    own = tuple(torch_stream(run, "own") for run in range(n_runs))
    reconstruction = z.square().sum(dim=(1, 2))
    images = torch.rand(n_runs, n_batch, 1, 4, 4, generator=generator)
    logits = z.sum(dim=2)[:, :, None, None, None] * torch.ones_like(images)
    rest = {"second": second, "images": images, "logits": logits, "generators": own}
    return Terms(reconstruction, kl_per_latent(mean, logvar), Encoded(mean, logvar, z), **rest), mean


def build(name, n_runs=2, k=4):
    cls = METHODS.get(name).value
    method = cls([cls.Hyper(**resolve_hyper(name, {}))] * n_runs, latent_dim=k, n_train=100, n_steps=10)
    modules = method.modules()
    if modules is not None:
        networks.initialise(modules, "he", list(range(n_runs)), "method")
    return method, modules


@pytest.mark.parametrize("name", METHOD_NAMES)
class TestMethods:
    def test_documents_its_equation_reduction_source_and_deviations(self, name):
        doc = " ".join(inspect.getdoc(METHODS.get(name).value).split())
        assert "Source: " in doc
        if METHODS.get(name).info.get("trains", True):
            assert "min R" in doc, "the objective as an equation"
            assert "summed over pixels" in doc
            assert "averaged over the batch" in doc
            assert "Known deviations:" in doc

    def test_hyper_is_a_frozen_dataclass_with_defaults_of_plain_types(self, name):
        hyper = METHODS.get(name).value.Hyper
        assert is_dataclass(hyper)
        assert hyper.__dataclass_params__.frozen
        assert hyper.__doc__
        for item in fields(hyper):
            assert isinstance(item.default, bool | int | float | str), item.name

    def test_unknown_hyper_parameter_is_refused(self, name):
        with pytest.raises(BenchError, match="unknown hyper-parameter 'nonsense'"):
            resolve_hyper(name, {"nonsense": 1})

    def test_nan_is_refused_for_every_float(self, name):
        for item in fields(METHODS.get(name).value.Hyper):
            if isinstance(item.default, float):
                with pytest.raises(BenchError, match=item.name):
                    resolve_hyper(name, {item.name: float("nan")})

    def test_loss_is_finite_differentiable_and_one_number_per_run(self, name):
        method, _ = build(name)
        batch, mean = terms(requires_grad=True)
        objective = method.loss(batch, method.initial_state(), 1)
        for value in (objective.loss, objective.beta, objective.set_point, objective.auxiliary):
            assert value is None or (value.shape == (2,) and torch.isfinite(value).all())
        objective.loss.sum().backward()
        assert torch.isfinite(mean.grad).all()
        assert mean.grad.abs().sum() > 0

    def test_beta_and_set_point_are_numbers_not_part_of_the_graph(self, name):
        method, _ = build(name)
        objective = method.loss(terms(requires_grad=True)[0], method.initial_state(), 1)
        assert not objective.beta.requires_grad
        assert objective.set_point is None or not objective.set_point.requires_grad

    def test_state_keeps_its_keys_shapes_and_types(self, name):
        method, _ = build(name)
        state = method.initial_state()
        new = method.loss(terms()[0], state, 1).state
        assert {k: (v.shape, v.dtype) for k, v in state.items()} == {k: (v.shape, v.dtype) for k, v in new.items()}
        assert all(value.shape[0] == 2 for value in new.values())

    def test_same_inputs_same_loss(self, name):
        losses = []
        for _ in range(2):
            method, _ = build(name)
            losses.append(method.loss(terms()[0], method.initial_state(), 1).loss)
        assert torch.equal(*losses)

    def test_a_run_does_not_see_its_neighbour(self, name):
        method, _ = build(name)
        first, _ = terms()
        second, _ = terms()
        changed = replace(
            first,
            reconstruction=first.reconstruction + torch.tensor([0.0, 1.0]),
            kl_per_latent=first.kl_per_latent * torch.tensor([[1.0], [2.0]]),
            encoded=Encoded(*(v * torch.tensor([1.0, 1.1])[:, None, None] for v in vars(first.encoded).values())),
            logits=first.logits * torch.tensor([1.0, 2.0])[:, None, None, None, None],
        )
        a = method.loss(second, method.initial_state(), 1)
        b = method.loss(changed, method.initial_state(), 1)
        assert a.loss[0] == b.loss[0]
        assert a.loss[1] != b.loss[1]

    def test_order_of_images_in_the_batch_does_not_matter(self, name):
        method, _ = build(name)
        batch, _ = terms()
        flipped = replace(
            batch,
            encoded=Encoded(*(v.flip(1) for v in vars(batch.encoded).values())),
            images=batch.images.flip(1),
            logits=batch.logits.flip(1),
            generators=tuple(torch_stream(run, "own") for run in range(2)),
        )
        a = method.loss(batch, method.initial_state(), 1).loss
        torch.testing.assert_close(a, method.loss(flipped, method.initial_state(), 1).loss, rtol=1e-5, atol=0)

    def test_its_modules_get_an_auxiliary_loss_and_one_optimiser(self, name):
        method, modules = build(name)
        objective = method.loss(terms()[0], method.initial_state(), 1)
        assert (modules is None) == (objective.auxiliary is None)
        assert set(method.module_optimizer()) == {"lr", "betas"}


@pytest.mark.parametrize("name", METRIC_NAMES)
class TestMetrics:
    def inputs(self, name):
        rng = stream(0, "contract")
        grid = np.stack(np.meshgrid(range(4), range(5), range(6), indexing="ij"), axis=-1).reshape(-1, 3)
        factors = np.tile(grid, (4, 1))
        codes = rng.normal(size=(len(factors), 5))
        codes[:, :3] = factors + 0.1 * codes[:, :3]
        table = {
            "codes": codes,
            "logvar": np.full_like(codes, -1.0),
            "factors": factors,
            "images": (rng.random((20, 1, 8, 8)) < 0.5).astype(np.float32),
            "decoded": rng.normal(size=(20, 1, 8, 8)).astype(np.float32),
        }
        info = METRICS.get(name).info
        return [table[need] for need in (*info["inputs"], *info["optional"])]

    def test_scores_lie_in_their_range_and_are_all_there(self, name):
        entry = METRICS.get(name)
        result = entry.value(*self.inputs(name), rng=stream(0, "metric"))
        for column, score in entry.info["scores"].items():
            assert score.low <= result[column] <= score.high, column
            assert score.label

    def test_is_a_function_of_its_inputs_and_its_generator(self, name):
        entry = METRICS.get(name)
        given = self.inputs(name)
        copies = [value.copy() for value in given]
        a, b = (entry.value(*given, rng=stream(3, "metric")) for _ in range(2))
        assert pickle.dumps(a) == pickle.dumps(b)
        for value, copy in zip(given, copies, strict=True):
            np.testing.assert_array_equal(value, copy)

    def test_result_is_json_without_nan(self, name):
        import json

        json.dumps(METRICS.get(name).value(*self.inputs(name), rng=stream(0, "metric")), allow_nan=False)

    def test_survives_a_constant_latent(self, name):
        entry = METRICS.get(name)
        given = self.inputs(name)
        if "codes" in entry.info["inputs"]:
            given[entry.info["inputs"].index("codes")][:, 4] = 1.0
        result = entry.value(*given, rng=stream(0, "metric"))
        assert all(np.isfinite(result[column]) for column in entry.info["scores"])

    def test_refuses_nan_codes(self, name):
        entry = METRICS.get(name)
        given = self.inputs(name)
        if "codes" in entry.info["inputs"]:
            given[entry.info["inputs"].index("codes")][0, 0] = np.nan
            with pytest.raises(ValueError, match="NaN"):
                entry.value(*given, rng=stream(0, "metric"))
        else:
            given[1][0, 0, 0, 0] = np.nan
            with pytest.raises(ValueError, match=r"NaN|finite"):
                entry.value(*given, rng=stream(0, "metric"))

    def test_documents_range_and_source(self, name):
        doc = inspect.getdoc(METRICS.get(name).value)
        assert "References" in doc or "Source" in doc
        assert "Returns" in doc
        assert METRICS.get(name).info["cost"] in ("cheap", "seconds", "minutes")


@pytest.fixture
def dataset_of(tmp_path):
    def make(name):
        options = SMALL.get(name, {})
        if name == "npz":
            np.savez(tmp_path / "own.npz", images=np.eye(8, dtype=np.uint8).repeat(8, 0).reshape(8, 8, 8) * 255)
            options = {"path": str(tmp_path / "own.npz")}
        return load_dataset(name, options), resolve_options(name, options)

    return make


@pytest.mark.parametrize("name", DATASET_NAMES)
class TestDatasets:
    def test_images_have_the_shape_type_and_range_it_says(self, name, dataset_of):
        dataset, _ = dataset_of(name)
        images = dataset.images(np.arange(min(5, len(dataset))))
        assert images.shape[1:] == dataset.image_shape
        assert images.dtype == np.uint8
        assert images.max() <= dataset.image_max
        assert dataset.likelihood in ("bernoulli", "gaussian")

    def test_index_and_factors_are_inverse(self, name, dataset_of):
        dataset, _ = dataset_of(name)
        rows = np.arange(len(dataset))
        factors = dataset.factors(rows)
        assert factors.shape == (len(dataset), len(dataset.factor_names))
        assert len(dataset.factor_names) == len(dataset.factor_sizes)
        if dataset.factor_names:
            assert (factors < np.array(dataset.factor_sizes)).all()
            np.testing.assert_array_equal(dataset.index(factors), rows)

    def test_packed_bits_are_the_images(self, name, dataset_of):
        dataset, _ = dataset_of(name)
        packed = dataset.packed()
        if packed is not None:
            images = dataset.images(np.arange(len(dataset)))
            np.testing.assert_array_equal(packed, np.packbits(images.reshape(len(dataset), -1), axis=1))

    def test_fingerprint_is_a_checksum_that_repeats(self, name, dataset_of):
        dataset, options = dataset_of(name)
        again = type(dataset)(dataset.Options(**options))
        assert re.fullmatch("[0-9a-f]{64}", dataset.fingerprint())
        assert dataset.fingerprint() == again.fingerprint()

    def test_resolved_options_are_a_fixed_point(self, name, dataset_of):
        _, options = dataset_of(name)
        assert resolve_options(name, options) == options

    def test_query_images_exist(self, name, dataset_of):
        dataset, _ = dataset_of(name)
        assert ((dataset.query_indices() >= 0) & (dataset.query_indices() < len(dataset))).all()

    def test_unknown_option_is_refused(self, name, dataset_of):
        _, options = dataset_of(name)
        with pytest.raises(BenchError, match="unknown option 'nonsense'"):
            resolve_options(name, options | {"nonsense": 1})

    def test_states_licence_and_documents_itself(self, name, dataset_of):
        dataset, _ = dataset_of(name)
        assert dataset.licence
        assert inspect.getdoc(DATASETS.get(name).value)


@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_network_encodes_and_decodes(name):
    shape = (1, 64, 64)
    vae = networks.build(name, 2, shape, 3)
    networks.initialise(vae, "he", [0, 1], "vae")
    mean, logvar = vae.encode(torch.rand(2, 4, *shape))
    assert mean.shape == logvar.shape == (2, 4, 3)
    assert vae.decode(mean).shape == (2, 4, *shape)
    assert NETWORKS.get(name).summary


def test_figures_are_functions_of_a_study():
    for entry in FIGURES:
        assert next(iter(inspect.signature(entry.value).parameters)) == "study", entry.name
        assert entry.summary


def test_all_is_the_four_of_the_paper_and_the_vae():
    assert METHODS.match("all") == ["vae", "beta_vae", "factor_vae", "control_vae", "dynamic_vae"]


def test_hyper_parameters_survive_json():
    import json

    for entry in METHODS:
        resolved = resolve_hyper(entry.name, {})
        assert resolve_hyper(entry.name, json.loads(json.dumps(resolved))) == resolved
        assert resolved.items() <= asdict(entry.value.Hyper(**resolved)).items()
