"""The seam: every error of Postgres and of the way to it becomes one of wf's here, and nowhere else.

No message of ours holds a URL with its user and password, and of Postgres' own only what they are not in.
"""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import errors

from wf.errors import StorageFull, WorldBusy, WorldError

_AGAIN: Final = (errors.DeadlockDetected, errors.SerializationFailure)


class Unsure(WorldError):
    """Internal: the connection broke between a COMMIT and its answer. Nobody knows whether it was carried out."""


def is_to_repeat(error: psycopg.Error) -> bool:
    """Tell an error that ended a transaction for the sake of another one."""
    return isinstance(error, _AGAIN)


def is_of_connection(error: psycopg.Error, connection: psycopg.Connection[object]) -> bool:
    """Tell whether the connection is gone, and not only the statement: the server says so before it hangs up."""
    return connection.closed or error.diag.severity_nonlocalized in ("FATAL", "PANIC")


def translate(error: psycopg.Error, shown: str, secrets: tuple[str, ...] = ()) -> WorldError:
    """Say in wf's words what Postgres reports about a world. `secrets` are taken out of its own words."""
    told = _first_line(error)
    for secret in sorted(secrets, key=len, reverse=True):
        told = told.replace(secret, "…")
    if isinstance(error, errors.DiskFull):
        full = StorageFull(f"no space is left for the world {shown}: {told}")
        full.hint = "free space on the disk of the database; runs go on by themselves"
        return full
    if isinstance(error, errors.LockNotAvailable):
        busy = WorldBusy(f"another process holds the world {shown} and did not let go in time")
        busy.hint = "see `select * from pg_stat_activity where wait_event_type = 'Lock'` for who it is"
        return busy
    if type(error) is psycopg.OperationalError:  # of the login: it carries no code
        kind = next((kind for words, kind in _REFUSALS if words in told), None)
        error = error if kind is None else kind()
    for kinds, text, hint in _TEXTS:
        if isinstance(error, kinds):
            failure = WorldError(text.format(shown=shown, told=told))
            failure.hint = hint
            return failure
    return WorldError(f"the world {shown} cannot be used: {told}")


_REFUSALS: Final[tuple[tuple[str, type[psycopg.Error]], ...]] = (
    ("password authentication failed", errors.InvalidPassword),
    ("no password supplied", errors.InvalidPassword),
    ("no pg_hba.conf entry", errors.InvalidAuthorizationSpecification),
    ("does not exist", errors.InvalidCatalogName),
    ("too many clients", errors.TooManyConnections),
    ("connection option", psycopg.ProgrammingError),
)


def is_outage(error: psycopg.Error) -> bool:
    """Tell a database that cannot be reached, and may come back, from one that refuses us."""
    told = str(error)
    return isinstance(error, psycopg.OperationalError) and not any(
        words in told for words, kind in _REFUSALS if kind is not errors.TooManyConnections
    )


_TEXTS: Final[tuple[tuple[type[psycopg.Error] | tuple[type[psycopg.Error], ...], str, str | None], ...]] = (
    (
        errors.ReadOnlySqlTransaction,
        "the world {shown} is read-only",
        "name the primary server, not a standby, and a role that may write; add `target_session_attrs=read-write`"
        " where the URL names several hosts",
    ),
    (
        errors.InsufficientPrivilege,
        "the world {shown} may not be used by this role: {told}",
        "give the role CREATE on the database, or make the schema for it: `create schema wf authorization <role>`",
    ),
    (
        (errors.UndefinedTable, errors.InvalidSchemaName),
        "the world {shown} was deleted while it was open",
        "restore it, or restart wf to begin a new world",
    ),
    (
        (errors.UndefinedColumn, errors.UndefinedFunction),
        "the world {shown} does not fit this version of wf: {told}",
        "use the same version of wf in all processes",
    ),
    (
        (errors.InvalidPassword, errors.InvalidAuthorizationSpecification),
        "the database of the world {shown} refused the login: {told}",
        "check user and password of the URL, or PGPASSWORD and ~/.pgpass",
    ),
    (
        errors.InvalidCatalogName,
        "the database of the world {shown} is not there: {told}",
        "make it, `createdb <name>`, or name another one",
    ),
    (
        errors.TooManyConnections,
        "the database of the world {shown} has no connection left: {told}",
        "raise max_connections; a process of wf holds up to seven",
    ),
    (
        errors.IoError,
        "the disk failed under the world {shown}: {told}",
        "look at the log of the database; what was not acknowledged may be sent again",
    ),
    (
        (errors.DataCorrupted, errors.IndexCorrupted),
        "the world {shown} is damaged: {told}",
        "restore a backup of the database",
    ),
    (errors.QueryCanceled, "the world {shown} did not answer in time: {told}", None),
    (psycopg.DataError, "the world {shown} cannot keep this: {told}", None),
    (
        psycopg.OperationalError,
        "the world {shown} cannot be reached: {told}",
        "see that the database runs and can be reached from here; what was under way goes on by itself then",
    ),
)


def _first_line(error: psycopg.Error) -> str:
    text = error.diag.message_primary or str(error)
    return text.strip().partition("\n")[0] or type(error).__name__
