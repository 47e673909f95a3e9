import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import factor_vae_score
from bench.metrics._votes import Slices
from bench.registry import METRICS
from helpers.factors import grid
from helpers.rng import rng

SIZES = (3, 4, 5, 4, 3)
FEW = {"n_votes_train": 2000, "n_votes_test": 1000}


FACTORS = grid(SIZES)
PERFECT = FACTORS / FACTORS.std(axis=0)


def test_is_registered_with_the_columns_it_returns():
    entry = METRICS.get("factor_vae_score")
    result = factor_vae_score(PERFECT, FACTORS, **FEW, rng=rng())
    assert entry.value is factor_vae_score
    assert set(entry.info.scores) <= set(result)
    json.dumps(result, allow_nan=False)


def test_perfect_code_scores_one():
    result = factor_vae_score(PERFECT[:, [2, 0, 1, 4, 3]], FACTORS, rng=rng())
    assert result["factor_vae_score"] == 1
    assert result["factor_of_latent"] == [2, 0, 1, 4, 3]
    assert result["accuracy_per_factor"] == [1.0] * 5
    assert np.sum(result["votes"]) == 10_000


def test_noise_scores_chance():
    noise = rng(1).normal(size=(len(FACTORS), 10))
    score = factor_vae_score(noise, FACTORS[rng(2).permutation(len(FACTORS))], rng=rng())["factor_vae_score"]
    # Above 1/5, because the table is small and the code isn't exactly independent of the factors in it.
    assert 0.18 < score < 0.4


def test_large_noise_table_scores_chance():
    draw = rng(3)
    noise, factors = draw.normal(size=(50_000, 10)), draw.integers(4, size=(50_000, 5))
    assert factor_vae_score(noise, factors, **FEW, rng=rng())["factor_vae_score"] == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize("threshold", [0.05, 0.0])
def test_constant_latents_change_nothing(threshold):
    padded = np.hstack([np.full((len(PERFECT), 2), 0.1), PERFECT, np.zeros((len(PERFECT), 3))])
    plain = factor_vae_score(PERFECT, FACTORS, **FEW, rng=rng())
    result = factor_vae_score(padded, FACTORS, prune_threshold=threshold, **FEW, rng=rng())
    assert result["factor_vae_score"] == plain["factor_vae_score"] == 1
    assert (result["n_active"], plain["n_active"]) == (5, 5)
    assert result["standard_deviation"][0] == 0


def test_almost_constant_latents_are_pruned_by_the_threshold():
    # Nearly collapsed latents whose little variance follows no factor.
    codes = np.hstack([PERFECT, rng(4).normal(scale=0.04, size=(len(PERFECT), 2))])
    assert factor_vae_score(codes, FACTORS, **FEW, rng=rng())["n_active"] == 5
    assert factor_vae_score(codes, FACTORS, **FEW, prune_threshold=0.03, rng=rng())["n_active"] == 7


def test_no_active_latent_scores_zero():
    result = factor_vae_score(np.full((len(FACTORS), 3), 2.5), FACTORS, rng=rng())
    assert (result["factor_vae_score"], result["n_active"]) == (0, 0)
    json.dumps(result, allow_nan=False)


def test_missing_factors_cost_their_votes():
    # Three of five factors are coded; votes on the other two are never classified as theirs.
    result = factor_vae_score(PERFECT[:, :3], FACTORS, rng=rng())
    assert result["factor_vae_score"] == pytest.approx(0.6, abs=0.03)
    assert result["accuracy_per_factor"][3:] == [0, 0]


def test_duplicates_and_small_rotations_are_not_seen():
    doubled = np.hstack([PERFECT, PERFECT])
    assert factor_vae_score(doubled, FACTORS, **FEW, rng=rng())["factor_vae_score"] == 1
    cos, sin = np.cos(np.pi / 8), np.sin(np.pi / 8)
    turn = np.eye(5)
    turn[:2, :2] = turn[2:4, 2:4] = [[cos, -sin], [sin, cos]]
    assert factor_vae_score(PERFECT @ turn, FACTORS, **FEW, rng=rng())["factor_vae_score"] > 0.99
    turn[:2, :2] = turn[2:4, 2:4] = [[np.sqrt(0.5), -np.sqrt(0.5)], [np.sqrt(0.5), np.sqrt(0.5)]]
    assert factor_vae_score(PERFECT @ turn, FACTORS, **FEW, rng=rng())["factor_vae_score"] < 0.9


