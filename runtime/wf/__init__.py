"""wf: durable workflows in plain Python.

Mark async functions with `@wf.workflow` and `@wf.step`; their runs survive kills, restarts and
months of sleep, on an event log that this process keeps itself.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from wf import errors
from wf.codec import register_serializable, serializable
from wf.context import StepInfo, WorkflowInfo
from wf.embedding import lifespan, run, worker
from wf.errors import (
    DecryptionError,
    FatalError,
    HookConflictError,
    HookDisposedError,
    HookNotFoundError,
    LockTimeoutError,
    NondeterminismError,
    NotInRunError,
    NotRegisteredError,
    PayloadTooLargeError,
    RetryableError,
    RunNotFoundError,
    SerializationError,
    StepError,
    StepTimeoutError,
    ValidationError,
    WorkflowError,
    WorkflowIOError,
    WorkflowRunCancelledError,
    WorkflowRunFailedError,
    WorldError,
)
from wf.hooks import BaseHook, Hook, HookEvent, get_hook_by_token, hook, resume_hook
from wf.locks import lock, saga
from wf.primitives import (
    get_step_metadata,
    get_workflow_metadata,
    now,
    random,
    remove_attributes,
    set_attributes,
    sleep,
    time_ns,
    uuid4,
)
from wf.registry import SandboxPolicy, Workflows, register_directives, step, workflow
from wf.run import Run, RunPage, WorkflowRunStatus, get_run, list_runs
from wf.settings import configure
from wf.starting import continue_as_new, start
from wf.streams import (
    StreamInfo,
    WorkflowStreamHandle,
    WorkflowStreamWriter,
    WorkflowWritable,
    get_writable,
    read_stream,
)
from wf.webhooks import Request, Response, resume_webhook, webhook
from wf.world import Attention

if TYPE_CHECKING:
    from wf import testing

    # isort: off
    from wf.vercel import (  # what programs of Vercel's SDK import, too
        ENDPOINT_PATH as ENDPOINT_PATH,
        MANIFEST_PATH as MANIFEST_PATH,
        EntityConflictError as EntityConflictError,
        HTTPHandler as HTTPHandler,
        HTTPRequest as HTTPRequest,
        HTTPResponse as HTTPResponse,
        RemoteError as RemoteError,
        RunExpiredError as RunExpiredError,
        StepNotRegisteredError as StepNotRegisteredError,
        ThrottleError as ThrottleError,
        TooEarlyError as TooEarlyError,
        TypeValidationError as TypeValidationError,
        WorkflowFeatures as WorkflowFeatures,
        WorkflowWorldError as WorkflowWorldError,
        sandbox as sandbox,
    )
    # isort: on
else:

    def __getattr__(name: str) -> Any:
        if name == "testing":  # only tests pay for it
            return importlib.import_module("wf.testing")
        if not name.startswith("_"):
            vercel = importlib.import_module("wf.vercel")
            if name in vercel.__all__:
                return getattr(vercel, name)
        raise AttributeError(f"module 'wf' has no attribute {name!r}")


__all__ = [
    "Attention",
    "BaseHook",
    "DecryptionError",
    "FatalError",
    "Hook",
    "HookConflictError",
    "HookDisposedError",
    "HookEvent",
    "HookNotFoundError",
    "LockTimeoutError",
    "NondeterminismError",
    "NotInRunError",
    "NotRegisteredError",
    "PayloadTooLargeError",
    "Request",
    "Response",
    "RetryableError",
    "Run",
    "RunNotFoundError",
    "RunPage",
    "SandboxPolicy",
    "SerializationError",
    "StepError",
    "StepInfo",
    "StepTimeoutError",
    "StreamInfo",
    "ValidationError",
    "WorkflowError",
    "WorkflowIOError",
    "WorkflowInfo",
    "WorkflowRunCancelledError",
    "WorkflowRunFailedError",
    "WorkflowRunStatus",
    "WorkflowStreamHandle",
    "WorkflowStreamWriter",
    "WorkflowWritable",
    "Workflows",
    "WorldError",
    "configure",
    "continue_as_new",
    "errors",
    "get_hook_by_token",
    "get_run",
    "get_step_metadata",
    "get_workflow_metadata",
    "get_writable",
    "hook",
    "lifespan",
    "list_runs",
    "lock",
    "now",
    "random",
    "read_stream",
    "register_directives",
    "register_serializable",
    "remove_attributes",
    "resume_hook",
    "resume_webhook",
    "run",
    "saga",
    "serializable",
    "set_attributes",
    "sleep",
    "start",
    "step",
    "testing",
    "time_ns",
    "uuid4",
    "webhook",
    "worker",
    "workflow",
]
