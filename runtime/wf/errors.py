"""Every error that wf raises, in one tree.

WorkflowError
├── FatalError                  a step's or workflow's own "do not retry"
├── RetryableError              a step's own "retry at this time"
├── StepError                   a step's exception whose class cannot be rebuilt here
│   └── StepTimeoutError        one attempt took longer than its timeout (also a TimeoutError)
├── SerializationError          a value cannot be carried (also a TypeError)
├── PayloadTooLargeError        a value is over a limit
├── HookNotFoundError           no live hook has this token
├── HookDisposedError           the body disposed of this hook
├── HookConflictError           another live hook owns this token
├── ValidationError             a hook's payload does not fit its schema (also a ValueError)
├── WorkflowRunFailedError      the awaited run failed; its own exception is the cause
├── WorkflowRunCancelledError   the awaited run was cancelled
├── RunNotFoundError            no run has this id
├── ImportedRunError            the run was imported: it can only be read
├── NotInRunError               called outside a run (also a RuntimeError)
├── LockTimeoutError            a lock was not granted in time (also a TimeoutError)
├── NondeterminismError         the code and the log disagree
├── NotRegisteredError          nothing is registered under this id
├── WorkflowIOError             a workflow body did I/O (also a RuntimeError)
├── DecryptionError             a payload is not what was written
├── DeadLetterError             the run's body took its process down, again and again
├── BlockedError                the run's body ran on and on without waiting for anything
└── WorldError                  the storage refused or failed
    ├── StorageFull             no space; nothing was written
    └── WorldBusy               another process holds the world

An error knows four things: `slug` (its page is docs/errors/<slug>.md), `message`, `where`
(`file:line in function`, where known) and `hint` (the cure). `explain()` renders them; the
command line, HTTP and both studios show the same fields.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar


class WorkflowError(Exception):
    """The base of all errors that wf raises."""

    slug: ClassVar[str] = "workflow-error"
    hint: str | None = None
    where: str | None = None

    @property
    def message(self) -> str:
        return str(self)

    def explain(self) -> str:
        """Render what happened, where, what to do, and the page that says more."""
        lines = [str(self)]
        if self.where:
            lines.append(f"  at {self.where}")
        if self.hint:
            lines.append(f"  fix: {self.hint}")
        lines.append(f"  more: docs/errors/{self.slug}.md")
        return "\n".join(lines)


class FatalError(WorkflowError):
    """Raise it in a step to fail at once, without further attempts."""

    slug = "fatal"


class RetryableError(WorkflowError):
    """Raise it in a step to be retried after exactly `retry_after`.

    `retry_after` is seconds, a duration string, a timedelta or an aware datetime, kept as given.
    It overrides the step's own delay; the number of attempts stays bounded by `max_retries`.
    """

    slug = "retryable"

    def __init__(self, message: str = "", retry_after: Any = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StepError(WorkflowError):
    """Stand in for a step's exception whose class is not loaded or cannot be rebuilt.

    `type_name` is the original class as `module.qualname`.
    """

    slug = "step-error"

    def __init__(self, type_name: str, message: str = "") -> None:
        super().__init__(type_name, message)
        self.type_name = type_name
        self.text = message

    @property
    def message(self) -> str:
        """What the original exception said, without its class."""
        return self.text or self.type_name

    def __str__(self) -> str:
        return f"{self.type_name}: {self.text}" if self.text else self.type_name


class StepTimeoutError(StepError, TimeoutError):
    """One attempt of a step took longer than the step's `timeout`."""

    slug = "step-timeout"

    def __init__(self, message: str = "") -> None:
        super().__init__("wf.errors.StepTimeoutError", message)
        self.args = (message,)

    def __str__(self) -> str:
        return self.text


class SerializationError(WorkflowError, TypeError):
    """A value cannot be carried; `path` says which part of it, in Python's own notation."""

    slug = "serialization"
    hint = "pass plain data, a dataclass, a pydantic model, or mark the class with @wf.serializable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


class PayloadTooLargeError(WorkflowError):
    """A payload, or all payloads of a run together, are over their limit. Sizes are bytes."""

    slug = "payload-too-large"
    hint = "store the data elsewhere and pass its address, or raise the limit in [tool.wf.limits]"

    def __init__(self, what: str, size: int, limit: int) -> None:
        super().__init__(what, size, limit)
        self.what = what
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return f"{self.what} is {self.size} bytes, over the limit of {self.limit}"


