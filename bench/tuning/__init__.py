"""What a tuning study found: the settings of each method side by side, the winners, and what the search was worth.

From outside: `trials.read_trials` and `rules.choose` give the winners, `winners.write` their file, `udr.measure` scores
without labels; `gain`, `effort` and `sensitivity` are what reports and figures show.
"""
