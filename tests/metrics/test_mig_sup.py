import numpy as np
import pytest

from bench.metrics import mig, mig_sup
from bench.metrics.mig_sup import gap_of_codes
from helpers.factors import grid, standardised
from helpers.rng import rng

SIZES = (3, 4, 6)
FACTORS = grid(SIZES)
PERFECT = standardised(FACTORS)


def test_gaps_worked_out_by_hand():
    gaps = gap_of_codes(np.array([[0.7, 0.2, 0.1], [0.0, 0.3, 0.3], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(gaps, [0.5, 0.0, 0.0], atol=1e-15)


def test_perfect_code_scores_one():
    found = mig_sup(PERFECT, FACTORS, rng=rng())
    assert found["mig_sup"] == pytest.approx(1, abs=1e-12)
    assert found["factor_of_latent"] == [0, 1, 2]


def test_a_code_of_two_factors_has_the_gap_of_their_information():
    # The code is 6 v_0 + v_1 with 3 and 6 values: it determines both, so that both shares are 1 and the gap is 0.
    factors = grid((3, 6))
    both = factors @ [[6], [1]]
    assert mig_sup(both, factors, rng=rng())["mig_sup"] == pytest.approx(0, abs=1e-12)
    # MIG doesn't mind: that is what this metric is for.
    assert mig(both, factors, rng=rng())["mig"] == pytest.approx(1, abs=1e-12)


def test_information_is_divided_by_the_entropy_of_the_factor_not_of_the_code():
    # The code is the upper bit of a factor of four values: log 2 of its log 4, but all that the code has.
    factors = grid((2, 4))
    halved = (factors[:, 1] >= 2)[:, None]
    found = mig_sup(halved, factors, rng=rng())
    assert found["mig_sup"] == pytest.approx(np.log(2) / np.log(4), abs=1e-12)
    assert found["information_per_factor"] == pytest.approx([0, 0.5], abs=1e-12)


def test_mean_is_over_codes():
    # One code of one factor, one of half of it and half of nothing else, one that mixes two evenly.
    factors = grid((2, 4))
    codes = np.column_stack([factors[:, 0], factors[:, 1] >= 2, factors @ [4, 1]])
    found = mig_sup(codes.astype(float), factors, prune_threshold=0, rng=rng())
    assert found["mig_sup_per_latent"] == pytest.approx([1, 0.5, 0], abs=1e-12)
    assert found["mig_sup"] == pytest.approx(0.5, abs=1e-12)


def test_copies_and_missing_factors_cost_nothing():
    assert mig_sup(np.hstack([PERFECT, PERFECT]), FACTORS, rng=rng())["mig_sup"] == pytest.approx(1, abs=1e-12)
    found = mig_sup(PERFECT[:, :1], FACTORS, rng=rng())
    assert found["mig_sup"] == pytest.approx(1, abs=1e-12)
    assert found["information_per_factor"] == pytest.approx([1, 0, 0], abs=1e-12)


def test_noise_counts_as_nothing_unless_it_is_known_to_be_noise():
    many = np.tile(PERFECT, (40, 1))
    factors = np.tile(FACTORS, (40, 1))
    codes = np.hstack([many, 0.05 * rng(1).normal(size=(len(many), 3))])
    logvar = np.hstack([np.full(many.shape, -4.0), np.zeros((len(many), 3))])
    assert mig_sup(codes, factors, logvar, rng=rng())["inactive"] == [3, 4, 5]
    assert mig_sup(codes, factors, logvar, rng=rng())["mig_sup"] == pytest.approx(1, abs=1e-12)
    all_codes = mig_sup(codes, factors, logvar, prune_threshold=0, rng=rng())["mig_sup"]
    assert all_codes == pytest.approx(0.5, abs=0.02)


def test_constant_codes_take_no_part_and_with_none_left_it_is_zero():
    padded = np.hstack([PERFECT, np.full((len(PERFECT), 2), 0.1)])
    for threshold in (0.0, 0.1):
        assert mig_sup(padded, FACTORS, prune_threshold=threshold, rng=rng())["inactive"] == [3, 4]
    nothing = mig_sup(np.ones((len(FACTORS), 2)), FACTORS, rng=rng())
    assert (nothing["mig_sup"], nothing["n_active"], nothing["mig_sup_per_latent"]) == (0, 0, [None, None])


def test_error_covers_what_few_rows_add():
    factors = rng(2).integers(4, size=(300, 2))
    found = mig_sup(rng(3).normal(size=(300, 4)), factors, rng=rng())
    # The truth is 0.
    assert 0 < found["mig_sup"] < 3 * found["mig_sup_error"]
    assert "mig_sup" in found["marks"]


def test_factor_with_one_value_is_left_out_and_two_must_be_left():
    padded = np.insert(FACTORS, 1, 5, axis=1)
    found = mig_sup(PERFECT, padded, rng=rng())
    assert (found["factors_left_out"], found["factor_of_latent"]) == ([1], [0, 2, 3])
    with pytest.raises(ValueError, match="needs 2 factors"):
        mig_sup(PERFECT, FACTORS[:, :1], rng=rng())


@pytest.mark.parametrize("options", [{"n_bins": 1}, {"n_samples": 1}, {"prune_threshold": -1.0}])
def test_refuses(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        mig_sup(PERFECT, FACTORS, rng=rng(), **options)
