"""Names of Vercel's Python SDK that mean nothing of their own here, so that programs import them as before.

`wf` gives them on demand (`from wf import TypeValidationError`); a program that was written for `wf` needs none.
Two kinds: other names for what `wf` has, and errors and plumbing of their platform, which nothing here raises or
serves: a worker takes the place of their endpoint.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

import wf.sandbox as sandbox  # `from wf` would ask `wf`, which asks here
from wf.errors import NotRegisteredError, StepError, ValidationError, WorldError
from wf.webhooks import Request, Response

# -- what has another name here

TypeValidationError = ValidationError
StepNotRegisteredError = NotRegisteredError
WorkflowWorldError = WorldError
RemoteError = StepError

# -- what their platform may raise


class EntityConflictError(WorldError):
    """Never raised here: who may append to a log is settled by leases."""


class RunExpiredError(WorldError):
    """Never raised here: a run lives until it ends, or is deleted (`wf gc`)."""


class ThrottleError(WorldError):
    """Never raised here: nobody counts requests. `retry_after` is in seconds."""

    retry_after: int | None = None


class TooEarlyError(WorldError):
    """Never raised here: an attempt begins when its time has come. `retry_after` is in seconds."""

    retry_after: int | None = None


# -- what their platform calls


class WorkflowFeatures(msgspec.Struct, frozen=True):
    """A name for annotations. Here the world decides for all its runs whether payloads are encrypted."""

    encryption: bool


HTTPRequest = Request
HTTPResponse = Response
HTTPHandler = Callable[[Request], Awaitable[Response]]
ENDPOINT_PATH: Final = "/.well-known/workflow/v1/flow"
MANIFEST_PATH: Final = "/.well-known/workflow/v1/manifest.json"

__all__ = [
    "ENDPOINT_PATH",
    "MANIFEST_PATH",
    "EntityConflictError",
    "HTTPHandler",
    "HTTPRequest",
    "HTTPResponse",
    "RemoteError",
    "RunExpiredError",
    "StepNotRegisteredError",
    "ThrottleError",
    "TooEarlyError",
    "TypeValidationError",
    "WorkflowFeatures",
    "WorkflowWorldError",
    "sandbox",
]
