"""Diffs over HTTP. Two runs are a GET; what loads and replays code is a POST, so that no link can set it off."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from wfstudio.core.diff_code import diff_code
from wfstudio.core.diff_views import CodeDiffView, DiffView
from wfstudio.core.errors import UsageError
from wfstudio.server.routing import Call, Route

Code = Annotated[str, Meta(min_length=1, description="`today`, `latest`, `own`, or a deployment's id.")]


class DiffQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    a: Annotated[str, Meta(description="A run's id.")] = ""
    b: Annotated[str, Meta(description="The id of the run to compare it with.")] = ""
    all: Annotated[bool, Meta(description="List calls that do not differ, too.")] = False
    locked: Annotated[bool, Meta(description="Do not open payloads.")] = False


class CodeDiffBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`codes` are one or two: `today` (the files on the disk), `latest`, `own`, or ids of deployments."""

    codes: Annotated[list[Code], Meta(min_length=1, max_length=2)]


async def diff_runs(call: Call) -> DiffView:
    query = call.read_query(DiffQuery)
    if not query.a or not query.b:
        raise UsageError("two runs are compared", "name both: `a=RUN&b=RUN`")
    return await call.client.diff(query.a, query.b, is_locked=query.locked, is_all=query.all)


async def diff_run_with_code(call: Call) -> CodeDiffView:
    body = await call.read_body(CodeDiffBody)
    return await diff_code(call.services.replays, call.params["id"], body.codes)


ROUTES = [
    Route(method="GET", path="/api/diff", handler=diff_runs, summary="Compare two runs call by call",
          query=DiffQuery, answer=DiffView, errors=(404,)),
    Route(method="POST", path="/api/runs/{id}/diff", handler=diff_run_with_code,
          summary="Compare a run with what one code does, or two", body=CodeDiffBody, answer=CodeDiffView,
          errors=(404, 409, 422, 423)),
]  # fmt: skip
