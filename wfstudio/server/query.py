"""SQL over HTTP: questions, their answers as they come, and the queries that a project keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from wf.errors import WorkflowError
from wfstudio.core.errors import NotFoundError
from wfstudio.history.asking import Asker, make_question
from wfstudio.history.library import Library, SavedQuery
from wfstudio.history.schema import SchemaDoc, show_schema
from wfstudio.history.wire import Answer, Column, Done, Head, Piece, Rows, Shape
from wfstudio.server.answers import ErrorAnswer, ErrorBody, show_error
from wfstudio.server.questions import EmptyBody
from wfstudio.server.routing import Call, Route

ROWS: Final = 10_000
MOST_ROWS: Final = 100_000
JSON_BYTES: Final = 8 << 20
BINARY_BYTES: Final = 64 << 20
SECONDS: Final = 10.0
MOST_SECONDS: Final = 300.0
ARROW: Final = "application/vnd.apache.arrow.stream"
PARQUET: Final = "application/vnd.apache.parquet"
_TYPES: Final[dict[Shape, str]] = {"rows": "application/json", "arrow": ARROW, "parquet": PARQUET}

_CUT_SHORT: Final = b"\xff\xff\xff\xff" + (1 << 20).to_bytes(4, "little")
"""How a message of an Arrow stream begins, that says it is longer than anything that follows."""

_Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Id = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[A-Za-z0-9_-]+$")]


class QueryBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query that reads. `parameters` go for `$name`; with an `id` it can be cancelled."""

    sql: Annotated[str, Meta(max_length=1_000_000)]
    parameters: dict[str, str | _Whole | float | bool | None] = {}
    limit: Annotated[int, Meta(ge=1, le=MOST_ROWS, description="Rows at most.")] = ROWS
    timeout_seconds: Annotated[float, Meta(gt=0, le=MOST_SECONDS)] = SECONDS
    locked: Annotated[bool, Meta(description="Do not open payloads: they are null.")] = False
    id: _Id | None = None


class _Facts(msgspec.Struct, frozen=True):
    """How it went: what a `QueryResult` has besides its rows."""

    row_count: int | None
    is_capped: bool | None
    elapsed_ms: float | None
    error: ErrorBody | None = None


class QueryResult(msgspec.Struct, frozen=True):
    """`rows` hold the values in order of `columns`. `is_capped`: there were more. `error`: it failed under way."""

    columns: list[Column]
    rows: list[list[Any]]
    row_count: int | None = None
    is_capped: bool | None = None
    elapsed_ms: float | None = None
    error: ErrorBody | None = None


class SavedQueries(msgspec.Struct, frozen=True):
    items: list[SavedQuery]


class SaveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`replace` allows it to take the place of one of this name."""

    name: str
    sql: str
    replace: bool = False


async def ask(call: Call) -> Response:
    """Answer as rows come. What is wrong with the query shows before the first one, and has its own status."""
    body = await call.read_body(QueryBody)
    accept = call.request.headers.get("accept", "").lower()
    shape: Shape = "arrow" if ARROW in accept else "parquet" if PARQUET in accept else "rows"
    question = make_question(
        body.sql,
        parameters=body.parameters,
        shape=shape,
        row_limit=body.limit,
        byte_limit=JSON_BYTES if shape == "rows" else BINARY_BYTES,
        is_locked=body.locked,
    )
    answers = _asker(call).ask(question, seconds=body.timeout_seconds, id=body.id)
    try:
        head = await _wait_for_head(answers, call.request)
    except BaseException:
        await answers.aclose()
        raise
    content = _write_json(head, answers) if shape == "rows" else _write_binary(answers)
    return _AnswerStream(answers, content, _TYPES[shape])


async def _wait_for_head(answers: AsyncGenerator[Answer, None], request: Request) -> Head:
    """Wait for the first answer, as long as the client does: a query may take long before it has one."""

    async def take() -> Head:
        head = await anext(answers)
        assert isinstance(head, Head)
        return head

    async def wait_until_left() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    taking, leaving = asyncio.create_task(take()), asyncio.create_task(wait_until_left())
    try:
        await asyncio.wait({taking, leaving}, return_when="FIRST_COMPLETED")
        if not taking.done():
            raise ClientDisconnect
        return taking.result()
    finally:
        taking.cancel()
        leaving.cancel()
        await asyncio.gather(taking, leaving, return_exceptions=True)


class _AnswerStream(StreamingResponse):
    """A response that ends its query when the client goes."""

    def __init__(
        self, answers: AsyncGenerator[Answer, None], content: AsyncGenerator[bytes, None], media_type: str
    ) -> None:
        super().__init__(content, media_type=media_type)
        self._answers = answers
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._content.aclose()
            await self._answers.aclose()


async def _write_json(head: Head, answers: AsyncGenerator[Answer, None]) -> AsyncGenerator[bytes, None]:
    """Write a `QueryResult` piece by piece."""
    yield b'{"columns":' + _encode(head.columns) + b',"rows":['
    lead, end = b"", b"}"
    async with aclosing(answers):
        try:
            async for answer in answers:
                if isinstance(answer, Rows):
                    yield lead + answer.data[1:-1]
                    lead = b","
                elif isinstance(answer, Done):
                    end = b"," + _encode(_Facts(answer.rows, answer.is_capped, answer.elapsed_ms))[1:]
        except WorkflowError as error:  # the head is sent already
            end = b"," + _encode(_Facts(None, None, None, show_error(error)))[1:]
    yield b"]" + end


async def _write_binary(answers: AsyncGenerator[Answer, None]) -> AsyncGenerator[bytes, None]:
    """Pass an Arrow stream or a Parquet file on. A stream that fails under way is cut short within a message, since a
    reader takes one that is cut between two for the whole; a file has no end then, which no reader takes for one. What
    the reader does not get to is the error.
    """
    async with aclosing(answers):
        try:
            async for answer in answers:
                if isinstance(answer, Piece):
                    yield answer.data
        except WorkflowError as error:
            yield _CUT_SHORT + _encode(ErrorAnswer(show_error(error)))


async def cancel(call: Call) -> Response:
    await call.read_body(EmptyBody)
    if not _asker(call).cancel(call.params["id"]):
        raise NotFoundError(f"no query with the id {call.params['id']!r:.80} is being answered")
    return Response(status_code=204)


async def give_schema(call: Call) -> SchemaDoc:
    return show_schema()


async def list_saved(call: Call) -> SavedQueries:
    return SavedQueries(_library(call).list())


async def save(call: Call) -> SavedQuery:
    body = await call.read_body(SaveBody)
    library = _library(call)
    library.save(body.name, body.sql, is_replacing=body.replace)
    found = library.find(body.name)
    assert found is not None
    return found


def _asker(call: Call) -> Asker:
    return call.services.asker.get()


def _library(call: Call) -> Library:
    return Library(call.client.session.settings.root)


_encode: Final = msgspec.json.Encoder().encode

ROUTES = [
    Route(method="POST", path="/api/query", handler=ask, summary="Ask all history in SQL", body=QueryBody,
          answer=QueryResult, other_answers=(ARROW, PARQUET), errors=(409,)),
    Route(method="POST", path="/api/query/{id}/cancel", handler=cancel, summary="End a query that is being answered",
          body=EmptyBody, status=204, errors=(404,)),
    Route(method="GET", path="/api/query/schema", handler=give_schema, summary="List the tables of SQL",
          answer=SchemaDoc),
    Route(method="GET", path="/api/queries", handler=list_saved, summary="List the saved queries", answer=SavedQueries),
    Route(method="POST", path="/api/queries", handler=save, summary="Keep a query with the project", body=SaveBody,
          answer=SavedQuery, status=201, errors=(409,)),
]  # fmt: skip
