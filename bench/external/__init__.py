"""Representations and weights that were made elsewhere, scored by the metrics of our own runs.

From outside: `codes` reads them, `encoder` and `with_weights` make them by a user's function or by somebody's weights
(`weights` puts a state dict into a network of ours), `score.score` measures, `render` prints.
"""
