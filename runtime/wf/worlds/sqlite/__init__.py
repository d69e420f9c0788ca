"""An SQLite file as a world. `SqliteWorld` is all that others import."""

from wf.worlds.sqlite.world import SqliteWorld

__all__ = ["SqliteWorld"]
