"""From presets, files and flags to run specs."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch

from bench.config.expand import expand
from bench.config.plain_kl import PlainKL, packaged_kl, training_of
from bench.config.preset_files import presets
from bench.config.study import find_study, resolve, studies
from bench.dataset import load_dataset
from bench.errors import BenchError
from bench.external.codes import choose_dataset
from bench.sharing.opening import name_of, studies_in
from bench.spec import RunSpec
from helpers.paths import REFERENCE, ROOT


def smoke(**flags):
    return expand(resolve("smoke", **flags))


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


def test_layers_win_in_order(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('preset = "smoke"\n[train]\nsteps = 40\nlr = 0.01\n[method.beta_vae]\nbeta = 2.0\n')
    specs = expand(resolve(study_file=file, settings=["train.steps=50"], methods=["beta_vae"], seeds=[0]))
    beta = next(s for s in specs if s.method.name == "beta_vae")
    assert (beta.train.steps, beta.train.lr, beta.method.hyper["beta"], beta.train.batch_size) == (50, 0.01, 2.0, 32)
    specs = expand(resolve(study_file=file, settings=["beta_vae.beta=3"], methods=["beta_vae[beta=8]"]))
    assert {s.method.hyper["beta"] for s in specs if s.method.name == "beta_vae"} == {8.0}
    specs = expand(resolve(study_file=file, settings=["beta_vae.beta=3"], methods=["beta_vae"]))
    assert {s.method.hyper["beta"] for s in specs if s.method.name == "beta_vae"} == {3.0}


def test_grid_times_seeds_plus_control():
    specs = smoke(methods=["beta_vae[beta=1,4,16]"], seeds=[0, 5])
    assert sorted(s.method.hyper["beta"] for s in specs if s.method.name == "beta_vae") == [
        1,
        1,
        4,
        4,
        16,
        16,
    ]
    assert sum(s.method.name == "untrained" for s in specs) == 2
    assert len({s.run_id for s in specs}) == len(specs)


def test_repeats_are_run_once():
    assert len(smoke(methods=["vae", "vae", "va*"], controls=[], seeds=[0])) == 1


def test_id_depends_on_everything_that_decides_the_numbers():
    base = smoke(methods=["beta_vae"], controls=[], seeds=[0])[0]
    changes = [
        {"settings": ["beta_vae.beta=5"]},
        {"settings": ["train.lr=0.002"]},
        {"settings": ["train.threads=2"]},
        {"settings": ["dsprites.pos_x=16"]},
        {"seeds": [1]},
    ]
    ids = {smoke(**({"methods": ["beta_vae"], "controls": [], "seeds": [0]} | c))[0].digest for c in changes}
    assert len(ids | {base.digest}) == len(changes) + 1


def test_what_is_measured_is_not_part_of_the_id():
    base = smoke(methods=["beta_vae"], controls=[], seeds=[0])[0]
    for change in ({"settings": ["evaluation.n_codes=100"]}, {"evaluation": {"metrics": ["mig"]}}):
        assert smoke(methods=["beta_vae"], controls=[], seeds=[0], **change)[0].run_id == base.run_id


def test_a_changed_preset_says_so():
    plain = resolve("standard")
    assert not plain.notice
    changed = resolve("standard", settings=["train.steps=20"], datasets=["dsprites[pos_x=4]"])
    assert changed.notice == "preset 'standard' changed: datasets=dsprites[pos_x=4], train.steps=20"
    assert changed.description == "'standard' with changes"
    assert resolve("standard", methods=["vae"], seeds=[1]).notice == ""


DATA, TRAINING, SCORES = (
    "reduced data set: 3 shapes",
    "a small dense network and 18,000 steps",
    "scores compare methods",
)


@pytest.mark.parametrize(
    ("flags", "said", "unsaid"),
    [
        ({}, [DATA, TRAINING, SCORES], []),
        ({"settings": ["beta_vae.beta=3"]}, [DATA, TRAINING, SCORES], []),
        ({"settings": ["train.device=cuda"]}, [DATA, TRAINING, SCORES], []),
        ({"settings": ["train.steps=1"]}, [DATA, SCORES], [TRAINING]),
        ({"settings": ["train.network=B"]}, [DATA, SCORES], [TRAINING]),
        ({"terms": "as_published"}, [DATA, SCORES], [TRAINING]),
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


def test_a_study_files_own_words_are_about_its_own_data(tmp_path):
    file = find_study("inference_optimum")
    own = resolve(study_file=file).notice
    assert own.startswith("made-up data of two factors")
    assert resolve(study_file=file, methods=["vae"], datasets=["linear_gaussian[case=S1,law=laplace]"]).notice == own
    assert resolve(study_file=file, settings=["train.steps=9"]).notice == f"study changed: train.steps=9; {own}"
    for flags in ({"datasets": ["dsprites"]}, {"settings": ["linear_gaussian.n=100"]}):
        assert "made-up" not in resolve(study_file=file, **flags).notice


def test_equal_values_spelt_differently_are_the_same_run():
    a, b = (smoke(methods=[m], controls=[], seeds=[0])[0] for m in ("beta_vae[beta=4]", "beta_vae[beta=4.0]"))
    assert a.run_id == b.run_id
    a, b = (smoke(datasets=[d], controls=[], seeds=[0])[0] for d in ("dsprites[pos_x=16]", "dsprites[pos_x=0:32:2]"))
    assert a.run_id == b.run_id


def test_run_id_reads_well():
    spec = smoke(methods=["dynamic_vae"], controls=[], seeds=[3])[0]
    assert spec.run_id == f"dsprites-dynamic_vae-s003-{spec.digest[:8]}"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            {"methods": ["betavae"]},
            "unknown method 'betavae'; did you mean 'beta_vae'?; see `bench list methods`",
        ),
        ({"datasets": ["dsprite"]}, "unknown dataset 'dsprite'; did you mean 'dsprites'?"),
        ({"evaluation": {"metrics": ["migg"]}}, "unknown metric 'migg'; did you mean 'mig'?"),
        (
            {"methods": ["beta_vae[bta=1]"]},
            "method 'beta_vae': unknown hyper-parameter 'bta'; did you mean 'beta'?",
        ),
        (
            {"methods": ["beta_vae[beta=-1]"]},
            "method 'beta_vae': beta=-1: Input should be greater than or equal to 0",
        ),
        ({"methods": ["beta_vae[beta=nan]"]}, "method 'beta_vae': beta=nan: Input should be a finite number"),
        (
            {"methods": ["beta_vae[beta=big]"]},
            "method 'beta_vae': beta='big': Input should be a valid number",
        ),
        (
            {"methods": ["dynamic_vae[set_point=-3]"]},
            "method 'dynamic_vae': set_point=-3: Input should be greater than 0",
        ),
        (
            {"methods": ["dynamic_vae[set_point=0.2]"]},
            "method 'dynamic_vae': set_point=0.2 lies below set_point_start=0.5; it can only grow",
        ),
        (
            {"methods": ["dynamic_vae[ramp=900]"]},
            "method 'dynamic_vae': ramp=900 is longer than set_point_every=6",
        ),
        ({"settings": ["train.steps=-1"]}, "train.steps=-1: Input should be greater than or equal to 0"),
        ({"settings": ["train.stepz=1"]}, "unknown key 'train.stepz'; did you mean 'steps'?"),
        ({"settings": ["train.network=h"]}, "unknown network 'h'"),
        ({"settings": ["nothing.beta=1"]}, "--set 'nothing.beta=1': no method, dataset or table 'nothing'"),
        ({"settings": ["beta"]}, "--set 'beta': write it as table.key=value"),
        ({"datasets": ["dsprites[pos_x=0]"]}, "dataset 'dsprites': "),
        ({"settings": ["beta_vae.train=3"]}, "method 'beta_vae': train=3: write it as beta_vae.train.key=value"),
        ({"methods": []}, "no methods are chosen"),
        ({"datasets": []}, "no datasets are chosen"),
        ({"evaluation": {"metrics": []}}, "no metrics are chosen"),
        ({"seeds": [-1]}, "seeds.0=-1: Input should be greater than or equal to 0"),
        ({"datasets": ["dsprites[size=48]"]}, "dataset 'dsprites': size="),
        ({"datasets": ["dsprites[posx=3]"]}, "unknown option 'posx'; did you mean 'pos_x'?"),
    ],
)
def test_bad_input_is_one_clear_line(flags, message):
    with pytest.raises(BenchError) as error:
        smoke(**flags)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_preset_on_the_command_line_wins_over_the_study_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('preset = "smoke"')
    assert resolve(study_file=file).preset == "smoke"
    assert resolve("standard", study_file=file).preset == "standard"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_device_without_a_gpu():
    with pytest.raises(BenchError, match="device 'cuda': torch sees no GPU here"):
        smoke(settings=["train.device=cuda"])


def test_unknown_preset():
    with pytest.raises(BenchError, match=r"unknown preset 'quik'; did you mean 'quick'\?"):
        resolve("quik")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("methods = [", "can't be read"),
        ("nonsense = 1", "unknown key 'nonsense'"),
        ("[train]\nsteps = 'many'", "train.steps='many'"),
        ("[method.betavae]\nbeta = 1", "did you mean 'beta_vae'?"),
        ("seeds = []", "seeds"),
        ("preset = 3", "unknown preset '3'"),
        ("seeds = [-1]", "seeds.0=-1"),
    ],
)
def test_bad_study_files(text, message, tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(text)
    with pytest.raises(BenchError, match=r"study file|unknown") as error:
        expand(resolve(study_file=file))
    assert message in str(error.value)


def test_missing_study_file(tmp_path):
    with pytest.raises(BenchError, match="no such file"):
        resolve("smoke", study_file=tmp_path / "none.toml")


@pytest.mark.parametrize("name", studies())
def test_every_study_expands_at_smoke_and_quick(name):
    for preset in ("smoke", "quick"):
        study = resolve(preset, study_file=find_study(name), seeds=[0])
        assert study.description
        assert not study.notice.startswith("preset"), "a study chooses methods, it doesn't change the preset"
        # What a plain VAE has is known at the preset's own training settings.
        find_kl = packaged_kl if study.train == resolve(preset).train else some_kl
        assert len(expand(study, find_kl)) > 2


def test_a_study_may_say_what_differs_at_a_preset(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text('methods = ["beta_vae[beta=4]"]\n[at.smoke]\nmethods = ["beta_vae[beta=1,2]"]\n')
    betas = [s.method.hyper.get("beta") for s in expand(resolve("smoke", study_file=file, seeds=[0]))]
    assert betas == [1.0, 2.0, None]
    betas = [s.method.hyper.get("beta") for s in expand(resolve("quick", study_file=file, seeds=[0]))]
    assert betas == [4.0, None]


def test_unknown_study():
    with pytest.raises(BenchError, match=r"unknown study 'equal_lk'; did you mean 'equal_kl'\?"):
        find_study("equal_lk")


def test_terms_are_one_flag_away():
    equal = {s.method.name: s for s in expand(resolve("standard", seeds=[0]), some_kl)}
    published = {s.method.name: s for s in expand(resolve("standard", seeds=[0], terms="as_published"), some_kl)}
    assert len({(s.train.network, s.train.batch_size, s.train.steps) for s in equal.values() if s.train.steps}) == 1
    assert published["factor_vae"].train.network == "kim"
    assert published["dynamic_vae"].train.batch_size == 128
    assert resolve("paper").terms == "as_published"
    assert "terms=as_published" in resolve("standard", terms="as_published").notice


def test_equal_terms_leave_no_room_for_a_method_of_its_own():
    with pytest.raises(BenchError, match="on equal terms all methods share theirs"):
        smoke(settings=["beta_vae.train.lr=0.1"])
    specs = smoke(
        settings=["beta_vae.train.lr=0.1"], terms="as_published", datasets=["dsprites[size=64]"], methods=["beta_vae"]
    )
    assert specs[0].train.lr == 0.1


def test_no_published_settings_for_these_data(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((40, 8, 8), dtype=np.uint8))
    with pytest.raises(BenchError, match="method 'vae' has no published settings on dataset 'npz'"):
        smoke(methods=["vae"], datasets=[f"npz[path={tmp_path / 'a.npz'}]"], terms="as_published")


def test_an_option_at_its_neutral_value_does_not_rename_runs():
    spec = smoke(methods=["beta_vae"], controls=[], seeds=[0])[0]
    assert "free_bits" not in spec.method.hyper
    same = smoke(methods=["beta_vae[free_bits=0]"], controls=[], seeds=[0])[0]
    other = smoke(methods=["beta_vae[free_bits=0.1]"], controls=[], seeds=[0])[0]
    assert same.run_id == spec.run_id != other.run_id


def test_the_committed_reference_is_what_this_code_would_run(reference_study):
    """Same ids: nobody changed a default, a preset or a version without running the reference study anew."""
    committed = reference_study("quick-dsprites") / "runs"
    assert {s.run_id for s in expand(resolve("quick"))} == {folder.name for folder in committed.iterdir()}


def test_the_committed_reference_names_no_folder_of_one_machine(reference_study):
    """Its commands can be repeated elsewhere."""
    files = [reference_study(name_of(path)) / "study.toml" for path in studies_in(REFERENCE)]
    files += ROOT.glob("reports/reference/*/report.*")
    assert len(files) > 7
    local = re.compile(r"(?<![\w/+.])/(?:tmp|home|root|work|Users)/\w")
    assert [str(file) for file in files if local.search(file.read_text(encoding="utf-8"))] == []


def test_another_engine_makes_other_runs(monkeypatch):
    base = smoke(methods=["vae"], controls=[], seeds=[0])[0]
    monkeypatch.setattr("bench.config.expand.ENGINE_VERSION", 2)
    assert smoke(methods=["vae"], controls=[], seeds=[0])[0].run_id != base.run_id


@pytest.mark.parametrize("name", ["a,b.npz", "a=b.npz", "a[0].npz", "x,path=3.npz", "it's [1], v=2.npz"])
def test_any_file_can_be_named_in_quotes_or_set(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    np.savez(name, images=np.zeros((40, 8, 8), dtype=np.uint8))
    (quoted,) = smoke(methods=["vae"], controls=[], seeds=[0], datasets=[f'npz[path="{name}"]'])
    (again,) = smoke(methods=["vae"], controls=[], seeds=[0], datasets=["npz"], settings=[f"npz.path={name}"])
    (third,) = smoke(methods=["vae"], controls=[], seeds=[0], datasets=["npz"], settings=[f'npz.path="{name}"'])
    assert quoted.dataset.paths == {"path": str(tmp_path / name)}
    assert quoted == again == third


@pytest.mark.parametrize("text", ["npz[path=a,b.npz]", "npz[path=a,b=c.npz]", "npz[path=a[0].npz]"])
def test_a_file_name_in_pieces_is_told_to_be_quoted(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    for ask in (lambda: smoke(datasets=[text]), lambda: choose_dataset(text)):
        with pytest.raises(BenchError, match=r"quote a value that holds , = \[ or \]") as caught:
            ask()
        assert "\n" not in str(caught.value)
    with pytest.raises(BenchError) as caught:
        smoke(datasets=["npz[path=a.npz]"])
    assert str(caught.value) == "a.npz: no such file".replace("a.npz", str(tmp_path / "a.npz"))


def test_a_users_file_is_told_of_but_no_part_of_the_identity(tmp_path):
    rng = np.random.default_rng(0)
    images, factors = rng.integers(0, 2, (12, 8, 8), dtype=np.uint8), np.arange(12)[:, None] % 4
    for folder, name in (("a", "x.npz"), ("b", "y.npz")):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / name, images=images, factors=factors)
    small = ["train.batch_size=4"]
    (one,) = smoke(methods=["vae"], controls=[], seeds=[0], settings=small, datasets=[f"npz[path={tmp_path}/a/x.npz]"])
    (two,) = smoke(methods=["vae"], controls=[], seeds=[0], settings=small, datasets=[f"npz[path={tmp_path}/b/y.npz]"])
    assert one.dataset.about == {"images": 12, "shape": [1, 8, 8], "factors": [4]}
    assert one.run_id == two.run_id
    assert one.run_id == one.model_copy(update={"dataset": one.dataset.model_copy(update={"about": {}})}).run_id
    assert RunSpec.model_validate_json(one.model_dump_json()) == one
    (other,) = smoke(methods=["vae"], controls=[], seeds=[0])
    assert "about" not in other.model_dump(mode="json")["dataset"]
