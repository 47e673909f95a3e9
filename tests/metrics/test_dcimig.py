import numpy as np
import pytest

from bench.metrics import dcimig, mig
from bench.metrics.dcimig import best_gaps
from helpers.factors import grid, standardised
from helpers.rng import rng

SIZES = (3, 4, 6)
FACTORS = grid(SIZES)
PERFECT = standardised(FACTORS)


def one_at_a_time(information: np.ndarray, entropy: np.ndarray) -> float:
    """The definition of Carbonneau et al., equation 8, in loops."""
    score = dict.fromkeys(range(len(entropy)), 0.0)
    for row in information:
        first, second = sorted(row, reverse=True)[:2]
        k = list(row).index(first)
        score[k] = max(score[k], first - second)
    return sum(score.values()) / entropy.sum()


def test_gaps_worked_out_by_hand():
    gaps, owner, best = best_gaps(np.array([[0.9, 0.2], [0.5, 0.4], [0.1, 0.1], [0.2, 0.6]]))
    np.testing.assert_allclose(gaps, [0.7, 0.1, 0.0, 0.4], atol=1e-15)
    assert owner.tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(best, [0.7, 0.4], atol=1e-15)


def test_perfect_code_scores_one():
    found = dcimig(PERFECT, FACTORS, rng=rng())
    assert found["dcimig"] == pytest.approx(1, abs=1e-12)
    assert found["dcimig_per_factor"] == pytest.approx([1, 1, 1], abs=1e-12)


@pytest.mark.parametrize("missing", range(3))
def test_a_missing_factor_costs_its_share_of_the_entropy(missing):
    kept = [k for k in range(3) if k != missing]
    expected = np.log([SIZES[k] for k in kept]).sum() / np.log(SIZES).sum()
    found = dcimig(PERFECT[:, kept], FACTORS, rng=rng())
    assert found["dcimig"] == pytest.approx(expected, abs=1e-12)
    assert found["dcimig_per_factor"][missing] == 0


def test_a_code_of_two_factors_has_the_difference_of_their_entropies():
    # 6 v_0 + v_1 determines both: information log 3 and log 6, and the gap log 2 belongs to the second.
    factors = grid((3, 6))
    both = factors @ [[6], [1]]
    found = dcimig(both, factors, rng=rng())
    assert found["dcimig"] == pytest.approx(np.log(2) / np.log(18), abs=1e-12)
    assert found["factor_of_latent"] == [1]
    assert mig(both, factors, rng=rng())["mig"] == pytest.approx(1, abs=1e-12)


def test_copies_noise_and_constants_cost_nothing():
    many, factors = np.tile(PERFECT, (40, 1)), np.tile(FACTORS, (40, 1))
    codes = np.hstack([many, many[:, :2], rng(1).normal(size=(len(many), 3)), np.ones((len(many), 1))])
    found = dcimig(codes, factors, rng=rng())
    assert found["dcimig"] == pytest.approx(1, abs=1e-12)
    assert found["n_active"] == 8


def test_noise_and_constants_alone_score_nothing():
    factors = grid(SIZES)[rng(1).integers(np.prod(SIZES), size=10_000)]
    assert dcimig(rng(2).normal(size=(10_000, 6)), factors, rng=rng())["dcimig"] < 0.002
    assert dcimig(np.ones((len(factors), 2)), factors, rng=rng())["dcimig"] == 0


def test_equals_loops():
    factors = grid(SIZES)[rng(3).integers(np.prod(SIZES), size=1500)]
    codes = factors @ rng(3).normal(size=(3, 6)) + rng(3).normal(size=(1500, 6))
    found = dcimig(codes, factors, rng=rng())
    expected = one_at_a_time(np.array(found["mutual_information"]), np.array(found["entropy"]))
    assert found["dcimig"] == pytest.approx(expected, abs=1e-12)
    assert 0.05 < expected < 0.9


def test_rotation_lowers_the_score():
    turn = np.linalg.qr(rng(5).normal(size=(3, 3)))[0]
    assert dcimig(PERFECT @ turn, FACTORS, rng=rng())["dcimig"] < 0.5


def test_error_covers_what_few_rows_add():
    factors = rng(2).integers(4, size=(300, 2))
    found = dcimig(rng(3).normal(size=(300, 4)), factors, rng=rng())
    # The truth is 0.
    assert 0 < found["dcimig"] < 3 * found["dcimig_error"]
    assert "dcimig" in found["marks"]


def test_factor_with_one_value_is_left_out_and_two_must_be_left():
    found = dcimig(PERFECT, np.insert(FACTORS, 1, 5, axis=1), rng=rng())
    assert (found["factors_left_out"], found["factor_of_latent"]) == ([1], [0, 2, 3])
    with pytest.raises(ValueError, match="needs 2 factors"):
        dcimig(PERFECT, FACTORS[:, :1], rng=rng())


@pytest.mark.parametrize("options", [{"n_bins": 1}, {"n_samples": 1}])
def test_refuses(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        dcimig(PERFECT, FACTORS, rng=rng(), **options)
