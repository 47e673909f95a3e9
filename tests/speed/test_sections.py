"""The sections of `bench speed`: what is timed does the work that it is said to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.metrics import mig_sampled
from bench.speed import _problems, _sampling, data, evaluation, metrics, overhead, start


@pytest.fixture
def one_thread():
    """Two threads that wait for each other at every one of thousands of small sums take minutes on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def posteriors():
    rng = np.random.default_rng(0)
    factors = _problems.grid((3, 4, 10, 4))
    return *_problems.codes_10_db(factors, rng, n_latents=5), factors


def test_the_problem_has_the_noise_it_claims():
    factors = _problems.draw((3, 6, 40), 20_000, np.random.default_rng(1))
    codes, logvar = _problems.codes_10_db(factors, np.random.default_rng(2), n_latents=4)
    signal = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    np.testing.assert_allclose((codes[:, :3] - signal).var(axis=0), 0.1, rtol=0.05)
    np.testing.assert_allclose(codes[:, 3].var(), 1, rtol=0.05)
    np.testing.assert_allclose(np.exp(logvar), 0.1)
    assert (factors.min(axis=0) == 0).all()
    assert factors.max(axis=0).tolist() == [2, 5, 39]


def test_sampling_and_quadrature_agree_within_the_error_of_sampling(posteriors, one_thread):
    codes, logvar, factors = posteriors
    exact = np.array(mig_sampled(codes, logvar, factors, rng=np.random.default_rng(0))["mutual_information"])
    drawn = np.array(
        [_sampling.sampled_information(codes, logvar, factors, rng=np.random.default_rng(seed)) for seed in range(8)]
    )
    error = drawn.std(axis=0, ddof=1) / np.sqrt(len(drawn))
    # Sampling each posterior once at its own row is unbiased; five standard errors of eight runs for each entry.
    assert (np.abs(drawn.mean(axis=0) - exact) < 5 * error + 1e-3).all()
    assert exact.max() > 50 * error.max()
    # Narrower posteriors are another answer, which this tolerance must not hide.
    wrong = _sampling.sampled_information(codes, logvar - 1, factors, rng=np.random.default_rng(0))
    assert (np.abs(wrong - exact) > 5 * error + 1e-3).any()


@pytest.mark.parametrize("n_samples", [5, 100, 10_000])
def test_the_work_of_sampling_is_counted_as_it_is_done(posteriors, monkeypatch, n_samples):
    codes, logvar, factors = posteriors
    done = []

    def count(z, mean, spread, picked):
        done.append(len(picked) * len(mean))
        return np.zeros(mean.shape[1])

    monkeypatch.setattr(_sampling, "_entropies", count)
    _sampling.sampled_information(codes, logvar, factors, n_samples=n_samples, rng=np.random.default_rng(0))
    assert _sampling.n_densities(factors, n_samples) == sum(done)


def test_the_whole_set_is_the_sum_of_all_metrics(monkeypatch):
    # Every metric has been called once, on the rows that warm it up.
    monkeypatch.setattr(metrics, "interleave", lambda cases, **_: {case.name: [1.0, 2.0, 6.0] for case in cases})
    found, notes = metrics.whole_set(3, n_codes=300, n_images=4, sizes=(2, 3, 4))
    *each, whole = found
    assert {"dci", "mig", "mig_sampled", "reconstruction", "ssim"} <= {row.name for row in each}
    assert whole.value == pytest.approx(2.0 * len(each))
    assert f"{2 * len(each)} s, above its target" in notes[0]


def test_both_kinds_of_boosting_do_the_same_work():
    exact, ours = metrics.boosting(1, n_rows=90, sizes=(2, 2))
    assert ours.versus == exact.name
    assert "|ΔD| = " in ours.note


def test_encoding_every_vote_is_extrapolated_and_the_table_pays_for_its_own(monkeypatch):
    def times(cases, **_):
        for case in cases:
            case.call()
        encoder, *scores = cases
        return {encoder.name: [1.0]} | {case.name: [10.0] for case in scores}

    monkeypatch.setattr(metrics, "interleave", times)
    monkeypatch.setattr(metrics, "PER_CALL", 4)
    found = {row.name: row for row in metrics.votes(1, n_codes=400, n_encoded=8, sizes=(2, 3, 4))}
    # 8 images a second; 15,000 votes on batches of 64, or on pairs of them.
    assert found["factor_vae_score, each vote encoded"].value == pytest.approx(10 + 120_000)
    assert found["beta_vae_score, each vote encoded"].value == pytest.approx(10 + 240_000)
    table = found["factor_vae_score, from a table"]
    assert table.value == pytest.approx(10 + 50)
    assert table.ratio == pytest.approx(120_010 / 60)


def test_the_sampled_mig_is_extrapolated_where_it_is_not_done_in_full():
    slow, fast = metrics.sampled(1, sizes=(2, 3, 4), n_samples=2)
    assert "extrapolated" in slow.note
    assert fast.versus == slow.name
    assert "extrapolated" not in metrics.sampled(1, sizes=(2, 3, 4), n_samples=10_000)[0].note


def test_sections_run_at_tiny_sizes(monkeypatch):
    levels = (1, 1, 2, 4, 4)
    assert [row.unit for row in data.rendering(1, levels)] == ["images/s"] * 3
    loader, store = data.batches(1, "floats", levels, 8)
    assert store.versus == loader.name
    grid = {"shape": 1, "scale": 1, "orientation": 2, "pos_x": 4, "pos_y": 4}
    assert [row.name for row in evaluation.passes(1, grid, 8, ["B"])] == ["net B encodes", "net B decodes"]
    monkeypatch.setattr(start, "COMMANDS", {"python -c pass": ("-c", "pass")})
    section = start.measure(repeats=1, full=False)
    assert (section.better, len(section.rows)) == ("lower", 1)


def test_the_store_of_bits_and_the_loader_draw_whole_batches_of_the_same_images():
    drawn = []

    class Store:
        def gather(self, index):
            drawn.append(index)

    from bench.dataset import load_dataset

    dataset = load_dataset("dsprites", {"shape": 1, "scale": 1, "orientation": 2, "pos_x": 4, "pos_y": 4})
    data._gather(dataset, Store(), 10)
    assert [len(index) for index in drawn] == [10, 10, 10]
    assert len(set(np.concatenate(drawn).tolist())) == 30


@pytest.mark.slow
def test_a_run_in_a_store_is_a_whole_run():
    alone, stored, run = overhead.runs(1, 1)
    assert stored.versus == run.versus == alone.name
    assert run.note.startswith("+")
