"""Where a Postgres world is: a database, as libpq's URLs name it, and a schema in it.

    postgresql://user:password@host:5432/database?schema=wf&sslmode=verify-full

`schema` is ours (default `wf`); everything else is libpq's, with its variables (PGHOST, PGPASSWORD …) and files.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from wf.settings import SettingsError, hide_secret

DEFAULT_SCHEMA: Final = "wf"
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# What a cut line is noticed by, where nothing comes back: without them TCP waits for a quarter of an hour.
_DEFAULTS: Final[dict[str, Any]] = {
    "connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 10_000, "fallback_application_name": "wf",
}  # fmt: skip


class Place:
    """What a world's URL says. `shown` may be shown."""

    def __init__(self, url: str) -> None:
        self.shown: Final = hide_secret(url)
        try:
            parts = urlsplit(url)
            given = parse_qsl(parts.query, keep_blank_values=True)
        except ValueError:
            raise self._refused() from None
        named = [value for key, value in given if key == "schema"]
        self.schema: Final = named[-1] if named else DEFAULT_SCHEMA
        if not _SCHEMA.fullmatch(self.schema) or self.schema.startswith("pg_"):
            raise SettingsError(
                f"{self.shown!r}: {self.schema!r:.80} is no name of a schema",
                "write it in small letters, digits and `_`, like `?schema=wf_staging`",
            )
        rest = "&".join(f"{quote(key)}={quote(value, safe='')}" for key, value in given if key != "schema")
        try:
            self._options = conninfo_to_dict(urlunsplit(parts._replace(query=rest)))
        except psycopg.Error:  # what libpq says of it quotes it, password and all
            raise self._refused() from None
        self.secrets: Final = tuple(
            str(text) for text in (self._options.get("password"), unquote(parts.password or "")) if text
        )
        name = f"wf/world/{self.schema}"
        self.channel: Final = f"wf_{self.schema}"[:63]
        self.lock_key: Final = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)

    def _refused(self) -> SettingsError:
        hint = "write it like `postgresql://user:password@host:5432/database?schema=wf`"
        return SettingsError(f"{self.shown!r} is not a world's URL", hint)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a connection. Raises errors of psycopg."""
        return psycopg.connect(**{**_DEFAULTS, **self._options}, autocommit=True)
