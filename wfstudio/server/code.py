"""Code over HTTP: workflows, deployments, sources. Nothing of it is executed here."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from wfstudio.core.check.findings import CheckView
from wfstudio.core.errors import NotFoundError
from wfstudio.core.views import DeploymentView, WorkflowView
from wfstudio.server.routing import Call, Route


class CheckQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    deployment: Annotated[str, Meta(description="A deployment's id; by default the newest one.")] | None = None


class WorkflowList(msgspec.Struct, frozen=True):
    items: list[WorkflowView]


class DeploymentList(msgspec.Struct, frozen=True):
    items: list[DeploymentView]


async def list_workflows(call: Call) -> WorkflowList:
    views = await call.client.list_workflows(is_counting=True)
    if call.services.dev is not None:
        found = call.services.dev.find_nondeterministic()
        views = [msgspec.structs.replace(view, findings=found.get(view.id, [])) for view in views]
    return WorkflowList(await call.services.checks.add_findings(views))


async def check_code(call: Call) -> CheckView:
    return await call.services.checks.check(call.read_query(CheckQuery).deployment)


async def list_deployments(call: Call) -> DeploymentList:
    return DeploymentList(await call.client.list_deployments())


async def get_deployment(call: Call) -> DeploymentView:
    return await call.client.get_deployment(call.params["id"])


async def read_source(call: Call) -> Response:
    content = await call.client.read_source(call.params["digest"])
    if content is None:
        raise NotFoundError("no source is kept under this digest", "a deployment's `files` name the digests")
    return Response(content, media_type="text/plain; charset=utf-8")


ROUTES = [
    Route(method="GET", path="/api/workflows", handler=list_workflows,
          summary="List the workflows of the newest deployment", answer=WorkflowList),
    Route(method="GET", path="/api/check", handler=check_code,
          summary="Check the newest code for what a replay would not repeat", query=CheckQuery, answer=CheckView,
          errors=(404, 423)),
    Route(method="GET", path="/api/deployments", handler=list_deployments,
          summary="List the deployments, the last used first", answer=DeploymentList),
    Route(method="GET", path="/api/deployments/{id}", handler=get_deployment,
          summary="Give a deployment", answer=DeploymentView, errors=(404,)),
    Route(method="GET", path="/api/sources/{digest}", handler=read_source,
          summary="Give a source file by its SHA-256", answer="text/plain", errors=(404, 423)),
]  # fmt: skip
