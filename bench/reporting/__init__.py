"""Stored runs to a report: tables, figures, ``report.md`` and ``report.html``.

From outside: `render.render` writes all of it; `tables.make_table` is a data set's table, `published` sets it beside
values that somebody has read.
"""
