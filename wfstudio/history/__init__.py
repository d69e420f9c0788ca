"""History: SQL over all runs, and bundles that carry runs from one project to another.

Nothing here imports duckdb, pyarrow or numpy when it is imported: a command line that asks no question
must not pay for them.
"""
