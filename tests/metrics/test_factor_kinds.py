"""Factors are values: named by anything that has an order, cut where they are measurements, refused where unusable."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from bench.factors import factor_classes, factor_values
from bench.metric import check_codes
from bench.metrics import beta_vae_score, dci, irs, mig, sap
from bench.metrics._samples import cut_continuous, merge_values
from helpers.rng import rng

VALUE = np.arange(600) % 3
OTHER = np.arange(600) // 3 % 4
NOISE = 0.02 * np.random.default_rng(1).normal(size=(600, 2))
CODES = np.stack([VALUE, OTHER], axis=1) + NOISE
FEW = {"n_train": 200, "n_test": 200}


def named(values) -> np.ndarray:
    return np.stack([np.asarray(values)[VALUE], np.asarray(values)[OTHER % 3]], axis=1)


class TestNames:
    @pytest.mark.parametrize("names", [[0, 1, 20], [0, 1, 21], [101, 205, 99999], [-(2**62), 0, 2**62], [3, 1, 2]])
    def test_irs_does_not_depend_on_the_integers_that_name_values(self, names):
        plain = irs(CODES, np.stack([VALUE, OTHER], axis=1), rng=rng())
        renamed = irs(CODES, np.stack([np.array(names)[VALUE], OTHER], axis=1), rng=rng())
        assert plain["irs"] > 0.95
        assert renamed["irs"] == plain["irs"]
        assert renamed["factors_merged"] == []

    def test_irs_merges_more_than_twenty_values_by_their_order_and_says_so(self):
        value = np.arange(600) % 30
        codes = value[:, None] + np.zeros((600, 1))
        plain, stretched, wider = (
            irs(codes, factor[:, None], n_bins=n_bins, rng=rng())
            for factor, n_bins in ((value, 20), (value**3, 20), (value, 30))
        )
        assert plain["factors_merged"] == stretched["factors_merged"] == [0]
        assert plain["irs"] == stretched["irs"] < 1
        assert (wider["factors_merged"], wider["irs"]) == ([], 1)

    @pytest.mark.parametrize(
        "values",
        [
            ["apple", "pear", "plum"],
            [b"a", b"b", b"c"],
            [0.25, 0.5, 1.75],
            [False, True, True],
            np.array(["2020-01-01", "2021-01-01", "2022-01-01"], dtype="datetime64[D]"),
            np.array([date(2020, 1, 1), date(2021, 1, 1), date(2022, 1, 1)]),
            np.array(["x", "y", "z"], dtype=object),
            np.array([1, 2, 3], dtype=np.uint64),
            np.array([1, 2, 3], dtype=object),
            np.array([1, 2, 3], dtype=np.float16),
        ],
    )
    def test_any_values_with_an_order_are_classes(self, values):
        factors = named(values)
        classes = factor_classes(factors)
        assert classes.dtype == np.int64
        _, expected = np.unique(named([0, 1, 1] if values[1] is True else [0, 1, 2]), return_inverse=True)
        _, found = np.unique(classes, return_inverse=True)
        np.testing.assert_array_equal(found.reshape(-1), expected.reshape(-1))
        assert mig(CODES, factors, rng=rng())["mig"] == pytest.approx(mig(CODES, classes, rng=rng())["mig"])

    def test_columns_of_a_data_frame_may_be_of_different_kinds(self):
        frame = pd.DataFrame({"shape": np.array(["a", "b", "c"])[VALUE], "x": OTHER / 4})
        np.testing.assert_array_equal(factor_classes(frame), np.stack([VALUE, OTHER], axis=1))

    def test_whole_numbers_stay_what_they_are(self):
        for dtype in (np.int8, np.uint16, np.float32, object):
            np.testing.assert_array_equal(
                factor_classes(np.array([[7, 300 % 120], [-0, 5]]).astype(dtype)), [[7, 60], [0, 5]]
            )


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        (np.array([[0.0, 1.0], [1.0, np.inf]]), "factor 1 is NaN or infinite in 1 of 2 rows"),
        (np.array([[np.nan, 1.0], [np.nan, 2.0]]), "factor 0 is NaN or infinite in 2 of 2 rows"),
        (np.array([[0, 1], [1, 2j]]), "factor 0 is complex"),
        (np.ma.array([[0, 1], [1, 2]], mask=[[0, 0], [0, 1]]), "factor 1 is masked in 1 of 2 rows"),
        (np.array([[1, 2**63], [1, 2]], dtype=np.uint64), "factor 1 has values beyond 64-bit integers"),
        (np.array([[1, 2**70], [1, 2]], dtype=object), "factor 1 has values beyond 64-bit integers"),
        (np.array([[1, 1e30], [1, 2]]), "factor 1 has values beyond 64-bit integers"),
        (np.array([["a", None], ["b", "c"]], dtype=object), "factor 1 has values without an order"),
        (np.array([["2020", "NaT"]], dtype="datetime64[D]"), "factor 1 is missing"),
        (np.zeros((2, 2), dtype=[("a", int)]), "factor 0 holds records"),
        (np.zeros(3), "must be a table"),
        (np.zeros((2, 2, 2)), "must be a table"),
    ],
)
def test_what_is_no_value_is_refused_by_the_name_of_its_column(factors, message):
    with pytest.raises(ValueError, match=message):
        factor_classes(factors)


def test_names_of_columns_are_used_where_they_are_known():
    bad = np.array([[0.0, np.inf]])
    with pytest.raises(ValueError, match="factor hue is NaN or infinite"):
        factor_classes(bad, names=["size", "hue"])
    with pytest.raises(ValueError, match="factor 'hue' is NaN or infinite"):
        factor_classes(pd.DataFrame(bad, columns=["size", "hue"]))


@pytest.mark.parametrize("codes", [np.ma.array(np.eye(2), mask=np.eye(2)), np.eye(2) * 1j])
def test_codes_that_are_masked_or_complex_are_refused(codes):
    with pytest.raises(ValueError, match=r"masked|complex"):
        check_codes(codes)


def test_other_lengths_and_no_factors():
    with pytest.raises(ValueError, match=r"shape \(2, n_factors\)"):
        check_codes(np.eye(2), np.zeros((3, 1)))
    assert check_codes(np.eye(2))[1].shape == check_codes(np.eye(2), np.zeros((2, 0)))[1].shape == (2, 0)


class TestContinuous:
    """A number per row is a measurement: fixing its value would fix the row."""

    def table(self, n=2000):
        draw = rng(3)
        factors = draw.uniform(size=(n, 2))
        return factors + 0.02 * draw.normal(size=(n, 2)), factors

    @pytest.mark.parametrize("cast", [lambda f: f, lambda f: (1e6 * f).astype(np.int64), lambda f: 1e-9 * f])
    def test_is_cut_at_quantiles_and_marked(self, cast):
        codes, factors = self.table()
        found = beta_vae_score(codes, cast(factors), **FEW, rng=rng())
        assert found["factors_cut"] == [0, 1]
        assert "fewer than 5 rows per value" in found["marks"]["beta_vae_score"][0]
        expected = beta_vae_score(
            codes, (20 * factors.argsort(axis=0).argsort(axis=0)) // len(factors), **FEW, rng=rng()
        )
        assert found["beta_vae_score"] == expected["beta_vae_score"]

    def test_beta_vae_score_of_noise_is_chance_and_not_one(self):
        # A pair with the value of one row is that row twice, and told by its difference of 0.
        draw = rng(4)
        factors, codes = draw.uniform(size=(2000, 2)), draw.normal(size=(2000, 3))
        factors[:, 1] = draw.integers(4, size=2000)
        assert beta_vae_score(codes, factors, **FEW, rng=rng())["beta_vae_score"] < 0.75

    def test_trees_grow_for_twenty_classes_and_not_for_as_many_as_there_are_rows(self):
        codes, factors = self.table(300)
        found = dci(codes, factors, rng=rng())
        assert found["factors_cut"] == [0, 1]
        assert found["dci_informativeness"] > 5 * np.mean(found["chance_per_factor"])

    def test_continuous_sap_takes_the_numbers(self):
        codes, factors = self.table()
        found = sap(codes, factors, n_train=1500, n_test=500, rng=rng())
        assert list(found["marks"]) == ["sap"]
        r2 = np.corrcoef(codes[:, 0], factors[:, 0])[0, 1] ** 2
        assert found["squared_correlation"][0][0] == pytest.approx(r2, abs=1e-3)
        values, nameless = factor_values(factors)
        assert nameless == []
        np.testing.assert_array_equal(values, factors)

    def test_continuous_sap_of_names_is_marked(self):
        factors = np.stack([np.array(["a", "b", "c"])[VALUE], OTHER.astype(str)], axis=1)
        assert "no numbers" in sap(CODES, factors, **FEW, rng=rng())["marks"]["sap_continuous"][0]

    @pytest.mark.parametrize(
        ("n_values", "n_rows", "cut"), [(20, 20, []), (40, 200, []), (41, 200, [0]), (21, 100, [0])]
    )
    def test_few_rows_per_value_make_a_measurement(self, n_values, n_rows, cut):
        column = np.arange(n_rows) % n_values
        classes, found, notes = cut_continuous(column[:, None], n_rows)
        assert (found, len(notes)) == (cut, len(cut))
        assert len(np.unique(classes)) == (20 if cut else n_values)
        assert cut_continuous(column[:, None], n_rows, skip=(0,))[1] == []

    def test_rows_that_are_drawn_count(self):
        column = (np.arange(10_000) % 1000)[:, None]
        assert cut_continuous(column, 10_000)[1] == []
        assert cut_continuous(column, 2_000)[1] == [0]


def test_merged_values_are_neighbours_of_about_equal_counts():
    draw = rng(5)
    column = np.rint(np.exp(3 * draw.normal(size=3000)) * 100).astype(np.int64)
    merged = merge_values(column, 20)
    order = np.argsort(column, kind="stable")
    assert (np.diff(merged[order]) >= 0).all()
    assert all(len(np.unique(merged[column == value])) == 1 for value in np.unique(column)[:50])
    assert np.bincount(merged).max() < 2 * 3000 / 20
    np.testing.assert_array_equal(merge_values(column, 20), merge_values(column**3, 20))
