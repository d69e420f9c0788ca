"""History of a world in Postgres: the same SQL, the same mirror, continued from where it was."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Cluster
from tests.wfstudio.history.test_questions import fetch, open_asker
from tests.wfstudio.studio import keep_code, rest, run
from wf.embedding import EmbeddedWorker
from wf.keys import Keyring
from wf.settings import Settings
from wf.worlds.feed import Mark
from wfstudio.core.client import Client
from wfstudio.history import mirror, news
from wfstudio.history.feeds import feed_url, open_feed
from wfstudio.history.mirror import History, mirror_path
from wfstudio.history.payloads import Payloads
from wfstudio.history.schema import make_views

KEY = base64.b64encode(b"k" * 32).decode()
COUNTS = """
    SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM events), (SELECT count(*) FROM steps),
      (SELECT count(*) FROM hooks), (SELECT count(*) FROM runs WHERE status = 'failed')
"""


@pytest.fixture
def settings(tmp_path: Path, emptied_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("WF_KEY", KEY)
    return Settings(root=tmp_path, world=emptied_postgres_url)


@asynccontextmanager
async def worked(settings: Settings) -> AsyncIterator[Client]:
    async with EmbeddedWorker(settings=settings, grace=0) as embedded:
        await keep_code(embedded.session)
        yield Client(embedded.session)


def ask(settings: Settings, sql: str) -> list[Any]:
    """Ask in this process."""
    path = settings.local_path
    assert path is not None
    with History(path, url=feed_url(settings)) as history:
        Payloads(history.feed, Keyring.parse(KEY)).register(history.connection)
        make_views(history.connection)
        return history.connection.execute(sql).fetchall()


async def count(client: Client) -> tuple[int, ...]:
    """Count the same by the world itself."""
    rows = [row async for row in _rows(client)]
    events = [event for row in rows for event in await client.session.world.read_events(row.run_id, 0, 10_000)]
    kinds = [event.type for event in events]
    failed = sum(row.status == "failed" for row in rows)
    return len(rows), len(events), kinds.count("step_created"), kinds.count("hook_created"), failed


async def _rows(client: Client) -> AsyncIterator[Any]:
    from wf.world import RunFilter

    for row in await client.session.world.list_runs(RunFilter(limit=1000)):
        yield row


@pytest.mark.parametrize(("far", "few"), [(0, 0), (10**9, 10**9)], ids=["derived in the file", "retold in memory"])
def test_a_question_sees_all_that_was_committed_and_what_was_forgotten_is_gone(
    settings: Settings, far: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "FAR_BEHIND", far)
    monkeypatch.setattr(news, "FEW", few)

    async def live() -> None:
        async with worked(settings) as client:
            greeted = (await run(client, "greet", "ada")).id
            await run(client, "fail", "no money")
            assert await asyncio.to_thread(ask, settings, COUNTS) == [await count(client)]
            waiting = (await rest(client, (await client.start("approve", ["docs"])).id)).id
            sql = f"""
                SELECT status, input, output, (SELECT count(*) FROM events AS e WHERE e.run_id = r.run_id)
                FROM runs AS r WHERE run_id = '{greeted}'
            """
            [(status, given, output, events)] = await asyncio.to_thread(ask, settings, sql)
            assert (status, json.loads(given)["name"]) == ("completed", "ada")
            assert output is not None and events > 3
            assert await asyncio.to_thread(ask, settings, COUNTS) == [await count(client)]
            await client.cancel(waiting, "enough")
            await client.wait_for_end(waiting, 10)
            await client.session.world.delete_runs([greeted])
            assert await asyncio.to_thread(ask, settings, COUNTS) == [await count(client)]

    asyncio.run(live())


def test_a_process_of_its_own_answers_and_the_mirror_lies_in_the_project(settings: Settings) -> None:
    async def live() -> None:
        async with worked(settings) as client:
            greeted = (await run(client, "greet", "ada")).id
        async with open_asker(settings) as asker:
            rows, _ = await fetch(asker, "SELECT run_id, status, input ->> 'name' FROM runs")
            assert rows == [[greeted, "completed", "ada"]]

    asyncio.run(live())
    path = settings.local_path
    assert path is not None
    assert path.parent == settings.root / ".wf"
    assert mirror_path(path).exists()


def test_a_mirror_of_another_world_is_not_continued(
    settings: Settings, postgres: Cluster, emptied_postgres_url: str
) -> None:
    """The world is made anew under the same name: what was copied of the old one is of no use."""

    async def live() -> str:
        async with worked(settings) as client:
            return (await run(client, "greet", "ada")).id

    first = asyncio.run(live())
    assert ask(settings, "SELECT run_id FROM runs") == [(first,)]
    postgres.drop(emptied_postgres_url)
    second = asyncio.run(live())
    assert ask(settings, "SELECT run_id FROM runs") == [(second,)]
    path = settings.local_path
    assert path is not None
    feed = open_feed(path, feed_url(settings))
    assert feed.mark() > Mark(1, 0)
    feed.close()
