"""The app: routes behind the guard, over one client and one feed."""

from __future__ import annotations

from typing import Final

from starlette.types import Receive, Scope, Send

from wfstudio.core.check.deployments import CodeChecks, examine_apart
from wfstudio.core.client import Client
from wfstudio.core.live import Feed
from wfstudio.core.replays import Replays
from wfstudio.history.asking import LazyAsker
from wfstudio.server import (
    code,
    diffs,
    faults,
    forks,
    hooks,
    openapi,
    query,
    replays,
    runs,
    storage,
    studio,
    transfers,
    written_tests,
)
from wfstudio.server.access import Access
from wfstudio.server.dev_face import DevFace
from wfstudio.server.guard import Guard
from wfstudio.server.routing import Route, Router, Services
from wfstudio.server.sse import Closing

BODY_MARGIN: Final = 1024 * 1024
"""What a body may be larger than the largest payload: names, quotes, white space."""


class App:
    """An ASGI app. `close` ends its event streams; what follows the world's runs is `forward_runs`."""

    def __init__(self, services: Services, routes: list[Route], *, body_limit: int) -> None:
        self.services = services
        self.routes = routes
        uploads = {route.path: route.upload for route in routes if route.upload is not None}
        self._guarded = Guard(
            Router(routes, services, studio.answer_lost), services.access, body_limit=body_limit, uploads=uploads
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._guarded(scope, receive, send)

    async def forward_runs(self) -> None:
        """Tell the feed of every run that changes, for ever."""
        await studio.forward_runs(self.services.client, self.services.feed)

    async def keep_history(self) -> None:
        """Keep the mirror of the world's history near, for ever."""
        await self.services.asker.keep_up()

    def close(self) -> None:
        self.services.closing.close()

    async def end_replays(self) -> None:
        """End the processes that time travel keeps."""
        await self.services.replays.close()

    async def end_queries(self) -> None:
        """End the queries that are being answered, and the process that waits for the next one."""
        await self.services.asker.close()


def list_routes(*, has_dev: bool) -> list[Route]:
    """List all routes: the whole of what the server answers."""
    routes = [
        *studio.ROUTES,
        *runs.ROUTES,
        *forks.ROUTES,
        *diffs.ROUTES,
        *faults.ROUTES,
        *code.ROUTES,
        *hooks.ROUTES,
        *query.ROUTES,
        *replays.ROUTES,
        *storage.ROUTES,
        *transfers.ROUTES,
        *written_tests.ROUTES,
        *(studio.DEV_ROUTES if has_dev else ()),
    ]
    return [*routes, openapi.make_route(routes)]


def make_app(
    client: Client,
    feed: Feed,
    *,
    access: Access,
    dev: DevFace | None = None,
    replays: Replays | None = None,
    checks: CodeChecks | None = None,
) -> App:
    """Make the app that serves a world. The routes of `wf dev` are there only with `dev`.

    `replays` knows what today's code is, and how processes for it are had; by default the project's settings say.
    `checks` are those of whoever loads the code, by default of our own.
    """
    replays = replays or Replays(client.session)
    checks = checks or CodeChecks(client.session, examine=examine_apart(replays.workbench.launch))
    asker = LazyAsker(client.session.settings)
    services = Services(client, feed, access, Closing(), dev, asker, replays, checks)
    body_limit = client.session.settings.limits.payload + BODY_MARGIN
    return App(services, list_routes(has_dev=dev is not None), body_limit=body_limit)
