"""The customers' page: `python desk.py`, beside a `wf dev` or `wf worker` that does the work.

This process has no worker. It starts runs, resumes their hooks and reads their streams, and may come and go: a browser
that lost it connects again and says which event it saw last, and goes on from there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from flow import CustomerMessage, inbox_token, ticket
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import wf

PORT = 8000
PAGE = Path(__file__).resolve().parent / "page.html"


async def show_page(request: Request) -> Response:
    return FileResponse(PAGE)


async def open_ticket(request: Request) -> Response:
    asked = await request.json()
    run = await wf.start(ticket, str(asked["question"]), str(asked.get("customer", "ada")))
    return JSONResponse({"ticket": run.run_id}, 201)


async def say(request: Request) -> Response:
    said = await request.json()
    message = CustomerMessage(str(said.get("text", "")), bool(said.get("is_over", False)))
    try:
        await message.resume(inbox_token(request.path_params["ticket"]))
    except wf.HookNotFoundError:
        return JSONResponse({"error": "this ticket is closed, or there is none"}, 404)
    return Response(status_code=202)


async def follow(request: Request) -> Response:
    """Send a ticket's events, from the one after `Last-Event-ID`, as they come."""
    run = wf.get_run(request.path_params["ticket"])
    seen = request.headers.get("last-event-id", "")
    start = int(seen) + 1 if seen.isdecimal() else 0
    try:
        await run.status()
    except wf.RunNotFoundError as error:
        return JSONResponse({"error": str(error)}, 404)
    return StreamingResponse(send_events(run, start), media_type="text/event-stream")


async def send_events(run: wf.Run[Any], start: int) -> AsyncIterator[str]:
    """Number events by their index in the run's stream: that is all that it takes to resume."""
    yield "retry: 500\n\n"
    index = start
    async for event in run.readable("conversation", start_index=start):
        yield f"id: {index}\ndata: {json.dumps(event)}\n\n"
        index += 1
    yield "event: closed\ndata: {}\n\n"


app = Starlette(
    routes=[
        Route("/", show_page),
        Route("/tickets", open_ticket, methods=["POST"]),
        Route("/tickets/{ticket}/messages", say, methods=["POST"]),
        Route("/tickets/{ticket}/events", follow),
    ]
)


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else PORT
    # Readers of events never leave by themselves: without a bound, Ctrl-C would wait for them.
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
