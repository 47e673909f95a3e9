"""What a notebook or a script works with; `bench` itself gives all of it by name, and the command line calls it.

From outside: the names in ``bench.__all__``, imported from `bench`. Each file here is one of them or a family.
"""
