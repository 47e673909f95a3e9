"""What holds for every metric on any table, and what each claims not to depend on.

A few examples each, always the same, in CI; ``BENCH_PROPERTY_EXAMPLES=500`` draws that many at random.
"""

from __future__ import annotations

import json
import math
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.metric import NotApplicableError
from bench.registry import METRICS
from helpers.rng import rng

EXAMPLES = int(os.environ.get("BENCH_PROPERTY_EXAMPLES", "0"))
DRAWS = settings(
    max_examples=EXAMPLES or 12,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
OWN = {entry.name: entry for entry in METRICS if entry.value.__module__.startswith("bench.metrics.")}
#: Fewer rounds than by default, where rounds cost time and not kind.
QUICK: dict[str, dict[str, Any]] = {
    "beta_vae_score": {"n_train": 100, "n_test": 50, "batch_size": 8},
    "factor_vae_score": {"n_votes_train": 100, "n_votes_test": 50, "batch_size": 8},
    "z_max_variance": {"n_votes_train": 100, "n_votes_test": 50, "batch_size": 8},
    "elbo": {"n_samples": 50},
}
ROWS = ("codes", "logvar", "factors", "labels", "sources", "covariance", "true_mean", "true_covariance")


class Table(dict[str, Any]):
    """Inputs by name; arrays are too long to be printed where a test fails."""

    def __repr__(self) -> str:
        """How they were drawn."""
        return f"<{self.get('how')}>"

    def __or__(self, other: dict[str, Any]) -> Table:
        """With other values in place of some."""
        return Table({**self, **other})


def column_of_factor(draw: np.random.Generator, kind: str, n: int) -> np.ndarray:
    match kind:
        case "few":
            return draw.integers(4, size=n)
        case "one":
            return np.full(n, 7)
        case "rare":
            return (draw.random(n) < 0.1).astype(np.int64)
        case "many":
            return draw.integers(30, size=n)
        case "some":
            return draw.integers(15, size=n)
        case "each":
            return draw.permutation(n) * 1000 - 10**6
        case "fractions":
            return draw.integers(3, size=n) / 7
        case "measured":
            return draw.normal(size=n)
        case "names":
            return np.array(["red", "green", "blue"])[draw.integers(3, size=n)]
        case _:
            return draw.random(n) < 0.5


KINDS = ("few", "few", "few", "one", "rare", "many", "each", "fractions", "measured", "names", "flags")


def column_of_code(draw: np.random.Generator, kind: str, numbers: np.ndarray, earlier: list[np.ndarray]) -> np.ndarray:
    n = len(numbers)
    match kind:
        case "factor":
            return numbers[:, draw.integers(numbers.shape[1])].astype(float)
        case "noisy":
            return numbers[:, draw.integers(numbers.shape[1])] + 0.1 * draw.normal(size=n)
        case "mixed":
            return numbers @ draw.normal(size=numbers.shape[1]) + 0.1 * draw.normal(size=n)
        case "constant":
            return np.full(n, draw.choice([0.0, 0.1, -3.0, 1e8]))
        case "copy":
            return earlier[draw.integers(len(earlier))] if earlier else np.zeros(n)
        case "outlier":
            return np.where(np.arange(n) == 0, 1e6, draw.normal(size=n))
        case "offset":
            return 1e6 + draw.normal(size=n)
        case _:
            return draw.normal(size=n)


CODES = ("factor", "noisy", "mixed", "noise", "constant", "copy", "outlier", "offset")


@st.composite
def tables(draw: st.DrawFn, *, plain: bool = False, least: int = 1) -> Table:
    """Codes, log-variances and factors; plain ones without extreme values, for comparisons to many digits."""
    n = draw(st.sampled_from([n for n in (1, 2, 3, 4, 6, 15, 60, 150) if n >= least]))
    latents = draw(st.sampled_from([1, 2, 3, 5] if plain or n > 60 else [1, 2, 3, 5, 300]))
    kinds = KINDS if not plain else ("few", "some", "rare") if n == 150 else ("few", "rare")
    of_factors = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3))
    of_codes = draw(
        st.lists(st.sampled_from(CODES[:5] if plain else CODES), min_size=min(latents, 5), max_size=min(latents, 5))
    )
    key = draw(st.integers(0, 2**32 - 1))
    random = rng(key)
    columns = [column_of_factor(random, kind, n) for kind in of_factors]
    numbers = np.stack([np.unique(c, return_inverse=True)[1].reshape(-1) for c in columns], axis=1)
    codes: list[np.ndarray] = []
    for j in range(latents):
        codes.append(column_of_code(random, of_codes[j % len(of_codes)], numbers, codes))
    table = np.stack(codes, axis=1)
    scale = 1.0
    if not plain:
        scale = 10.0 ** draw(st.integers(-12, 12))
        if draw(st.booleans()):
            table = table * 10.0 ** random.integers(-6, 7, size=latents)
    table = table * scale
    logvar = random.normal(size=table.shape) * draw(st.sampled_from([0.0, 1.0] if plain else [0.0, 1.0, 8.0]))
    logvar += 2 * np.log(scale) + draw(st.sampled_from([-2.0] if plain else [-30.0, -6.0, -2.0, 0.0, 6.0]))
    factors: Any = np.stack(columns, axis=1) if len({c.dtype.kind for c in columns}) == 1 else columns
    if isinstance(factors, list):
        factors = np.empty((n, len(columns)), dtype=object)
        for k, column in enumerate(columns):
            factors[:, k] = column
    labels = numbers[:, 0]
    if not plain and draw(st.booleans()):
        rows = random.integers(n, size=n)  # unsorted, and some more than once
        table, logvar, factors, labels = table[rows], logvar[rows], factors[rows], labels[rows]
    if not plain:
        kind = draw(st.sampled_from([np.float64, np.float64, np.float32, np.int64]))
        if kind is not np.int64 or np.abs(table).max() < 2**62:
            table = table.astype(kind)
    spread = np.exp(np.clip(logvar, -60, 60))
    d, f = table.shape[1], min(2, table.shape[1])
    sources = random.normal(size=(n, f))
    return Table(
        {
            "how": f"{table.shape} {table.dtype}, key {key}, factors {of_factors}, codes {of_codes}, scale {scale:g}",
            "codes": table,
            "logvar": logvar,
            "factors": factors,
            "labels": labels,
            "sources": sources,
            "covariance": spread[:, :, None] * np.eye(d) if d < 10 else np.zeros((0, d, d)),
            "true_mean": 0.9 * sources,
            "true_covariance": np.tile(0.1 * np.eye(f), (n, 1, 1)),
            "decoder_codes": table + random.normal(size=table.shape),
            "train_codes": table + random.normal(size=table.shape),
            "train_logvar": logvar,
            **pictures(random, scale),
        }
    )


