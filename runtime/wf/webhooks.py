"""Webhooks: hooks whose payload is an HTTP request.

`resume_webhook` is the whole of a delivery but for the HTTP: a server hands it the request and
sends back what it gives. With `respond_with="manual"` the answer comes from a step of the run,
through a stream of the run that only this delivery reads.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from wf import codec, streams
from wf import operations as ops
from wf.context import current_attempt
from wf.durations import Duration, parse_duration
from wf.errors import HookNotFoundError, NotInRunError
from wf.events import HOOK_RECEIVED
from wf.hooks import WEBHOOK, HookEvent, check_token, find_taking_hook, read_events_of, send_payload
from wf.records import open_event
from wf.run import running_body
from wf.session import current_session

MANUAL = "manual"
ANSWER_SECONDS = 30.0


class Response(msgspec.Struct, frozen=True):
    """An HTTP answer. A text body is sent as UTF-8."""

    status: int = 200
    body: bytes | str = b""
    headers: dict[str, str] = {}


class Request(msgspec.Struct, frozen=True):
    """An HTTP request that resumed a run. Header names are lower case."""

    method: str = "POST"
    url: str = ""
    headers: dict[str, str] = {}
    body: bytes = b""
    answer_to: tuple[str, str] | None = None

    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    async def respond(
        self, response: Response | int = 200, body: bytes | str = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer a webhook that was made with `respond_with="manual"`. Call it in a step, once."""
        if current_attempt.get() is None:
            raise NotInRunError("a webhook is answered in a step; pass the request to one")
        if self.answer_to is None:
            raise NotInRunError('this request waits for no answer: make the webhook with respond_with="manual"')
        answer = response if isinstance(response, Response) else Response(response, body, dict(headers or {}))
        stream = streams.Writable[Response](*self.answer_to)
        await stream.write(answer)
        await stream.close()


def webhook(token: str | None = None, respond_with: Response | Literal["manual"] | None = None) -> HookEvent[Request]:
    """Register a webhook: a request to its `url` resumes the run.

    `respond_with` is what the caller gets: None for 202 without a body, a `Response`, or
    `"manual"` for what `request.respond` gives in a step.
    """
    body = running_body()
    if body is None:
        raise NotInRunError("a webhook is registered in a workflow body, and this is none")
    check_token(token)
    if respond_with is not None and respond_with != MANUAL and not isinstance(respond_with, Response):
        raise TypeError(f"respond_with: {respond_with!r:.80} is neither None, a wf.Response nor 'manual'")
    state = body.create_hook(WEBHOOK, token=token, kind=WEBHOOK, metadata={"respond_with": respond_with}, schema=None)
    return HookEvent(body, state, None, url=webhook_url(body, state.given))


def webhook_url(body: Any, token: str) -> str:
    """Give the path of a webhook, after the origin of the server where one is known."""
    origin = body.info.url.split("/runs/")[0] if body.info.url else ""
    return f"{origin}/hooks/{quote(token, safe='')}"


@ops.operation
async def _deliver(token: str, request: Request, delivery_id: str, timeout_us: int) -> Response:
    row, found, _ = await find_taking_hook(token, delivery_id)
    if row.kind != WEBHOOK:  # a plain hook is not reachable from outside
        raise HookNotFoundError(token)
    how = found.metadata["respond_with"]
    answer_to = (row.run_id, f"$answer:{delivery_id}") if how == MANUAL else None
    plain = msgspec.structs.replace(request, answer_to=answer_to)
    await send_payload(row, token, plain, delivery_id)
    if isinstance(how, Response):
        return how
    if answer_to is None:
        return Response(202)
    return await _read_answer(*answer_to, timeout_us / 1_000_000)


async def list_delivered(token: str, delivery_id: str) -> list[Request]:
    """List the requests that the hook which took a delivery has received. None, where nothing took it."""
    session = current_session()
    if await session.world.find_delivery(delivery_id) is None:
        return []
    row, _, _ = await find_taking_hook(token, delivery_id)
    key = session.keyring.run(row.run_id)
    found = []
    async for event in read_events_of(session, row.run_id, HOOK_RECEIVED):
        if event.correlation_id == row.correlation_id:
            request = codec.decode(open_event(key, event) or b"null")
            if isinstance(request, Request):
                found.append(request)
    return found


async def _read_answer(run_id: str, name: str, seconds: float) -> Response:
    async def is_there() -> Response | None:
        has_ended = (await ops.read_row(run_id)).status in ("completed", "failed", "cancelled")
        found = await streams._read_some(run_id, name, 0, 1)  # after that: a run may answer and end at once
        if found is not None:
            return found[0][0] if found[0] else Response(502)
        return Response(502) if has_ended else None

    try:
        answer: Response = await ops.wait_for_news((f"stream:{run_id}/{name}", f"run:{run_id}"), is_there, seconds)
    except TimeoutError:
        return Response(504, "the run did not answer in time")
    return answer


async def resume_webhook(
    token: str, request: Request, *, delivery_id: str | None = None, timeout: Duration = ANSWER_SECONDS
) -> Response:
    """Deliver a request to a webhook without HTTP, and give the answer for its caller.

    The same `delivery_id` delivers once. A manual answer is waited for up to `timeout`, then the
    caller gets 504 (502 when the run ends without one). Unknown or ended: `HookNotFoundError`.
    """
    if not isinstance(request, Request):
        raise TypeError(f"request: {type(request).__name__} is not a wf.Request")
    lowered = {name.lower(): value for name, value in request.headers.items()}
    clean = msgspec.structs.replace(request, headers=lowered, answer_to=None)
    return await _deliver(token, clean, delivery_id or secrets.token_hex(16), parse_duration(timeout, "timeout"))
