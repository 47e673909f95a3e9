"""The record of a controller, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from bench.claims.measures import OF_CURVES, OF_RUNS
from bench.results.control import BAND, controller_record, limits
from bench.training.log import end_of, final

ROWS = 40  # of which the last two are the end


def curves(error: list[float] | float, *, beta: float | list[float] = 2.0, rises: int = 10) -> pd.DataFrame:
    """A set point that rises to 4 nats in so many rows, and a KL so far from it."""
    target = 4.0 * np.minimum(np.arange(1, ROWS + 1) / rises, 1)
    return pd.DataFrame(
        {"step": 10 * np.arange(1.0, ROWS + 1), "kl": target + error, "beta": beta, "set_point": target}
    )


def record_of(table: pd.DataFrame, **limits: float) -> dict[str, object]:
    found = controller_record(table, **limits)
    assert found is not None
    return dict(found)


def test_a_kl_on_its_set_point_arrives_when_the_set_point_has_its_end_value() -> None:
    assert record_of(curves(0.0), floor=0.1) == {
        "arrived": True, "latched": False, "arrival_step": 100, "mean_error": 0.0, "rms_error": 0.0,
        "overshoot": 0.0, "floor_share": 0.0, "ceiling_share": None,
    }  # fmt: skip


def test_arrival_is_the_last_time_that_the_smoothed_error_comes_within_the_band() -> None:
    error = [0.0] * 20 + [1.0] + [0.0] * 19
    found = record_of(curves(error))
    # The mean over two rows is half a nat in the 21st and the 22nd.
    assert (found["arrival_step"], found["overshoot"], found["arrived"]) == (230, 0.5, True)


def test_what_is_within_the_band_only_before_the_end_never_arrives() -> None:
    found = record_of(curves([0.0] * 38 + [0.3, 0.3]))
    assert (found["arrived"], found["arrival_step"]) == (False, None)
    assert found["mean_error"] == found["rms_error"] == pytest.approx(0.3)


def test_the_band_ends_where_it_says() -> None:
    assert record_of(curves(0.99 * BAND))["arrived"]
    assert record_of(curves(-0.99 * BAND))["arrived"]
    assert not record_of(curves(1.01 * BAND))["arrived"]
    assert not record_of(curves(-1.01 * BAND))["arrived"]


def test_errors_that_cancel_arrive_and_show_in_their_root_mean_square() -> None:
    found = record_of(curves([0.0] * 38 + [0.5, -0.5]))
    assert (found["arrived"], found["mean_error"], found["rms_error"]) == (True, 0.0, 0.5)


def test_a_weight_at_its_floor_is_latched_only_if_the_kl_lies_above_the_set_point() -> None:
    stuck = [2.0] * 37 + [0.1] * 3
    assert record_of(curves(3.0, beta=stuck), floor=0.1)["latched"] is True
    assert record_of(curves(-3.0, beta=stuck), floor=0.1)["latched"] is False
    assert record_of(curves(3.0, beta=stuck), floor=0.05)["latched"] is False
    assert record_of(curves(3.0, beta=stuck))["floor_share"] is None
    left = record_of(curves(3.0, beta=[2.0] * 37 + [0.1, 0.1, 0.2]), floor=0.1)
    assert (left["latched"], left["floor_share"]) == (False, 0.5)


def test_a_weight_at_its_ceiling_is_latched_only_if_the_kl_lies_below_the_set_point() -> None:
    found = record_of(curves(-1.0, beta=50.0), floor=0.1, ceiling=50.0)
    assert (found["latched"], found["floor_share"], found["ceiling_share"]) == (True, 0.0, 1.0)
    assert record_of(curves(1.0, beta=50.0), ceiling=50.0)["latched"] is False
    assert record_of(curves(0.0, beta=0.0), floor=0.0, ceiling=50.0)["ceiling_share"] == 0.0


def test_a_set_point_that_is_still_rising_has_not_been_arrived_at() -> None:
    found = record_of(curves(0.0, rises=80), end=4.0)
    assert (found["arrived"], found["overshoot"], found["mean_error"]) == (False, None, 0.0)


def test_without_a_set_point_or_a_kl_at_the_end_there_is_no_record() -> None:
    assert controller_record(curves(0.0).assign(set_point=math.nan)) is None
    assert controller_record(curves(0.0).assign(kl=math.nan)) is None
    assert controller_record(curves(0.0)[:0]) is None
    stage_2 = curves(0.0)
    stage_2.loc[20:, "set_point"] = math.nan
    assert controller_record(stage_2) is None


def test_claims_measure_the_same_things_by_the_same_definitions() -> None:
    table = curves([0.0] * 38 + [0.5, 0.3], beta=[2.0] * 38 + [0.1, 0.5])
    found = record_of(table, floor=0.1)
    row = {"steps": 400, "hyper.beta_min": 0.1, "final.kl": table["kl"][-2:].mean(), "final.set_point": 4.0}
    assert OF_CURVES["floor_share"](row, table) == found["floor_share"] == 0.5
    assert OF_RUNS["set_point_error"](row) == pytest.approx(abs(float(str(found["mean_error"]))))


@pytest.mark.parametrize(("rows", "last"), [(1, 1), (19, 1), (20, 1), (21, 2), (60, 3), (0, 0)])
def test_the_end_of_curves_is_their_last_twentieth_rounded_up(rows: int, last: int) -> None:
    assert len(np.zeros(rows)[end_of(rows)]) == last
    table = np.arange(float(rows))[:, None] * np.ones((1, 5))
    assert final(table)["kl"] == (None if not rows else pytest.approx(np.arange(rows)[-last:].mean()))


def test_methods_say_where_their_weight_and_set_point_end() -> None:
    import bench.methods.annealed_vae
    import bench.methods.control_vae
    import bench.methods.vae  # noqa: F401

    hyper = {"set_point": 9.0, "beta_min": 0.1, "gamma": 100.0}
    assert limits("control_vae", hyper) == {"floor": 0.1, "end": 9.0}
    assert limits("annealed_vae", hyper) == {"end": 9.0}
    assert limits("vae", {}) == limits("somebody_elses", {}) == {}
