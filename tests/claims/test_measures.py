"""What claims measure, by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from bench.claims.measures import OF_CURVES, OF_RUNS, OF_SCORES, known_measures, measure

CURVES = pd.DataFrame(
    {
        "step": [10.0, 20, 30, 40, 50, 60],
        "kl": [7.0, 1.5, 2.0, 3.5, 4.1, 3.9],
        "beta": [9.0, 8, 4, 0.1, 0.1, 0.2],
        "set_point": [1.0, 2, 2, 3, 4, 4],
        "kl_0": [0.5, 0.0, 0.4, 0.4, 0.4, 0.4],
        "kl_1": [0.0, 0.0, 0.0, 0.4, 0.4, 0.4],
        "kl_2": [0.0, 0.0, 0.4, 0.4, 0.4, 0.4],
        "kl_3": [0.9, 0.9, 0.9, 0.9, 0.9, 0.9],
        "kl_4": [0.0, 0.4, 0.4, 0.4, 0.4, 0.0],
    }
)
RUN = {
    "steps": 60,
    "hyper.beta_min": 0.1,
    "hyper.set_point_step": 1.0,
    "final.reconstruction": 20.0,
    "final.kl": 3.8,
    "final.beta": 5.0,
    "final.set_point": 4.0,
    "kl": 3.5,
    "elbo_index_code_mi": 3.0,
}


SCORES = pd.DataFrame({"step": [10.0, 20, 30, 40, 50, 55, 60], "mig": [0.1, 0.5, 0.2, 0.45, 0.3, 0.45, 0.4], "kl": 1.0})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kl_overshoot", 6.0),
        ("tracking_error", math.sqrt((36 + 0.25 + 0 + 0.25 + 0.01 + 0.01) / 6)),
        ("late_tracking_error", 0.1),
        ("set_point_error", 0.2),
        ("floor_share", 0.0),
        ("reconstruction_at_set_point", 19.0),
        # kl_0 and kl_2 at the second step of 2 nats, kl_1 at 3; kl_3 was never low, kl_4 falls again.
        ("latents_one_by_one", 2.0),
        ("information_minus_kl", -0.5),
        ("mig_since_start", -0.1),
        # The set point is 4 from the fifth step on.
        ("mig_since_arrival", -0.05),
        ("mig_range_late", 0.25),
    ],
)
def test_functions_of_curves_by_hand(name: str, value: float) -> None:
    assert measure(name, RUN, lambda: CURVES, lambda: SCORES) == pytest.approx(value)


def test_every_function_of_curves_has_a_test_and_a_meaning() -> None:
    (marks,) = [mark for mark in test_functions_of_curves_by_hand.pytestmark if mark.name == "parametrize"]
    assert {case[0] for case in marks.args[1]} == {*OF_RUNS, *OF_CURVES, *OF_SCORES}
    assert all((function.__doc__ or "").strip() for function in (OF_RUNS | OF_CURVES | OF_SCORES).values())


def test_the_floor_is_seen_at_its_value_and_not_beside_it() -> None:
    curves = CURVES.assign(beta=[9.0, 8, 4, 0.3, 0.2, 0.1])
    assert OF_CURVES["floor_share"](RUN, curves) == 1.0
    assert OF_CURVES["floor_share"]({**RUN, "hyper.beta_min": 0.05}, curves) == 0.0
    assert math.isnan(OF_CURVES["floor_share"]({"steps": 60}, curves))


def test_a_method_without_a_set_point_has_no_tracking_error() -> None:
    curves = CURVES.assign(set_point=math.nan)
    for name in ("kl_overshoot", "tracking_error", "late_tracking_error", "latents_one_by_one"):
        assert math.isnan(OF_CURVES[name](RUN, curves)), name


def test_curves_are_only_read_where_they_are_needed() -> None:
    def never() -> pd.DataFrame:
        raise AssertionError("read")

    assert "tracking_error" in known_measures()
    assert measure("mig", {"mig": 0.3}, never) == 0.3
    assert math.isnan(measure("mig", {}, never))
    with pytest.raises(AssertionError):
        measure("tracking_error", RUN, never)
