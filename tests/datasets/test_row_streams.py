"""Random numbers by row: the row decides them alone, and they are as random as they should be."""

from __future__ import annotations

import numpy as np

from bench.datasets._row_streams import random_bytes, random_words, uniform

ROWS = np.arange(20_000, dtype=np.int64)


def test_a_rows_words_depend_on_nothing_but_the_row() -> None:
    together = random_words("test", ROWS[:100], 7)
    chosen = np.array([99, 3, 3, 50])
    assert np.array_equal(random_words("test", chosen, 7), together[chosen])
    assert np.array_equal(random_words("test", ROWS[:100], 2), together[:, :2])


def test_streams_of_other_names_and_rows_are_others() -> None:
    words = np.concatenate([random_words(name, ROWS[:1000], 8) for name in ("test", "tset")])
    assert len(np.unique(words)) == words.size


def test_words_never_change() -> None:
    first = random_words("test", np.array([0, 1, 2**40]), 2)
    assert [[f"{word:016x}" for word in row] for row in first.tolist()] == GOLDEN


def test_bytes_are_the_words_from_the_lowest_byte_on() -> None:
    words = random_words("test", ROWS[:3], 2)
    shifts = np.arange(0, 64, 8, dtype=np.uint64)
    expected = (words[:, :, None] >> shifts) & np.uint64(255)
    assert np.array_equal(random_bytes("test", ROWS[:3], 16), expected.reshape(3, 16))


def test_numbers_are_uniform_and_rows_independent() -> None:
    numbers = uniform(random_words("test", ROWS, 3))
    assert numbers.min() >= 0
    assert numbers.max() < 1
    n = numbers.size
    # Four standard errors of the mean, of the variance (fourth central moment 1/80) and of correlations.
    assert abs(numbers.mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / n)
    assert abs(numbers.var() - 1 / 12) < 4 * np.sqrt((1 / 80 - 1 / 144) / n)
    beside = np.column_stack([numbers[1:], numbers[:-1]])
    off_diagonal = np.corrcoef(beside.T)[~np.eye(6, dtype=bool)]
    assert np.abs(off_diagonal).max() < 4 / np.sqrt(len(beside))


def test_every_byte_is_as_frequent_as_any_other() -> None:
    counts = np.bincount(random_bytes("test", ROWS, 64).ravel(), minlength=256)
    chi_squared = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    # 255 degrees of freedom: mean 255, standard deviation sqrt(510).
    assert abs(chi_squared - 255) < 4 * np.sqrt(510)


GOLDEN = [
    ["fb35f2f23bc545b1", "e4882807f06853b0"],
    ["7174450d4dfaa335", "88c5cc8d2eb643f0"],
    ["7b94ea916d5cfa21", "7d1117fffa839439"],
]
