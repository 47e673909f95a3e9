"""The command line: one file per family of commands, each a thin caller of the rooms that do the work.

From outside: `main.main`, the entry point of the command ``bench``. Nothing imports this package.
"""
