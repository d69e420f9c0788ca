"""Transfers over HTTP: a bundle of runs to download, and one to take in."""

from __future__ import annotations

import io
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from wfstudio.core.errors import NotFoundError, UsageError
from wfstudio.history.bundle.form import MAX_BUNDLE_BYTES, MEDIA_TYPE
from wfstudio.history.bundle.writing import name_bundle, write_bundle
from wfstudio.history.transfers import ImportView, add_descendants, import_bundle, list_chosen
from wfstudio.server.questions import RunsQuery
from wfstudio.server.routing import Call, Route, Upload

MOST_RUNS = 10_000
"""Ids that one export names at most; more runs than that are chosen by filters."""


class ExportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    run: Annotated[list[str], Meta(max_length=MOST_RUNS, description="A run's id; may be repeated.")] = []
    redact: Annotated[bool, Meta(description="Leave out payloads, printed lines, code, and attributes' values.")] = (
        False
    )
    children: Annotated[bool, Meta(description="Also the runs that they started, and that they continued as.")] = False
    status: Annotated[list[str], Meta(description="Only runs in this status; may be repeated.")] = []
    workflow: Annotated[str | None, Meta(description="Only runs of this workflow.")] = None
    attr: Annotated[list[str], Meta(description="Only runs with this attribute, `key=value`; may be repeated.")] = []
    since: Annotated[str | None, Meta(description="Created then or later: ISO 8601 with a zone, or `1h` ago.")] = None
    until: Annotated[str | None, Meta(description="Created before: ISO 8601 with a zone, or `1h` ago.")] = None

    @property
    def filters(self) -> RunsQuery:
        return RunsQuery(self.status, self.workflow, self.attr, self.since, self.until)


class ImportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(max_length=200, description="What the runs' origin will name, a file's name.")] = "upload"
    dry_run: Annotated[bool, Meta(description="Only check it and say what is in it.")] = False


async def export_runs(call: Call) -> Response:
    """Give a bundle. It is made whole first: what is not authentic has to have a status of its own."""
    query = call.read_query(ExportQuery)
    session = call.client.session
    if bool(query.run) == (query.filters != RunsQuery()):
        raise UsageError("name runs, or choose them by filters", "`run=ID`, or `workflow=NAME`, `since=1h`, …")
    run_ids = list(dict.fromkeys(query.run)) or await list_chosen(session, query.filters.read(session.now_us()))
    if not run_ids:
        raise NotFoundError("no run is like that")
    if query.children:
        run_ids = await add_descendants(session, run_ids)
    file = io.BytesIO()
    await write_bundle(session, run_ids, file, is_redacted=query.redact)
    name = name_bundle(run_ids, session.now_us())
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(file.getvalue(), media_type=MEDIA_TYPE, headers=headers)


async def import_runs(call: Call) -> ImportView:
    query = call.read_query(ImportQuery)
    data = await call.request.body()
    return await import_bundle(call.client.session, data, query.name, is_dry=query.dry_run)


ROUTES = [
    Route(method="GET", path="/api/export", handler=export_runs, summary="Give a bundle of runs",
          query=ExportQuery, answer=MEDIA_TYPE, errors=(404, 422, 423)),
    Route(method="POST", path="/api/import", handler=import_runs, summary="Take in the runs of a bundle, to be read",
          query=ImportQuery, upload=Upload(MEDIA_TYPE, MAX_BUNDLE_BYTES), answer=ImportView),
]  # fmt: skip
