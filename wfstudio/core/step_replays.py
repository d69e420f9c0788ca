"""Step replays: one recorded step, carried out once more by some code, compared with what was recorded.

1. Nothing is written: not to the run's log, not to a stream, not to any other run (`bench.attempts`).
2. What the step does to the outside is really done, once more: it is the user's code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

from wf import events as types
from wf.context import StepInfo, WorkflowInfo
from wf.durations import from_instant
from wf.events import Event
from wf.ids import step_id
from wf.records import decode_meta
from wf.world import RunRow
from wfstudio.core.bench import wire
from wfstudio.core.bench.process import spawn_in_terminal
from wfstudio.core.bench.views import ChangeView, OutcomeView, PrintedView, StepReplayView
from wfstudio.core.bench.workbench import Workbench
from wfstudio.core.calls import find_call
from wfstudio.core.changes import find_changes
from wfstudio.core.errors import BenchError, ConflictError, NotFoundError, UsageError
from wfstudio.core.rows import read_error
from wfstudio.core.values import show_arguments, show_value
from wfstudio.core.views import show_instant

TIMEOUT_SECONDS: Final = 60.0
LONGEST_SECONDS: Final = 3600.0
ANSWER_SECONDS: Final = 5.0
"""How long beyond the step's time its process may take to answer."""

LARGEST_SHOWN: Final = 1_000_000

_Outcome = Literal["same", "differs", "timed_out", "unrecorded"]


class _Recorded(NamedTuple):
    """A step of a log: its events with their payloads, by type in order."""

    number: int
    name: str
    arguments: bytes
    events: list[tuple[Event, bytes | None]]

    def starts(self) -> dict[int, int]:
        """Give when each attempt began, by its number."""
        kinds = (types.STEP_CREATED, types.STEP_STARTED)
        return {event.attempt: event.at for event, _ in self.events if event.type in kinds and event.attempt}

    def end_of(self, attempt: int) -> tuple[Event, bytes | None] | None:
        kinds = (types.STEP_COMPLETED, types.STEP_FAILED, types.STEP_RETRYING)
        ends = [one for one in self.events if one[0].type in kinds and one[0].attempt == attempt]
        return ends[-1] if ends else None


async def replay_step(
    workbench: Workbench,
    run_id: str,
    step: str,
    *,
    attempt: int | None = None,
    edited: Mapping[str, Any] | None = None,
    deployment: str | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    debugger: wire.Debugger | None = None,
) -> StepReplayView | None:
    """Carry out a step of a run once more, and compare. `step` is as `calls.find_call` reads it.

    It repeats the last attempt, or the one that is named. Parameters that are `edited` get these JSON values;
    one that is as it is shown keeps what was recorded. With a `debugger` the terminal is the step's, and
    None says that whoever used it quit.
    """
    if not 0 < timeout_seconds <= LONGEST_SECONDS:
        raise UsageError(f"a timeout of {timeout_seconds:g} s is not between 0 and {LONGEST_SECONDS:g}")
    row = await workbench.read_row(run_id)
    log = await workbench.open_log(row)
    recorded = _find_step(row, log, step)
    number = _choose_attempt(recorded, attempt)
    shown = show_arguments(recorded.arguments)
    changed = {name: value for name, value in (edited or {}).items() if name not in shown or shown[name] != value}
    question = _make_question(row, log, recorded, number, changed, timeout_seconds, debugger)
    launch = None if debugger is None else spawn_in_terminal
    seconds = None if debugger else timeout_seconds + ANSWER_SECONDS
    async with workbench.loaded(await workbench.choose_code(row, deployment), launch) as loaded:
        try:
            tried = await loaded.bench.ask(question, wire.Tried, seconds)
        except BenchError:
            if debugger is not None and loaded.bench.has_left:
                return None
            raise
    return _compare(row, recorded, number, {**shown, **changed}, tried, loaded.deployment_id, is_edited=bool(changed))


# -- which step ---------------------------------------------------------------------------------


def _find_step(row: RunRow, log: wire.Log, text: str) -> _Recorded:
    """Find the step that is meant. Raises `NotFoundError`, `UsageError` for a name that several have."""
    call = find_call(row.run_id, log, text, [types.STEP_CREATED])
    if call.name.startswith("wf/"):
        raise ConflictError(f"call {call.number} is an operation of wf's own ({call.name}), and no step of yours")
    events = [(event, data) for event, data in log if event.correlation_id == call.number]
    return _Recorded(call.number, call.name, call.data or b"{}", events)