class HookNotFoundError(WorkflowError):
    """No live hook has this token: it was never created, was disposed, or its run ended."""

    slug = "hook-not-found"
    hint = "list the live hooks; a token dies with its hook and its run"

    def __init__(self, token: str) -> None:
        super().__init__(token)
        self.token = token

    def __str__(self) -> str:
        return f"no live hook has the token {shorten(self.token)}"


class HookDisposedError(WorkflowError):
    """The hook was disposed of by its workflow, so no payload can arrive."""

    slug = "hook-disposed"

    def __init__(self, token: str) -> None:
        super().__init__(token)
        self.token = token

    def __str__(self) -> str:
        return f"the hook {shorten(self.token)} was disposed of"


class HookConflictError(WorkflowError):
    """Another live hook owns the token."""

    slug = "hook-conflict"
    hint = "use another token, or ask `await hook.get_conflict()` who owns it"

    def __init__(self, token: str, conflicting_run_id: str) -> None:
        super().__init__(token, conflicting_run_id)
        self.token = token
        self.conflicting_run_id = conflicting_run_id

    def __str__(self) -> str:
        return f"the token {shorten(self.token)} belongs to a hook of run {self.conflicting_run_id}"


class ValidationError(WorkflowError, ValueError):
    """A payload does not fit the schema of its hook; nothing was written."""

    slug = "validation"
    hint = "send what the hook's schema asks for"


class WorkflowRunFailedError(WorkflowError):
    """The run that was awaited failed. `__cause__` is the exception its body raised.

    `error_code` is `USER_ERROR`, `TIMEOUT`, `LIMIT_EXCEEDED` or `RUNTIME_ERROR`.
    """

    slug = "run-failed"

    def __init__(self, run_id: str, error_code: str = "USER_ERROR", reason: str = "") -> None:
        super().__init__(run_id, error_code, reason)
        self.run_id = run_id
        self.error_code = error_code
        self.reason = reason

    @property
    def error(self) -> BaseException | None:
        """The exception that the run's body raised: the cause, by its name in Vercel's SDK."""
        return self.__cause__

    def __str__(self) -> str:
        tail = f": {self.reason}" if self.reason else ""
        return f"run {self.run_id} failed ({self.error_code}){tail}"


class WorkflowRunCancelledError(WorkflowError):
    """The run that was awaited was cancelled."""

    slug = "run-cancelled"

    def __init__(self, run_id: str, reason: str | None = None) -> None:
        super().__init__(run_id, reason)
        self.run_id = run_id
        self.reason = reason

    def __str__(self) -> str:
        return f"run {self.run_id} was cancelled" + (f": {self.reason}" if self.reason else "")


class RunNotFoundError(WorkflowError):
    """No run has this id in the world that was asked."""

    slug = "run-not-found"
    hint = "check the id and the world (`WF_WORLD`, `[tool.wf] world`)"

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id

    def __str__(self) -> str:
        return f"no run has the id {shorten(self.run_id)}"


class ImportedRunError(WorkflowError):
    """The run ran elsewhere and was imported to be read; here nothing can be done to it.

    `origin` says where it came from, as `RunRow.origin` does.
    """

    slug = "imported"
    hint = "`wf retry` or `wf fork` makes a run of your own from it, where its code is here"

    def __init__(self, run_id: str, origin: str = "") -> None:
        super().__init__(run_id, origin)
        self.run_id = run_id
        self.origin = origin

    def __str__(self) -> str:
        name = self.origin.partition(":")[2]
        source = f" from {shorten(name)}" if name else ""
        return f"run {self.run_id} was imported{source} and can only be read"


class NotInRunError(WorkflowError, RuntimeError):
    """The call is meaningful only inside a run."""

    slug = "not-in-run"


class LockTimeoutError(WorkflowError, TimeoutError):
    """The lock was not granted within its `timeout`."""

    slug = "lock-timeout"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"the lock {shorten(self.name)} was not granted in time"


class NondeterminismError(WorkflowError):
    """The body made another call than the log recorded at this position.

    `seq` is the event that did not fit; `recorded` and `actual` describe both calls. With `is_extension`
    everything that the log recorded did fit, and the body only goes on where the log ends.
    """

    slug = "nondeterminism"
    hint = "put the code back, or fork the run from before that event"

    def __init__(
        self,
        message: str,
        *,
        run_id: str = "",
        seq: int = 0,
        recorded: str = "",
        actual: str = "",
        where: str | None = None,
        is_extension: bool = False,
    ) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.seq = seq
        self.recorded = recorded
        self.actual = actual
        self.where = where
        self.is_extension = is_extension


