"""Routes: what the server answers, as a table that the router and the OpenAPI document are made from.

A path is matched by its segments *before* they are decoded, so that a run id may hold a `/` (as `%2F`).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from wf.errors import WorkflowError
from wfstudio.core.check.deployments import CodeChecks
from wfstudio.core.client import Client
from wfstudio.core.errors import InternalError, UsageError
from wfstudio.core.live import Feed
from wfstudio.core.replays import Replays
from wfstudio.history.asking import LazyAsker
from wfstudio.server.access import Access
from wfstudio.server.answers import HttpError, JsonResponse, answer_error
from wfstudio.server.dev_face import DevFace
from wfstudio.server.sse import Closing

T = TypeVar("T")
Q = TypeVar("Q", bound=msgspec.Struct)

log = logging.getLogger("wfstudio.server")

ANY: Final = "ANY"
ANY_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
STRANGER: Final = "wf.is_stranger"
"""Set in the scope of a request that the guard let in without a secret."""


class Services(msgspec.Struct, frozen=True):
    """What the handlers work with."""

    client: Client
    feed: Feed
    access: Access
    closing: Closing
    dev: DevFace | None
    asker: LazyAsker
    replays: Replays
    checks: CodeChecks


class Call:
    """One request: its path's parameters, its query and its body, as the route declares them."""

    def __init__(self, services: Services, request: Request, route: Route, params: dict[str, str]) -> None:
        self.services = services
        self.request = request
        self.route = route
        self.params = params

    @property
    def client(self) -> Client:
        return self.services.client

    @property
    def last_event_id(self) -> str | None:
        """Where a client that connects again left off."""
        return self.request.headers.get("last-event-id") or None

    @property
    def is_stream_wanted(self) -> bool:
        """The client accepts server-sent events, and says so."""
        return self.request.method == "GET" and "text/event-stream" in self.request.headers.get("accept", "").lower()

    def read_query(self, type: type[Q]) -> Q:
        """Read the query; an unknown name or a value that does not fit is a `UsageError`."""
        fields = {field.encode_name: field for field in msgspec.structs.fields(type)}
        given: dict[str, Any] = {}
        for name, value in self.request.query_params.multi_items():
            if name not in fields:
                raise UsageError(f"unknown parameter {name!r:.80}", f"known: {', '.join(fields) or 'none'}")
            if is_list(fields[name].type):
                given.setdefault(name, []).append(value)
            elif name in given:
                raise UsageError(f"the parameter {name} is given twice")
            else:
                given[name] = value
        try:
            return msgspec.convert(given, type, strict=False)
        except msgspec.ValidationError as error:
            raise UsageError(f"the query does not fit: {error}") from None

    async def read_body(self, type: type[T]) -> T:
        """Read the body as JSON; none at all stands for `{}`."""
        data = await self.request.body()
        try:
            return msgspec.json.decode(data or b"{}", type=type)
        except msgspec.ValidationError as error:
            raise UsageError(f"the body does not fit: {error}") from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise UsageError(f"the body is not JSON: {error}") from None


def is_list(annotation: Any) -> bool:
    bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return get_origin(bare) is list


Handler = Callable[[Call], Awaitable[Any]]


class Upload(msgspec.Struct, frozen=True):
    """A body that is no JSON: its media type, and how many bytes it may have."""

    media_type: str
    limit: int


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table.

    `path` has parameters as `{name}`, or `{name...}` for all that is left. `query`, `body` and `answer`
    are structs (an answer may be a media type); a body that is no JSON is an `upload`. `streams` says that it
    can answer with server-sent events; `errors` are the statuses besides those that every route may give.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    query: Any = None
    body: Any = None
    upload: Upload | None = None
    answer: Any = None
    other_answers: tuple[str, ...] = ()
    status: int = 200
    streams: Literal["never", "if asked", "always"] = "never"
    errors: tuple[int, ...] = ()
    is_public: bool = False

    @property
    def segments(self) -> list[str]:
        return self.path.split("/")[1:]


class Router:
    """Finds the route of a request, calls its handler, and turns what it raises into an answer.

    `lost` answers where there is no route, or none for a stranger.
    """

    def __init__(self, routes: Sequence[Route], services: Services, lost: Callable[[Request], Response]) -> None:
        self.routes = list(routes)
        self._services = services
        self._lost = lost

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(Request(scope, receive))
        except WorkflowError as error:
            response = answer_error(error)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        found = self._find(request.scope)
        if found is None or (request.scope.get(STRANGER, False) and not found[0].is_public):
            return self._lost(request)
        route, params = found
        try:
            answer = await route.handler(Call(self._services, request, route, params))
        except WorkflowError:
            raise
        except ClientDisconnect:
            raise HttpError(400, "the client left before its body had come") from None
        except Exception:
            log.exception("%s %s failed", route.method, route.path)
            return answer_error(InternalError())
        return answer if isinstance(answer, Response) else JsonResponse(answer, route.status)

    def _find(self, scope: Scope) -> tuple[Route, dict[str, str]] | None:
        path: bytes = scope["raw_path"]
        segments = path.partition(b"?")[0].split(b"/")[1:]
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        allowed: list[str] = []
        for route in self.routes:
            params = _match(route.segments, segments)
            if params is None:
                continue
            methods = ANY_METHODS if route.method == ANY else (route.method,)
            # A HEAD is a GET without its body: never a stream, which would not end, nor a webhook's business.
            is_head_refused = scope["method"] == "HEAD" and (route.method == ANY or route.streams == "always")
            if method in methods and not is_head_refused:
                return route, params
            allowed += methods
        if allowed:
            headers = {"allow": ", ".join(sorted(set(allowed)))}
            raise HttpError(405, f"this path does not take {scope['method']:.20}", headers=headers)
        return None


def _match(pattern: list[str], segments: list[bytes]) -> dict[str, str] | None:
    """Match a path's segments, and give its parameters; a segment that is no UTF-8 matches nothing."""
    params: dict[str, str] = {}
    for place, part in enumerate(pattern):
        if part.endswith("...}"):
            rest = _decode(b"/".join(segments[place:]))
            if not rest:
                return None
            params[part[1:-4]] = rest
            return params
        if place >= len(segments):
            return None
        text = _decode(segments[place])
        if part.startswith("{"):
            if not text:
                return None
            params[part[1:-1]] = text
        elif text != part:
            return None
    return params if len(pattern) == len(segments) else None


def _decode(segment: bytes) -> str | None:
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        return None
