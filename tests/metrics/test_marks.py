"""A score that mustn't be read as it stands carries a footnote, from the metric to whoever prints it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.errors import BenchError
from bench.metric import NotApplicableError, Score, register_metric
from bench.metrics import mig, mutual_information, rmig, total_correlation
from bench.metrics.measure import marks_of, measure
from bench.registry import METRICS


@pytest.fixture
def register():
    """Registers made-up metrics for one test: name and what the function does."""

    def make(name, function):
        scores = {name: Score(name.upper(), high=math.inf)}
        return register_metric(name, version=1, inputs=("codes",), scores=scores)(function)

    with METRICS.override():
        yield make


def result(value, **more):
    def metric(codes, *, size: int = 1, rng=None):
        return {"toy": value, **more}

    return metric


CODES = {"codes": np.eye(3)}


@pytest.mark.parametrize(
    ("value", "error", "marks"),
    [
        (0.5, 0.004, []),
        (0.5, 0.006, ["its error is estimated at more than 0.005"]),
        (4.0, 0.006, []),
        (4.0, 0.03, ["its error is estimated at more than 0.5%"]),
        (0.5, math.inf, ["no bound on its error is known"]),
        (None, 1.0, []),
        (0.5, None, ["no bound on its error is known"]),
    ],
)
def test_an_error_above_the_limit_is_marked(register, value, error, marks):
    found = register("toy", result(value, toy_error=error))(np.eye(3))
    assert found.get("marks", {}).get("toy", []) == marks
    assert found["toy_error"] == (error if error is not None and math.isfinite(error) else None)


def test_marks_are_stored_with_the_details_under_the_column_with_its_options(register):
    register("toy", result(1.0, marks={"toy": ["a note"]}))
    found = measure(CODES, ["toy", "toy[size=2]"], seed=0)
    assert found.marks == {"toy": ["a note"], "toy[size=2]": ["a note"]}
    assert marks_of(found.details) == found.marks
    # What was stored before there were marks has none.
    assert marks_of({"mig": {"settings": {}}}) == {}


def test_no_mark_leaves_no_trace(register):
    found = register("toy", result(1.0, marks={"toy": []}))(np.eye(3))
    assert set(found) == {"toy", "metric"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError("Unable to allocate 19.5 GiB"), "not enough memory: Unable to allocate 19.5 GiB"),
        (MemoryError(), "not enough memory: none left"),
        (BenchError("of no use here"), "of no use here"),
        (NotApplicableError("too few rows"), "too few rows"),
    ],
)
def test_a_metric_that_cannot_leaves_the_others_their_scores(register, error, reason):
    def fails(codes, *, rng=None):
        raise error

    register("fails", fails)
    register("toy", result(1.0))
    found = measure(CODES, ["fails", "toy"], seed=0)
    assert found.scores == {"toy": 1.0}
    assert found.not_applicable == {"fails": reason}


def test_a_bug_is_not_hidden(register):
    register("fails", result(1.0) and (lambda codes, *, rng=None: 1 / 0))
    with pytest.raises(ZeroDivisionError):
        measure(CODES, ["fails"], seed=0)


class TestErrors:
    """Metrics that bin or integrate say how far off they may be."""

    def test_bins_of_few_rows(self):
        rng = np.random.default_rng(0)
        factors = rng.integers(8, size=(20_000, 2))
        codes = np.hstack([factors, rng.normal(size=(20_000, 1))])
        few = mig(codes[:1500], factors[:1500], rng=rng)
        many = mig(codes, factors, n_samples=20_000, rng=rng)
        # The second largest is information that isn't there, and the error says how much.
        assert few["mig_error"] > 10 * many["mig_error"]
        assert 1 - few["mig"] == pytest.approx(few["mig_error"], rel=0.5)
        assert "mig" in few["marks"]
        assert "marks" not in many

    def test_information_of_independent_codes_is_bias(self):
        rng = np.random.default_rng(0)
        found = mutual_information(rng.uniform(size=(3000, 6)), rng=rng)
        error = found["mutual_information_codes_error"]
        assert found["mutual_information_codes"] == pytest.approx(error, rel=0.1)
        assert "mutual_information_codes" in found["marks"]

    def test_posteriors_narrower_than_the_bins(self):
        factors = np.repeat(np.arange(40), 5)[:, None]
        codes = (factors - 19.5) * 0.06 + 0.02
        for sigma, marked in ((0.015, True), (0.08, False)):
            found = rmig(codes, np.full(codes.shape, 2 * np.log(sigma)), factors, rng=np.random.default_rng(0))
            assert ("rmig" in found.get("marks", {})) is marked
            assert (found["rmig_error"] > 0.005) is marked

    def test_codes_that_do_not_fit_the_bins(self):
        factors = np.repeat(np.arange(4), 10)[:, None]
        for scale, words in ((0.01, "width of a bin"), (10.0, "beyond the bins"), (1.0, None)):
            found = rmig(factors * scale, np.full(factors.shape, -4.0), factors, rng=np.random.default_rng(0))
            notes = found.get("marks", {}).get("rmig", [])
            assert [words in note for note in notes] == [True] * len(notes) if words else not notes
            assert bool(notes) is bool(words)

    def test_codes_that_others_determine_have_no_finite_total_correlation(self):
        rng = np.random.default_rng(0)
        code = rng.normal(size=(4000, 2))
        copies = total_correlation(code[:, [0, 0, 1]], rng=rng)
        assert copies["gaussian_tc_means_error"] is None
        assert copies["marks"]["gaussian_tc_means"] == ["no bound on its error is known"]
        plain = total_correlation(code, rng=rng)
        assert plain["gaussian_tc_means_error"] < 0.005
        assert "marks" not in plain
