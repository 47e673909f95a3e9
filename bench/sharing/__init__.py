"""Studies as single files: written for others, checked before anything of theirs is let in, read like folders.

From outside: `opening` to find and read studies wherever they lie, `export`, `import_`, `verify`, `archive.runs_of`.
"""
