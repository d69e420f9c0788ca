"""The attachment: the world that is looked at, and the server that runs beside it.

1. The world is read as every face reads it, through its owner or, where nobody owns it, by itself: so what is
   shown stays true whatever becomes of the server.
2. The server is looked for all the time, at its file: one that went and came back, at another port or with
   another token, is found again. Meanwhile what is shown stays, and it is said that it may be old.
3. News come at most ten times a second, however much happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, Literal

import msgspec

from wf.errors import WorkflowError
from wf.session import Session, enter_session, leave_session, make_world
from wf.settings import Settings
from wfstudio.core.client import Client
from wfstudio.core.errors import ConflictError
from wfstudio.core.live import LiveEvent
from wfstudio.core.server_file import read_server_file, server_file_path
from wfstudio.tui.server_link import AskedError, LinkLost, ServerLink

State = Literal["alone", "live", "lost"]

NEWS_SECONDS: Final = 0.1
UNSURE_SECONDS: Final = 1.0
"""Where nobody can ring a bell, all that is known is that something may have happened: it is looked this often."""
MOST_CHANGED: Final = 10_000
"""Of more changes at a time it is only said that everything may have changed."""
LOOK_SECONDS: Final = 0.5
"""How often a server is looked for."""

Changed = Callable[[list[str]], Awaitable[None]]
Heard = Callable[[LiveEvent], Awaitable[None]]


class Attachment:
    """See the laws at the top of this module. `state`: no server was ever seen, one is followed, or it was lost."""

    def __init__(self, client: Client, settings: Settings, *, named_world: str | None = None) -> None:
        self.client = client
        self.settings = settings
        self.named_world = named_world  # on the command line: then other commands must name it, too
        self.state: State = "alone"
        self.is_dev = False
        self.link: ServerLink | None = None
        self.trouble: str | None = None
        self._last_id = 0

    @property
    def label(self) -> str:
        """Say what this is attached to, and how that is."""
        if self.trouble is not None:
            return f"the world does not answer: {self.trouble}"
        if self.link is not None:
            what = "wf dev" if self.is_dev else "wf serve"
            return f"attached to {what} at {self.link.server.url} · live"
        if self.state == "lost":
            return "the server is gone · reconnecting …"
        return f"world {self._world} · no server"

    @property
    def short_label(self) -> str:
        """Say the same where there is little room."""
        if self.trouble is not None:
            return "world lost"
        if self.link is not None:
            return "wf dev · live" if self.is_dev else "wf serve · live"
        return "reconnecting …" if self.state == "lost" else "no server"

    @property
    def _world(self) -> str:
        path = self.settings.address.path
        if path is None:
            return self.settings.address.shown
        root = self.settings.root
        return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)

    async def ask(self, method: str, path: str, body: Any = msgspec.UNSET) -> Any:
        """Ask `wf dev` for what only it can do. Raises `ConflictError` where none runs."""
        if self.link is None:
            raise ConflictError("no `wf dev` runs beside this world", "start one: `wf dev`")
        if not self.is_dev:
            raise ConflictError(f"{self.link.server.url} is no dev server", "reloads and verdicts are `wf dev`'s")
        try:
            return await self.link.ask(method, path, body)
        except LinkLost as error:
            raise ConflictError(f"wf dev does not answer: {error}", "see its terminal") from None

    # -- following

    async def follow_world(self, on_changed: Changed, on_state: Callable[[], None]) -> None:
        """Call `on_changed` with the runs that changed, [] where everything may have, as at first; for ever."""
        while True:
            news = _News()
            try:
                undo = await self.client.session.world.subscribe("runs", news.ring)
                try:
                    await on_changed([])  # what changed before it listened
                    while True:
                        self._settle(None, on_state)
                        await on_changed(await news.take())
                finally:
                    undo()
            except WorkflowError as error:  # its owner hangs, its file went, its disk is full
                self._settle(str(error), on_state)
                await asyncio.sleep(UNSURE_SECONDS)

    def _settle(self, trouble: str | None, on_state: Callable[[], None]) -> None:
        if self.trouble != trouble:
            self.trouble = trouble
            on_state()

    async def follow_server(self, on_event: Heard, on_state: Callable[[], None]) -> None:
        """Look for the server and follow its feed, again and again; for ever.

        It begins with what the server still knows of what was before, and after a loss goes on where it was, also
        with another server: their ids grow.
        """
        path = server_file_path(self.settings)
        while True:
            server = read_server_file(path)
            if server is not None:
                try:
                    await self._follow(ServerLink(server), on_event, on_state)
                except (LinkLost, AskedError):
                    pass
                if self.link is not None:
                    self.link, self.state = None, "lost"
                    on_state()
            await asyncio.sleep(LOOK_SECONDS)

    async def _follow(self, link: ServerLink, on_event: Heard, on_state: Callable[[], None]) -> None:
        is_dev = await _is_dev(link)
        async with aclosing(link.follow(self._last_id)) as feed:
            self.link, self.is_dev, self.state = link, is_dev, "live"
            on_state()
            async for event in feed:
                self._last_id = max(self._last_id, event.id)
                if event.kind not in ("run", "runs"):  # the world itself says which runs changed
                    await on_event(event)


async def _is_dev(link: ServerLink) -> bool:
    """Tell `wf dev` from `wf serve`: only it has a state of its own."""
    try:
        await link.ask("GET", "/api/dev")
    except AskedError as error:
        if error.slug == "access":
            raise
        return False
    return True


class _News:
    """Which runs changed since they were last taken; the doorbell rings for each, or without a name for all."""

    def __init__(self) -> None:
        self._changed: dict[str, None] = {}
        self._is_there = asyncio.Event()
        self._was_unsure = False

    def ring(self, run_id: str) -> None:
        if len(self._changed) < MOST_CHANGED:
            self._changed[run_id] = None
        else:
            self._changed = {"": None}
        self._is_there.set()

    async def take(self) -> list[str]:
        """Wait for news, and give the runs that changed; [] for all."""
        await self._is_there.wait()
        # Where nobody serves the world, it rings on and on without a name.
        await asyncio.sleep(UNSURE_SECONDS if self._was_unsure and "" in self._changed else NEWS_SECONDS)
        self._is_there.clear()
        run_ids, self._changed = list(self._changed), {}
        self._was_unsure = "" in run_ids
        return [] if self._was_unsure else run_ids


@asynccontextmanager
async def attach(settings: Settings, *, named_world: str | None = None) -> AsyncGenerator[Attachment, None]:
    """Open the world for the time of a block; `named_world` is what the command line called it."""
    world, keyring = make_world(settings, role="client", is_making=False)
    session = Session(world, keyring, settings)
    enter_session(session)
    try:
        yield Attachment(Client(session), settings, named_world=named_world)
    finally:
        leave_session(session)
        await world.close()
