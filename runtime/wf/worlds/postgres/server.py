"""The server under a Postgres world: what it says of itself, for who examines it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from wf.worlds.postgres.core import Core

_FACTS: Final = """
SELECT current_setting('server_version'), current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on',
  current_setting('synchronous_commit'), (SELECT count(*) FROM workers),
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  current_setting('max_connections')::int, pg_database_size(current_database()),
  (SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class AS c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r')
"""


class ServerFacts(msgspec.Struct, frozen=True):
    """`synchronous_commit` is that of our connections; sizes are bytes, `world_bytes` that of our schema alone."""

    version: str
    is_fsyncing: bool
    is_writing_full_pages: bool
    synchronous_commit: str
    workers: int
    connections: int
    most_connections: int
    database_bytes: int
    world_bytes: int


def read_facts(core: Core) -> ServerFacts:
    row: tuple[Any, ...] = core.fetch(_FACTS)[0]
    return ServerFacts(*row)
