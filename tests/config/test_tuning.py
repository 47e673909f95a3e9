"""A tuning study's settings: as many for every method, whatever else is chosen, on seeds of their own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from bench.api.request import make_request
from bench.config.expand import expand, with_trials
from bench.config.study import StudySpec, resolve
from bench.config.tuned import Winners, read_winners, settings_that_matter
from bench.config.tuning import TuningSettings, bound_asked, points
from bench.errors import BenchError
from bench.method import Method, Objective, register_method
from bench.registry import METHODS
from bench.tunable import Linear

SEEDS = [1000, 1001]
TRAIN = settings_that_matter(resolve("smoke").train)


def study(*methods, **tuning):
    return resolve("smoke", methods=list(methods), seeds=SEEDS, tuning=tuning)


def settings(*methods, **tuning):
    """Method to its settings, the default first."""
    found = {}
    for spec in expand(study(*methods, **tuning)):
        if spec.method.hyper not in found.setdefault(spec.method.name, []):
            found[spec.method.name].append(spec.method.hyper)
    return found


def test_every_method_with_something_to_tune_gets_the_same_budget():
    specs = expand(study("vae", "beta_vae", "factor_vae", "dip_vae", draws=6))
    runs = Counter(spec.method.name for spec in specs)
    assert runs["beta_vae"] == runs["factor_vae"] == runs["dip_vae"] == (6 + 1) * len(SEEDS)
    assert runs["vae"] == runs["untrained"] == len(SEEDS)
    assert {spec.seed for spec in specs} == set(SEEDS)
    assert len({spec.run_id for spec in specs}) == len(specs)


def test_the_first_setting_is_the_studys_own():
    found = settings("beta_vae", draws=2)["beta_vae"]
    assert found[0] == {"beta": 4.0}
    assert len({setting["beta"] for setting in found}) == 3


def test_neither_other_methods_nor_the_number_of_draws_move_a_point():
    few, many = (settings("beta_vae", draws=draws)["beta_vae"] for draws in (3, 8))
    assert many[:4] == few
    assert settings("factor_vae", "beta_vae", draws=3)["beta_vae"] == few


def test_points_cover_a_range_evenly():
    some, other = (
        [values["weight"] for values, _ in zip(points(name, {"weight": Linear(0.0, 16.0)}), range(16), strict=False)]
        for name in ("some_vae", "another")
    )
    # Of the first 16 points of a Sobol sequence one lies in each sixteenth.
    assert sorted(np.floor(some)) == sorted(np.floor(other)) == list(range(16))
    assert some != other


def test_a_value_in_brackets_is_fixed_and_not_drawn():
    found = settings("dip_vae[variant=I]", draws=4)["dip_vae"]
    assert {setting["variant"] for setting in found} == {"I"}
    assert len({setting["lambda_od"] for setting in found}) == 5


@pytest.mark.parametrize(
    ("methods", "tuning", "words"),
    [
        (["beta_vae[beta=1,2]"], {}, "'beta_vae[beta=...]' has several values"),
        (["beta_vae", "beta_vae[free_bits=0.1]"], {}, "method 'beta_vae' is chosen twice"),
        (["beta_vae"], {"rule": "migg"}, "--rule migg; did you mean 'mig'?"),
        (["beta_vae"], {"rule": "sap"}, "--rule sap isn't among the study's metrics: add --metric sap"),
        (["beta_vae"], {"rule": "kl"}, "--rule kl: neither direction of this score is better"),
        (["beta_vae"], {"bound": "8 nats"}, "--bound 8 nats: write nats (8.5), a quantile (50%)"),
        (["beta_vae"], {"bound": "120%"}, "--bound 120%: a quantile lies above 0 % and is at most 100 %"),
        (["beta_vae"], {"bound": "0.5x"}, "--bound 0.5x: nothing reconstructs better than the least"),
    ],
)
def test_what_can_not_be_tuned_is_refused_in_one_line(methods, tuning, words):
    with pytest.raises(BenchError) as caught:
        expand(study(*methods, **tuning))
    assert words in str(caught.value)


def test_tuning_seeds_begin_where_nothing_is_judged():
    given = {None: [1000, 1001, 1002], "2": [1000, 1001], 1: [1000], "1005-1006": [1005, 1006], (1004,): [1004]}
    for seeds, wanted in given.items():
        assert make_request("smoke", methods="vae", seeds=seeds, tuning={}).study.seeds == wanted
    with pytest.raises(BenchError, match="seeds 0-1: tuning seeds begin at 1000"):
        expand(resolve("smoke", methods=["beta_vae"], seeds=[0, 1, 1000], tuning={}))


def test_one_data_set_at_a_time_and_shared_hyper_parameters():
    with pytest.raises(BenchError, match="2 data sets are chosen: tune on one at a time"):
        expand(resolve("smoke", datasets=["dsprites[scale=1,2]"], seeds=SEEDS, tuning={}))
    with pytest.raises(BenchError, match="tuning starts from shared hyper-parameters"):
        resolve("smoke", hyper="published", seeds=SEEDS, tuning={})


def test_bounds_are_nats_quantiles_multiples_or_none():
    asked = [bound_asked(TuningSettings(bound=text)) for text in ("", "8.5", "25%", "2x", "none")]
    assert [(bound.kind, bound.value) for bound in asked[:4]] == [
        ("quantile", 0.5), ("nats", 8.5), ("quantile", 0.25), ("multiple", 2.0),
    ]  # fmt: skip
    assert asked[4].kind == bound_asked(TuningSettings(rule="udr")).kind == "none"


class Picky(Method):
    """Refuses half of its settings, or all but the default."""

    @dataclass(frozen=True)
    class Hyper:
        """Two numbers of which the first is the larger one; far ones are refused if they are both large."""

        first: float = 2.0
        second: float = 0.5

        def __post_init__(self) -> None:
            if self.second > self.first:
                raise ValueError("second is above first")

    def loss(self, terms, state, step):
        return Objective(loss=terms.reconstruction, beta=self.full(0.0))


def test_settings_that_a_method_refuses_are_passed_over_at_no_cost_to_its_budget():
    with METHODS.override():
        register_method("picky", tuning={"first": Linear(0.5, 1.0), "second": Linear(0.0, 1.0)})(Picky)
        found = settings("picky", draws=8)["picky"]
        assert len(found) == 9
        assert all(setting["second"] <= setting["first"] for setting in found)


def test_a_method_that_refuses_nearly_everything_is_refused():
    class Narrow(Picky):
        """Both are drawn from where few pairs are allowed."""

    with METHODS.override():
        register_method("narrow", tuning={"first": Linear(0.5, 0.501), "second": Linear(0.49, 2.0)})(Narrow)
        with pytest.raises(BenchError, match="of 16 draws can be run: it refuses too many settings"):
            expand(study("narrow"))


def test_a_study_writes_down_what_it_tries_and_others_are_written_as_before():
    asked = study("vae", "beta_vae", draws=2)
    recorded = with_trials(asked, expand(asked)).model_dump(mode="json")
    assert recorded["tuning"]["trials"]["vae"] == [{}]
    assert recorded["tuning"]["trials"]["beta_vae"] == settings("beta_vae", draws=2)["beta_vae"]
    assert recorded["figures"] == ["budget", "sensitivity"]
    # What it recorded is a study file: the same runs, and the same record.
    again = StudySpec.model_validate(recorded)
    assert [spec.run_id for spec in expand(again)] == [spec.run_id for spec in expand(asked)]
    assert not {"tuning", "tuned"} & resolve("smoke").model_dump(mode="json").keys()


def winners(**changes):
    spec = expand(resolve("smoke", methods=["beta_vae"], seeds=[0]))[0]
    content = {
        "study": "s", "preset": "smoke", "rule": "mig", "draws": 4, "seeds": SEEDS,
        "data": {"name": "dsprites", "version": 1, "sha256": spec.dataset.sha256},
        "train": settings_that_matter(spec.train),
        "method": {
            "beta_vae": {
                "version": 1, "setting": "draw 2", "tried": 5, "value": 0.3, "hyper": {"beta": 2.5, "free_bits": 0.0}
            }
        },
    }  # fmt: skip
    return Winners.model_validate(content | changes).model_dump(mode="json")


def tuned(*methods, seeds=(0, 1), **changes):
    return resolve("smoke", methods=list(methods), seeds=list(seeds), hyper="tuned", tuned=winners(**changes))


def test_tuned_terms_run_the_winner_and_the_default_on_fresh_seeds():
    specs = [spec for spec in expand(tuned("vae", "beta_vae")) if spec.method.name != "untrained"]
    assert [(spec.method.name, spec.method.hyper, spec.seed) for spec in specs] == [
        ("vae", {}, 0), ("vae", {}, 1), ("beta_vae", {"beta": 2.5}, 0), ("beta_vae", {"beta": 2.5}, 1),
        ("beta_vae", {"beta": 4.0}, 0), ("beta_vae", {"beta": 4.0}, 1),
    ]  # fmt: skip
    equal = expand(resolve("smoke", methods=["beta_vae[beta=2.5]"], seeds=[0]))
    assert equal[0].run_id in {spec.run_id for spec in specs}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"seeds": (0, 1001)}, "seeds 1001 were used for tuning"),
        ({"train": TRAIN | {"steps": 301}}, "the tuned settings were found with steps=301"),
        ({"train": {key: TRAIN[key] for key in TRAIN if key != "lr"}}, "the tuned file doesn't say train.lr"),
        ({"data": {"name": "squares", "version": 1, "sha256": "0"}}, "found on other data (squares)"),
        (
            {"method": {"beta_vae": {"version": 1, "setting": "draw 1", "tried": 2, "value": 0.3, "hyper": {}}}},
            "method 'beta_vae': the tuned file doesn't say beta",
        ),
        (
            {"method": {"beta_vae": {"version": 9, "setting": "default", "tried": 1, "value": 0.3}}},
            "method 'beta_vae' was tuned at version 9 and is at 1: tune it again",
        ),
    ],
)
def test_winners_are_used_only_where_they_were_found_and_never_on_their_seeds(given, words):
    with pytest.raises(BenchError) as caught:
        expand(tuned("beta_vae", **given))
    assert words in str(caught.value)


def test_a_tuned_file_may_lack_what_came_later_and_changes_nothing_where_it_is_absent():
    old = {key: TRAIN[key] for key in TRAIN if key not in ("average", "lr_schedule")}
    assert len(expand(tuned("beta_vae", train=old))) == len(expand(tuned("beta_vae")))
    asked = tuned("beta_vae", train=old)
    with pytest.raises(BenchError, match=r"were found with average=0\.0"):
        expand(asked.model_copy(update={"train": asked.train.model_copy(update={"average": 0.5})}))


def test_a_method_that_was_not_tuned_or_is_set_by_hand_is_refused():
    with pytest.raises(BenchError, match=r"method 'factor_vae' isn't in the tuned file \(it has: beta_vae\)"):
        expand(tuned("factor_vae"))
    with pytest.raises(BenchError, match=r"with --tuned, hyper-parameters come from the tuned file"):
        expand(tuned("beta_vae[beta=3]"))
    with pytest.raises(BenchError, match=r"--set beta_vae\.beta: with --tuned"):
        resolve("smoke", settings=["beta_vae.beta=3"], hyper="tuned", tuned=winners())
    with pytest.raises(BenchError, match="--hyper tuned and --tuned FILE belong together"):
        resolve("smoke", hyper="tuned")


def test_a_file_that_is_no_tuned_file_is_told(tmp_path):
    file = tmp_path / "tuned.toml"
    with pytest.raises(BenchError, match=r"tuned\.toml': no such file; bench tune writes one"):
        read_winners(file)
    file.write_text('rule = "mig"\n')
    with pytest.raises(BenchError, match="Field required; bench tune writes it anew"):
        read_winners(file)
