"""From a plan to committed runs: which runs go together, in which process, and what becomes of each.

From outside: `plan.plan` says what is left to do, `run` does it, `estimate` says how long it takes, `processes` are the
worker processes, `calibration` finds the KL that set points are shares of. Everything else is the worker's own.
"""
