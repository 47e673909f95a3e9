"""What the entry point names: importing it registers everything."""

from disbench_squares import best_correlation, squares

__all__ = ["best_correlation", "squares"]