def pictures(random: np.random.Generator, scale: float) -> dict[str, Any]:
    size = (int(random.integers(1, 4)), int(random.choice([1, 3])), *random.integers(11, 16, size=2))
    images = random.choice([random.random(size), np.rint(random.random(size)), np.zeros(size)])
    decoded, generated = ((scale * random.normal(size=size)).astype(np.float32) for _ in range(2))
    made = {"images": images.astype(np.float32), "decoded": decoded, "generated": generated}
    return made | {"train_images": made["images"][::-1], "train_decoded": generated}


def call(name: str, table: Table) -> dict[str, Any] | str:
    """What a metric returns, or why it has no value."""
    info = OWN[name].info
    # Nearest neighbours per latent take their time.
    most = 300 if name != "infomec" else 30 if EXAMPLES else 5
    wide = {"codes"} if "decoder_codes" not in info.inputs else set()
    given = [table[need][:, :most] if need in wide else table[need] for need in info.inputs]
    extra = {need: table[need] for need in info.optional if need in table}
    try:
        found: dict[str, Any] = OWN[name].value(*given, **extra, **QUICK.get(name, {}), rng=rng())
    except NotApplicableError as error:
        return str(error)
    return found


def scores(name: str, table: Table) -> dict[str, Any] | None:
    """Columns of a metric, None where it has no value."""
    found = call(name, table)
    return None if isinstance(found, str) else {column: found[column] for column in OWN[name].info.scores}


@pytest.mark.parametrize("name", OWN)
@DRAWS
@given(table=tables(), noisy=st.booleans())
def test_any_table_has_scores_in_their_range_or_a_reason(name, table, noisy):
    if name == "inference" and table["covariance"].shape[0] == 0:
        return
    if not noisy and "logvar" in OWN[name].info.optional:
        table = Table({key: value for key, value in table.items() if key != "logvar"})
    before = Table({key: value if key == "how" else value.copy() for key, value in table.items()})
    found = call(name, table)
    for key, value in table.items():
        np.testing.assert_array_equal(value, before[key])
    if isinstance(found, str):
        assert found
        return
    for column, score in OWN[name].info.scores.items():
        value = found[column]
        assert value is None or (math.isfinite(value) and score.low <= value <= score.high), (column, value)
        error = found.get(f"{column}_error", 0.0)
        assert error is None or error >= 0
        notes = found.get("marks", {}).get(column, [])
        assert error is not None or notes
        if value is not None and error is not None and error > 0.005 * max(1.0, abs(value)):
            assert notes
    assert set(found.get("marks", {})) <= set(OWN[name].info.scores)
    json.dumps(found, allow_nan=False)
    again = call(name, before)
    assert json.dumps(again) == json.dumps(found)


