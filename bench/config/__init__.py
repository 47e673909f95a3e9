"""From what a user asks for to resolved run specs: defaults < preset < study file < flags.

From outside: `study.resolve` and `study.find_study` give a `StudySpec`, `expand.expand` its `RunSpec`s; `plain_kl` is
what set points are shares of. ``presets/`` and ``studies/`` hold the files that are known by name.
"""
