"""Hyper-parameters in shares become the numbers that they stand for, or one clear line."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.config.expand import expand
from bench.config.plain_kl import PlainKL, key_of, training_of
from bench.config.shares import resolve_shares
from bench.config.study import resolve
from bench.config.wanted_kl import UnknownKLError
from bench.errors import BenchError
from bench.method import resolve_hyper
from bench.registry import METHODS, load_plugin, plugin_module
from bench.shares import Share, declared_shares, parse_share


def nobody():
    raise AssertionError("nothing is a share of the plain VAE's KL")


def numbers(name, steps=18_000, kl=10.9, **values):
    return resolve_shares(name, values, steps=steps, plain_kl=lambda: kl)


def test_set_points_are_shares_of_the_plain_vaes_kl_to_two_decimals():
    hyper = numbers("control_vae", set_point="80%", set_point_start="12.5%")
    assert (hyper["set_point"], hyper["set_point_start"]) == (8.72, 1.36)
    assert hyper == resolve_hyper("control_vae", {"set_point": 8.72, "set_point_start": 1.36})
    assert numbers("annealed_vae", set_point="100 %")["set_point"] == 10.9


def test_steps_are_shares_of_the_training_and_at_least_one():
    hyper = numbers("dynamic_vae", set_point_every="2.5%", ramp="0.5%")
    assert (hyper["set_point_every"], hyper["ramp"]) == (450, 90)
    assert numbers("dynamic_vae", ramp="0.001%")["ramp"] == 1
    assert numbers("annealed_vae", annealing_steps="60%", steps=301)["annealing_steps"] == 181


def test_a_staircase_ends_where_it_is_said_to():
    # 60 % of 18,000 steps is 24 rises of 450.
    hyper = numbers("control_vae", set_point="80%", set_point_step="until 60%", set_point_every=450)
    assert hyper["set_point_step"] == 0.3425
    hyper = numbers("control_vae", set_point=4.0, set_point_step="until 60%", set_point_every="2.5%")
    assert hyper["set_point_step"] == 0.1459  # 3.5 / 24 = 0.14583...
    hyper = numbers("control_vae", set_point=0.5, set_point_step="until 60%", set_point_every=450)
    assert hyper["set_point_step"] == 0.15, "there is nothing to climb: the default"


@settings(deadline=None)
@given(
    st.floats(0.6, 60), st.floats(0, 0.5), st.integers(1, 3_000), st.integers(3_000, 2_000_000), st.integers(100, 1_000)
)
def test_a_staircase_reaches_its_end_and_hardly_goes_beyond(stop, start, every, steps, per_mille):
    stop, start = round(stop, 2), round(start, 2)
    rises = Fraction(per_mille, 1_000) * steps // every
    values = {"set_point": stop, "set_point_start": start, "set_point_every": every}
    if not rises:
        with pytest.raises(BenchError, match="there is no rise"):
            numbers("control_vae", steps=steps, set_point_step=f"until {per_mille / 10}%", **values)
        return
    step = numbers("control_vae", steps=steps, set_point_step=f"until {per_mille / 10}%", **values)["set_point_step"]
    assert start + step * rises >= stop
    assert step <= (stop - start) / rises * 1.0011
    assert float(f"{step:.4g}") == step


def test_nothing_is_looked_up_where_nothing_is_a_share_of_it():
    assert resolve_shares("dynamic_vae", {"ramp": "1%", "set_point": 4}, steps=900, plain_kl=nobody)["ramp"] == 9
    assert resolve_shares("two_stage", {"base_hyper": "beta=8"}, steps=900, plain_kl=nobody)["base_version"] == 1


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("beta_vae", {"beta": "20%"}, "beta='20%': it can't be a share, write a number"),
        ("control_vae", {"ki": "20%"}, "ki='20%': it can't be a share, write a number; set_point (80% of the plain"),
        ("control_vae", {"set_point": "-20%"}, "set_point='-20%': a share lies between 0% and 1000%"),
        ("control_vae", {"set_point": "1001%"}, "set_point='1001%': a share lies between 0% and 1000%"),
        ("control_vae", {"set_point": "nan%"}, "set_point='nan%': a share is written as 80%, or as until 60%"),
        ("control_vae", {"set_point": "inf%"}, "set_point='inf%': a share is written as"),
        ("control_vae", {"set_point": "%"}, "set_point='%': a share is written as"),
        ("control_vae", {"set_point": "until 20%"}, "set_point='until 20%': write it as 80%, a share of the plain"),
        ("control_vae", {"set_point_step": "20%"}, "set_point_step='20%': write it as until 60%, a share of train"),
        ("control_vae", {"set_point_step": "until 60"}, "set_point_step='until 60': a share is written as"),
        ("control_vae", {"set_point_step": "until 101%"}, "until 101%': the training is over by then"),
        (
            "control_vae",
            {"set_point": "2%"},
            "set_point=0.22 lies below set_point_start=0.5; it can only grow (",
        ),
        ("control_vae", {"set_point": "0%"}, "set_point=0.0: Input should be greater than 0 (set_point=0% is 0.0)"),
        ("control_vae", {"set_point": 4, "set_point_start": "50%"}, "(set_point_start=50% is 5.45)"),
        ("control_vae", {"set_point_every": "70%", "set_point_step": "until 60%"}, "there is no rise"),
        ("dynamic_vae", {"ramp": "60%"}, "ramp=10800 is longer than set_point_every=6000 (ramp=60% is 10800)"),
        ("control_vae", {"set_pint": "80%"}, "unknown hyper-parameter 'set_pint'; did you mean 'set_point'?"),
        ("control_vae", {"anti_windup": "80%"}, "anti_windup='80%': Input should be 'released' or 'clamped'"),
        ("two_stage", {"base": "control_vae", "base_hyper": "set_point=80%"}, "only a study's own hyper-parameters"),
    ],
)
def test_what_is_no_share_is_one_clear_line(name, values, message):
    with pytest.raises(BenchError) as error:
        numbers(name, **values)
    assert str(error.value).startswith(f"method '{name}': ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["80%", " 80 % ", "8e1%", "80.0%"])
def test_a_share_may_be_spelt_in_several_ways(text):
    assert parse_share(text) == Share(Fraction(80))


# --- in a study ---


def asked(*methods, **flags):
    return resolve("quick", methods=list(methods), controls=[], seeds=[0, 1], **flags)


def a_kl(spec, kl=10.0):
    return PlainKL(kl=kl, sd=0.1, n_seeds=5, training=training_of(spec))


def test_a_share_is_the_run_of_its_number_wherever_it_is_written(tmp_path):
    def ids(study):
        return [spec.run_id for spec in expand(study, a_kl)]

    plain = ids(asked("control_vae[set_point=2,4]"))
    assert ids(asked("control_vae[set_point=20%,40%]")) == plain
    assert ids(asked("control_vae", settings=["control_vae.set_point=40%"])) == plain[2:]
    file = tmp_path / "mine.toml"
    file.write_text('[method.control_vae]\nset_point = "40%"\n')
    assert ids(asked("control_vae", study_file=file)) == plain[2:]
    assert ids(asked("control_vae[set_point=40%,4]")) == plain[2:], "the same run twice is one"


def test_the_kl_is_that_of_the_same_data_and_training():
    seen = []

    def find(spec):
        seen.append(spec)
        return a_kl(spec)

    study = asked("control_vae[set_point=50%]", "annealed_vae[set_point=50%]", settings=["train.lr=0.002"])
    specs = expand(study, find)
    assert len(seen) == 1, "each kind of training is looked up once"
    assert seen[0].method.name == "vae"
    assert seen[0].train == specs[0].train
    assert seen[0].dataset == specs[0].dataset
    assert key_of(seen[0]) == key_of(a_plain_vae("train.lr=0.002"))


def a_plain_vae(*settings):
    return expand(asked("vae", settings=list(settings)))[0]


@pytest.mark.parametrize("of_machine", ["precision=bfloat16", "threads=2", "log_every=50", "score_every=100"])
def test_how_it_is_computed_makes_no_other_kl(of_machine):
    assert key_of(a_plain_vae(f"train.{of_machine}")) == key_of(a_plain_vae())


@pytest.mark.parametrize(
    "setting",
    [
        *("steps=17", "batch_size=32", "lr=0.002", "beta1=0.8", "beta2=0.99", "eps=1e-6", "lr_schedule=one_cycle"),
        *("average=0.1", "network=linear", "init=torch", "latent_dim=9"),
    ],
)
def test_whatever_decides_the_weights_makes_another_kl(setting):
    assert key_of(a_plain_vae(f"train.{setting}")) != key_of(a_plain_vae())


def test_the_network_given_with_the_data_makes_another_kl():
    given, learned = (
        expand(
            asked(
                "vae",
                datasets=[f"linear_gaussian[decoder={kind}]"],
                settings=["train.network=linear", "train.latent_dim=2"],
            )
        )[0]
        for kind in ("oracle", "learned")
    )
    assert given.dataset.sha256 == learned.dataset.sha256
    assert key_of(given) != key_of(learned)


def test_a_study_without_shares_looks_nothing_up():
    def find(spec):
        raise AssertionError("looked up")

    study = asked("vae", "dynamic_vae[set_point=4,set_point_step=0.2,set_point_every=3%,ramp=1%]")
    assert [spec.method.hyper.get("ramp") for spec in expand(study, find)] == [None, None, 180, 180]


def test_published_settings_stay_as_published():
    study = resolve("paper", methods=["control_vae"], seeds=[0])
    (spec,) = [spec for spec in expand(study, a_kl) if spec.method.name == "control_vae"]
    assert spec.method.hyper == resolve_hyper("control_vae", {})


def test_what_else_is_wrong_is_told_before_a_kl_is_missed():
    study = asked("control_vae[set_point=50%]", "beta_vae[beta=2,4]", settings=["train.steps=17"])
    with pytest.raises(UnknownKLError, match="which isn't known on dsprites at these training settings") as error:
        expand(study, lambda spec: None)
    assert error.value.n_runs == 6
    assert [(spec.method.name, spec.train.steps) for spec in error.value.plain] == [("vae", 17)]
    with pytest.raises(BenchError, match="ki=-1"):
        expand(asked("control_vae[set_point=50%,ki=-1]"), lambda spec: None)


@pytest.mark.parametrize("preset", ["smoke", "quick"])
def test_the_packaged_table_knows_the_small_presets(preset):
    study = resolve(preset, methods=["control_vae[set_point=80%]"], controls=[], seeds=[0])
    (spec,) = expand(study)
    kl = {"smoke": 13.97, "quick": 10.90}[preset]
    assert spec.method.hyper["set_point"] == round(0.8 * kl, 2)


PLUGIN = """
from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from bench.method import Method, Objective, OfPlainKL, OfSteps, Until, register_method


