"""Presets: what each is, and what it says of itself."""

from __future__ import annotations

import math

import pytest

from bench.config.expand import expand
from bench.config.plain_kl import PlainKL, training_of
from bench.config.preset_files import presets
from bench.config.study import resolve
from bench.dataset import load_dataset
from bench.errors import BenchError
from bench.spec import RunSpec

DATA, TRAINING, SCORES = (
    "reduced data set: 3 shapes",
    "a small dense network and 18,000 steps",
    "scores compare methods",
)


def some_kl(plain):
    """A KL for trainings of which none was measured."""
    return PlainKL(kl=20.0, sd=0.1, n_seeds=5, training=training_of(plain))


def test_every_preset_resolves_and_its_specs_survive_json():
    assert {"smoke", "quick", "compact", "standard", "paper"} <= set(presets())
    for name in presets():
        specs = expand(resolve(name, seeds=[0]), some_kl)
        for spec in specs:
            again = RunSpec.model_validate_json(spec.model_dump_json())
            assert again == spec
            assert again.run_id == spec.run_id


def test_reduced_presets_say_so():
    for name in ("smoke", "quick", "compact"):
        assert resolve(name).notice


@pytest.mark.parametrize("name", ["quick", "compact", "standard"])
def test_controllers_and_annealed_vae_go_to_the_same_kl_and_are_there_when_60_per_cent_are_done(name):
    chosen = ["control_vae", "dynamic_vae", "annealed_vae"]
    control, dynamic, annealed = expand(resolve(name, methods=chosen, controls=[], seeds=[0]), some_kl)
    assert {spec.method.hyper["set_point"] for spec in (control, dynamic, annealed)} == {16.0}
    assert control.method.hyper["beta_min"] == dynamic.method.hyper["beta_min"] == 0.1
    last = 0.6 * control.train.steps
    assert annealed.method.hyper["annealing_steps"] == last
    for hyper in (control.method.hyper, dynamic.method.hyper):
        rises = math.ceil(round((16.0 - hyper["set_point_start"]) / hyper["set_point_step"], 6))
        assert last - hyper["set_point_every"] < rises * hyper["set_point_every"] <= last


def test_compact_is_the_whole_data_set_at_half_the_size():
    (spec,) = expand(resolve("compact", methods=["vae"], controls=[], seeds=[0]))
    data = load_dataset(spec.dataset.name, spec.dataset.all_options)
    assert (len(data), data.image_shape, data.factor_sizes) == (737_280, (1, 32, 32), (3, 6, 40, 32, 32))


def test_standard_is_the_whole_data_set_on_equal_terms():
    specs = [s for s in expand(resolve("standard", seeds=[0]), some_kl) if s.train.steps]
    assert len(specs) == 5
    assert {(s.train.steps, s.train.batch_size, s.train.network, s.train.lr, s.train.init) for s in specs} == {
        (300_000, 64, "H", 1e-4, "he")
    }
    assert {s.dataset.sha256 for s in specs} == {"3a228f4037ef3d42a42588e0e01f1078aa2df13cfa17584e88c95ed9fb5672da"}


def test_paper_is_each_method_as_released():
    specs = {s.method.name: s for s in expand(resolve("paper", seeds=[0]))}
    factor, control, dynamic = specs["factor_vae"], specs["control_vae"], specs["dynamic_vae"]
    assert (factor.train.network, factor.train.init, factor.train.steps, factor.train.batch_size) == (
        "kim",
        "normal002",
        700_000,
        64,
    )
    assert (control.train.network, control.train.steps, control.train.batch_size) == ("H", 1_500_000, 64)
    assert (dynamic.train.network, dynamic.train.steps, dynamic.train.batch_size) == ("H", 2_000_000, 128)
    assert dynamic.method.hyper["set_point"] == 20.0
    assert control.method.hyper["set_point"] == 16.0


def test_a_changed_preset_says_so():
    plain = resolve("standard")
    assert not plain.notice
    changed = resolve("standard", settings=["train.steps=20"], datasets=["dsprites[pos_x=4]"])
    assert changed.notice == "preset 'standard' changed: datasets=dsprites[pos_x=4], train.steps=20"
    assert changed.description == "'standard' with changes"
    assert resolve("standard", methods=["vae"], seeds=[1]).notice == ""


@pytest.mark.parametrize(
    ("flags", "said", "unsaid"),
    [
        ({}, [DATA, TRAINING, SCORES], []),
        ({"settings": ["beta_vae.beta=3"]}, [DATA, TRAINING, SCORES], []),
        ({"settings": ["train.device=cuda"]}, [DATA, TRAINING, SCORES], []),
        ({"settings": ["train.steps=1"]}, [DATA, SCORES], [TRAINING]),
        ({"settings": ["train.network=B"]}, [DATA, SCORES], [TRAINING]),
        ({"hyper": "published"}, [DATA, SCORES], [TRAINING]),
        ({"settings": ["dsprites.pos_x=3"]}, [TRAINING, SCORES], [DATA]),
        ({"datasets": ["dsprites[pos_x=3]"]}, [TRAINING, SCORES], [DATA]),
        ({"datasets": ["npz[path=a.npz]"]}, [TRAINING, SCORES], [DATA]),
        ({"datasets": ["npz[path=a.npz]", "dsprites"]}, [f"dsprites: {DATA}", TRAINING, SCORES], []),
    ],
)
def test_a_preset_says_of_data_and_training_only_what_is_still_true(flags, said, unsaid):
    notice = resolve("quick", **flags).notice
    assert all(words in notice for words in said)
    assert not any(words in notice for words in unsaid)


def test_a_preset_on_the_command_line_wins_over_the_study_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('preset = "smoke"')
    assert resolve(study_file=file).preset == "smoke"
    assert resolve("standard", study_file=file).preset == "standard"


def test_unknown_preset():
    with pytest.raises(BenchError, match=r"unknown preset 'quik'; did you mean 'quick'\?"):
        resolve("quik")
