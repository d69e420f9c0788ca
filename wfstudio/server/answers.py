"""Answers: views and errors as HTTP responses. Every error has the same body, whoever raised it:

{"error": {"slug": "run-not-found", "message": "…", "where": null, "hint": "…"}}
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response

from wf.errors import PayloadTooLargeError, WorkflowError
from wfstudio.core.errors import AccessError, UsageError

STATUSES: Final = {
    "usage": 400,
    "settings": 400,
    "query": 400,
    "query-limit": 422,
    "run-not-found": 404,
    "hook-not-found": 404,
    "not-registered": 404,
    "not-found": 404,
    "conflict": 409,
    "hook-conflict": 409,
    "hook-disposed": 409,
    "nondeterminism": 409,
    "fork": 409,
    "fault": 409,
    "editor": 409,
    "imported": 409,
    "remedy": 409,
    "payload-too-large": 413,
    "validation": 422,
    "serialization": 422,
    "fatal": 422,
    "load": 422,
    "bundle": 422,
    "bench": 422,
    "decryption": 423,
    "world-busy": 503,
    "world": 503,
    "internal": 500,
    "storage-full": 507,
}
"""Of each slug; of one that is not here 500. `access` is 401 or 403, as it says itself."""

RETRY_SECONDS: Final = 1


class ErrorBody(msgspec.Struct, frozen=True):
    """`slug` has a page docs/errors/<slug>.md; `where` is `file:line in function`; `hint` is the cure."""

    slug: str
    message: str
    where: str | None
    hint: str | None


class ErrorAnswer(msgspec.Struct, frozen=True):
    error: ErrorBody


class HttpError(UsageError):
    """A request that HTTP has a status of its own for. `headers` go with it."""

    def __init__(
        self, status: int, message: str, hint: str | None = None, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.headers = headers or {}


class JsonResponse(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


def answer_error(error: WorkflowError) -> Response:
    """Give any error of ours as a response."""
    if isinstance(error, HttpError):
        status, headers = error.status, error.headers
    elif isinstance(error, AccessError):
        status, headers = error.status, {"www-authenticate": 'Bearer realm="wf"'} if error.status == 401 else {}
    else:
        status, headers = STATUSES.get(error.slug, 500), {}
    if status == 503:
        headers = {**headers, "retry-after": str(RETRY_SECONDS)}
    if isinstance(error, PayloadTooLargeError):
        headers = {**headers, "connection": "close"}  # what is left of the body is not read
    return JsonResponse(ErrorAnswer(show_error(error)), status, headers)


def show_error(error: WorkflowError) -> ErrorBody:
    return ErrorBody(error.slug, error.message, error.where, error.hint)
