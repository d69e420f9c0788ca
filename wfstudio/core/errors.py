"""Errors of the studio, beside those of `wf.errors`; every face shows them alike.

WorkflowError
├── UsageError      what was asked is not a question: a bad filter, bad JSON, an unknown option
├── NotFoundError   there is no such thing: a deployment, a source, a stream, a page
├── ConflictError   it is there already, and is another
├── BenchError      the process that replays the user's code died, hung, or talked nonsense
├── AccessError     the server does not answer who asks like this
└── InternalError   the server failed, and nobody foresaw it
"""

from __future__ import annotations

from wf.errors import WorkflowError


class UsageError(WorkflowError, ValueError):
    """What was asked cannot be read. `hint` says how to ask."""

    slug = "usage"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class NotFoundError(WorkflowError):
    """There is no such thing in this world."""

    slug = "not-found"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class ConflictError(WorkflowError):
    """What was asked for exists already, and is another."""

    slug = "conflict"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class BenchError(WorkflowError):
    """The process in which the user's code was replayed or tried did not get to an answer.

    `output` is the last of what it printed.
    """

    slug = "bench"
    hint = "look for code that exits, crashes or never waits; what it did there changed nothing"

    def __init__(self, message: str, output: str | None = None) -> None:
        super().__init__(message if output is None else f"{message}; it printed last:\n{output}")
        self.output = output


class AccessError(WorkflowError):
    """The request is not one that the server answers: no token, another origin, another host.

    `status` is HTTP's: 401 where a token would help, else 403.
    """

    slug = "access"

    def __init__(self, message: str, hint: str | None = None, *, status: int = 403) -> None:
        super().__init__(message)
        self.status = status
        if hint is not None:
            self.hint = hint


class InternalError(WorkflowError):
    """The server failed, and nobody foresaw it. Its log says how; the answer does not."""

    slug = "internal"
    hint = "look into the server's log, and report it"

    def __init__(self) -> None:
        super().__init__("the server failed; its log says how")


__all__ = ["AccessError", "BenchError", "ConflictError", "InternalError", "NotFoundError", "UsageError"]
