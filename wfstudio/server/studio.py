"""The studio itself over HTTP: the page, sessions, live events, health, and `wf dev` where it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

import wfstudio
from wf.errors import WorkflowError
from wfstudio.core.client import Client
from wfstudio.core.errors import AccessError, NotFoundError
from wfstudio.core.live import Feed
from wfstudio.server.access import CODE_SECONDS
from wfstudio.server.answers import HttpError, show_error
from wfstudio.server.guard import is_typed_page
from wfstudio.server.questions import EmptyBody, LiveQuery, OpenBody, RemedyBody, SessionBody, read_number
from wfstudio.server.routing import Call, Route
from wfstudio.server.sse import EventStream, Item

WEB_UI: Final = Path(wfstudio.__file__).parent / "_web_ui"

NOT_BUILT: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>wf</title>
<h1>wf is running</h1>
<p>The browser studio was not built into this installation. It is built by installing again where Node 20 or newer
and the npm registry can be reached, or in a checkout by:</p>
<pre>
python hatch_build.py
</pre>
<p>The command line and the API do the same:</p>
<pre>
wf inspect runs         list runs
wf inspect RUN          draw one
wf start WORKFLOW       start one
wf hooks                what waits for you
</pre>
<p>The API is described at <code>/api/openapi.json</code>.</p>
</html>
"""

LIVE_SECONDS: Final = 0.1
"""How often changed runs are looked at."""

MANY: Final = 100
"""Runs that are shown one by one of those that changed within `LIVE_SECONDS`."""

_AGAIN_SECONDS: Final = 1.0
_ONE_YEAR: Final = "public, max-age=31536000, immutable"


class Health(msgspec.Struct, frozen=True):
    status: Literal["ok"]
    version: str


class Status(msgspec.Struct, frozen=True):
    """`status` is what the dev server says of itself."""

    status: dict[str, Any]


class Done(msgspec.Struct, frozen=True):
    """`result` says what was done."""

    result: dict[str, Any]


class Opened(msgspec.Struct, frozen=True):
    """`editor` is what was started."""

    editor: str


class LaunchCode(msgspec.Struct, frozen=True):
    """`code` opens one browser: it goes behind the studio's address, as `/#code=…`, and is good once."""

    code: str
    expires_in_ms: float


async def show_page(call: Call) -> Response:
    page = WEB_UI / "index.html"
    return FileResponse(page, media_type="text/html") if page.is_file() else HTMLResponse(NOT_BUILT)


def answer_lost(request: Request) -> Response:
    """Answer a path that nothing is at: to who typed it into a browser with the studio, which says so there."""
    if is_typed_page(request.scope, request.headers) and (page := WEB_UI / "index.html").is_file():
        return FileResponse(page, 404, media_type="text/html")
    raise HttpError(404, "there is nothing at this path", "GET /api/openapi.json lists what there is")


async def show_runs_page(call: Call) -> Response:
    """Give the same page: what of it is shown is the page's own business, by its URL."""
    return await show_page(call)


async def show_run_page(call: Call) -> Response:
    return await show_page(call)


async def show_studio_page(call: Call) -> Response:
    return await show_page(call)


async def give_asset(call: Call) -> Response:
    folder = (WEB_UI / "assets").resolve()
    try:
        path = (folder / call.params["path"]).resolve()
        is_there = path.is_relative_to(folder) and path.is_file()
    except (OSError, ValueError):  # a NUL, or a name that is too long
        is_there = False
    if not is_there:
        raise NotFoundError("there is no such file")
    return FileResponse(path, headers={"cache-control": _ONE_YEAR})  # its name holds its hash


async def say_health(call: Call) -> Health:
    return Health("ok", wfstudio.__version__)


async def open_session(call: Call) -> Response:
    body = await call.read_body(SessionBody)
    access = call.services.access
    if not access.take_code(body.code):
        raise AccessError("this link was used already, or is too old", "`wf link` makes a new one", status=401)
    response = Response(status_code=204)
    is_tls = call.request.headers.get("origin", "").startswith("https:")  # a proxy's: we speak http
    response.set_cookie(
        access.cookie_name, access.cookie_value, httponly=True, samesite="strict", path="/", secure=is_tls
    )
    return response


async def draw_code(call: Call) -> LaunchCode:
    await call.read_body(EmptyBody)
    return LaunchCode(call.services.access.make_code(), CODE_SECONDS * 1000)