class NotRegisteredError(WorkflowError):
    """No workflow or step of this id is registered in this process."""

    slug = "not-registered"

    def __init__(self, kind: str, name: str, known: Iterable[str] = ()) -> None:
        self.kind = kind
        self.name = name
        from difflib import get_close_matches  # only a mistake pays for it

        self.matches = get_close_matches(name, list(known), n=3, cutoff=0.5)
        super().__init__(kind, name)
        if self.matches:
            self.hint = "did you mean " + " or ".join(f"`{m}`" for m in self.matches) + "?"
        else:
            self.hint = "import the module that defines it, or name it in `modules`"

    def __str__(self) -> str:
        text = f"no {self.kind} is registered as {shorten(self.name)}"
        if self.matches:
            text += "; close: " + ", ".join(self.matches)
        return text


class WorkflowIOError(WorkflowError, RuntimeError):
    """A workflow body tried to do I/O; only steps may."""

    slug = "workflow-io"
    hint = "move it into a step: `@wf.step` on a function that does it"


class DeadLetterError(WorkflowError):
    """A run's body took the process that ran it down several times, and is not run any more by the same code."""

    slug = "dead-letter"
    hint = "mend the workflow's code: with other code the run is tried again; or `wf cancel --force` it"

    def __init__(self, run_id: str, workflow: str, deaths: int) -> None:
        self.run_id = run_id
        self.workflow = workflow
        self.deaths = deaths
        super().__init__(run_id, workflow, deaths)

    def __str__(self) -> str:
        times = "once" if self.deaths == 1 else f"{self.deaths} times"
        return f"the body of {self.workflow} ended the process that it ran in, {times} with run {self.run_id}"


class BlockedError(WorkflowError):
    """A run's body kept its worker busy for over two seconds, and was interrupted. It is not run any more here.

    `stack` is where it was then, outermost first: `file:line in function`.
    """

    slug = "blocked"
    hint = "move what takes long into a step: with other code the run goes on; or `wf cancel --force` it"

    def __init__(self, run_id: str, workflow: str, stack: Iterable[str] = ()) -> None:
        self.run_id = run_id
        self.workflow = workflow
        self.stack = tuple(stack)
        self.where = self.stack[-1] if self.stack else None
        super().__init__(run_id, workflow, self.stack)

    def __str__(self) -> str:
        return f"the body of {self.workflow} ran on and on without waiting for anything, and was interrupted"

    def explain(self) -> str:
        """Render it with the whole stack, outermost first."""
        places = "".join(f"\n  at {place}" for place in self.stack)
        return f"{self.message}{places}\n  fix: {self.hint}\n  more: docs/errors/{self.slug}.md"


class DecryptionError(WorkflowError):
    """A payload is not the one that was written, or its key is not here.

    `seq` is None where the payload is not an event's (a chunk, an inbox message).
    """

    slug = "decryption"
    hint = "give the key it was written with (`WF_KEY` takes several); else the data was changed"

    def __init__(self, run_id: str, seq: int | None, field: str, reason: str = "") -> None:
        super().__init__(run_id, seq, field, reason)
        self.run_id = run_id
        self.seq = seq
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        at = f" event {self.seq}" if self.seq is not None else ""
        tail = f" ({self.reason})" if self.reason else ""
        return f"run {self.run_id}{at}: cannot open {self.field}{tail}"


class WorldError(WorkflowError):
    """The storage refused or failed; nothing was acknowledged."""

    slug = "world"


class StorageFull(WorldError):
    """There is no space left; nothing was written, and reads go on."""

    slug = "storage-full"
    hint = "free space on the disk of the world file; runs go on by themselves"


class WorldBusy(WorldError):
    """Another process holds the world and did not answer in time."""

    slug = "world-busy"


def shorten(value: object, limit: int = 80) -> str:
    """Give the repr of user data, cut to `limit` characters, safe to print."""
    try:
        text = repr(value)
    except Exception as error:  # a user's __repr__ may do anything
        text = f"<{type(value).__name__}: repr raised {type(error).__name__}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"


__all__ = [
    name for name, value in list(globals().items()) if isinstance(value, type) and issubclass(value, WorkflowError)
]

_OF_VERCELS_SDK = frozenset({
    "EntityConflictError", "RemoteError", "RunExpiredError", "StepNotRegisteredError", "ThrottleError", "TooEarlyError",
    "TypeValidationError", "WorkflowWorldError",
})  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Give the errors that programs import from the `errors` of Vercel's SDK (`wf/vercel.py`)."""
        if name in _OF_VERCELS_SDK:
            return getattr(importlib.import_module("wf.vercel"), name)
        raise AttributeError(f"module 'wf.errors' has no attribute {name!r}")
