"""R runs of one architecture advance as a batch, step by step, resumable bit for bit.

Batched runs: parameters, optimiser and controller state, and noise carry a leading run axis R, so that one call of a
kernel serves all R runs. Nothing mixes the runs, so that each gets the bits that it gets alone. Provenance records R as
``lockstep``.

From outside: `state.prepare` and `state.Training`, `loop.train`, `checkpoint`, `torch_setup.settings`.
"""
