"""What a tier of ``bench check`` says about one number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: ``same``: to the bit. ``within``: inside the stored bound. ``moved``: outside it, a regression. ``new``: nothing is
#: stored yet. ``missing``: stored, but it can no longer be computed. ``undecided``: too few runs to say. ``skipped``:
#: not computed, and the message says why. ``outside``: away from a published value, which is never a failure.
Status = Literal["same", "within", "moved", "new", "missing", "undecided", "skipped", "outside"]

#: Status words that make ``bench check`` exit with 3.
REGRESSIONS: frozenset[Status] = frozenset({"moved", "missing"})


@dataclass(frozen=True)
class Finding:
    """One comparison of a number with what is stored for it.

    Attributes
    ----------
    tier : int
        0 formulas, 1 trajectories, 2 statistics, 3 published values.
    subject : str
        What was checked: ``"metric mig"``, ``"method beta_vae"``.
    quantity : str
        The number: ``"mig on codes 'folded'"``, ``"kl at step 40"``.
    status : str
        See `Status`.
    message : str
        One sentence: what moved, by how much, in which direction, since which version.
    expected, got, bound : float or str or None
        The stored number, the number now, and how far they may be apart. Digests are strings without a bound.
    version : int or None
        The stored version of the method or metric.
    """

    tier: int
    subject: str
    quantity: str
    status: Status
    message: str
    expected: float | str | None = None
    got: float | str | None = None
    bound: float | None = None
    version: int | None = None