@pytest.mark.parametrize("name", [n for n in OWN if "codes" in OWN[n].info.inputs])
@DRAWS
@given(table=tables(plain=True), bad=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_codes_that_are_no_numbers_are_refused(name, table, bad):
    table["codes"].flat[-1] = bad
    with pytest.raises(ValueError, match=r"NaN or infinite"):
        call(name, table)


def rows(table: Table, key: int) -> Table:
    order = rng(key).permutation(len(table["codes"]))
    return table | {name: table[name][order] for name in ROWS}


def latents(table: Table, key: int) -> Table:
    order = rng(key).permutation(table["codes"].shape[1])
    spread = table["covariance"]
    changed = {"codes": table["codes"][:, order], "logvar": table["logvar"][:, order]}
    return table | changed | {"covariance": spread[:, order[:, None], order]}


def names(table: Table, key: int) -> Table:
    new = rng(key).permutation(1000) - 500
    return table | {"factors": new[table["factors"]]}


def larger_names(table: Table, key: int) -> Table:
    new = np.cumsum(rng(key).integers(1, 1000, size=1000))
    return table | {"factors": new[table["factors"]]}


def factors(table: Table, key: int) -> Table:
    order = rng(key).permutation(table["factors"].shape[1])
    return table | {"factors": table["factors"][:, order]}


def scale(table: Table, key: int) -> Table:
    power = int(rng(key).integers(-40, 41))
    return table | {"codes": table["codes"] * 2.0**power, "logvar": table["logvar"] + 2 * power * np.log(2)}


def mirror(table: Table, key: int) -> Table:
    return table | {"codes": -table["codes"]}


def shift(table: Table, key: int) -> Table:
    return table | {"codes": table["codes"] + 8.0 * rng(key).integers(-4, 5)}


def constant(table: Table, key: int) -> Table:
    n = len(table["codes"])
    added = {"codes": np.full((n, 1), 0.1), "logvar": np.full((n, 1), -1.0)}
    return table | {name: np.hstack([table[name], value]) for name, value in added.items()}


def repeated(table: Table, key: int) -> Table:
    return table | {name: np.concatenate([table[name]] * 2) for name in ROWS}


#: What a metric doesn't depend on. Those that draw rows or noise are here where their draws don't see the change.
INVARIANT = {
    "active_units": (rows, latents, mirror, shift, constant),
    "beta_vae_score": (),
    "coverage": (),
    "dci": (larger_names, scale),
    "dcimig": (rows, latents, names, larger_names, factors, scale, constant, repeated),
    "downstream": (),
    "elbo": (),
    "factor_vae_score": (names, larger_names, scale),
    "fairness": (larger_names, scale),
    "generalisation": (),
    "generation": (),
    "inference": (rows,),
    "infomec": (larger_names, scale),
    "irs": (rows, latents, names, larger_names, factors, scale, mirror, shift, constant),
    "kl": (rows, latents, mirror, repeated),
    "linear_probe": (),
    "mig": (rows, latents, names, larger_names, factors, scale, constant, repeated),
    "mig_sup": (rows, latents, names, larger_names, factors, scale, constant, repeated),
    "mig_sampled": (rows, latents, names, larger_names, factors, scale, mirror, shift, repeated),
    "modularity": (larger_names, scale),
    "mutual_information": (rows, latents, scale, repeated),
    "prior_gap": (),
    "reconstruction": (),
    "rmig": (rows, latents, names, larger_names, factors, repeated),
    "sap": (latents, mirror),
    "ssim": (),
    "total_correlation": (rows, latents, scale, mirror, shift, constant),
    "z_max_variance": (names, larger_names, scale, mirror),
}


def test_every_metric_says_what_it_does_not_depend_on():
    assert set(INVARIANT) == set(OWN)


@pytest.mark.parametrize(
    ("name", "change"),
    [pytest.param(name, change, id=f"{name}-{change.__name__}") for name in INVARIANT for change in INVARIANT[name]],
)
@DRAWS
@given(table=tables(plain=True, least=4), key=st.integers(0, 1000))
def test_score_does_not_depend_on(name, change, table, key):
    if name == "inference" and table["covariance"].shape[0] == 0:
        return
    plain, changed = scores(name, table), scores(name, change(table, key))
    assert (plain is None) == (changed is None)
    for column, value in (plain or {}).items():
        assert (changed or {})[column] == (value if value is None else pytest.approx(value, abs=1e-6, rel=1e-6)), column
