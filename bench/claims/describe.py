"""Populations and their configurations in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.claims.schema import Claim, Population, Range
from bench.registry import METHODS
from bench.results.labels import printed_name


def describe(population: Population) -> str:
    """A population in a few words: "DynamicVAE with set_point >= 16"."""
    words = [_condition(key, value) for key, value in (population.data | population.hyper).items()]
    over = f" over {population.over}" if population.over else ""
    share = population.set_point_share
    points = f" at set points of {share} of the plain VAE's KL" if share else ""
    return printed_name(METHODS, population.method) + (f" with {', '.join(words)}" if words else "") + over + points


def labels(claim: Claim, population: Population, hyper: Mapping[str, Any], share: float) -> tuple[str, str]:
    """Name a configuration by what its population names or leaves free, and say in what it agrees with a rival."""
    names = dict.fromkeys([*population.hyper, *population.free])
    shown = [f"{key}={value}" for key, value in population.data.items()]
    shown += [f"{key}={hyper.get(key)}" for key in names if key not in claim.match and key != population.over]
    shown += [f"over {population.over}"] if population.over else []
    shown += [f"set point at {share:.2f}"] if population.set_point_share else []
    label = printed_name(METHODS, population.method) + (f" ({', '.join(shown)})" if shown else "")
    return label, ", ".join(f"{key}={hyper.get(key)}" for key in claim.match)


def _condition(key: str, value: Any) -> str:
    if isinstance(value, Range):
        bounds = ((">=", value.min), ("<=", value.max))
        return " and ".join(f"{key} {sign} {bound:g}" for sign, bound in bounds if bound is not None)
    if isinstance(value, list):
        return f"{key} = {' or '.join(map(str, value))}"
    return f"{key} = {str(value).removeprefix('@')}"