def test_wrong_factors_for_the_codes_score_less():
    # Negative control: the score must notice that rows don't belong together.
    shuffled = FACTORS[rng(7).permutation(len(FACTORS))]
    assert factor_vae_score(PERFECT, shuffled, **FEW, rng=rng())["factor_vae_score"] < 0.5


def test_factor_with_one_value_is_not_voted_on():
    padded = np.insert(FACTORS, 2, 1, axis=1)
    plain = factor_vae_score(PERFECT, FACTORS, **FEW, rng=rng())
    result = factor_vae_score(PERFECT, padded, **FEW, rng=rng())
    assert result["factors_left_out"] == [2]
    assert result["accuracy_per_factor"][2] is None
    assert np.sum(result["votes"], axis=0)[2] == 0
    assert result["factor_vae_score"] == plain["factor_vae_score"]


def test_same_key_same_value():
    noise = rng(8).normal(size=(len(FACTORS), 4))
    first = factor_vae_score(noise, FACTORS, **FEW, rng=rng(0))
    assert first == factor_vae_score(noise, FACTORS, **FEW, rng=rng(0))
    assert first["votes"] != factor_vae_score(noise, FACTORS, **FEW, rng=rng(1))["votes"]


def test_rows_of_a_batch_share_the_value_and_all_rows_come_up():
    column = np.array([5, 1, 5, 9, 1, 5, 9])
    part = Slices(column)
    anchors = np.repeat(np.arange(7), 40)
    rows = part.draw(anchors, 8, rng())
    np.testing.assert_array_equal(column[rows], np.broadcast_to(column[anchors][:, None], rows.shape))
    counts = np.bincount(rows[column[anchors] == 5].ravel(), minlength=7)[[0, 2, 5]]
    assert counts.min() > 0.8 * counts.mean()


def test_values_of_a_factor_are_drawn_through_rows():
    # A value held by nine tenths of the rows is fixed in nine tenths of the votes: there the first code is
    # constant; at the rare value the second one is.
    common = np.arange(1000) < 900
    draw = rng(9)
    codes = np.stack(
        [np.where(common, 0.0, draw.normal(size=1000)), np.where(common, draw.normal(size=1000), 0)], axis=1
    )
    factors = np.stack([common.astype(int), draw.integers(2, size=1000)], axis=1)
    votes = np.array(factor_vae_score(codes, factors, rng=rng())["votes"])[:, 0]
    assert votes[0] / votes.sum() == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(
    ("codes", "factors", "options", "message"),
    [
        (np.full((4, 2), np.inf), grid((2, 2)), {}, "infinite"),
        (np.arange(4.0), grid((2, 2)), {}, "shape"),
        (np.eye(4), np.zeros((4, 2), dtype=int), {}, "2 factors"),
        (np.eye(4), np.arange(4)[:, None], {}, "2 factors"),
        (np.eye(1), np.ones((1, 2), dtype=int), {}, "2 factors"),
        (np.eye(4), grid((2, 2)), {"batch_size": 1}, "batch_size"),
        (np.eye(4), grid((2, 2)), {"n_votes_test": 0}, "n_votes_test"),
    ],
)
def test_refuses(codes, factors, options, message):
    with pytest.raises(ValueError, match=message):
        factor_vae_score(codes, factors, rng=rng(), **options)


@settings(deadline=None, max_examples=15)
@given(key=st.integers(0, 2**32), scale=st.sampled_from([-1.0, 0.5, 2.0, -8.0]))
def test_is_bounded_and_ignores_order_sign_and_scale(key, scale):
    draw = rng(key)
    codes, factors = draw.normal(size=(60, 3)), draw.integers(3, size=(60, 2))
    order = draw.permutation(3)
    few = {"n_votes_train": 300, "n_votes_test": 200}
    plain = factor_vae_score(codes, factors, **few, rng=rng())
    changed = factor_vae_score(codes[:, order] * scale, factors, **few, rng=rng())
    assert 0 <= plain["factor_vae_score"] <= 1
    assert changed["factor_vae_score"] == plain["factor_vae_score"]
    assert changed["votes"] == [plain["votes"][j] for j in order]
