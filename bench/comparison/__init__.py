"""Two studies side by side, paired by seed.

From outside: `compare.load_study`, `compare.compare`, and `render` for what is printed of it.
"""
