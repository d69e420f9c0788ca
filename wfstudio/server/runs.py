"""Runs over HTTP: lists, what a run did, and what can be done to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from wfstudio.core.errors import NotFoundError
from wfstudio.core.traces import MarksView, Trace
from wfstudio.core.views import ChunkView, EventView, LogView, RunList, RunView, StepView, StreamView
from wfstudio.server.questions import (
    CancelBody,
    EmptyBody,
    LockedQuery,
    PageQuery,
    PayloadPageQuery,
    RunsQuery,
    StartBody,
    StreamQuery,
    read_number,
)
from wfstudio.server.routing import Call, Route
from wfstudio.server.sse import EventStream, Item


class EventPage(msgspec.Struct, frozen=True):
    items: list[EventView]
    cursor: str | None


class StepPage(msgspec.Struct, frozen=True):
    items: list[StepView]
    cursor: str | None


class LogPage(msgspec.Struct, frozen=True):
    items: list[LogView]
    cursor: str | None


class StreamList(msgspec.Struct, frozen=True):
    items: list[StreamView]


class ChunkPage(msgspec.Struct, frozen=True):
    """`next_index` goes on after these; `is_closed` says that nothing comes after them."""

    items: list[ChunkView]
    next_index: int
    is_closed: bool


class Woken(msgspec.Struct, frozen=True):
    """How many sleeps were ended."""

    woken: int


async def list_runs(call: Call) -> RunList:
    query = call.read_query(RunsQuery)
    return await call.client.list_runs(query.read(call.client.session.now_us()))


async def start_run(call: Call) -> RunView:
    body = await call.read_body(StartBody)
    return await call.client.start(
        body.workflow,
        body.args,
        body.kwargs,
        id=body.id,
        attributes=body.attributes,
        deployment=body.deployment,
        delay=body.delay,
    )


async def get_run(call: Call) -> RunView:
    query = call.read_query(LockedQuery)
    return await call.client.get_run(call.params["id"], is_locked=query.locked, max_bytes=query.max_bytes)


async def list_events(call: Call) -> Any:
    query = call.read_query(PayloadPageQuery)
    run_id, after = call.params["id"], read_number(call.last_event_id or query.cursor)
    how: dict[str, Any] = {"is_locked": query.locked, "max_bytes": query.max_bytes}
    if call.is_stream_wanted:
        await call.client.get_run(run_id, is_locked=True)  # an unknown run is a 404, not a stream that ends

        async def follow() -> AsyncIterator[Item]:
            async for event in call.client.follow_events(run_id, after, **how):
                yield Item(event, id=str(event.seq))

        return EventStream(follow(), call.services.closing)
    items = await call.client.list_events(run_id, after, query.limit, **how)
    return EventPage(items, str(items[-1].seq) if len(items) == query.limit else None)


async def read_trace(call: Call) -> Trace:
    return await call.client.read_trace(call.params["id"])


async def read_marks(call: Call) -> MarksView:
    return await call.client.read_marks_beside(call.params["id"])


async def list_steps(call: Call) -> StepPage:
    query = call.read_query(PayloadPageQuery)
    after = read_number(query.cursor)
    items = await call.client.list_steps(
        call.params["id"], after=after, limit=query.limit, is_locked=query.locked, max_bytes=query.max_bytes
    )
    return StepPage(items, str(items[-1].correlation_id) if len(items) == query.limit else None)


async def read_logs(call: Call) -> Any:
    query = call.read_query(PageQuery)
    run_id, after = call.params["id"], call.last_event_id or query.cursor
    if call.is_stream_wanted:
        await call.client.get_run(run_id, is_locked=True)

        async def follow() -> AsyncIterator[Item]:
            async for line in call.client.follow_logs(run_id, after):
                yield Item(line, id=line.position)

        return EventStream(follow(), call.services.closing)
    items = await call.client.read_logs(run_id, after, query.limit)
    return LogPage(items, items[-1].position if len(items) == query.limit else None)


async def list_streams(call: Call) -> StreamList:
    return StreamList(await call.client.list_streams(call.params["id"]))


async def read_stream(call: Call) -> Any:
    query = call.read_query(StreamQuery)
    run_id, name = call.params["id"], call.params["name"]
    start = query.start if call.last_event_id is None else read_number(call.last_event_id) + 1
    known = {stream.name: stream for stream in await call.client.list_streams(run_id)}
    if call.is_stream_wanted:

        async def follow() -> AsyncIterator[Item]:
            async for chunk in call.client.read_stream(
                run_id, name, start, is_following=True, max_bytes=query.max_bytes
            ):
                yield Item(chunk, id=str(chunk.index))

        return EventStream(follow(), call.services.closing)
    stream = known.get(name)
    if stream is None:
        raise NotFoundError(f"this run has no stream {name!r:.80}", "a stream is there from its first chunk on")
    items: list[ChunkView] = []
    async for chunk in call.client.read_stream(run_id, name, start, max_bytes=query.max_bytes):
        items.append(chunk)
        if len(items) == query.limit:
            break
    next_index = items[-1].index + 1 if items else max(start, 0)
    return ChunkPage(items, next_index, stream.is_closed and next_index > stream.tail_index)


async def cancel_run(call: Call) -> RunView:
    body = await call.read_body(CancelBody)
    return await call.client.cancel(call.params["id"], body.reason, force=body.force)


async def wake_run(call: Call) -> Woken:
    await call.read_body(EmptyBody)
    return Woken(await call.client.wake(call.params["id"]))


async def retry_run(call: Call) -> RunView:
    await call.read_body(EmptyBody)
    return await call.client.retry(call.params["id"])


RUN = "/api/runs/{id}"

ROUTES = [
    Route(method="GET", path="/api/runs", handler=list_runs, summary="List runs, newest first",
          query=RunsQuery, answer=RunList),
    Route(method="POST", path="/api/runs", handler=start_run, summary="Start a run",
          body=StartBody, answer=RunView, status=201, errors=(404, 409, 422)),
    Route(method="GET", path=RUN, handler=get_run, summary="Give a run, with its input and output",
          query=LockedQuery, answer=RunView, errors=(404,)),
    Route(method="GET", path=f"{RUN}/events", handler=list_events, summary="List a run's events, or follow them",
          query=PayloadPageQuery, answer=EventPage, streams="if asked", errors=(404,)),
    Route(method="GET", path=f"{RUN}/trace", handler=read_trace, summary="Give a run's timeline",
          answer=Trace, errors=(404,)),
    Route(method="GET", path=f"{RUN}/marks", handler=read_marks, summary="Give what a timeline has that is no event",
          answer=MarksView, errors=(404,)),
    Route(method="GET", path=f"{RUN}/steps", handler=list_steps, summary="List a run's steps with their attempts",
          query=PayloadPageQuery, answer=StepPage, errors=(404,)),
    Route(method="GET", path=f"{RUN}/logs", handler=read_logs, summary="List what a run printed, or follow it",
          query=PageQuery, answer=LogPage, streams="if asked", errors=(404,)),
    Route(method="GET", path=f"{RUN}/streams", handler=list_streams, summary="List a run's streams",
          answer=StreamList, errors=(404,)),
    Route(method="GET", path=f"{RUN}/streams/{{name}}", handler=read_stream, summary="Read a stream, or follow it",
          query=StreamQuery, answer=ChunkPage, streams="if asked", errors=(404,)),
    Route(method="POST", path=f"{RUN}/cancel", handler=cancel_run, summary="Ask a run to stop, or end it",
          body=CancelBody, answer=RunView, errors=(404,)),
    Route(method="POST", path=f"{RUN}/wake", handler=wake_run, summary="End a run's sleeps early",
          body=EmptyBody, answer=Woken, errors=(404,)),
    Route(method="POST", path=f"{RUN}/retry", handler=retry_run, summary="Try an ended run again, in a new run",
          body=EmptyBody, answer=RunView, status=201, errors=(404, 409)),
]  # fmt: skip
