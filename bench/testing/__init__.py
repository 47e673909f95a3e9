"""What every method, dataset and metric keeps to.

The tests run these checks over everything registered, ``bench test`` over a user's own; see `bench.testing.checks`.
"""
