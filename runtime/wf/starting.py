"""Starting runs: `start` from anywhere, `continue_as_new` from a body."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NoReturn, ParamSpec, TypeVar

from wf import codec
from wf.engine.body import ContinueRun, check_attributes
from wf.errors import ImportedRunError, NotInRunError, PayloadTooLargeError
from wf.records import open_event, seal_new_run
from wf.registry import StartOptions, Workflow, find_workflow
from wf.run import Run, running_body
from wf.session import Session, current_session

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("wf")


async def start(workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Run[R]:
    """Start a run and give its handle; durable when this returns.

    Options go before: `workflow.with_options(id=…)`. An argument that does not fit or cannot be
    carried raises before anything is written. In a body the run is a child, started with the body's
    next commit; the run goes on without waiting for it.
    """
    if not isinstance(workflow, Workflow):
        raise TypeError(f"start: {workflow!r:.80} is not a workflow; mark it with @wf.workflow")
    arguments = codec.encode_arguments(workflow.signature.bind(args, kwargs))
    options: StartOptions = workflow.options
    if options.attributes:
        changes: Mapping[str, str | None] = options.attributes
        check_attributes({}, dict(changes))
    body = running_body()
    if body is not None:
        return Run(body.start_child(workflow, arguments, options.id).run_id)
    session = current_session()
    limit = session.settings.limits.payload
    if len(arguments) > limit:
        raise PayloadTooLargeError(f"the arguments of {workflow.id}", len(arguments), limit)
    async with session.start_gate():
        return await _create(session, workflow, arguments)


async def _create(session: Session, workflow: Workflow[..., R], arguments: bytes) -> Run[R]:
    options = workflow.options
    run_id = options.id or session.new_run_id()
    run = seal_new_run(
        session.keyring,
        run_id=run_id,
        workflow=workflow.id,
        arguments=arguments,
        at=session.now_us(),
        deployment_id=await _find_deployment(session, options.deployment),
        attributes=options.attributes or {},
        concurrency=workflow.concurrency,
        delay_us=options.delay_us,
    )
    ends = session.ends()
    ends.note_start(run_id)
    is_new = False
    try:
        created = await session.world.create_run(run)
        row, is_new = created.run, created.is_new
    finally:
        if not is_new:
            ends.forget_start(run_id)
    if not is_new:
        if row.origin is not None:
            raise ImportedRunError(row.run_id, row.origin)
        if row.workflow != workflow.id:
            raise ValueError(f"the run id {row.run_id!r} belongs to a run of {row.workflow}, not of {workflow.id}")
        await _compare_arguments(session, row.run_id, arguments)
    return Run(row.run_id)


async def _find_deployment(session: Session, asked: str | None) -> str:
    """Give the deployment to peg a run to. A process that has loaded no code leaves it to the newest that is kept."""
    if asked not in (None, "latest"):
        return str(asked)
    own = session.deployment_id if asked is None else session.latest_deployment_id
    if own:
        return own
    kept = await session.world.list_deployments()
    return kept[0].deployment_id if kept and kept[0].used_at != 0 else ""  # 0: it came with an imported run


async def _compare_arguments(session: Session, run_id: str, arguments: bytes) -> None:
    """Say so when a repeated start came with other arguments than the first."""
    first = await session.world.read_events(run_id, 0, 1)
    if first and open_event(session.keyring.run(run_id), first[0]) != arguments:
        log.warning("run %s was started before with other arguments; those count", run_id)


async def continue_as_new(*args: Any, deployment: str | None = None, **kwargs: Any) -> NoReturn:
    """End this run as completed and start the next one of the same workflow, in one transaction.

    The body is unwound first: its `finally` blocks run, and the steps that they call. The next
    run stays on the same deployment, or on the `"latest"`.
    """
    body = running_body()
    if body is None:
        raise NotInRunError("`wf.continue_as_new` was called outside a workflow body")
    workflow = find_workflow(body.info.workflow_name)
    if workflow is None:
        raise NotInRunError(f"the workflow {body.info.workflow_name} is not registered here")
    arguments = codec.encode_arguments(workflow.signature.bind(args, kwargs))
    raise ContinueRun(arguments, deployment)
