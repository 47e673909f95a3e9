"""The papers' claims against stored runs: reproduced, contradicted, undecided or not run.

From outside: `verdict.ledger`, `verdict.ledger_for` and `verdict.choose` judge, `render` prints, `load.load_claims`
reads ``papers/*.toml``, one file per paper.
"""
