"""A schema of a Postgres database as a world. `PostgresWorld` is all that others import.

Importing it needs psycopg (the extra `postgres`): do so only where a world's URL asks for it.
"""

import logging

from wf.worlds.postgres.world import PostgresWorld

# What psycopg has to say of a connection that broke is in the errors that we raise. It may be listened to all the same.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

__all__ = ["PostgresWorld"]
