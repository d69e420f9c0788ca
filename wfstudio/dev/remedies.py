"""Remedies: what can be done about a run that does not fit today's code.

- `keep`: nothing. It goes on with the code that started it, for as long as it lives.
- `fork`: a new run shares its history up to the last event before the two part, and goes on with
  today's code; the old one is ended.
- `restart`: a new run with the same arguments, from the beginning; the old one is ended.
- `cancel`: the run is cancelled; its clean-up runs, with its own code.

A fork that cannot be made is refused before the old run is touched.
"""

from __future__ import annotations

from typing import Any, Final

from wf.catalog import open_catalog
from wf.errors import RunNotFoundError, WorkflowError
from wf.forking import create_fork, prepare_fork
from wf.run import Run
from wf.session import Session
from wf.worker.verdicts import Verdict
from wfstudio.core.errors import UsageError

REMEDIES: Final = ("keep", "fork", "restart", "cancel")
WHY: Final = "replaced by a run of newer code"


class RemedyError(WorkflowError):
    """There is no such remedy, or nothing to be remedied."""

    slug = "remedy"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


async def apply_remedy(session: Session, run_id: str, action: str, verdict: Verdict | None) -> dict[str, Any]:
    """Carry a remedy out; give what it came to as plain JSON values."""
    if action not in REMEDIES:
        raise UsageError(f"there is no remedy {action!r:.40}", f"choose one of {', '.join(REMEDIES)}")
    run: Run[Any] = Run(run_id)
    new: Run[Any] | None = None
    if action == "cancel":
        await run.cancel("its code has changed")
    elif action in ("fork", "restart"):
        if action == "fork" and (verdict is None or verdict.trouble is None):
            raise RemedyError(f"run {run_id} does not diverge", "fork it from an event of your choice instead")
        from_seq = 1
        if action == "fork" and verdict is not None and verdict.trouble is not None:
            from_seq = max(1, (verdict.trouble.seq or 2) - 1)
        prepared = await prepare_fork(session, run_id, from_seq, concurrency=await _find_bound(session, run_id))
        await run.terminate(WHY)  # first: two runs cannot have the same hooks' tokens
        new = await create_fork(session, prepared)
    return {"run_id": run_id, "action": action, "new_run_id": None if new is None else new.run_id}


async def _find_bound(session: Session, run_id: str) -> int | None:
    """Give how many runs of a run's workflow may execute at once, by the code that is served now."""
    row = await session.world.get_run(run_id)
    if row is None:
        raise RunNotFoundError(run_id)
    deployment = await session.world.get_deployment(session.deployment_id)
    if deployment is None:
        return None
    entries = open_catalog(session.keyring, deployment).workflows
    return next((entry.concurrency for entry in entries if entry.id == row.workflow), None)
