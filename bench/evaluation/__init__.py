"""What is made of a trained run: its codes, the scores on them, and its pictures.

From outside: `codes.evaluate` and `codes.inputs_of`, `montages.write`.
"""
