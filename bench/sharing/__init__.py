"""Studies as single files: written for others, checked before anything of theirs is let in.

From outside: `export`, `import_`, `archive.read_archive` and `record_checks.check_files`.
"""
