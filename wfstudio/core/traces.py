"""Traces: a run's log as spans over time. This is *the* model of every timeline.

    trace = make_trace(events)        pure: the same events give the same trace, anywhere
    growing = GrowingTrace(log)       the same for a log that grows: what was folded in once is not looked at again

1. A span is one call of the body, or the run itself. Its id is the correlation id as text, the run's
   is `run`. Ids never change while a log grows, so a view can follow a live run.
2. `start_ms` and `end_ms` are milliseconds since the run was created, with three decimals; `at` and
   `ended_at` are the instants. What has not ended has `end_ms` null.
3. A span's segments are in order, do not overlap, and lie within it. Only the last may be open.
4. Nothing is left open by a run that ended: a hook or lock ends with it, a call without a recorded
   end is `abandoned` at the run's end.
5. No payload is opened: a trace needs no key.
6. A fork's inherited history lies before 0, in the old run's own time, and ends at 0: the days between
   it and the fork are nobody's. `inherited_gap_ms` is what was left out; `at` is the true instant.

A log does not say when a wait was given up (a timeout that was left, a cancelled sleep). Whoever knows
which waits are still pending says so (`pending_waits`); without that, one whose time has passed while
the log went on is taken as given up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from copy import copy
from operator import attrgetter
from typing import Any, Final, Literal

import msgspec

from wf import events as types
from wf.events import Event
from wf.records import decode_meta
from wfstudio.core.views import show_instant

RUN_SPAN: Final = "run"
FAULT: Final = "wf/fault"
"""The name by which an injected fault changes its run's attributes (`wf.worker.interference`)."""

_POSITION: Final = re.compile(r"position (\d{1,9})\b")
_by_time: Final = attrgetter("at_ms")

SpanKind = Literal["run", "step", "operation", "sleep", "deadline", "hook", "lock", "child", "watch"]
"""`operation` is a step of wf's own (what a body asks of another run, hook or stream); `watch` waits
for a run that is not a child."""

