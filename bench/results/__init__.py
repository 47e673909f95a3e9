"""Run folders on disk, and the tidy table that is read from them.

From outside: `store.Store` writes, `study.read_study` reads, `summary` condenses over seeds, `labels` names
configurations, `versions` refuses to mix what can't be compared, `record` and `damage` hold files to what was recorded.
"""
