import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from bench.metrics import mutual_information
from bench.metrics.mig import equal_width_bins
from helpers.factors import grid
from helpers.rng import rng


def test_equals_scikit_learn_pair_by_pair():
    codes = rng(1).normal(size=(800, 3)) @ rng(2).normal(size=(3, 4))
    bins = equal_width_bins(codes, 20)
    expected = np.array([[mutual_info_score(a, b) for a in bins.T] for b in bins.T])
    result = mutual_information(codes, rng=rng())
    np.testing.assert_allclose(result["matrix"], expected, atol=1e-12)
    assert result["mutual_information_codes"] == pytest.approx(expected[~np.eye(4, dtype=bool)].mean(), abs=1e-12)
    # Negative control: with the diagonal, which holds entropies, the mean is another.
    assert expected.mean() > result["mutual_information_codes"] + 0.1
    json.dumps(result, allow_nan=False)


def test_grid_of_independent_codes_has_none():
    codes = grid((3, 4, 5))
    assert mutual_information(codes, rng=rng())["mutual_information_codes"] == pytest.approx(0, abs=1e-12)


def test_duplicates_have_their_entropy():
    column = np.repeat(np.arange(5.0), 7)[:, None]
    result = mutual_information(np.hstack([column, -column]), rng=rng())
    assert result["mutual_information_codes"] == pytest.approx(np.log(5), abs=1e-12)


def test_independent_codes_score_the_floor_that_is_stated():
    codes = rng(3).uniform(size=(10_000, 6))
    result = mutual_information(codes, rng=rng())
    assert result["bias_floor"] == pytest.approx(19**2 / 20_000)
    assert result["mutual_information_codes"] == pytest.approx(result["bias_floor"], rel=0.06)
    quarter = mutual_information(codes, n_samples=2500, rng=rng())
    assert quarter["mutual_information_codes"] == pytest.approx(4 * result["bias_floor"], rel=0.08)
    dependent = np.hstack([codes, codes[:, :1] + 0.3 * rng(4).normal(size=(10_000, 1))])
    assert mutual_information(dependent, rng=rng())["mutual_information_codes"] > 1.5 * result["bias_floor"]


def test_bins_in_use_make_the_floor():
    codes = rng(5).integers(3, size=(1000, 2)).astype(float)
    assert mutual_information(codes, rng=rng())["bias_floor"] == pytest.approx(4 / 2000)


def test_rotation_by_45_degrees_of_uniform_codes_is_seen():
    codes = rng(6).uniform(-1, 1, size=(10_000, 2))
    turn = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    plain, turned = (mutual_information(c, rng=rng())["mutual_information_codes"] for c in (codes, codes @ turn))
    assert turned > plain + 0.1


def test_constant_codes_dilute_the_mean_and_not_the_active_one():
    codes = rng(7).normal(size=(500, 1)) + 0.1 * rng(8).normal(size=(500, 2))
    plain = mutual_information(codes, rng=rng())
    padded = mutual_information(np.hstack([codes, np.full((500, 2), 0.1)]), rng=rng())
    assert padded["mutual_information_codes"] == pytest.approx(plain["mutual_information_codes"] / 6)
    assert padded["mutual_information_active"] == pytest.approx(plain["mutual_information_codes"])
    assert padded["bias_floor_active"] == pytest.approx(plain["bias_floor"])
    assert padded["n_active"] == 2
    dead = mutual_information(np.ones((50, 3)), rng=rng())
    assert (dead["mutual_information_codes"], dead["mutual_information_active"], dead["n_active"]) == (0, None, 0)


@pytest.mark.parametrize(
    ("codes", "options", "message"),
    [
        (np.full((4, 2), np.nan), {}, "NaN"),
        (np.arange(4.0), {}, "shape"),
        (np.arange(4.0)[:, None], {}, "two codes"),
        (np.eye(4), {"n_bins": 1}, "n_bins"),
        (np.eye(4), {"n_samples": 1}, "n_samples"),
    ],
)
def test_refuses(codes, options, message):
    with pytest.raises(ValueError, match=message):
        mutual_information(codes, rng=rng(), **options)


@settings(deadline=None, max_examples=20)
@given(key=st.integers(0, 2**32), n=st.integers(1, 60), scale=st.sampled_from([0.25, 2.0, 1024.0]))
def test_is_not_negative_and_ignores_order_and_scale(key, n, scale):
    codes = rng(key).normal(size=(n, 3))
    plain = mutual_information(codes, rng=rng())["mutual_information_codes"]
    assert plain >= 0
    changed = mutual_information(codes[:, ::-1] * scale, rng=rng())["mutual_information_codes"]
    assert changed == pytest.approx(plain, abs=1e-12)