SegmentKind = Literal["queued", "running", "retry_wait", "waiting", "open", "held"]
"""`open` is a hook after a payload: it may be waited for again, or never."""


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a span in one state. `attempt` and `outcome` are of a step's `running`.

    `outcome`: `completed`, `failed`, `cancelled`, `lost` (its process was killed), `abandoned`.
    """

    kind: SegmentKind
    start_ms: float
    end_ms: float | None = None
    attempt: int | None = None
    outcome: str | None = None


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """An instant of interest. `span_id` is where it belongs.

    Kinds: `attributes` (data: what was `set`), `cancel_requested`, `timeout` (the run's), `payload` (a
    hook's), `fault` (one that was injected; data: `text`), `log` (data: `attempt`), `stream_opened`,
    `stream_closed` (data: `name`).
    """

    kind: str
    span_id: str
    at: str
    at_ms: float
    seq: int | None = None
    data: dict[str, Any] = {}


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One call, or the run. `seq` and `end_seq` are the events that begin and end it. What `is_inherited`
    began in the run that this one was forked from.

    Status, by kind: run `pending running completed failed cancelled`; step and operation `queued
    running retrying completed failed cancelled`; sleep and deadline `waiting completed`; hook `waiting
    received disposed conflict`; lock `queued held released`; child and watch `running completed failed
    cancelled`. Any of the calls may be `abandoned`.
    """

    id: str
    kind: SpanKind
    name: str
    status: str
    parent_id: str | None = RUN_SPAN
    correlation_id: int | None = None
    seq: int
    end_seq: int | None = None
    at: str
    ended_at: str | None = None
    start_ms: float
    end_ms: float | None = None
    segments: list[Segment] = []
    attempts: int = 0
    is_inherited: bool = False
    due_at: str | None = None
    child_run_id: str | None = None
    error_type: str | None = None
    error_code: str | None = None


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """`spans` begin with the run's, then in order of their calls. `seq` is the last event that is in it."""

    run_id: str
    workflow: str
    status: str
    seq: int
    at: str
    end_ms: float | None
    inherited_gap_ms: float = 0
    spans: list[Span]
    markers: list[Marker]


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept beside the log and has an instant: a batch of log lines, a stream's first or last chunk."""

    kind: Literal["log", "stream_opened", "stream_closed"]
    at_us: int
    correlation_id: int | None = None
    data: dict[str, Any] = {}


class MarkView(msgspec.Struct, frozen=True, kw_only=True):
    """A marker of a trace that no event stands for: `log` (a batch of lines), `stream_opened`, `stream_closed`."""

    kind: Literal["log", "stream_opened", "stream_closed"]
    at: str
    correlation_id: int | None = None
    data: dict[str, Any] = {}


class MarksView(msgspec.Struct, frozen=True):
    """What a trace has that no event tells: markers, and which waits are still wanted of those until `seq`."""

    seq: int
    items: list[MarkView]
    pending_waits: list[int]


def make_trace(
    events: Sequence[Event], *, marks: Iterable[Mark] = (), pending_waits: Collection[int] | None = None
) -> Trace:
    """Make the trace of a log, or of its beginning: events in order of `seq`, from 1.

    Raises `ValueError` where there is no first event.
    """
    growing = GrowingTrace(events)
    growing.advance()
    return growing.show(marks=marks, pending_waits=pending_waits)


class GrowingTrace:
    """The trace of a log to which events are added, and which changes in no other way.

        while growing.advance(500): ...     folds in what is new, piece by piece
        trace = growing.show()              what `make_trace` gives for the events so far

    A look costs what is new, what is open, and a copy of the list of spans: a span that did not change is the same
    object as before, so whoever draws traces sees at once what changed. Raises `ValueError` where there is no first
    event.
    """

    def __init__(self, log: Sequence[Event]) -> None:
        if not log or log[0].type != types.RUN_CREATED:
            raise ValueError("a trace begins with the run's first event, `run_created`")
        self._log = log
        self._measured = 0
        self._last_inherited: int | None = None
        self._begin(0)

    def _begin(self, gap: int) -> None:
        self._gap = gap
        self._folded = 1
        self._tracer = _Tracer(self._log[0], gap)
        self._run: Span | None = None
        self._spans: list[Span] = []
        self._markers: list[Marker] = []
        self._given_up: dict[int, int] = {}
        """Waits that are shown as given up, with when, of which the log says nothing."""

    @property
    def has_open_waits(self) -> bool:
        """Whether it matters which waits are pending."""
        return bool(self._tracer.open_waits)

    def lacks(self, pending: Collection[int]) -> bool:
        """Tell whether a wait that the log has not ended is none of these, and was not given up before."""
        return any(number not in pending and number not in self._given_up for number in self._tracer.open_waits)

    def advance(self, most: int | None = None) -> bool:
        """Fold in what is new, at most so many events; tell whether more is left."""
        gap = self._measure_gap()
        if gap != self._gap:  # more of a fork's inherited history: all of it is drawn elsewhere
            self._begin(gap)
        end = len(self._log) if most is None else min(len(self._log), self._folded + most)
        for event in self._log[self._folded : end]:
            self._tracer.add(self._close_gap(event))
        self._folded = end
        self._refresh()
        return end < len(self._log)

    def _measure_gap(self) -> int:
        """Give the time between the end of a fork's inherited history and its creation; 0 where there is none."""
        created = self._log[0].at
        inherited = [event.at for event in self._log[self._measured :] if event.at < created]
        self._measured = len(self._log)
        if inherited:
            self._last_inherited = max([*inherited, *([] if self._last_inherited is None else [self._last_inherited])])
        return 0 if self._last_inherited is None else created - self._last_inherited

    def _close_gap(self, event: Event) -> Event:
        """Move an inherited event to where it is drawn. Only a fork's log has events older than itself."""
        if not self._gap or event.at >= self._log[0].at:
            return event
        return msgspec.structs.replace(event, at=event.at + self._gap)

    def _refresh(self) -> None:
        """Make the spans anew that have changed."""
        tracer = self._tracer
        for number in tracer.take_changed():
            place, span = tracer.places[number], tracer.show(number)
            if place < len(self._spans):
                self._spans[place] = span
            else:
                self._spans.append(span)
            self._given_up.pop(number, None)

    def show(self, *, marks: Iterable[Mark] = (), pending_waits: Collection[int] | None = None) -> Trace:
        """Give the trace of what is folded in."""
        tracer = self._tracer
        self._settle_waits(self._close_gap(self._log[self._folded - 1]).at, pending_waits)
        run = tracer.show_run()
        if self._run != run:
            self._run = run
        new = tracer.markers[len(self._markers) :]
        if new:
            self._markers = sorted([*self._markers, *new], key=_by_time)
        markers = sorted([*self._markers, *map(tracer.mark, marks)], key=_by_time)
        return Trace(
            run_id=self._log[0].run_id,
            workflow=run.name,
            status=run.status,
            seq=self._log[self._folded - 1].seq,
            at=run.at,
            end_ms=run.end_ms,
            inherited_gap_ms=self._gap / 1000,
            spans=[self._run, *self._spans],
            markers=markers,
        )

    def _settle_waits(self, last_at: int, pending: Collection[int] | None) -> None:
        """Show waits as given up that nobody wants any more. Their end may be recorded yet: nothing is folded in."""
        tracer = self._tracer
        for number, draft in tracer.open_waits.items():
            due: int | None = draft.extra.get("due_us")
            is_gone = number not in pending if pending is not None else due is not None and due < last_at
            at = (last_at if due is None else min(due, last_at)) if is_gone else None
            if self._given_up.get(number) == at:
                continue
            self._spans[tracer.places[number]] = tracer.show(number, given_up_at=at)
            if at is None:
                del self._given_up[number]
            else:
                self._given_up[number] = at


class _Draft:
    """A span in the making; instants are microseconds."""

    __slots__ = ("correlation_id", "end", "end_seq", "extra", "kind", "name", "segments", "seq", "start", "status")

    def __init__(self, kind: SpanKind, name: str, status: str, event: Event, **extra: Any) -> None:
        self.kind = kind
        self.name = name
        self.status = status
        self.correlation_id = event.correlation_id
        self.seq = event.seq
        self.start = event.at
        self.end: int | None = None
        self.end_seq: int | None = None
        self.segments: list[_Stretch] = []
        self.extra: dict[str, Any] = extra

    def enter(self, kind: SegmentKind, at: int, attempt: int | None = None) -> None:
        """Begin a segment where the present one ends."""
        self.leave(at)
        self.segments.append(_Stretch(kind, at, attempt))

    def leave(self, at: int, outcome: str | None = None) -> None:
        """End the present segment; one without any length says nothing, unless it was an attempt."""
        if not self.segments or self.segments[-1].end is not None:
            return
        last = self.segments[-1]
        last.end = max(at, last.start)
        if last.kind == "running":
            last.outcome = outcome
        elif last.end == last.start:
            self.segments.pop()

    def copy(self) -> _Draft:
        """Give another one that says the same, to be changed by itself."""
        other = copy(self)
        other.segments = [copy(stretch) for stretch in self.segments]
        return other

    def close(self, status: str, at: int, seq: int | None, outcome: str | None = None) -> None:
        self.leave(at, outcome)
        self.status = status
        self.end = max(at, self.start, *(stretch.end or 0 for stretch in self.segments))
        self.end_seq = seq


class _Stretch:
    __slots__ = ("attempt", "end", "kind", "outcome", "start")

    def __init__(self, kind: SegmentKind, start: int, attempt: int | None) -> None:
        self.kind = kind
        self.start = start
        self.end: int | None = None
        self.attempt = attempt
        self.outcome: str | None = None


class _Tracer:
    """Folds events into drafts, and notes which calls changed."""

    def __init__(self, created: Event, gap: int) -> None:
        self.created = created
        self._gap = gap
        self.run = _Draft("run", created.name or "", types.PENDING, created)
        self.run.enter("queued", created.at)
        self.calls: dict[int, _Draft] = {}
        self.places: dict[int, int] = {}
        """Where each call stands among all of them."""
        self.open_waits: dict[int, _Draft] = {}
        self.markers: list[Marker] = []
        """Of events, in their order."""
        self._changed: set[int] = set()

    def add(self, event: Event) -> None:
        handle = _HANDLERS.get(event.type)
        if handle is None:  # a type of a later version: what it did not understand, it does not draw
            return
        handle(self, event)
        number = event.correlation_id or 0
        self._changed.add(number)
        if number in self.open_waits and self.open_waits[number].end is not None:
            del self.open_waits[number]

    def take_changed(self) -> list[int]:
        """Give the calls that changed since they were last taken, in order."""
        changed = sorted((number for number in self._changed if number in self.places), key=self.places.__getitem__)
        self._changed.clear()
        return changed

    def _open(self, event: Event, draft: _Draft) -> _Draft:
        number = event.correlation_id or 0
        self.open_waits.pop(number, None)
        self.places.setdefault(number, len(self.places))
        self.calls[number] = draft
        return draft

    def _call(self, event: Event) -> _Draft | None:
        """Find the call that an event belongs to, if it is open."""
        draft = self.calls.get(event.correlation_id or 0)
        return draft if draft is not None and draft.end is None else None

    # -- the run

    def start_run(self, event: Event) -> None:
        if self.run.end is not None or self.run.status == types.RUNNING:  # a fork began with `run_forked`
            return
        self.run.status = types.RUNNING
        self.run.enter("running", event.at)

    def end_run(self, event: Event) -> None:
        if self.run.end is not None:
            return
        status = event.type.removeprefix("run_")
        meta = decode_meta(event.meta)
        self.run.extra["error_type"] = meta.get("error_type")
        self.run.extra["error_code"] = meta.get("code")
        self.run.close(status, event.at, event.seq, status)
        self.open_waits.clear()
        for number, draft in self.calls.items():
            if draft.end is None:
                kept = draft.kind == "hook" and draft.status == "received"
                status = "released" if draft.status == "held" else draft.status if kept else "abandoned"
                draft.close(status, event.at, None, "abandoned")
                self._changed.add(number)

    def set_attributes(self, event: Event) -> None:
        if event.name == FAULT:
            self._mark_fault(event)
            return
        self._mark("attributes", RUN_SPAN, event.at, event.seq, {"set": decode_meta(event.meta).get("set", {})})

    def _mark_fault(self, event: Event) -> None:
        """Mark what was done to the run on purpose at the call that it was done to."""
        text = str(decode_meta(event.meta).get("set", {}).get("$fault", ""))
        found = [number for number in _POSITION.findall(text) if int(number) in self.calls]
        self._mark("fault", found[-1] if found else RUN_SPAN, event.at, event.seq, {"text": text})

    def request_cancel(self, event: Event) -> None:
        self._mark("cancel_requested", RUN_SPAN, event.at, event.seq)

    # -- steps

    def create_step(self, event: Event) -> None:
        name = event.name or ""
        is_own = name.startswith("wf/")
        draft = self._open(event, _Draft("operation" if is_own else "step", name, "queued", event))
        if event.attempt:
            draft.status = "running"
            draft.enter("running", event.at, event.attempt)
        else:
            draft.enter("queued", event.at)

    def start_attempt(self, event: Event) -> None:
        draft = self._call(event)
        if draft is None:
            return
        due = draft.extra.pop("due_us", None)
        if due is not None and self._is_inherited(event.at):
            due += self._gap
        if due is not None and event.at > due:  # its time had come, and it waited for a slot
            draft.enter("queued", max(due, draft.segments[-1].start))
        draft.leave(event.at, "lost")
        draft.enter("running", event.at, event.attempt)
        draft.status = "running"

    def retry_step(self, event: Event) -> None:
        draft = self._call(event)
        if draft is None:
            return
        meta = decode_meta(event.meta)
        draft.leave(event.at, "failed")
        draft.enter("retry_wait", event.at)
        draft.status = "retrying"
        draft.extra["due_us"] = meta.get("due_at")
        draft.extra["error_type"] = meta.get("error_type")

    def end_step(self, event: Event) -> None:
        draft = self.calls.get(event.correlation_id or 0)
        if draft is None or draft.end_seq is not None:
            return
        status = "completed"
        error_type = None
        if event.type == types.STEP_FAILED:
            error_type = decode_meta(event.meta).get("error_type")
            status = "cancelled" if str(error_type).endswith("CancelledError") else "failed"
        draft.extra = {"error_type": error_type}
        if draft.end is not None:  # the run ended first; what was under way has ended now
            last = draft.segments[-1] if draft.segments else None
            if last is not None and last.kind == "running":
                last.end = None
        draft.close(status, event.at, event.seq, status)

    # -- waits

    def create_wait(self, event: Event) -> None:
        meta = decode_meta(event.meta)
        kind: SpanKind = "deadline" if meta.get("kind") == "deadline" else "sleep"
        draft = self._open(event, _Draft(kind, kind, "waiting", event, due_us=meta.get("due_at")))
        draft.enter("waiting", event.at)
        self.open_waits[event.correlation_id or 0] = draft

    def end_wait(self, event: Event) -> None:
        if event.correlation_id == 0:  # the run's own timeout, whose deadline is no event
            self._mark("timeout", RUN_SPAN, event.at, event.seq)
        draft = self._call(event)
        if draft is not None:
            draft.close("completed", event.at, event.seq)

    # -- hooks

    def create_hook(self, event: Event) -> None:
        self._open(event, _Draft("hook", event.name or "hook", "waiting", event)).enter("waiting", event.at)

    def receive(self, event: Event) -> None:
        draft = self._call(event)
        if draft is None:
            return
        self._mark("payload", str(event.correlation_id), event.at, event.seq)
        draft.enter("open", event.at)
        draft.status = "received"

    def end_hook(self, event: Event) -> None:
        draft = self._call(event)
        if draft is not None:
            draft.close(event.type.removeprefix("hook_"), event.at, event.seq)

    # -- locks

    def request_lock(self, event: Event) -> None:
        name = (event.name or "").removeprefix("lock:")
        self._open(event, _Draft("lock", name, "queued", event)).enter("queued", event.at)

    def acquire(self, event: Event) -> None:
        draft = self._call(event)
        if draft is not None:
            draft.enter("held", event.at)
            draft.status = "held"

    def release(self, event: Event) -> None:
        draft = self._call(event)
        if draft is not None:
            draft.close("released" if draft.status == "held" else "abandoned", event.at, event.seq)

    # -- other runs

    def start_child(self, event: Event) -> None:
        meta = decode_meta(event.meta)
        kind: SpanKind = "watch" if meta.get("watch") else "child"
        run_id = meta.get("run_id")
        draft = self._open(event, _Draft(kind, event.name or run_id or "", "running", event, child_run_id=run_id))
        draft.enter("waiting", event.at)

    def end_child(self, event: Event) -> None:
        draft = self._call(event)
        if draft is None:
            return
        meta = decode_meta(event.meta)
        draft.extra["child_run_id"] = meta.get("run_id", draft.extra.get("child_run_id"))
        draft.extra["error_code"] = meta.get("code")
        draft.close(meta.get("status", types.COMPLETED), event.at, event.seq)

    # -- markers

    def mark(self, mark: Mark) -> Marker:
        number = mark.correlation_id
        span_id = str(number) if number in self.calls else RUN_SPAN
        return self._make_marker(mark.kind, span_id, mark.at_us, None, mark.data)

    def _mark(self, kind: str, span_id: str, at: int, seq: int, data: dict[str, Any] | None = None) -> None:
        self.markers.append(self._make_marker(kind, span_id, at, seq, data or {}))

    def _make_marker(self, kind: str, span_id: str, at: int, seq: int | None, data: dict[str, Any]) -> Marker:
        return Marker(kind=kind, span_id=span_id, at=self._show_at(at), at_ms=self._since_ms(at), seq=seq, data=data)

    # -- spans

    def show_run(self) -> Span:
        return self._show(RUN_SPAN, self.run, parent=None)

    def show(self, number: int, *, given_up_at: int | None = None) -> Span:
        """Give a call's span; of a wait, if it is so, as one that was given up."""
        draft = self.calls[number]
        if given_up_at is not None:
            draft = draft.copy()
            draft.close("abandoned", given_up_at, None)
        return self._show(str(number), draft, parent=RUN_SPAN)

    def _show(self, id: str, draft: _Draft, parent: str | None) -> Span:
        extra = dict(draft.extra)
        due_us = extra.pop("due_us", None)
        segments = [self._show_segment(stretch) for stretch in draft.segments]
        return Span(
            id=id,
            kind=draft.kind,
            name=draft.name,
            status=draft.status,
            parent_id=parent,
            correlation_id=draft.correlation_id,
            seq=draft.seq,
            end_seq=draft.end_seq,
            at=show_instant(draft.start) if parent is None else self._show_at(draft.start),
            ended_at=None if draft.end is None else self._show_at(draft.end),
            start_ms=self._since_ms(draft.start),
            end_ms=None if draft.end is None else self._since_ms(draft.end),
            segments=segments,
            attempts=sum(segment.kind == "running" for segment in segments) if draft.kind != "run" else 0,
            is_inherited=parent is not None and self._is_inherited(draft.start),
            due_at=None if due_us is None else show_instant(due_us),
            **extra,
        )

    def _show_segment(self, stretch: _Stretch) -> Segment:
        return Segment(
            kind=stretch.kind,
            start_ms=self._since_ms(stretch.start),
            end_ms=None if stretch.end is None else self._since_ms(stretch.end),
            attempt=stretch.attempt,
            outcome=stretch.outcome,
        )

    def _is_inherited(self, at: int) -> bool:
        return self._gap > 0 and at <= self.created.at

    def _show_at(self, at: int) -> str:
        return show_instant(at - self._gap if self._is_inherited(at) else at)

    def _since_ms(self, at: int) -> float:
        return (at - self.created.at) / 1000


_HANDLERS: Final[dict[str, Callable[[_Tracer, Event], None]]] = {
    types.RUN_STARTED: _Tracer.start_run,
    types.RUN_FORKED: _Tracer.start_run,
    types.RUN_COMPLETED: _Tracer.end_run,
    types.RUN_FAILED: _Tracer.end_run,
    types.RUN_CANCELLED: _Tracer.end_run,
    types.STEP_CREATED: _Tracer.create_step,
    types.STEP_STARTED: _Tracer.start_attempt,
    types.STEP_RETRYING: _Tracer.retry_step,
    types.STEP_COMPLETED: _Tracer.end_step,
    types.STEP_FAILED: _Tracer.end_step,
    types.WAIT_CREATED: _Tracer.create_wait,
    types.WAIT_COMPLETED: _Tracer.end_wait,
    types.HOOK_CREATED: _Tracer.create_hook,
    types.HOOK_RECEIVED: _Tracer.receive,
    types.HOOK_DISPOSED: _Tracer.end_hook,
    types.HOOK_CONFLICT: _Tracer.end_hook,
    types.LOCK_REQUESTED: _Tracer.request_lock,
    types.LOCK_ACQUIRED: _Tracer.acquire,
    types.LOCK_RELEASED: _Tracer.release,
    types.CHILD_STARTED: _Tracer.start_child,
    types.CHILD_COMPLETED: _Tracer.end_child,
    types.ATTRIBUTES_SET: _Tracer.set_attributes,
    types.CANCEL_REQUESTED: _Tracer.request_cancel,
}
