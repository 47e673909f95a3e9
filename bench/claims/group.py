"""Runs of one configuration, as a claim compares them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from bench.claims.measures import measure
from bench.claims.shares import KnownKL

#: Distance in nats within which a KL is at its set point: as much as claims at equal KL tolerate.
HELD = 0.2


@dataclass(frozen=True)
class Group:
    """Runs of one configuration, which differ in nothing but the seed, and in a hyper-parameter that is swept.

    Attributes
    ----------
    stratum : str
        What two configurations must share to be compared: data, training, the matched hyper-parameters.
    label, at : str
        For the tables: the method with what the population names, and the matched hyper-parameters.
    runs : list of dict
        Their rows of `bench.results.study.Study.runs`, sorted by seed.
    over : str
        The hyper-parameter that is swept, or empty.
    plain : KnownKL or None
        The KL of a plain VAE trained as they were, where it is known and they have a set point.
    share : float
        Their set point over it, else NaN.
    """

    stratum: str
    label: str
    at: str
    runs: list[dict[str, Any]]
    over: str = ""
    plain: KnownKL | None = None
    share: float = math.nan

    @property
    def off(self) -> int:
        """Number of runs that ended well, but with a KL off their set point by more than `HELD`."""
        errors = [measure("set_point_error", run, lambda: None) for run in self.runs if run["status"] == "ok"]
        return sum(error > HELD for error in errors)

    def count(self, status: str) -> int:
        """Number of seeds whose run ended so; of sweeps, with a run that did, and "ok" if all ended well."""
        of_status, others = (
            {run["seed"] for run in self.runs if (run["status"] == status) is same} for same in (True, False)
        )
        return len(of_status - others if self.over and status == "ok" else of_status)
