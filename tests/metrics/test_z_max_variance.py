import numpy as np
import pytest

from bench.metric import NotApplicableError
from bench.metrics import factor_vae_score, z_max_variance
from bench.metrics.z_max_variance import rows_that_differ_in
from helpers.factors import grid, standardised
from helpers.rng import rng

SIZES = (3, 4, 5)
FACTORS = grid(SIZES)
PERFECT = standardised(FACTORS)
VOTES = {"n_votes_train": 500, "n_votes_test": 500}


def score(codes, factors=FACTORS, *others, **options):
    return z_max_variance(codes, factors, *others, **(VOTES | options), rng=rng())


class TestPartners:
    def test_on_a_grid_every_row_has_one_for_every_factor(self):
        for k, n_values in enumerate(SIZES):
            rows, group = rows_that_differ_in(FACTORS, k)
            assert rows.tolist() == list(range(len(FACTORS)))
            assert (np.bincount(group) == n_values).all()
            for number in np.unique(group):
                others = np.delete(FACTORS[group == number], k, axis=1)
                assert (others == others[0]).all()

    def test_rows_by_hand(self):
        factors = np.array([[0, 0], [0, 1], [1, 1], [1, 1], [2, 2]])
        assert rows_that_differ_in(factors, 0)[0].tolist() == [1, 2, 3]
        assert rows_that_differ_in(factors, 1)[0].tolist() == [0, 1]

    def test_repeated_rows_are_no_partners(self):
        rows, _ = rows_that_differ_in(np.array([[0, 0], [0, 0], [1, 1]]), 0)
        assert len(rows) == 0


def test_perfect_code_scores_one_even_from_pairs_of_rows():
    found = score(PERFECT)
    assert (found["z_max_variance"], found["factor_of_latent"]) == (1, [0, 1, 2])
    assert score(PERFECT, batch_size=2)["z_max_variance"] > 0.75
    # A sample in which rows that differ in one factor alone are pairs.
    few = rng(1).permutation(len(FACTORS))[:20]
    assert score(PERFECT[few], FACTORS[few])["z_max_variance"] == 1


def test_a_missing_factor_is_named_by_the_first_code_and_lost():
    found = score(PERFECT[:, [1, 0]])
    # Votes for the third factor fall to the code that stands first; which of the two factors it then names is chance.
    assert found["votes"][1][2] == 0
    assert found["z_max_variance"] == pytest.approx(2 / 3, abs=0.05)


def test_noise_is_at_chance():
    factors = np.tile(FACTORS, (20, 1))
    assert score(rng(1).normal(size=(len(factors), 4)), factors)["z_max_variance"] == pytest.approx(1 / 3, abs=0.06)


def test_copies_of_codes_and_scale_cost_nothing():
    assert score(np.hstack([PERFECT, PERFECT]) * [1, 2, 3, 0.5, 0.4, 4])["z_max_variance"] == 1


def test_what_varies_most_hides_the_rest():
    # Every code is three parts its own factor and one part of each other.
    mixed = PERFECT @ (np.full((3, 3), 0.25) + 0.5 * np.eye(3))
    assert score(mixed)["z_max_variance"] == 1


def test_merged_codes_lose():
    merged = np.column_stack([FACTORS[:, 0] * 4 + FACTORS[:, 1], FACTORS[:, 2]]).astype(float)
    found = score(merged)
    assert found["z_max_variance"] == pytest.approx(2 / 3, abs=0.06)
    assert factor_vae_score(merged, FACTORS, **VOTES, rng=rng())["factor_vae_score"] < 0.8


def test_constant_and_collapsed_codes_take_no_part():
    codes = np.hstack([np.ones((len(FACTORS), 1)), PERFECT, 1e-3 * rng(2).normal(size=(len(FACTORS), 1))])
    logvar = np.hstack([np.full((len(FACTORS), 4), -4.0), np.zeros((len(FACTORS), 1))])
    found = score(codes, FACTORS, logvar)
    assert (found["z_max_variance"], found["inactive"]) == (1, [0, 4])
    nothing = score(np.ones((len(FACTORS), 2)))
    assert (nothing["z_max_variance"], nothing["n_active"]) == (0, 0)


def test_a_factor_that_never_varies_alone_is_left_out():
    # The last factor follows the second.
    factors = np.column_stack([grid((3, 4)), grid((3, 4))[:, 1]])
    with pytest.raises(NotApplicableError, match="1 of 3"):
        score(standardised(factors), factors)
    wider = np.column_stack([FACTORS, FACTORS[:, 0] * 0])
    found = score(PERFECT, wider)
    assert (found["factors_left_out"], found["accuracy_per_factor"]) == ([3], [1.0, 1.0, 1.0, None])
    assert found["rows_voted_on_per_factor"] == [60, 60, 60, 0]


def test_error_is_the_spread_of_the_score_over_draws_of_votes():
    factors = np.tile(FACTORS, (5, 1))
    codes = np.tile(PERFECT, (5, 1)) + 0.8 * rng(3).normal(size=(300, 3))
    found = [z_max_variance(codes, factors, n_votes_test=200, batch_size=3, rng=rng(key)) for key in range(30)]
    spread = np.std([result["z_max_variance"] for result in found])
    assert 0.6 < spread / np.mean([result["z_max_variance_error"] for result in found]) < 1.5


@pytest.mark.parametrize("options", [{"n_votes_train": 0}, {"n_votes_test": 0}, {"batch_size": 1}])
def test_refuses(options):
    with pytest.raises(ValueError, match="votes must be"):
        score(PERFECT, **options)
