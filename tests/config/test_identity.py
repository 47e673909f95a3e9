"""What a run is called: by what decides its numbers, and by nothing else."""

from __future__ import annotations

import re

import numpy as np

from bench.config.expand import expand
from bench.config.study import resolve
from bench.sharing.opening import name_of, studies_in
from bench.spec import RunSpec
from helpers.paths import REFERENCE, ROOT


def smoke(**flags):
    return expand(resolve("smoke", **flags))


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


def test_equal_values_spelt_differently_are_the_same_run():
    a, b = (smoke(methods=[m], controls=[], seeds=[0])[0] for m in ("beta_vae[beta=4]", "beta_vae[beta=4.0]"))
    assert a.run_id == b.run_id
    a, b = (smoke(datasets=[d], controls=[], seeds=[0])[0] for d in ("dsprites[pos_x=16]", "dsprites[pos_x=0:32:2]"))
    assert a.run_id == b.run_id


def test_run_id_reads_well():
    spec = smoke(methods=["dynamic_vae"], controls=[], seeds=[3])[0]
    assert spec.run_id == f"dsprites-dynamic_vae-s003-{spec.digest[:8]}"


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
