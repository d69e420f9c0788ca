"""Hooks over HTTP: listing and resuming them, and the webhooks, which are for everybody with a token.

Whoever asks for a webhook that is none learns nothing: unknown, disposed of, ended, and a plain hook's
token are one and the same 404.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import Response

import wf
from wf.errors import HookNotFoundError
from wf.ids import hash_token
from wfstudio.core.client import DELIVERY_HEADER
from wfstudio.core.views import HookView
from wfstudio.server.answers import HttpError
from wfstudio.server.questions import HooksQuery, ResumeBody
from wfstudio.server.routing import ANY, Call, Route

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8000}")
_NOT_PASSED: Final = frozenset(
    {
        "connection", "content-length", "date", "keep-alive", "proxy-authenticate", "server", "set-cookie",
        "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Headers that belong to the connection, and cookies, which would be of our origin."""


class HookList(msgspec.Struct, frozen=True):
    items: list[HookView]


async def list_hooks(call: Call) -> HookList:
    query = call.read_query(HooksQuery)
    return HookList(await call.client.list_hooks(query.run, is_locked=query.locked))


async def resume_hook(call: Call) -> HookView:
    body = await call.read_body(ResumeBody)
    return await call.client.resume(call.params["token"], body.payload, delivery_id=body.delivery_id)


async def receive_webhook(call: Call) -> Response:
    token = call.params["token"]
    request = wf.Request(
        method=call.request.method,
        url=_show_url(call),
        headers=_pass_headers(call),
        body=await call.request.body(),
    )
    sent_id = call.request.headers.get(DELIVERY_HEADER)
    delivery_id = None if sent_id is None else f"webhook:{hash_token(token).hex()}:{sent_id:.200}"
    try:
        answer = await call.client.deliver_webhook(token, request, delivery_id=delivery_id)
    except HookNotFoundError:
        raise HttpError(404, "no webhook waits here") from None
    return _make_response(answer)


def _show_url(call: Call) -> str:
    query = call.request.scope["query_string"].decode("latin-1")
    path = call.request.scope["raw_path"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _pass_headers(call: Call) -> dict[str, str]:
    """Give the request's headers without what opens this server: cookies, and our token."""
    headers = call.request.headers
    passed = {name: ", ".join(headers.getlist(name)) for name in headers if name != "cookie"}
    if call.services.access.token in passed.get("authorization", ""):
        del passed["authorization"]
    return passed


def _make_response(answer: wf.Response) -> Response:
    body = answer.body.encode("utf-8", "replace") if isinstance(answer.body, str) else bytes(answer.body)
    status = answer.status if isinstance(answer.status, int) and 200 <= answer.status <= 599 else 502
    response = Response(b"" if status in (204, 304) else body, status)
    for name, value in _check_headers(answer.headers):
        response.headers[name] = value
    return response


def _check_headers(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Keep the headers that HTTP can carry; a workflow's mistake must not end the connection."""
    return [
        (name.lower(), value)
        for name, value in headers.items()
        if isinstance(name, str)
        and isinstance(value, str)
        and _NAME.fullmatch(name)
        and _VALUE.fullmatch(value)
        and name.lower() not in _NOT_PASSED
    ]


ROUTES = [
    Route(method="GET", path="/api/hooks", handler=list_hooks, summary="List the live hooks",
          query=HooksQuery, answer=HookList, errors=(404,)),
    Route(method="POST", path="/api/hooks/{token}/resume", handler=resume_hook, summary="Resume a hook",
          body=ResumeBody, answer=HookView, errors=(404, 422)),
    Route(method=ANY, path="/hooks/{token...}", handler=receive_webhook,
          summary="Deliver a request to a webhook", answer="*/*", status=202, errors=(404, 409, 413), is_public=True),
]  # fmt: skip
