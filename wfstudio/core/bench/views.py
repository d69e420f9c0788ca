"""Views of what benches found. As all views (`wfstudio.core.views`), their JSON is that of every face."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from wfstudio.core.views import ErrorView

ReplayOutcome = Literal["clean", "extends", "diverges", "cannot_load"]


class ReplayView(msgspec.Struct, frozen=True, kw_only=True):
    """What replaying a run's log against some code came to.

    - `clean`: the code makes exactly the calls that the log recorded, and stands where the log ends.
    - `extends`: it makes all that are recorded, and goes on where the log ends. A run that has ended would
      have done more; one in flight cannot be moved to this code.
    - `diverges`: it makes another call, or none, where event `seq` recorded one.
    - `cannot_load`: there is no verdict. The code does not load, has no such workflow or died; or the log
      cannot be read.

    `recorded` and `actual` name both calls, `where` is `file:line in function`, the file relative to the
    project where it is in it. `code` says why it is not clean: `NONDETERMINISM`, `NOT_REGISTERED`,
    `DECRYPTION`, `LOAD`, `BENCH` (its process died) or `IMPORTED` (its log cannot be replayed).
    `deployment_id` names the code; null where it did not load. `events` is the length of the log.
    """

    run_id: str
    workflow: str
    status: str
    outcome: ReplayOutcome
    deployment_id: str | None = None
    events: int
    seq: int | None = None
    recorded: str | None = None
    actual: str | None = None
    where: str | None = None
    code: str | None = None
    message: str | None = None
    hint: str | None = None


class ReplayList(msgspec.Struct, frozen=True, kw_only=True):
    """Verdicts on several runs, with how many there are of each."""

    items: list[ReplayView]
    clean: int = 0
    extends: int = 0
    diverges: int = 0
    cannot_load: int = 0


class ItemView(msgspec.Struct, frozen=True):
    """A part of a value: `key` is an index, a key's text, or a field's name."""

    key: str
    value: ValueView


class ValueView(msgspec.Struct, frozen=True, kw_only=True):
    """A value. `type` is its class, `text` a line that stands for it, `size` how many items, characters or
    bytes it has. `items` are its parts, as far as they are shown: `is_cut` says that there are more, or more
    of the text. `problem` says why its own `__repr__` gave no text."""

    type: str
    text: str
    size: int | None = None
    items: list[ItemView] = []
    is_cut: bool = False
    problem: str | None = None


class LocalView(msgspec.Struct, frozen=True, kw_only=True):
    """A local variable. `change`: `new` or `changed` since the delivery before; null: it is as it was."""

    name: str
    value: ValueView
    change: Literal["new", "changed"] | None = None


class LineView(msgspec.Struct, frozen=True):
    number: int
    text: str


class FrameView(msgspec.Struct, frozen=True, kw_only=True):
    """A frame of the user's. `file` is relative to the project where it is in it; `source` are the lines of its
    function, thirty before and after `line` at most, as the code that was replayed has them. `gone` are variables
    that it has no more."""

    file: str
    line: int
    function: str
    source: list[LineView] = []
    locals: list[LocalView] = []
    gone: list[str] = []
    more_locals: int = 0

    def lines_around(self, count: int = 3) -> list[LineView]:
        """Give the line where it stands, and so many before and after it."""
        return [line for line in self.source if abs(line.number - self.line) <= count]


class AwaitView(msgspec.Struct, frozen=True, kw_only=True):
    """What a task waits for. Kind: `step`, `sleep`, `hook`, `lock`, `child`, `task`, or `asyncio` (a queue,
    an event, a group of tasks). `text` says it in words; `tasks` are numbers of tasks; `due_at` is when a
    sleep, or else the timeout around the wait, is over."""

    kind: str
    text: str
    name: str | None = None
    correlation_id: int | None = None
    due_at: str | None = None
    tasks: list[int] = []


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """A coroutine that has not ended. `frames` go inwards: the last one is where it stands. One that is only
    a call (`gather(step(), …)`) has none."""

    number: int
    name: str
    is_new: bool = False
    frames: list[FrameView] = []
    awaits: AwaitView | None = None


class OpenCallView(msgspec.Struct, frozen=True, kw_only=True):
    """A call that has no result yet. Kind: `step`, `operation` (a step of wf's own), `sleep`,
    `deadline`, `hook`, `lock`, `child`, `watch`.

    Status: of a step `queued`, `running`, `retrying`; of a hook `waiting`, or `received` with `payloads`
    that nobody took yet; of a lock `queued` or `held`; else `waiting`. `input` are a step's arguments.
    """

    correlation_id: int
    kind: str
    name: str | None = None
    status: str
    attempt: int | None = None
    due_at: str | None = None
    token: str | None = None
    payloads: int | None = None
    run_id: str | None = None
    input: dict[str, Any] | None = None


class EndView(msgspec.Struct, frozen=True, kw_only=True):
    """How the body had ended: `returned` a `value`, `raised` an `error` in `frames`, was `cancelled`, or was
    `forced` to end from outside."""

    kind: Literal["returned", "raised", "cancelled", "forced"]
    value: ValueView | None = None
    error: str | None = None
    frames: list[FrameView] = []


class MomentEventView(msgspec.Struct, frozen=True, kw_only=True):
    """The event that the moment is at. `where` is where the body made this call: `file:line in function`."""

    seq: int
    type: str
    at: str
    correlation_id: int | None = None
    name: str | None = None
    attempt: int | None = None
    where: str | None = None


class TroubleView(msgspec.Struct, frozen=True, kw_only=True):
    """Why the code cannot follow the log any further, or goes on beyond it (`is_extension`)."""

    code: str
    message: str
    seq: int | None = None
    recorded: str | None = None
    actual: str | None = None
    where: str | None = None
    is_extension: bool = False


class MomentView(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it was right after an event. Calls that the body makes are events, too, but they do not move
    it: it stands where the delivery `delivered_seq` brought it, and changes are those since the delivery
    before that, `before_seq`.

    `events` are those of the log, `reached_seq` the last that the code follows: a moment after it is given
    as that one, with `trouble`. `now` is what `wf.now()` gives. `deployment_id` is the code that was
    replayed; `is_own`: it is the run's own. `is_plain`: no `__repr__` of the user's was called, since one
    never came back.
    """

    run_id: str
    workflow: str
    status: str
    deployment_id: str | None = None
    is_own: bool = False
    seq: int
    events: int
    reached_seq: int
    event: MomentEventView
    delivered_seq: int | None = None
    before_seq: int | None = None
    now: str | None = None
    has_begun: bool = True
    tasks: list[TaskView] = []
    more_tasks: int = 0
    open_calls: list[OpenCallView] = []
    more_calls: int = 0
    attributes: dict[str, str] = {}
    end: EndView | None = None
    trouble: TroubleView | None = None
    is_plain: bool = False


class EffectView(msgspec.Struct, frozen=True, kw_only=True):
    """What a step that was tried asked of wf, and what did not happen. Kind: `chunk`, `close` (of a stream),
    `attributes`, `start` (of a run), `message` (to a run: cancel, terminate, wake), or `refused`: it would have
    needed an answer of the world, and got an error. `text` says it in words, `data` what was asked for."""

    kind: str
    text: str
    data: Any = None


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """One difference of two JSON values. `path` reads like Python (`result.lines[3].price`). Kind: `added` (there
    is no `before`), `removed` (no `after`), `changed`, or `retyped`: the same JSON of another type."""

    path: str
    kind: Literal["added", "removed", "changed", "retyped"]
    before: Any = None
    after: Any = None


class OutcomeView(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt ended. Kind: `returned` (a `value`), `raised` (an `error`), `timed_out`, or `none`: it has no
    end yet."""

    kind: Literal["returned", "raised", "timed_out", "none"]
    value: Any = None
    error: ErrorView | None = None


class PrintedView(msgspec.Struct, frozen=True):
    """A line that the attempt printed or logged. `source` is `stdout`, `stderr` or `logging:<LEVEL>`."""

    at: str
    source: str
    text: str


class StepReplayView(msgspec.Struct, frozen=True, kw_only=True):
    """A step that was carried out once more, beside its run: nothing of it is recorded.

    `outcome`: `same` as recorded, `differs` (`changes` say where), `timed_out`, or `unrecorded`: the recorded
    attempt has no end to compare with. `attempt` is the recorded attempt that it repeats. `is_edited`: its
    `input` is not the recorded one. `effects` are what it would have done to its run and to others.
    """

    id: str
    run_id: str
    correlation_id: int
    name: str
    attempt: int
    deployment_id: str | None
    outcome: Literal["same", "differs", "timed_out", "unrecorded"]
    is_edited: bool
    input: dict[str, Any]
    recorded: OutcomeView
    actual: OutcomeView
    changes: list[ChangeView] = []
    more_changes: int = 0
    duration_ms: float
    logs: list[PrintedView] = []
    effects: list[EffectView] = []
