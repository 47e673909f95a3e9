"""Whether scores are still what they were.

The tiers of ``bench check``: `formulas` and `losses` are 0, `trajectories` 1, `statistical` 2, `papers` 3.

From outside: `run.run` does what a `request.Request` asks, `render` prints it; `doctor` is ``bench doctor``.
"""
