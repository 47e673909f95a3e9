"""Figures, one file each: ``f(study) -> Figure`` or several by name, from stored runs only."""