@register_method("climber")
class Climber(Method):
    @dataclass(frozen=True)
    class Hyper:
        goal: Annotated[float, Field(gt=0), OfPlainKL()] = 16.0
        pause: Annotated[int, Field(ge=1), OfSteps()] = 5_000
        rise: Annotated[float, Field(gt=0), Until("start", "goal", "pause")] = 0.15
        start: Annotated[float, Field(ge=0), OfPlainKL()] = 0.5
        weight: float = 1.0

    def loss(self, terms, state, step):
        return Objective(loss=terms.reconstruction + terms.kl, beta=self.full(1.0))
"""


def test_a_method_of_ones_own_says_what_may_be_a_share(tmp_path):
    file = tmp_path / "climber_with_shares.py"
    file.write_text(PLUGIN)
    with METHODS.override():
        load_plugin(file)
        hyper = numbers("climber", goal="50%", pause="10%", rise="until 50%", start="0%")
        assert hyper == {"goal": 5.45, "pause": 1800, "rise": 1.09, "start": 0.0, "weight": 1.0}
        with pytest.raises(BenchError, match="weight='50%': it can't be a share"):
            numbers("climber", weight="50%")
    sys.modules.pop(plugin_module(file))


def test_annotations_that_can_not_be_read_are_told():
    @dataclass(frozen=True)
    class Hyper:
        weight: Nowhere = 1.0  # noqa: F821

    with pytest.raises(BenchError, match=r"annotations of .*Hyper can't be read .*'Nowhere' is not defined"):
        declared_shares(Hyper)
