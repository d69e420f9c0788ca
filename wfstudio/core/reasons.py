"""Reasons: why a run rests, in one line, from its log and its pending waits.

`Openings` folds events as they come, so that a list that is looked at again reads only what is new.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from wf import events as types
from wf.events import Event
from wf.origin import read_origin
from wf.records import decode_meta
from wf.world import RunRow, WaitRow, World
from wfstudio.core.views import show_instant

MAX_UNREAD: Final = 20_000
"""Events that are read for a reason at most: it is one line of a list."""


class Openings:
    """The calls of one run that have not ended, as far as its log says."""

    __slots__ = ("children", "hooks", "is_cancelling", "locks", "queued", "retrying", "running", "seq")

    def __init__(self) -> None:
        self.seq = 0
        self.is_cancelling = False
        self.running: dict[int, str] = {}
        self.queued: dict[int, str] = {}
        self.retrying: dict[int, tuple[str, int]] = {}
        self.hooks: dict[int, Event] = {}  # its `hook_created`; without those that have received
        self.locks: dict[int, str] = {}
        self.children: dict[int, str] = {}

    def add(self, event: Event) -> None:
        """Take the next event; one that was taken already is nothing."""
        if event.seq <= self.seq:
            return
        self.seq = event.seq
        number = event.correlation_id or 0
        match event.type:
            case types.STEP_CREATED if not event.attempt:
                self.queued[number] = event.name or ""
            case types.STEP_CREATED | types.STEP_STARTED:
                self.queued.pop(number, None)
                self.retrying.pop(number, None)
                self.running[number] = event.name or ""
            case types.STEP_RETRYING:
                self.running.pop(number, None)
                self.retrying[number] = (event.name or "", decode_meta(event.meta).get("due_at", event.at))
            case types.STEP_COMPLETED | types.STEP_FAILED:
                self.running.pop(number, None)
                self.queued.pop(number, None)
                self.retrying.pop(number, None)
            case types.HOOK_CREATED:
                self.hooks[number] = event
            case types.HOOK_RECEIVED | types.HOOK_DISPOSED | types.HOOK_CONFLICT:
                self.hooks.pop(number, None)
            case types.LOCK_REQUESTED:
                self.locks[number] = (event.name or "").removeprefix("lock:")
            case types.LOCK_ACQUIRED | types.LOCK_RELEASED:
                self.locks.pop(number, None)
            case types.CHILD_STARTED:
                self.children[number] = decode_meta(event.meta).get("run_id", "")
            case types.CHILD_COMPLETED | types.CHILD_CANCELLED:
                self.children.pop(number, None)
            case types.CANCEL_REQUESTED:
                self.is_cancelling = True


def say_reason(
    row: RunRow, openings: Openings, waits: Sequence[WaitRow], name_hook: Callable[[Event], str], now_us: int
) -> str | None:
    """Say why a run rests; None where it has ended, or an attempt of it is running.

    `name_hook` gives a hook's token, or what may be said of it.
    """
    if row.status in types.ENDED:
        return None
    if row.origin is not None:
        return f"imported from {read_origin(row.origin).name}, read-only"
    if row.attention is not None:
        return f"needs attention: {row.attention.message}"
    if row.status == types.PENDING:
        is_delayed = row.wake_at is not None and row.wake_at > now_us
        return f"starts at {show_instant(row.wake_at or 0)}" if is_delayed else "waiting for a worker"
    if openings.running:
        return None
    reason = _say_opening(openings, name_hook) or _say_wait(waits)
    # Whether it cleans up or has swallowed the cancel only its code knows.
    return f"cancelling: {reason} (cancel it again to end it at once)" if openings.is_cancelling and reason else reason


def _say_opening(openings: Openings, name_hook: Callable[[Event], str]) -> str | None:
    if openings.retrying:
        name, due_at = min(openings.retrying.values(), key=lambda step: step[1])
        return f"retrying {short_name(name)} at {show_instant(due_at)}"
    if openings.queued:
        return _several("waiting for a slot for", [short_name(name) for name in openings.queued.values()])
    if openings.locks:
        return _several("waiting for lock", list(openings.locks.values()))
    if openings.hooks:
        return _several("waiting for hook", [name_hook(event) for event in openings.hooks.values()])
    if openings.children:
        return _several("waiting for run", list(openings.children.values()))
    return None


def _say_wait(waits: Sequence[WaitRow]) -> str | None:
    for kind in ("sleep", "deadline"):
        due = [wait.due_at for wait in waits if wait.kind == kind]
        if due:
            return f"{_WAITS[kind]} {show_instant(min(due))}"
    return None


_WAITS: Final = {"sleep": "sleeping until", "deadline": "waiting until"}


def _several(what: str, names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{what} {names[-1]}{more}"


def short_name(id: str) -> str:
    """Give the name of a workflow or step without its module."""
    return id.rpartition(":")[2]


class Reasons:
    """The openings of the runs that were asked for last, so that each event is read once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._known: OrderedDict[str, Openings] = OrderedDict()

    async def say(self, row: RunRow, name_hook: Callable[[Event], str], now_us: int) -> str | None:
        """Say why a run rests, or None; see `say_reason`."""
        openings = Openings()
        waits: list[WaitRow] = []
        if row.status == types.RUNNING and row.attention is None and row.origin is None:
            openings = self._known.setdefault(row.run_id, openings)
            self._known.move_to_end(row.run_id)
            while len(self._known) > _KNOWN_RUNS:
                self._known.popitem(last=False)
            if row.seq - openings.seq > MAX_UNREAD:
                return None
            while openings.seq < row.seq:
                page = await self._world.read_events(row.run_id, openings.seq, _PAGE)
                if not page:  # the run was deleted meanwhile
                    return None
                for event in page:
                    openings.add(event)
            waits = await self._world.list_waits(row.run_id)
        return say_reason(row, openings, waits, name_hook, now_us)


_KNOWN_RUNS: Final = 2000
_PAGE: Final = 2000