def _choose_attempt(recorded: _Recorded, attempt: int | None) -> int:
    starts = recorded.starts()
    if attempt is None:
        return max(starts, default=1)
    if attempt not in starts:
        listed = ", ".join(map(str, sorted(starts))) or "none"
        raise NotFoundError(f"step {recorded.number} has no attempt {attempt}", f"begun were: {listed}")
    return attempt


def _make_question(
    row: RunRow,
    log: wire.Log,
    recorded: _Recorded,
    attempt: int,
    edited: dict[str, Any],
    timeout_seconds: float,
    debugger: wire.Debugger | None,
) -> wire.TryStep:
    created, begun = log[0][0], next((event for event, _ in log if event.type == types.RUN_STARTED), log[0][0])
    starts = recorded.starts()
    first = min(starts.values(), default=recorded.events[0][0].at)
    return wire.TryStep(
        correlation_id=recorded.number,
        info=StepInfo(
            run_id=row.run_id,
            step_id=step_id(row.run_id, recorded.number),
            step_name=recorded.name,
            attempt=attempt,
            step_started_at=from_instant(first),
            attempt_started_at=from_instant(starts.get(attempt, first)),
        ),
        workflow_info=WorkflowInfo(
            run_id=row.run_id,
            workflow_name=row.workflow,
            started_at=from_instant(begun.at),
            deployment_id=str(decode_meta(created.meta).get("deployment_id", "")),
            url=decode_meta(begun.meta).get("url"),
            attempt=1,
        ),
        arguments=recorded.arguments,
        edited=edited,
        attributes=row.attributes,
        timeout_seconds=timeout_seconds,
        debugger=debugger,
    )


# -- what came of it ----------------------------------------------------------------------------


def _compare(
    row: RunRow,
    recorded: _Recorded,
    attempt: int,
    given: dict[str, Any],
    tried: wire.Tried,
    deployment_id: str,
    *,
    is_edited: bool,
) -> StepReplayView:
    end = recorded.end_of(attempt)
    before = _show_end(end)
    after = _show_tried(tried)
    changes, more = _find_changes(before, after, None if end is None else end[1], tried.data)
    outcome: _Outcome = "differs" if changes else "same"
    if before.kind == "none":
        outcome, changes = "unrecorded", []
    if after.kind == "timed_out":
        outcome = "timed_out"
    return StepReplayView(
        id=step_id(row.run_id, recorded.number),
        run_id=row.run_id,
        correlation_id=recorded.number,
        name=recorded.name,
        attempt=attempt,
        deployment_id=deployment_id,
        outcome=outcome,
        is_edited=is_edited,
        input=given,
        recorded=before,
        actual=after,
        changes=changes,
        more_changes=more,
        duration_ms=tried.took_ms,
        logs=[PrintedView(show_instant(line.at), line.source, line.text) for line in tried.lines],
        effects=tried.effects,
    )


def _show_end(end: tuple[Event, bytes | None] | None) -> OutcomeView:
    if end is None:
        return OutcomeView(kind="none")
    event, data = end
    if event.type == types.STEP_COMPLETED:
        return OutcomeView(kind="returned", value=show_value(data, LARGEST_SHOWN))
    return OutcomeView(kind="raised", error=read_error(data, type=decode_meta(event.meta).get("error_type")))


def _show_tried(tried: wire.Tried) -> OutcomeView:
    if tried.outcome == "returned":
        return OutcomeView(kind="returned", value=show_value(tried.data, LARGEST_SHOWN))
    if tried.outcome == "raised":
        return OutcomeView(kind="raised", error=read_error(tried.data))
    return OutcomeView(kind="timed_out")


def _find_changes(
    before: OutcomeView, after: OutcomeView, old: bytes | None, new: bytes
) -> tuple[list[ChangeView], int]:
    if before.kind != after.kind:
        return [ChangeView(path="outcome", kind="changed", before=before.kind, after=after.kind)], 0
    if before.error is not None and after.error is not None:
        shown = [{"type": error.type, "message": error.message} for error in (before.error, after.error)]
        return find_changes(shown[0], shown[1], "error")
    if _canonical(old) == _canonical(new):
        return [], 0
    changes, more = find_changes(before.value, after.value, "result")
    return changes or [ChangeView(path="result", kind="retyped", before=before.value, after=after.value)], more


_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def _canonical(data: bytes | None) -> bytes:
    """Give an encoded value with its keys in order: dicts that were filled in another order are the same."""
    return _encode_sorted(msgspec.json.decode(data)) if data else b""
