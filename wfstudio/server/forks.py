"""Forks over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec

from wfstudio.core.edits import ErrorText
from wfstudio.core.forks import ForkRequest
from wfstudio.core.views import ForkedView
from wfstudio.server.routing import Call, Route


class ForkBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from"}):
    """Steps, children and hooks are named by their names, `name#2` for the second call, or by their numbers.

    `from` is the seq of an event, or a step, which is then run again. `set` and `raise` say what steps and
    children came to instead (an exception as `"Type: message"`, or in parts), `payload` what hooks were sent,
    `input` the arguments, by name or in order. With `keep_tokens` the fork takes the run's place.
    """

    start: int | str | None = None
    set: dict[str, Any] = {}
    raise_: dict[str, str | ErrorText] = msgspec.field(default_factory=dict, name="raise")
    payload: dict[str, Any] = {}
    input: dict[str, Any] | list[Any] | None = None
    id: str | None = None
    attributes: dict[str, str] = {}
    deployment: str | None = None
    keep_tokens: bool = False

    def read(self) -> ForkRequest:
        return ForkRequest(
            start=self.start,
            outputs=self.set,
            errors=self.raise_,
            payloads=self.payload,
            input=self.input,
            id=self.id,
            attributes=self.attributes,
            deployment=self.deployment,
            keeps_tokens=self.keep_tokens,
        )


async def fork_run(call: Call) -> ForkedView:
    body = await call.read_body(ForkBody)
    return await call.client.fork(call.params["id"], body.read())


ROUTES = [
    Route(method="POST", path="/api/runs/{id}/fork", handler=fork_run,
          summary="Start a run from a point of another's history", body=ForkBody, answer=ForkedView, status=201,
          errors=(404, 409, 422)),
]  # fmt: skip
