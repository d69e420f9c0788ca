"""Steps: what a trace says of them, with what their payloads hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from wf import events as types
from wf.events import Event
from wf.ids import step_id
from wf.records import decode_meta
from wfstudio.core.rows import Opener, index_calls, read_error
from wfstudio.core.traces import Segment, Span, Trace
from wfstudio.core.values import show_arguments, show_value
from wfstudio.core.views import AttemptView, ErrorView, StepView, show_instant

Calls = dict[tuple[int, str], list[Event]]


class _Clock(NamedTuple):
    """What a trace's milliseconds are as instants (see its law 6)."""

    created_us: int
    gap_ms: float

    def show(self, since_ms: float) -> str:
        gap_ms = self.gap_ms if since_ms <= 0 else 0
        return show_instant(self.created_us + round((since_ms - gap_ms) * 1000))


def show_steps(trace: Trace, log: Sequence[Event], opener: Opener, *, after: int, limit: int) -> list[StepView]:
    """Give the steps of a run whose correlation id is over `after`, in order of their calls; wf's own left out."""
    calls = index_calls(log)
    clock = _Clock(log[0].at, trace.inherited_gap_ms)
    spans = [span for span in trace.spans if span.kind == "step" and (span.correlation_id or 0) > after]
    return [_show_step(trace.run_id, span, calls, opener, clock) for span in spans[:limit]]


def _show_step(run_id: str, span: Span, calls: Calls, opener: Opener, clock: _Clock) -> StepView:
    number = span.correlation_id or 0
    arguments, is_locked = opener.open(_last(calls, number, types.STEP_CREATED))
    result, is_result_locked = opener.open(_last(calls, number, types.STEP_COMPLETED))
    attempts = [_show_attempt(segment, span, calls, opener, clock) for segment in span.segments
                if segment.kind == "running"]  # fmt: skip
    failure = _last(calls, number, types.STEP_FAILED)
    has_ended = span.end_ms is not None
    return StepView(
        id=step_id(run_id, number),
        run_id=run_id,
        correlation_id=number,
        name=span.name,
        status=span.status,
        created_at=span.at,
        started_at=attempts[0].started_at if attempts else None,
        ended_at=span.ended_at,
        duration_ms=round(span.end_ms - span.start_ms, 3) if span.end_ms is not None else None,
        queued_ms=_sum_queued(span),
        attempts=attempts,
        due_at=None if has_ended else span.due_at,
        input=None if arguments is None else show_arguments(arguments, opener.max_bytes),
        output=show_value(result, opener.max_bytes),
        error=None if failure is None else _open_error(failure, opener),
        is_locked=is_locked or is_result_locked,
    )


def _show_attempt(segment: Segment, span: Span, calls: Calls, opener: Opener, clock: _Clock) -> AttemptView:
    number = segment.attempt or 1
    failed = [
        event
        for type_ in (types.STEP_RETRYING, types.STEP_FAILED)
        for event in calls.get((span.correlation_id or 0, type_), ())
        if event.attempt == number
    ]
    ended = segment.end_ms
    return AttemptView(
        number=number,
        status=segment.outcome or "running",
        started_at=clock.show(segment.start_ms),
        ended_at=None if ended is None else clock.show(ended),
        duration_ms=None if ended is None else round(ended - segment.start_ms, 3),
        error=_open_error(failed[-1], opener) if failed and segment.outcome in ("failed", "cancelled") else None,
    )


def _open_error(event: Event, opener: Opener) -> ErrorView:
    data, _ = opener.open(event)
    return read_error(data, type=decode_meta(event.meta).get("error_type"))


def _sum_queued(span: Span) -> float | None:
    queued = [segment for segment in span.segments if segment.kind == "queued"]
    if any(segment.end_ms is None for segment in queued):
        return None
    return round(sum((segment.end_ms or 0) - segment.start_ms for segment in queued), 3)


def _last(calls: Calls, number: int, type_: str) -> Event | None:
    found = calls.get((number, type_))
    return found[-1] if found else None
