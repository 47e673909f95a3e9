"""The plain VAE's KLs that a study asks for while it is expanded: each looked up once, and which are missing."""

from __future__ import annotations

from bench.config.plain_kl import FindKL, key_of
from bench.errors import BenchError
from bench.spec import RunSpec

#: Stands in for a KL that isn't known while all else about a study is checked, nats; it never gets into a run.
STAND_IN = 1000.0


class UnknownKLError(BenchError):
    """A study asks for shares of a KL that isn't known.

    Attributes
    ----------
    plain : list of RunSpec
        A run of the plain VAE for each kind of training whose KL is wanted.
    n_runs : int
        How many runs the study has.
    """

    def __init__(self, message: str, plain: list[RunSpec], n_runs: int) -> None:
        super().__init__(message)
        self.plain = plain
        self.n_runs = n_runs


class KLs:
    """Looks KLs of the plain VAE up, each once, and remembers those that nobody knows."""

    def __init__(self, find: FindKL) -> None:
        self.find = find
        self.known: dict[str, float] = {}
        self.unknown: dict[str, RunSpec] = {}

    def of(self, plain: RunSpec) -> float:
        """The KL of a run of the plain VAE, nats; `STAND_IN` where it isn't known."""
        key = key_of(plain)
        if key not in self.known:
            found = self.find(plain)
            self.known[key] = found.kl if found else STAND_IN
            if not found:
                self.unknown[key] = plain
        return self.known[key]
