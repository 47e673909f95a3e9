"""R runs of one architecture advance in lockstep, step by step, resumable bit for bit.

From outside: `state.prepare` and `state.Training`, `loop.train`, `checkpoint`, `torch_setup.settings`.
"""
