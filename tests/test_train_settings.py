"""``spec.json`` as it has been since the first runs: read whole, or refused."""

from __future__ import annotations

import pytest

from bench.spec import RunSpec
from helpers.specs import run_spec


def layout(**changes):
    return run_spec("beta_vae").model_dump(mode="json") | changes


def test_a_spec_is_read_from_what_it_is_written_to():
    spec = run_spec("beta_vae").with_train(average=0.25, lr_schedule="one_cycle", score_every=4)
    assert RunSpec.model_validate_json(spec.model_dump_json()) == spec
    assert RunSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert spec.model_dump()["optimizer"]["average"] == 0.25


def test_neutral_options_are_left_out():
    assert not {"schedule", "average"} & layout()["optimizer"].keys()
    assert not {"score_every", "train", "network_version"} & layout().keys()


@pytest.mark.parametrize("value", [5, None, True, "adam", [], [["name", "adam"]]])
@pytest.mark.parametrize("table", ["network", "optimizer"])
def test_a_table_that_is_none_is_refused(table, value):
    with pytest.raises(ValueError, match=f"{table} should be an object"):
        RunSpec.model_validate(layout(**{table: value}))


@pytest.mark.parametrize(
    ("key", "message"),
    [("steps", "lacks steps"), ("batch_size", "lacks batch_size"), ("threads", "lacks threads")],
)
def test_what_is_missing_is_named(key, message):
    content = layout()
    del content[key]
    with pytest.raises(ValueError, match=message):
        RunSpec.model_validate(content)


@pytest.mark.parametrize(("table", "key"), [("optimizer", "lr"), ("optimizer", "name"), ("network", "version")])
def test_what_is_missing_in_a_table_is_refused(table, key):
    content = layout()
    del content[table][key]
    with pytest.raises(ValueError, match=r"lacks optimizer\.lr|optimizer\.name|network_version"):
        RunSpec.model_validate(content)


@pytest.mark.parametrize(
    "change",
    [{"colour": 1}, {"network_version": 1}, {"optimizer": {**layout()["optimizer"], "rate": 1}}],
)
def test_what_nobody_knows_is_refused(change):
    with pytest.raises(ValueError, match=r"colour|network_version|optimizer\.rate"):
        RunSpec.model_validate(layout(**change))


def test_an_impossible_option_is_refused_when_a_spec_is_changed():
    with pytest.raises(ValueError, match="score_every=3 must be a multiple"):
        run_spec("vae").with_train(score_every=3)
    with pytest.raises(ValueError, match="stepps"):
        run_spec("vae").with_train(stepps=3)
