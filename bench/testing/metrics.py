"""What every metric keeps to."""

from __future__ import annotations

import inspect
import json
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.registry import METRICS
from bench.seeds import stream
from bench.testing.checks import Check, ContractError, require

Settings = Mapping[str, Any]


Inputs = dict[str, NDArray[Any]]


def inputs(name: str) -> Inputs:
    """Made-up inputs, by name: codes that are noisy factors, and two that are noise."""
    rng = stream(0, "contract")
    grid = np.stack(np.meshgrid(range(4), range(5), range(6), indexing="ij"), axis=-1).reshape(-1, 3)
    factors = np.tile(grid, (4, 1))
    codes = rng.normal(size=(len(factors), 5))
    codes[:, :3] = factors + 0.1 * codes[:, :3]
    sources = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    table = {
        "codes": codes,
        "logvar": np.full_like(codes, -1.0),
        "factors": factors,
        "labels": factors[:, 0],
        "images": (rng.random((20, 1, 8, 8)) < 0.5).astype(np.float32),
        "decoded": rng.normal(size=(20, 1, 8, 8)).astype(np.float32),
        "decoder_codes": rng.normal(size=codes.shape),
        "generated": rng.normal(size=(20, 1, 8, 8)).astype(np.float32),
        "train_codes": codes[::2] + 0.5,
        "train_logvar": np.full_like(codes[::2], -1.0),
        "train_images": (rng.random((12, 1, 8, 8)) < 0.5).astype(np.float32),
        "train_decoded": rng.normal(size=(12, 1, 8, 8)).astype(np.float32),
        "covariance": np.tile(np.exp(-1.0) * np.eye(5), (len(codes), 1, 1)),
        "sources": sources,
        "true_mean": 0.9 * sources,
        "true_covariance": np.tile(0.1 * np.eye(3), (len(codes), 1, 1)),
    }
    info = METRICS.get(name).info
    return {need: table[need] for need in (*info.inputs, *info.optional)}


def call(name: str, given: Inputs, seed: int = 0) -> dict[str, Any]:
    """What a metric returns: inputs go by position, optional ones by keyword."""
    info = METRICS.get(name).info
    extra = {need: given[need] for need in info.optional}
    return METRICS.get(name).value(*(given[need] for need in info.inputs), **extra, rng=stream(seed, "metric"))


def scores_lie_in_their_range(name: str, settings: Settings) -> None:
    """Its scores are all there and lie in their range."""
    entry = METRICS.get(name)
    result = call(name, inputs(name))
    for column, score in entry.info.scores.items():
        require(column in result, f"the result has no '{column}'; it has {', '.join(result)}")
        inside = score.low <= result[column] <= score.high
        require(inside, f"{column} is {result[column]}, outside its range of {score.low} to {score.high}")
        require(score.label, f"{column} has no label")


def is_a_function_of_its_inputs(name: str, settings: Settings) -> None:
    """It is a function of its inputs and its generator, and leaves its inputs alone."""
    given = inputs(name)
    copies = {need: value.copy() for need, value in given.items()}
    a, b = (call(name, given, seed=3) for _ in range(2))
    require(pickle.dumps(a) == pickle.dumps(b), "two calls differ: draw random numbers from rng alone")
    for need, copy in copies.items():
        require(np.array_equal(given[need], copy), "it changes an array that it was given")


def result_is_json(name: str, settings: Settings) -> None:
    """Its result is JSON, without NaN."""
    result = call(name, inputs(name))
    try:
        json.dumps(result, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ContractError(f"the result can't be written as JSON: {error}") from None


def survives_a_constant_latent(name: str, settings: Settings) -> None:
    """A latent that is constant leaves its scores finite."""
    entry, given = METRICS.get(name), inputs(name)
    if "codes" in given:
        given["codes"][:, 4] = 1.0
    result = call(name, given)
    for column in entry.info.scores:
        require(np.isfinite(result[column]), f"{column} is {result[column]} if one latent is constant")


def refuses_nan(name: str, settings: Settings) -> None:
    """NaN in its inputs is refused with a ValueError that says so."""
    info, given = METRICS.get(name).info, inputs(name)
    given["codes" if "codes" in info.inputs else info.inputs[1]].flat[0] = np.nan
    try:
        call(name, given)
    except ValueError as error:
        require("NaN" in str(error) or "finite" in str(error), f"NaN was refused for another reason: {error}")
    else:
        raise ContractError("NaN in the inputs was taken: raise ValueError")


def documents_itself(name: str, settings: Settings) -> None:
    """It documents what it returns and its source, and says what it costs."""
    doc = inspect.getdoc(METRICS.get(name).value) or ""
    require("References" in doc or "Source" in doc, "the docstring has neither 'Source' nor 'References'")
    require("Returns" in doc, "the docstring has no section 'Returns'")
    cost = METRICS.get(name).info.cost
    require(cost in ("cheap", "seconds", "minutes"), f"cost is '{cost}'; it is cheap, seconds or minutes")


CHECKS: list[Check] = [
    scores_lie_in_their_range,
    is_a_function_of_its_inputs,
    result_is_json,
    survives_a_constant_latent,
    refuses_nan,
    documents_itself,
]
