"""Where the running code stands: in a workflow body, in a step's attempt, or outside a run.

Both context variables follow asyncio tasks and the threads that run plain `def` steps, so a
helper that a step calls sees them, too.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from wf.registry import Step, Workflow


class StepInfo(msgspec.Struct, frozen=True):
    """What a step may know about itself. `step_id` is the same for every attempt; `attempt` is from 1.

    `step_started_at` is when the first attempt began, `attempt_started_at` when this one did.
    """

    run_id: str
    step_id: str
    step_name: str
    attempt: int
    step_started_at: datetime
    attempt_started_at: datetime


class WorkflowInfo(msgspec.Struct, frozen=True):
    """What a run may know about itself; `url` is its page in the studio, where one is served."""

    run_id: str
    workflow_name: str
    started_at: datetime
    deployment_id: str
    url: str | None
    attempt: int


class Body(Protocol):
    """The face that a running workflow body shows to the calls made in it."""

    @property
    def info(self) -> WorkflowInfo: ...

    def call_step(self, step: Step[Any, Any], arguments: bytes) -> Awaitable[Any]:
        """Make a step call when first awaited; `arguments` are encoded, by parameter name."""

    def call_child(self, workflow: Workflow[Any, Any], arguments: bytes) -> Awaitable[Any]:
        """Start a child run when first awaited, and give its result."""


class Attempt(Protocol):
    """The face that a running attempt shows to the calls made in it."""

    @property
    def info(self) -> StepInfo: ...

    @property
    def workflow_info(self) -> WorkflowInfo: ...


current_body: ContextVar[Any] = ContextVar("wf_current_body", default=None)
current_attempt: ContextVar[Any] = ContextVar("wf_current_attempt", default=None)
