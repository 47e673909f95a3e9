"""Representations and weights that were made elsewhere, scored by the metrics of our own runs.

From outside: `codes` reads or encodes them, `weights` puts somebody's state dict into a network of ours, `score.score`
measures, `render` prints.
"""
