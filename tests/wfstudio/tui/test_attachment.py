"""The link to a server and the attachment: a real server on a real socket, going and coming back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from tests.wfstudio.site import TOKEN, Site, open_site, serving
from wf.embedding import EmbeddedWorker
from wf.errors import WorldError
from wf.keys import Keyring
from wf.world import Doorbell
from wf.worlds.memory import MemoryWorld
from wf.worlds.process import process_token
from wfstudio.core.client import Client
from wfstudio.core.errors import ConflictError
from wfstudio.core.live import LiveEvent
from wfstudio.core.server_file import ServerFile, remove_server_file, server_file_path, write_server_file
from wfstudio.tui.attachment import Attachment
from wfstudio.tui.server_link import AskedError, LinkLost, ServerLink


def described(url: str, token: str = TOKEN) -> ServerFile:
    return ServerFile(os.getpid(), process_token(), url, token, "2026-01-02T12:00:00.000000Z")


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not holds():
            await asyncio.sleep(0.005)


# -- the link -----------------------------------------------------------------------------------


async def test_a_link_asks_and_gives_the_servers_own_refusal() -> None:
    async with open_site() as site, serving(site) as server:
        link = ServerLink(described(server.url))
        assert await link.ask("GET", "/api/dev") == {"status": {"deployment_id": "dep_1", "diverging": []}}
        assert await link.ask("POST", "/api/dev/reload", {}) == {"result": {"is_reloaded": True}}
        with pytest.raises(AskedError) as caught:
            await link.ask("POST", "/api/runs/wrun_nobody/remedy", {"action": "fork"})
        assert (caught.value.slug, str(caught.value)) == ("run-not-found", "no run has the id 'wrun_nobody'")
        with pytest.raises(AskedError) as refused:
            await ServerLink(described(server.url, "x" * 43)).ask("GET", "/api/dev")
        assert refused.value.slug == "access"


async def test_a_link_follows_from_where_it_was() -> None:
    async with open_site() as site, serving(site) as server:
        site.feed.publish("reload", {"n": 1})
        site.feed.publish("reload", {"n": 2, "text": "zwei\n✓"})
        async with aclosing(ServerLink(described(server.url)).follow(1)) as feed:
            event = await anext(feed)
            assert (event.id, event.kind, event.data) == (2, "reload", {"n": 2, "text": "zwei\n✓"})
            site.feed.publish("error", {"message": "no"})
            assert (await anext(feed)).data == {"message": "no"}


async def test_a_server_that_says_goodbye_ends_the_feed_and_one_that_is_gone_is_lost() -> None:
    async with open_site() as site:
        async with serving(site) as server:
            link = ServerLink(described(server.url))
            feed = link.follow()
            waiting = asyncio.ensure_future(anext(feed, None))
            await until(lambda: site.feed.readers)
        assert await waiting is None
        with pytest.raises(LinkLost):
            await link.ask("GET", "/api/dev")


@pytest.mark.parametrize("body", [b"", b'{"status": {"depl'])
async def test_an_answer_that_breaks_off_is_lost_as_one_that_does_not_come(body: bytes) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 60\r\n\r\n" + body)
        writer.close()

    async with await asyncio.start_server(break_off, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(LinkLost):
            await ServerLink(described(url)).ask("GET", "/api/dev")


# -- the attachment -----------------------------------------------------------------------------


class Follower:
    """An attachment that is followed, and what it said."""

    def __init__(self, attachment: Attachment) -> None:
        self.attachment = attachment
        self.labels = [attachment.label]
        self.events: list[LiveEvent] = []
        self.changed: list[list[str]] = []

    def hear_state(self) -> None:
        self.labels.append(self.attachment.label)

    async def hear_event(self, event: LiveEvent) -> None:
        self.events.append(event)

    async def hear_changed(self, run_ids: list[str]) -> None:
        self.changed.append(run_ids)


@asynccontextmanager
async def following(site: Site, root: Path) -> AsyncIterator[Follower]:
    settings = msgspec.structs.replace(site.client.session.settings, root=root, world="sqlite:///.wf/world.db")
    follower = Follower(Attachment(site.client, settings))
    tasks = [
        asyncio.create_task(follower.attachment.follow_world(follower.hear_changed, follower.hear_state)),
        asyncio.create_task(follower.attachment.follow_server(follower.hear_event, follower.hear_state)),
    ]
    try:
        yield follower
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_server_is_found_lost_and_found_again_at_another_place(tmp_path: Path) -> None:
    async with open_site() as site, following(site, tmp_path) as follower:
        place = server_file_path(follower.attachment.settings)
        assert follower.labels == ["world .wf/world.db · no server"]
        again = Site(site.client)
        again.feed.last_id = 1_000  # a later process begins its ids where the clock is
        urls = []
        for number, one in enumerate((site, again)):
            one.feed.publish("reload", {"n": 2 * number})
            async with serving(one) as server:
                told = described(server.url)
                urls.append(server.url)
                write_server_file(place, told)
                await until(lambda: follower.attachment.link is not None)
                one.feed.publish("reload", {"n": 2 * number + 1})
                await until(lambda number=number: len(reloads(follower)) == 2 * number + 2)
            remove_server_file(place, told)
            await until(lambda: follower.attachment.link is None)
        assert follower.labels[1:] == [
            f"attached to wf dev at {urls[0]} · live",
            "the server is gone · reconnecting …",
            f"attached to wf dev at {urls[1]} · live",
            "the server is gone · reconnecting …",
        ]
        assert reloads(follower) == [0, 1, 2, 3]  # nothing twice, nothing lost
        assert follower.attachment.short_label == "reconnecting …"


def reloads(follower: Follower) -> list[int]:
    return [event.data["n"] for event in follower.events if event.kind == "reload"]


async def test_a_server_of_an_earlier_session_is_not_asked_with_its_token(tmp_path: Path) -> None:
    async with open_site() as site, serving(site) as server, following(site, tmp_path) as follower:
        write_server_file(server_file_path(follower.attachment.settings), described(server.url, "x" * 43))
        await asyncio.sleep(0)
        with pytest.raises(ConflictError) as caught:
            await follower.attachment.ask("GET", "/api/dev")
        assert caught.value.explain().splitlines()[:2] == [
            "no `wf dev` runs beside this world",
            "  fix: start one: `wf dev`",
        ]


async def test_what_changes_in_the_world_is_heard_without_any_server(tmp_path: Path) -> None:
    async with open_site() as site, following(site, tmp_path) as follower:
        await until(lambda: follower.changed == [[]])  # what changed before it listened
        run = await site.client.start("greet", ["ada"])
        await until(lambda: any(run.id in run_ids for run_ids in follower.changed))


class FailingWorld(MemoryWorld):
    """Refuses the first subscription, as one whose owner hangs does."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals = 1

    async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        if self.refusals and topic == "runs":
            self.refusals -= 1
            raise WorldError("the disk is full")
        return await super().subscribe(topic, ring)


async def test_a_world_that_does_not_answer_is_said_and_looked_for_again(tmp_path: Path) -> None:
    async with EmbeddedWorker(FailingWorld(), keyring=Keyring([os.urandom(32)]), grace=0) as worker:
        async with following(Site(Client(worker.session)), tmp_path) as follower:
            await until(lambda: "the world does not answer: the disk is full" in follower.labels)
            await until(lambda: follower.attachment.trouble is None and follower.changed == [[]])
