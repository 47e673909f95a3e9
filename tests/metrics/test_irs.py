import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import irs
from helpers.factors import grid, standardised
from helpers.rng import rng

SIZES = (3, 4, 5)


FACTORS = np.tile(grid(SIZES), (5, 1))
PERFECT = standardised(FACTORS)


def test_perfect_and_duplicated_codes_score_one():
    result = irs(PERFECT[:, [2, 0, 1]], FACTORS, rng=rng())
    assert result["irs"] == pytest.approx(1, abs=1e-12)
    assert result["factor_of_latent"] == [2, 0, 1]
    assert irs(np.hstack([PERFECT, PERFECT]), FACTORS, rng=rng())["irs"] == pytest.approx(1, abs=1e-12)
    json.dumps(result, allow_nan=False)


def test_by_hand():
    # z moves by 1 or 3 around 0 while the factor is held at 0 or 1, of a largest deviation of 3.
    codes = np.array([[-1.0], [1], [-3], [3]])
    result = irs(codes, np.array([[0], [0], [1], [1]]), rng=rng())
    assert result["irs"] == pytest.approx(1 - 2 / 3)
    assert result["maximal_deviation"] == [3]
    # Three codes of weights 3, 1, 1 and scores 1/3, 1, 1.
    padded = np.hstack([codes, np.array([[-1.0, 1], [-1, 1], [1, -1], [1, -1]])])
    both = irs(padded, np.array([[0], [0], [1], [1]]), rng=rng())
    assert both["irs"] == pytest.approx((3 / 3 + 1 + 1) / 5)
    # Negative control: without the weights it is another number.
    assert both["irs"] != pytest.approx(np.mean(both["irs_per_latent"]), abs=0.01)


def test_equals_a_loop():
    codes = FACTORS @ rng(1).normal(size=(3, 4)) + rng(2).normal(size=(len(FACTORS), 4))
    for q in (0.5, 0.99, 1.0):
        result = irs(codes, FACTORS, quantile=q, rng=rng())
        for j in range(4):
            z = codes[:, j]
            for k in range(3):
                groups = [z[FACTORS[:, k] == v] for v in range(SIZES[k])]
                spread = np.mean([np.quantile(abs(g - g.mean()), q) for g in groups])
                assert result["robustness"][j][k] == pytest.approx(1 - spread / abs(z - z.mean()).max(), abs=1e-12)


def test_noise_rotation_and_quantile():
    noise = rng(1).normal(size=(3000, 4))
    factors = FACTORS[rng(2).integers(len(FACTORS), size=3000)]
    assert 0.25 < irs(noise, factors, rng=rng())["irs"] < 0.5
    assert irs(noise, factors, quantile=1.0, rng=rng())["irs"] < 0.25
    turn = np.linalg.qr(rng(5).normal(size=(3, 3)))[0]
    assert irs(PERFECT @ turn, FACTORS, rng=rng())["irs"] < 0.6


def test_collapse_is_rewarded_and_all_constant_scores_zero():
    partly = np.hstack([PERFECT[:, :1], np.full((len(PERFECT), 3), 0.1)])
    result = irs(partly, FACTORS, rng=rng())
    assert (result["irs"], result["n_active"]) == (pytest.approx(1), 1)
    assert result["irs_per_latent"][1:] == [None] * 3
    assert result["robustness"][1] == [None] * 3
    dead = irs(np.full((len(PERFECT), 3), 0.1), FACTORS, rng=rng())
    assert (dead["irs"], dead["n_active"], dead["irs_per_factor"]) == (0, 0, [None] * 3)
    json.dumps(dead, allow_nan=False)


def test_merging_of_more_than_twenty_values_costs():
    factors = np.arange(40)[:, None].repeat(5, axis=0)
    codes = factors.astype(float)
    assert irs(codes, factors, rng=rng())["irs"] == pytest.approx(1 - 0.5 / 19.5, abs=1e-9)
    assert irs(codes, factors, n_bins=40, rng=rng())["irs"] == pytest.approx(1)


def test_scale_of_one_code_matters_and_of_all_does_not():
    codes = np.hstack([PERFECT, rng(3).normal(size=(len(PERFECT), 1))])
    plain = irs(codes, FACTORS, rng=rng())["irs"]
    assert irs(codes * 8, FACTORS, rng=rng())["irs"] == pytest.approx(plain, abs=1e-12)
    assert irs(codes * [1, 1, 1, 0.1], FACTORS, rng=rng())["irs"] > plain + 0.1


def test_reshaping_where_a_transpose_is_meant_destroys_the_score():
    assert irs(PERFECT.T.reshape(PERFECT.shape), FACTORS, rng=rng())["irs"] < 0.7


def test_awkward_factors_and_rows():
    result = irs(PERFECT, np.insert(FACTORS, 1, 7, axis=1), rng=rng())
    assert (result["irs"], result["factors_left_out"]) == (pytest.approx(1), [1])
    assert result["irs_per_factor"][1] is None
    assert result["robustness"][0][1] is None
    assert result["factor_of_latent"] == [0, 2, 3]
    assert irs(PERFECT, FACTORS, n_samples=50, rng=rng())["n_samples"] == 50
    assert irs([[0.0], [2.0]], [[0], [1]], rng=rng())["irs"] == 1


@pytest.mark.parametrize(
    ("codes", "factors", "options", "message"),
    [
        (np.full((4, 2), np.nan), grid((2, 2)), {}, "NaN"),
        (np.arange(4.0), grid((2, 2)), {}, "shape"),
        (np.eye(4), np.zeros((4, 2), dtype=int), {}, "at least two values"),
        (np.eye(1), np.zeros((1, 2), dtype=int), {}, "at least two values"),
        (np.eye(4), grid((2, 2)), {"quantile": 0.0}, "quantile"),
        (np.eye(4), grid((2, 2)), {"n_bins": 1}, "n_bins"),
    ],
)
def test_refuses(codes, factors, options, message):
    with pytest.raises(ValueError, match=message):
        irs(codes, factors, rng=rng(), **options)


@settings(deadline=None, max_examples=20)
@given(key=st.integers(0, 2**32), scale=st.sampled_from([-1.0, 0.5, 64.0]))
def test_is_bounded_and_ignores_order_and_common_scale(key, scale):
    draw = rng(key)
    codes, factors = draw.normal(size=(30, 3)), draw.integers(3, size=(30, 2))
    plain = irs(codes, factors, quantile=1.0, rng=rng())["irs"]
    assert -1 <= plain <= 1
    assert irs(scale * codes[:, ::-1], factors, quantile=1.0, rng=rng())["irs"] == pytest.approx(plain, abs=1e-9)
