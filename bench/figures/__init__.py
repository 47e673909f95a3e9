"""Figures, one file each: ``f(study) -> Figure`` or several by name, from stored runs only.

From outside: the registry `bench.registry.FIGURES`; `axes` and `palette`, which all figures share; `frames.Animation`
for one that moves. Nothing imports a figure by its name.
"""
