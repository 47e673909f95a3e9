"""Linear probe: classes that can be read off, by halves or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metric import NotApplicableError
from bench.metrics import linear_probe
from bench.metrics.linear_probe import explained_by_class
from helpers.rng import rng


def classes(n: int, k: int) -> np.ndarray:
    return rng(0).permutation(np.arange(n) % k)


def test_classes_far_apart_are_read_off_without_an_error():
    labels = classes(3_000, 4)
    codes = 10 * np.eye(4)[labels] + rng(1).normal(size=(3_000, 4))
    result = linear_probe(codes, labels, rng=rng(2))
    assert result["linear_probe"] == result["linear_probe_train"] == 1.0
    assert result["linear_probe_error"] == 1 / 1_000
    assert result["recall_per_class"] == [1.0] * 4


def test_codes_that_know_nothing_score_chance():
    labels = (np.arange(12_000) % 4 == 0).astype(int)
    result = linear_probe(rng(1).normal(size=(12_000, 3)), labels, rng=rng(2))
    assert result["chance"] == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / 4_000))
    assert result["linear_probe"] == pytest.approx(result["chance"], abs=0.01)


def test_two_normal_classes_score_what_the_best_line_does():
    # Unit variance, means 2 apart: the best threshold is wrong with probability Phi(-1).
    labels = classes(60_000, 2)
    codes = np.stack([2.0 * labels, np.zeros(60_000)], axis=1) + rng(1).normal(size=(60_000, 2))
    result = linear_probe(codes, labels, rng=rng(2), n_train=30_000, n_test=30_000)
    assert result["linear_probe"] == pytest.approx(0.8413447, abs=4 * result["linear_probe_error"])
    assert result["linear_probe_error"] == pytest.approx(np.sqrt(0.8413 * 0.1587 / 30_000), rel=0.02)


def test_a_ring_around_a_disc_is_beyond_a_line():
    angle, labels = rng(1).uniform(0, 2 * np.pi, 6_000), classes(6_000, 2)
    codes = (1.0 + 4.0 * labels)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert linear_probe(codes, labels, rng=rng(2))["linear_probe"] < 0.6


def test_scores_do_not_depend_on_the_numbers_of_the_classes_nor_on_scale_and_place_of_codes():
    labels = classes(2_000, 3)
    codes = np.eye(3)[labels] + rng(1).normal(size=(2_000, 3))
    one = linear_probe(codes, labels, rng=rng(2))
    other = linear_probe(codes * [100.0, 0.5, 2.0] + [7.0, -3.0, 0.0], np.array([5, -2, 900])[labels], rng=rng(2))
    assert other["classes"] == [-2, 5, 900]
    assert other["linear_probe"] == pytest.approx(one["linear_probe"], abs=2 / 667)


def test_a_class_that_is_never_tested_has_no_recall_and_held_out_rows_count():
    labels = np.zeros(30, dtype=int)
    labels[:2] = 1
    result = linear_probe(rng(1).normal(size=(30, 2)), labels, rng=rng(5))
    assert (result["n_train"], result["n_test"]) == (20, 10)
    assert len(result["recall_per_class"]) == len(result["classes"])


def test_the_picture_shows_the_latents_that_tell_the_classes_apart():
    labels = classes(3_000, 3)
    codes = rng(1).normal(size=(3_000, 4))
    codes[:, 2] += 3 * (labels == 0)
    codes[:, 1] += 6 * (labels == 1)
    scatter = linear_probe(codes, labels, rng=rng(2))["scatter"]
    assert scatter["latents"] == [1, 2]
    assert len(scatter["codes"][0]) == len(scatter["codes"][1]) == len(scatter["labels"]) == 500
    assert set(scatter["labels"]) == {0, 1, 2}


def test_explained_by_class_by_hand():
    codes = np.array([[0.0, 1.0, 5.0], [0.0, 3.0, 5.0], [2.0, 1.0, 5.0], [2.0, 3.0, 5.0]])
    assert explained_by_class(codes, np.array([0, 0, 1, 1])).tolist() == [1.0, 0.0, 0.0]
    assert explained_by_class(codes[:3], np.array([4, 4, 9])).tolist() == pytest.approx([1.0, 0.25, 0.0])


def test_one_class_has_no_score():
    with pytest.raises(NotApplicableError, match="two classes"):
        linear_probe(np.ones((9, 2)), np.zeros(9, dtype=int), rng=rng(0))


@pytest.mark.parametrize("labels", [np.zeros(8, dtype=int), np.zeros((9, 1), dtype=int), np.full(9, np.nan)])
def test_labels_that_are_none_are_refused(labels):
    with pytest.raises(ValueError, match=r"labels must be whole numbers of shape \(9,\), one a row"):
        linear_probe(np.ones((9, 2)), labels, rng=rng(0))
