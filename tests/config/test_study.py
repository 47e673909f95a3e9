"""From presets, files and flags to run specs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.config.expand import expand
from bench.config.plain_kl import PlainKL, packaged_kl, training_of
from bench.config.study import find_study, resolve, studies
from bench.errors import BenchError
from bench.external.codes import choose_dataset


def smoke(**flags):
    return expand(resolve("smoke", **flags))


def some_kl(plain):
    """A KL for trainings of which none was measured."""
    return PlainKL(kl=20.0, sd=0.1, n_seeds=5, training=training_of(plain))


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


def test_a_study_files_own_words_are_about_its_own_data(tmp_path):
    file = find_study("inference_optimum")
    own = resolve(study_file=file).notice
    assert own.startswith("made-up data of two factors")
    assert resolve(study_file=file, methods=["vae"], datasets=["linear_gaussian[case=S1,law=laplace]"]).notice == own
    assert resolve(study_file=file, settings=["train.steps=9"]).notice == f"study changed: train.steps=9; {own}"
    for flags in ({"datasets": ["dsprites"]}, {"settings": ["linear_gaussian.n=100"]}):
        assert "made-up" not in resolve(study_file=file, **flags).notice


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


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_device_without_a_gpu():
    with pytest.raises(BenchError, match="device 'cuda': torch sees no GPU here"):
        smoke(settings=["train.device=cuda"])


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
        # What a plain VAE has is known on the preset's own data at its own training settings.
        plain = resolve(preset)
        find_kl = packaged_kl if (study.train, study.datasets) == (plain.train, plain.datasets) else some_kl
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


def test_published_hyper_parameters_are_one_flag_away():
    equal = {s.method.name: s for s in expand(resolve("standard", seeds=[0]), some_kl)}
    published = {s.method.name: s for s in expand(resolve("standard", seeds=[0], hyper="published"), some_kl)}
    assert len({(s.train.network, s.train.batch_size, s.train.steps) for s in equal.values() if s.train.steps}) == 1
    assert published["factor_vae"].train.network == "kim"
    assert published["dynamic_vae"].train.batch_size == 128
    assert resolve("paper").hyper == "published"
    assert "hyper=published" in resolve("standard", hyper="published").notice


def test_shared_hyper_parameters_leave_no_room_for_a_method_of_its_own():
    with pytest.raises(BenchError, match="with --hyper shared all methods have the same"):
        smoke(settings=["beta_vae.train.lr=0.1"])
    specs = smoke(
        settings=["beta_vae.train.lr=0.1"], hyper="published", datasets=["dsprites[size=64]"], methods=["beta_vae"]
    )
    assert specs[0].train.lr == 0.1


def test_no_published_settings_for_these_data(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((40, 8, 8), dtype=np.uint8))
    with pytest.raises(BenchError, match="method 'vae' has no published settings on dataset 'npz'"):
        smoke(methods=["vae"], datasets=[f"npz[path={tmp_path / 'a.npz'}]"], hyper="published")


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


@pytest.mark.parametrize(("metrics", "probed"), [(["core"], True), (["mig"], False), (["all"], True)])
def test_core_metrics_take_in_the_linear_probe_where_images_have_class_labels(tmp_path, metrics, probed):
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "with.npz", images=images, labels=np.arange(64) % 4)
    np.savez(tmp_path / "without.npz", images=images)
    files = [f"npz[path={tmp_path / name}.npz]" for name in ("with", "without")]
    specs = smoke(methods=["vae"], datasets=files, evaluation={"metrics": metrics}, seeds=[0])
    named = {spec.dataset.paths["path"].split("/")[-1]: "linear_probe" in spec.evaluation.metrics for spec in specs}
    assert named == {"with.npz": probed, "without.npz": metrics == ["all"]}


def test_data_sets_that_may_be_missing_are_left_out_and_named(tmp_path):
    np.savez(tmp_path / "own.npz", images=np.eye(16, dtype=np.uint8).reshape(16, 4, 4))
    file = tmp_path / "s.toml"
    file.write_text(
        f"""notice = "n"
datasets = ["dsprites"]
datasets_if_present = ["npz[path={tmp_path}/own.npz]", "no_such_data"]
[dataset.no_such_data]
size = 3
"""
    )
    study = resolve("smoke", study_file=file)
    assert study.datasets == ["dsprites", f"npz[path={tmp_path}/own.npz]"]
    assert study.notice.endswith("left out, since they aren't on this machine: no_such_data")
    assert resolve("smoke", study_file=file, datasets=["dsprites"]).datasets == ["dsprites"]


def test_a_damaged_file_of_a_data_set_that_may_be_missing_is_no_absence(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "s.toml"
    file.write_text('datasets_if_present = ["mnist[part=test]"]\n')
    assert resolve("smoke", study_file=file).notice.endswith("left out, since they aren't on this machine: mnist")
    (tmp_path / "mnist").mkdir()
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        (tmp_path / "mnist" / name).write_bytes(b"cut off")
    study = resolve("smoke", study_file=file)
    assert study.datasets[-1] == "mnist[part=test]"
    with pytest.raises(BenchError, match="the published file has"):
        expand(study)


def test_a_mistake_in_a_data_set_that_may_be_missing_is_no_absence(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text('datasets_if_present = ["dsprites[sise=32]"]\n')
    with pytest.raises(BenchError, match="unknown option 'sise'; did you mean 'size'"):
        resolve("smoke", study_file=file)
