"""Checks of deployments: the code that workers have loaded, read from where it is kept.

1. A deployment never changes, so it is checked once; what was found is kept for the newest few.
2. Findings name workflows by the runtime's own ids: the catalog says which one stands at which line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec

from wf.catalog import open_catalog
from wf.deployment import read_deployment
from wf.errors import WorkflowError
from wf.session import Session
from wf.world import DeploymentRow
from wfstudio.core.bench import wire
from wfstudio.core.bench.process import Launch, open_bench, spawn
from wfstudio.core.check.checking import check_sources
from wfstudio.core.check.findings import CheckView, Finding, Report, show_report
from wfstudio.core.errors import NotFoundError
from wfstudio.core.views import FindingView, WorkflowView

CHECK_SECONDS: Final = 60.0
_KEPT: Final = 8

Examine = Callable[[str, Mapping[str, bytes]], Awaitable[Report]]
"""Check contents by path, for a project's root."""


def examine_apart(launch: Launch = spawn) -> Examine:
    """Check in a process of its own: whoever serves others is not held up by it."""

    async def examine(root: str, files: Mapping[str, bytes]) -> Report:
        bench = await open_bench(launch)
        try:
            return (await bench.ask(wire.Check(root, dict(files)), wire.Checked, CHECK_SECONDS)).report
        finally:
            await bench.close()

    return examine


async def examine_here(root: str, files: Mapping[str, bytes]) -> Report:
    """Check in this process, which has nothing else to do."""
    return check_sources(root, files)


class CodeChecks:
    """See the laws at the top of this module."""

    def __init__(self, session: Session, *, examine: Examine | None = None) -> None:
        self._session = session
        self._examine = examine or examine_apart()
        self._found: dict[str, CheckView] = {}
        self._turn = asyncio.Lock()  # guards _found: a deployment is not checked twice at once

    async def check(self, deployment_id: str | None = None) -> CheckView:
        """Check a deployment, by default the newest one; where there is none yet, there is nothing to find.

        Raises `NotFoundError` for one that is not kept whole, and what reading it raises.
        """
        row = await self._find(deployment_id)
        if row is None:
            return CheckView()
        async with self._turn:
            found = self._found.pop(row.deployment_id, None) or await self._check(row)
            self._found[row.deployment_id] = found
            while len(self._found) > _KEPT:
                del self._found[next(iter(self._found))]
        return found

    async def add_findings(self, views: Sequence[WorkflowView]) -> list[WorkflowView]:
        """Give workflows with what is found in them. What cannot be checked has no findings."""
        if not views:
            return []
        try:
            found = await self.check(views[0].deployment_id)
        except WorkflowError:
            return list(views)
        return [
            msgspec.structs.replace(view, findings=[*view.findings, *list_findings(found.findings, view.id)])
            for view in views
        ]

    async def _find(self, deployment_id: str | None) -> DeploymentRow | None:
        if deployment_id is None:
            rows = await self._session.world.list_deployments()
            return rows[0] if rows else None
        row = await self._session.world.get_deployment(deployment_id)
        if row is None:
            raise NotFoundError(
                f"no deployment has the id {deployment_id!r:.80}", "`wf inspect deployments` lists them"
            )
        return row

    async def _check(self, row: DeploymentRow) -> CheckView:
        files = await read_deployment(self._session, row.deployment_id)
        if files is None:
            raise NotFoundError(f"the code of the deployment {row.deployment_id} is not kept whole")
        report = await self._examine(str(self._session.settings.root), files)
        catalog = open_catalog(self._session.keyring, row)
        return show_report(
            _use_ids(report, {(e.file, e.line): e.id for e in catalog.workflows}), deployment_id=row.deployment_id
        )


def list_findings(findings: Sequence[Finding], workflow: str) -> list[FindingView]:
    """Give the findings that concern a workflow, as faces show them with it."""
    return [
        FindingView(
            code=finding.code,
            message=finding.message,
            where=finding.where,
            severity=finding.severity,
            why=finding.why,
            fix=finding.fix,
            more=finding.more,
            file=finding.file,
            line=finding.line,
            column=finding.column,
        )
        for finding in findings
        if workflow in finding.workflows
    ]


def _use_ids(report: Report, ids: Mapping[tuple[str, int], str]) -> Report:
    """Name workflows as the runtime does, where the check could not read their names."""
    names = {workflow.id: ids.get((workflow.file, workflow.line), workflow.id) for workflow in report.workflows}
    return msgspec.structs.replace(
        report,
        workflows=[msgspec.structs.replace(workflow, id=names[workflow.id]) for workflow in report.workflows],
        findings=[
            msgspec.structs.replace(finding, workflows=sorted(names.get(name, name) for name in finding.workflows))
            for finding in report.findings
        ],
    )