async def follow_live(call: Call) -> Response:
    query = call.read_query(LiveQuery)
    last_id = query.last_id if call.last_event_id is None else read_number(call.last_event_id)
    feed = call.services.feed.subscribe(last_id)

    async def follow() -> AsyncIterator[Item]:
        try:
            async for event in feed:
                yield Item(event.data, event.kind, str(event.id))
        finally:
            await feed.aclose()

    return EventStream(follow(), call.services.closing)


async def forward_runs(client: Client, feed: Feed) -> None:
    """Publish the runs that change, as a list shows them; for ever, whatever the world does meanwhile.

    Where many change at once it only says so: what nobody could look at need not be read.
    """
    while True:
        try:
            async for run_ids in client.watch_changes(LIVE_SECONDS):
                await _forward(client, feed, run_ids)
        except WorkflowError as error:  # the world's owner went, or its disk is full
            await _tell_trouble(feed, error)


async def _forward(client: Client, feed: Feed, run_ids: list[str]) -> None:
    if len(run_ids) > MANY:
        feed.publish("runs", {"changed": len(run_ids)})
        return
    try:
        for run_id in run_ids:
            view = await client.find_run(run_id)
            if view is not None:
                feed.publish("run", msgspec.to_builtins(view))
    except WorkflowError as error:  # nobody rings for these again
        await _tell_trouble(feed, error)
        feed.publish("runs", {"changed": len(run_ids)})


async def _tell_trouble(feed: Feed, error: WorkflowError) -> None:
    feed.publish("error", msgspec.to_builtins(show_error(error)))
    await asyncio.sleep(_AGAIN_SECONDS)


# -- wf dev -------------------------------------------------------------------------------------


async def show_dev(call: Call) -> Status:
    assert call.services.dev is not None  # its routes are there only with it
    return Status(call.services.dev.status())


async def reload_code(call: Call) -> Done:
    assert call.services.dev is not None
    await call.read_body(EmptyBody)
    return Done(await call.services.dev.reload())


async def apply_remedy(call: Call) -> Done:
    assert call.services.dev is not None
    body = await call.read_body(RemedyBody)
    await call.client.get_run(call.params["id"], is_locked=True)
    return Done(await call.services.dev.remedy(call.params["id"], body.action))


async def open_file(call: Call) -> Opened:
    assert call.services.dev is not None
    body = await call.read_body(OpenBody)
    return Opened(await call.services.dev.open_file(body.file, body.line, body.column))


ROUTES = [
    Route(method="GET", path="/", handler=show_page, summary="The studio", answer="text/html", is_public=True),
    Route(method="GET", path="/runs", handler=show_runs_page, summary="The studio, at its runs",
          answer="text/html", is_public=True),
    Route(method="GET", path="/runs/{path...}", handler=show_run_page, summary="The studio, at a run",
          answer="text/html", is_public=True),
    Route(method="GET", path="/studio/{path...}", handler=show_studio_page, summary="The studio, at another screen",
          answer="text/html", is_public=True),
    Route(method="GET", path="/assets/{path...}", handler=give_asset, summary="A file of the studio",
          answer="*/*", errors=(404,), is_public=True),
    Route(method="GET", path="/health", handler=say_health, summary="Say that the server runs",
          answer=Health, is_public=True),
    Route(method="POST", path="/api/session", handler=open_session, summary="Exchange a launch code for a cookie",
          body=SessionBody, status=204, is_public=True),
    Route(method="POST", path="/api/link", handler=draw_code, summary="Draw a launch code, which opens a browser once",
          body=EmptyBody, answer=LaunchCode, status=201),
    Route(method="GET", path="/api/live", handler=follow_live, summary="Follow what happens",
          query=LiveQuery, streams="always"),
]  # fmt: skip

DEV_ROUTES = [
    Route(method="GET", path="/api/dev", handler=show_dev, summary="Say how `wf dev` is", answer=Status),
    Route(method="POST", path="/api/dev/reload", handler=reload_code, summary="Load the code anew",
          body=EmptyBody, answer=Done),
    Route(method="POST", path="/api/open", handler=open_file, summary="Open a file of the project in an editor",
          body=OpenBody, answer=Opened, errors=(404, 409)),
    Route(method="POST", path="/api/runs/{id}/remedy", handler=apply_remedy,
          summary="Carry out a remedy for a run that diverges", body=RemedyBody, answer=Done, errors=(404, 409)),
]  # fmt: skip
