"""What every method, dataset, metric and network keeps to.

The tests run these checks over everything registered, ``bench test`` over a user's own; see `bench.testing.checks`.
For a test file of your own there is `parametrize_with_checks`.

From outside: `parametrize_with_checks`, `checks.run_checks` and `targets.find`.
"""

from bench.testing.parametrize import parametrize_with_checks

__all__ = ["parametrize_with_checks"]
