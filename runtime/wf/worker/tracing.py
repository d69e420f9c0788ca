"""Tracing: what really happened here, told to OpenTelemetry where a program has configured it.

1. A run is a trace. Its trace id and the id of its own span come from the run id alone, so every
   process that works on the run, and every restart, adds to the same trace.
2. A span tells of what this worker did itself: an attempt that ran, an end that it committed. A
   replay makes none, and bodies run where spans are not sampled. So a kill may lose a span, and
   nothing makes one twice.
3. Nothing here delays or fails a step. Spans are ended on a thread of their own with a bounded
   queue, because some processors export as a span ends; what OpenTelemetry raises is logged once.
4. No payload goes into a span, and of an exception only its type; `WF_OTEL_MESSAGES=1` adds
   message and traceback.

`opentelemetry` is imported only where it is configured, and by name: it is an optional dependency.
Things that don't work: `use_span` around a step, which records messages, and a span for the run
that is started when the run begins, which a restart would have to end.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from importlib import import_module
from typing import TYPE_CHECKING, Any

from wf import codec
from wf.durations import to_instant
from wf.events import CANCELLED, COMPLETED, FAILED, Event
from wf.records import decode_meta
from wf.worker.attempts import Attempt
from wf.worker.logs import printable
from wf.worker.provider import asked_exporters, find_provider, is_own, make_provider
from wf.worker.sender import Sender
from wf.world import RunRow

if TYPE_CHECKING:
    from datetime import datetime

    from wf.engine.body import StepState
    from wf.worker.live import LiveRun

log = logging.getLogger("wf.worker")

MAX_TEXT = 16_384  # characters of a message, and of a traceback


def open_tracing() -> Tracing | None:
    """Give what traces a worker's runs, or None where OpenTelemetry is not configured.

    It is, when the program has set a tracer provider, or when the environment names an exporter
    (`OTEL_TRACES_EXPORTER`) or a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`): then a provider with a
    batch processor is set here, for the whole process.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    try:
        provider = find_provider() or make_provider(asked_exporters(os.environ))
        return None if provider is None else Tracing(provider)
    except Exception as error:  # a mistyped variable, a package that is missing: runs go on without spans
        log.warning(
            "OpenTelemetry is configured and cannot be used, so there are no spans: %s; "
            "`pip install 'wfstudio[otel]'` brings what OTLP over HTTP needs",
            error,
        )
        return None


def quiet_context() -> Context:
    """Copy the current context and let no span be sampled in it: bodies that start there make none.

    By a parent that is not sampled, which samplers follow unless they are made not to. Where
    OpenTelemetry is not loaded yet, nobody makes spans.
    """
    quiet = copy_context()
    trace = sys.modules.get("opentelemetry.trace")
    if trace is not None:
        nowhere = trace.SpanContext(*_run_ids("quiet"), is_remote=True, trace_flags=trace.TraceFlags(0))
        context = import_module("opentelemetry.context")
        quiet.run(context.attach, trace.set_span_in_context(trace.NonRecordingSpan(nowhere)))
    return quiet


class Tracing:
    """The spans of one worker. All methods are called on its loop."""

    def __init__(self, provider: Any) -> None:
        self._trace = import_module("opentelemetry.trace")
        self._context = import_module("opentelemetry.context")
        self._provider = provider
        self._tracer = provider.get_tracer("wf")
        self._has_messages = os.environ.get("WF_OTEL_MESSAGES", "") == "1"
        self._sender = Sender()
        ids = getattr(self._tracer, "id_generator", None)
        if ids is not None and not isinstance(ids, _RunIds):  # a provider has one tracer of a name, for all workers
            self._tracer.id_generator = _RunIds(ids)

    # -- attempts

    def start_attempt(self, run: LiveRun, state: StepState) -> Attempt:
        return TracedAttempt(run, state, self)

    def begin_attempt(self, attempt: Attempt) -> Any:
        """Start the span of an attempt, and make it the current one of the task that calls."""
        try:
            span = self._tracer.start_span(
                attempt.name,
                context=self._trace.set_span_in_context(self._trace.NonRecordingSpan(self._place(attempt.live.row))),
                attributes={
                    **_describe(attempt.live.row),
                    "wf.step": attempt.name,
                    "wf.correlation_id": attempt.number,
                    "wf.attempt": attempt.attempt,
                },
                start_time=attempt.started_at * 1000,
            )
            self._context.attach(self._trace.set_span_in_context(span))
            return span
        except Exception as error:  # a sampler or a processor of the program's
            self._sender.complain(repr(error))
            return None

    def end_attempt(self, attempt: Attempt, span: Any, error: BaseException | None) -> None:
        """End an attempt's span with its outcome, some time after this returns."""
        ended_at = max(attempt.now_us(), attempt.started_at) * 1000
        self._sender.post(functools.partial(self._end, span, error, ended_at))

    def _end(self, span: Any, error: BaseException | None, ended_at: int) -> None:
        try:
            if error is None:
                span.set_attribute("wf.status", COMPLETED)
            elif isinstance(error, asyncio.CancelledError):
                span.set_attribute("wf.status", CANCELLED)
            else:
                span.set_attribute("wf.status", FAILED)
                self._record_failure(span, codec.public_type_name(type(error)), ended_at, error)
        finally:
            span.end(ended_at)

    def _record_failure(self, span: Any, type_name: str, at: int, error: BaseException | None = None) -> None:
        facts = {"exception.type": type_name}
        message = None
        if self._has_messages and error is not None:
            message = facts["exception.message"] = printable(_show(error)[:MAX_TEXT])
            facts["exception.stacktrace"] = printable("".join(traceback.format_exception(error))[-MAX_TEXT:])
        span.add_event("exception", facts, at)
        span.set_status(self._trace.StatusCode.ERROR, message)

    # -- runs

    def run_ended(self, row: RunRow, event: Event, status: str, started_at: datetime | None) -> None:
        """Tell of a run whose end is durable; `row` is as it was claimed, `event` is its last."""
        self._sender.post(functools.partial(self._tell, row, event, status, started_at))

    def _tell(self, row: RunRow, event: Event, status: str, started_at: datetime | None) -> None:
        meta = decode_meta(event.meta)
        begun_at = row.created_at if started_at is None else to_instant(started_at)
        with _using(_run_ids(row.run_id)):
            span = self._tracer.start_span(
                row.workflow,
                context=self._root_context(row.run_id),
                attributes=_describe(row),  # what `_place` asks the sampler about
                links=[
                    self._trace.Link(self._make_context(*_run_ids(run_id)), {"wf.link": name})
                    for name in ("parent_run_id", "continued_from", "forked_from")
                    if (run_id := getattr(row, name)) is not None
                ],
                start_time=begun_at * 1000,
            )
        span.set_attribute("wf.status", status)
        if status == FAILED:
            span.set_attribute("wf.error_code", meta.get("code", ""))
            self._record_failure(span, meta.get("error_type", meta.get("code", "")), event.at * 1000)
        span.end(event.at * 1000)

    def _root_context(self, run_id: str) -> Any:
        """Give the context in which a run's span is started: an empty one, so that it has no parent.

        A provider that is not the SDK's draws ids as it likes; there the span joins the trace as
        the attempts do.
        """
        if isinstance(getattr(self._tracer, "id_generator", None), _RunIds):
            return self._context.Context()
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(self._make_context(*_run_ids(run_id))))

    def _place(self, row: RunRow) -> Any:
        """Give the run's own span as its attempts see it: sampled or not as the sampler will decide of it.

        A sampler that goes by the trace id decides alike in every process.
        """
        trace_id, span_id = _run_ids(row.run_id)
        sampler = getattr(self._tracer, "sampler", None)
        if sampler is None:
            return self._make_context(trace_id, span_id)
        nowhere = self._context.Context()  # None would mean the current one
        result = sampler.should_sample(
            nowhere, trace_id, row.workflow, self._trace.SpanKind.INTERNAL, _describe(row), ()
        )
        return self._make_context(
            trace_id, span_id, is_sampled=result.decision.is_sampled(), trace_state=result.trace_state
        )

    def _make_context(self, trace_id: int, span_id: int, *, is_sampled: bool = True, trace_state: Any = None) -> Any:
        flags = self._trace.TraceFlags(self._trace.TraceFlags.SAMPLED if is_sampled else 0)
        return self._trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags, trace_state=trace_state)

    # -- the worker

    async def close(self) -> None:
        """End what waits and, where the provider is ours, export it; for `FLUSH_SECONDS` at most."""
        if is_own(self._provider):
            self._sender.post(self._provider.force_flush)
        await self._sender.close()


class TracedAttempt(Attempt):
    """An attempt with a span, from its first turn to its end."""

    __slots__ = ("_span", "_tracing")

    def __init__(self, live: LiveRun, state: StepState, tracing: Tracing) -> None:
        self._tracing = tracing
        self._span: Any = None
        super().__init__(live, state)

    async def _run(self, context: Context) -> None:
        if not self.is_unwanted:
            self._span = self._tracing.begin_attempt(self)
        await super()._run(context)

    def _end(self, error: BaseException | None) -> None:
        super()._end(error)
        if self._span is not None:
            self._tracing.end_attempt(self, self._span, error)


# -- ids ----------------------------------------------------------------------------------------


def _run_ids(run_id: str) -> tuple[int, int]:
    """Give the trace id and the span id of a run: the first 16 and the next 8 bytes of a SHA-256."""
    digest = hashlib.sha256(b"wf trace\0" + run_id.encode()).digest()
    return int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:24], "big")


_ids: ContextVar[tuple[int, int] | None] = ContextVar("wf_span_ids", default=None)


@contextmanager
def _using(ids: tuple[int, int]) -> Iterator[None]:
    token = _ids.set(ids)
    try:
        yield
    finally:
        _ids.reset(token)


class _RunIds:
    """Draws ids as the provider would, except for the span that is a run's own (see `_using`)."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def generate_trace_id(self) -> int:
        ids = _ids.get()
        return self._inner.generate_trace_id() if ids is None else ids[0]

    def generate_span_id(self) -> int:
        ids = _ids.get()
        return self._inner.generate_span_id() if ids is None else ids[1]

    def is_trace_id_random(self) -> bool:
        return True  # a hash is


# -- what spans say -----------------------------------------------------------------------------


def _describe(row: RunRow) -> dict[str, str]:
    return {"wf.run_id": row.run_id, "wf.workflow": row.workflow, "wf.deployment_id": row.deployment_id}


def _show(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # its `__str__` is the user's
        return f"({type(error).__name__} has no text: {type(broken).__name__})"
