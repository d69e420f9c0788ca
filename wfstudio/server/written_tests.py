"""Tests of runs over HTTP: what `wf test gen` would write, as JSON. Nothing is written here, and no step runs."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from wfstudio.core.written_tests.generation import TestFilesView, TestMaker, Wish
from wfstudio.server.routing import Call, Route


class TestQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    step: Annotated[list[str], Meta(description="A step that gets a test of its own: its name or number.")] = []
    redact: Annotated[bool, Meta(description="Replace every text that the run was given.")] = False
    hide: Annotated[list[str], Meta(description="Replace this, whatever its type: `charge.card`.")] = []
    keep: Annotated[list[str], Meta(description="Leave this as it was.")] = []


async def make_test(call: Call) -> TestFilesView:
    query = call.read_query(TestQuery)
    wish = Wish(steps=query.step, is_redacting=query.redact, hide=query.hide, keep=query.keep)
    return await TestMaker(call.services.replays.workbench).make(call.params["id"], wish)


ROUTES = [
    Route(method="GET", path="/api/runs/{id}/test", handler=make_test,
          summary="Give a pytest file that holds a run against the code", query=TestQuery, answer=TestFilesView,
          errors=(404, 409, 422, 423)),
]  # fmt: skip
