"""A schema of a Postgres database as a world. `PostgresWorld` is all that others import.

Importing it needs psycopg (the extra `postgres`): do so only where a world's URL asks for it.
"""

from wf.worlds.postgres.world import PostgresWorld

__all__ = ["PostgresWorld"]
