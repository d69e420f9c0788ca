"""Replay: a body under its log. The one code path for live runs, recovery, checks and tests.

1. One delivery at a time: `apply` hands one event to the body and runs it until it blocks.
   Results came one at a time when they were recorded, so a replay sees what the live run saw.
2. A call event is never applied, only matched: the body must make the same call, in the same
   place of the log. A mismatch is a `NondeterminismError`, never a guess.
3. A delivery and the calls that followed it were committed together. So when the log ends, every
   call of the body is in it; one more is a mismatch, too.
4. `now()` is the time of the last delivered event. Nothing else of the outside reaches the body.

Events that a run's owner appended without the body (a forced end) carry `"forced"` in their meta
and are not matched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from wf import codec, events
from wf.context import WorkflowInfo
from wf.durations import from_instant
from wf.engine import commands
from wf.engine.body import (
    Body,
    BodyClosed,
    ChildOutcome,
    ContinueRun,
    StepState,
    add_note,
    find_position,
    merge_attributes,
)
from wf.engine.loop import BodySpins
from wf.errors import (
    BlockedError,
    HookConflictError,
    NondeterminismError,
    PayloadTooLargeError,
    SerializationError,
    ValidationError,
    WorkflowError,
)
from wf.events import Event

_decode_meta = msgspec.json.Decoder().decode
_canonical = msgspec.json.Encoder(order="sorted").encode


class Witness(Protocol):
    """Who is told when a body's code begins and ends to run."""

    def enter(self, run_id: str) -> None: ...

    def leave(self) -> None: ...


class Watch(Protocol):
    """Who runs a body until it blocks, and may interrupt it."""

    def run(self, body: Body) -> None: ...


class BodyBlocked(Exception):
    """Internal: a body was interrupted at this stack. What it did since the last delivery is void."""

    def __init__(self, stack: tuple[str, ...]) -> None:
        super().__init__(stack)
        self.stack = stack


Opened = tuple[Event, bytes | None]
"""An event and its opened payload, which is encoded as the codec says."""


class Replay:
    """One run's body, fed with its log.

    `start_body` makes the body's coroutine from its decoded arguments. `draw_token` draws a new
    secret; while a log is replayed, the recorded token is used instead.
    """

    def __init__(
        self,
        *,
        run_id: str,
        workflow_id: str,
        start_body: Callable[[dict[str, Any]], Any],
        draw_token: Callable[[], str],
        payload_limit: int,
        seed_id: str | None = None,
        is_beside: bool = False,
    ) -> None:
        self.run_id = run_id
        self.workflow_id = workflow_id
        self._children: dict[int, str] = {}
        self.body = Body(
            run_id=run_id,
            seed_id=seed_id or run_id,
            draw_token=self._choose_token,
            find_child=self._children.get,
            payload_limit=payload_limit,
            is_beside=is_beside,
        )
        self.commands = self.body.commands
        self.is_started = False
        self.is_ended = False
        self.is_cancelling = False
        self.timed_out = False
        self._start_body = start_body
        self._draw_token = draw_token
        self._tokens: dict[int, str] = {}
        self._fed_seq = 0
        self.made_at: str | None = None  # where the body made the call that was matched last
        self.witness: Witness | None = None
        self.watch: Watch | None = None
        self.blocked: BlockedError | None = None
        self._is_behind = False
        self._arguments: bytes | None = None
        self._deployment_id = ""

    def close(self) -> None:
        """Put the body away, for ever. Nothing of it is asked for after this but its `info`."""
        self.body.close()
        self.body.let_go()

    # -- feeding

    def apply(self, event: Event, data: bytes | None) -> None:
        """Deliver one event that is not a call, and run the body until it blocks.

        If the body is interrupted instead, `blocked` says where. It is put away then, and hears nothing more.
        """
        self.body.loop.seq = event.seq
        _DELIVER[event.type](self, event, data)

    def take_commands(self) -> list[commands.Command]:
        """Give the commands made since the last time, in order."""
        made = list(self.commands)
        self.commands.clear()
        return made

    def replay(self, log: Iterable[Opened], *, is_open_ended: bool = False) -> None:
        """Feed a whole log; raise `NondeterminismError` at the first event that does not fit.

        Afterwards the body stands where it stood when the log was written. An open-ended log was cut
        after a delivery: what the body then calls is not in it, and is left in `commands`.
        """
        log = list(log)
        self.expect(log)
        for event, data in log:
            self.feed(event, data)
        self.finish(is_open_ended=is_open_ended)

    def expect(self, log: Iterable[Opened]) -> None:
        """Begin to replay a log, or a further part of it, which is then fed event by event.

        The secrets and ids that the body drew when it was recorded are read ahead: it gets the same.
        """
        for event, data in log:
            if event.type == events.HOOK_CREATED and data is not None and event.correlation_id is not None:
                self._tokens[event.correlation_id] = codec.decode_arguments(data)["token"]
            elif event.type == events.CHILD_STARTED and event.name is not None and event.correlation_id is not None:
                self._children[event.correlation_id] = _decode_meta(event.meta or "{}")["run_id"]
        self.body.is_tracing = True

    def feed(self, event: Event, data: bytes | None) -> None:
        """Match or deliver the next event of a log; raise `NondeterminismError` if it does not fit."""
        if self._is_call(event):
            self._is_behind = False
            self._match(event, data)
        elif event.type == events.RUN_BLOCKED:  # a note: what another life of the body made of the delivery comes later
            self._is_behind = True
        elif event.type != events.RUN_FORKED:  # a note, between the history and what was made of it
            if event.type == events.RUN_FAILED:  # a limit: what the body asked for beyond it was not recorded
                self.commands.clear()
            surplus = None if self._is_behind or self._may_come_between(event) else self._next_recorded()
            if surplus is not None:
                raise self._mismatch(event.seq, f"{describe_event(event)} next", describe(surplus), surplus.where)
            self.apply(event, data)
            if self.blocked is not None:
                raise self.blocked
        self._fed_seq = event.seq

    def _may_come_between(self, event: Event) -> bool:
        """Tell whether calls of the last delivery may still follow an event, which is nothing to the body.

        Earlier versions have written some ends of cancelled steps, and the attempts that a fork began, before them. A
        forced `child_cancelled` stands before the end that drops what was asked for beyond a limit.
        """
        if event.type == events.STEP_FAILED:
            state = self.body.steps.get(event.correlation_id or 0)
            return state is not None and state.is_cancelled
        return event.type in (events.STEP_STARTED, events.CHILD_CANCELLED)

    def finish(self, *, is_open_ended: bool = False) -> None:
        """End the replay: a log that ends must end with the body (law 3), unless the body was interrupted there."""
        if not (is_open_ended or self._is_behind):
            self.check_end()
            self.commands.clear()
        self._tokens.clear()
        self._children.clear()
        self.body.is_tracing = False

    def check_end(self) -> None:
        """Raise `NondeterminismError` if the body has made a call that the log, as far as it was fed, lacks."""
        surplus = None if self._is_behind else self._next_recorded()
        if surplus is not None and self.is_started:
            seq = self._fed_seq + 1
            raise self._mismatch(seq, "nothing more", describe(surplus), surplus.where, is_extension=True)

    def _is_call(self, event: Event) -> bool:
        if event.type not in events.CALLS:
            return False
        if event.type == events.ATTRIBUTES_SET:
            return event.correlation_id is not None
        may_be_forced = event.type in events.ENDS or event.type == events.CHILD_CANCELLED
        return not (may_be_forced and event.meta is not None and "forced" in _decode_meta(event.meta))

    def _next_recorded(self, wanted: str = "") -> commands.Command | None:
        """Give the first command that a log would record, dropping those that it would not.

        Logs of before children were cancelled with their parents lack `child_cancelled`: it is dropped where it is not
        wanted. It has no consequence in the body.
        """
        while self.commands:
            type_ = self.commands[0].event
            if type_ is not None and (type_ != events.CHILD_CANCELLED or type_ == wanted):
                return self.commands[0]
            self.commands.popleft()
        return None

    def _match(self, event: Event, data: bytes | None) -> None:
        command = self._next_recorded(event.type)
        is_end = event.type in events.ENDS  # then a body that does not end here has only more to do
        if command is None:
            ended = self.body.is_ending
            actual = "nothing: the body has ended" if ended else "nothing: the body waits"
            where = find_position(self.body.main)
            raise self._mismatch(event.seq, describe_event(event), actual, where, is_extension=is_end and not ended)
        recorded, actual = describe_event(event), describe(command)
        same = (
            command.event == event.type
            and command.correlation_id == event.correlation_id
            and command.name == event.name
        )
        if not same:
            goes_on = is_end and command.event not in events.ENDS
            raise self._mismatch(event.seq, recorded, actual, command.where, is_extension=goes_on)
        if command.meta != event.meta and not is_same_failure(event, command.meta):
            raise self._mismatch(event.seq, recorded, f"{actual} with {describe_meta(command.meta)}", command.where)
        if data != command.data and not is_same_call(event.type, data, command.data):
            changed = describe_change(data, command.data)
            raise self._mismatch(event.seq, recorded, f"{actual} with {changed}", command.where)
        self.commands.popleft()
        self.made_at = command.where
        if event.type == events.STEP_CREATED:
            state = self.body.steps[command.correlation_id or 0]
            if event.attempt:
                self._begin_attempt(state, event.attempt, event.at)
        elif event.type in events.ENDS:
            self.is_ended = True

    def _mismatch(
        self, seq: int, recorded: str, actual: str, where: str | None, *, is_extension: bool = False
    ) -> NondeterminismError:
        return NondeterminismError(
            f"run {self.run_id} replayed differently: event {seq} recorded {recorded}, the body now makes {actual}",
            run_id=self.run_id,
            seq=seq,
            recorded=recorded,
            actual=actual,
            where=where,
            is_extension=is_extension,
        )

    def _choose_token(self, correlation_id: int) -> str:
        return self._tokens.get(correlation_id) or self._draw_token()

    # -- events without effect on the body

    def _on_nothing(self, event: Event, data: bytes | None) -> None:
        pass

    def _on_run_created(self, event: Event, data: bytes | None) -> None:
        meta = _decode_meta(event.meta) if event.meta else {}
        self._arguments = data
        self._deployment_id = meta.get("deployment_id", "")
        self.body.attributes = dict(meta.get("attributes", {}))

    def _on_step_started(self, event: Event, data: bytes | None) -> None:
        state = self.body.steps.get(event.correlation_id or 0)
        if state is not None:
            self._begin_attempt(state, event.attempt or 1, event.at)

    def _begin_attempt(self, state: StepState, attempt: int, at: int) -> None:
        state.attempt = attempt
        state.started_at = state.started_at or at
        state.attempt_started_at = at
        state.due_at = None

    def _on_step_retrying(self, event: Event, data: bytes | None) -> None:
        state = self.body.steps.get(event.correlation_id or 0)
        if state is not None:
            state.due_at = _decode_meta(event.meta or "{}").get("due_at", event.at)

    def _on_attributes_set(self, event: Event, data: bytes | None) -> None:
        self.body.attributes = merge_attributes(self.body.attributes, _decode_meta(event.meta or "{}")["set"])

    def _on_forced_end(self, event: Event, data: bytes | None) -> None:
        self.is_ended = True
        self.body.close()

    # -- deliveries

    def _on_run_started(self, event: Event, data: bytes | None) -> None:
        self.is_started = True
        self.body.loop.now_us = event.at
        self.body.info = WorkflowInfo(
            run_id=self.run_id,
            workflow_name=self.workflow_id,
            started_at=from_instant(event.at),
            deployment_id=self._deployment_id,
            url=_decode_meta(event.meta).get("url") if event.meta else None,
            attempt=1,
        )
        try:
            arguments = codec.decode_arguments(self._arguments or b"{}")
            coroutine = self._start_body(arguments)
        except SerializationError as error:
            self._fail(error, "RUNTIME_ERROR")
            return
        except ValidationError as error:  # plain arguments that do not fit what the code says today
            self._fail(error, "USER_ERROR")
            return
        except TypeError as error:
            raise self._mismatch(1, "arguments for another signature", f"a call that fails: {error}", None) from error
        self.body.start(coroutine)
        self._run()

    def _on_step_completed(self, event: Event, data: bytes | None) -> None:
        state = self.body.steps.pop(event.correlation_id or 0, None)
        if state is None or state.future.done() or self.is_ended:
            return
        self.body.loop.now_us = event.at
        try:
            state.future.set_result(codec.decode(data or b"null"))
        except SerializationError as error:
            state.future.set_exception(error)
        self._run()

    def _on_step_failed(self, event: Event, data: bytes | None) -> None:
        state = self.body.steps.pop(event.correlation_id or 0, None)
        if state is None or state.future.done() or self.is_ended:
            return
        self.body.loop.now_us = event.at
        error = decode_error(data)
        trace = getattr(error, "__wf_traceback__", None)
        add_note(error, f"step {state.name} failed in attempt {event.attempt}" + (f"\n{trace}" if trace else ""))
        self.body.loop.see(error)
        state.future.set_exception(error)
        self._run()

    def _on_wait_completed(self, event: Event, data: bytes | None) -> None:
        if self.is_ended:
            return
        self.body.loop.now_us = event.at
        if event.correlation_id == 0:
            self.timed_out = True
            if self.body.main is not None:
                self.body.main.cancel("the run's timeout is over")
        else:
            state = self.body.waits.pop(event.correlation_id or 0, None)
            if state is None or state.timer is None:
                return
            self.body.loop.fire(state.timer)
        self._run()

    def _on_hook_received(self, event: Event, data: bytes | None) -> None:
        hook = self.body.hooks.get(event.correlation_id or 0)
        if hook is None or self.is_ended or hook.is_disposed:
            return
        self.body.loop.now_us = event.at
        hook.count += 1
        # The newest await takes it: an older one may be a race's loser that nobody awaits any more.
        while hook.waiters:
            waiter = hook.waiters.pop()
            if not waiter.done():
                waiter.set_result(data or b"null")
                self._run()
                return
        hook.payloads.append(data or b"null")

    def _on_hook_conflict(self, event: Event, data: bytes | None) -> None:
        hook = self.body.hooks.get(event.correlation_id or 0)
        if hook is None or self.is_ended:
            return
        self.body.loop.now_us = event.at
        owner = _decode_meta(event.meta or "{}").get("run_id", "")
        hook.conflict = HookConflictError(hook.given, owner)
        waiters, hook.waiters = hook.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(HookConflictError(hook.given, owner))
        self._run()

    def _on_lock_acquired(self, event: Event, data: bytes | None) -> None:
        lock = self.body.locks.get(event.correlation_id or 0)
        if lock is None or lock.future.done() or self.is_ended:
            return
        self.body.loop.now_us = event.at
        lock.future.set_result(None)
        self._run()

    def _on_child_completed(self, event: Event, data: bytes | None) -> None:
        child = self.body.children.get(event.correlation_id or 0)
        if child is None or child.future.done() or self.is_ended:
            return
        self.body.loop.now_us = event.at
        meta = _decode_meta(event.meta or "{}")
        status, code = meta.get("status", "completed"), meta.get("code")
        try:
            value = codec.decode(data) if data else None
        except SerializationError as error:
            status, value = "failed", error
        if isinstance(value, BaseException):
            self.body.loop.see(value)
        child.future.set_result(ChildOutcome(meta.get("run_id", child.run_id), status, code, value))
        self._run()

    def _on_cancel_requested(self, event: Event, data: bytes | None) -> None:
        self.is_cancelling = True
        if self.is_ended or self.body.main is None:
            return
        self.body.loop.now_us = event.at
        self.body.main.cancel(codec.decode(data) if data else None)
        self._run()

    # -- the end

    def _run(self) -> None:
        witness = self.witness
        if witness is not None:
            witness.enter(self.run_id)
        try:
            self._run_body()
        except BodyBlocked as blocked:
            self.blocked = BlockedError(self.run_id, self.workflow_id, blocked.stack)
            self.commands.clear()
            self.body.abandon()
        finally:
            if witness is not None:
                witness.leave()

    def _run_until_blocked(self) -> None:
        if self.watch is None:
            self.body.loop.run_until_blocked()
        else:
            self.watch.run(self.body)

    def _run_body(self) -> None:
        main = self.body.main
        assert main is not None
        try:
            self._run_until_blocked()
        except BodySpins as error:
            self._fail(error, "RUNTIME_ERROR")
            return
        except SystemExit as error:  # asyncio lets these two through after it has kept them
            if not main.done():
                self._fail(error, "USER_ERROR")
                return
        if main.done() and not self.is_ended:
            self._finish(main)

    def _finish(self, main: asyncio.Task[Any]) -> None:
        self._cancel_leftovers()
        if main.cancelled():
            if self.timed_out and not self.is_cancelling:
                self._fail(TimeoutError("the run took longer than its timeout"), "TIMEOUT")
            else:
                reason = _cancel_reason(main)
                self._end(commands.CancelRun(None, None, None, codec.encode(reason, "reason")))
            return
        error = find_continuation(main.exception())
        if error is None:
            try:
                data = codec.encode(main.result(), "result")
                if len(data) > self.body.payload_limit:
                    raise PayloadTooLargeError("the result", len(data), self.body.payload_limit)
            except WorkflowError as refused:
                self._fail(refused, "USER_ERROR")
            else:
                self._end(commands.CompleteRun(None, None, None, data))
        elif isinstance(error, ContinueRun):
            run_id = self.body.next_run_id()
            meta = msgspec.json.encode({"continued_as": run_id}).decode()
            self._end(
                commands.ContinueAsNew(
                    None, None, meta, None, run_id=run_id, arguments=error.arguments, deployment=error.deployment
                )
            )
        elif isinstance(error, BodyClosed):
            return
        else:
            self._fail(error, "USER_ERROR")

    def _cancel_leftovers(self) -> None:
        """Cancel the tasks that the body left behind; what they still call is not recorded."""
        self.body.is_ending = True
        for _ in range(100):
            tasks = sorted(self.body.loop.tasks, key=hash)
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            try:
                self._run_until_blocked()
            except (BodySpins, SystemExit):
                return

    def _fail(self, error: BaseException, code: str) -> None:
        self.body.is_ending = True
        content: dict[str, Any] = {"code": code, "error_type": codec.public_type_name(type(error))}
        since = self.body.loop.find_since(error)
        if since is not None and since < self.body.loop.seq:  # the body went on running after that
            content["since"] = since
        meta = msgspec.json.encode(content).decode()
        self._end(commands.FailRun(None, None, meta, codec.encode(error, "error"), code=code))

    def _end(self, command: commands.Command) -> None:
        self.is_ended = True
        if self.body.is_tracing:
            command.where = find_position(self.body.main)
        self.commands.append(command)


_DELIVER: dict[str, Callable[[Replay, Event, bytes | None], None]] = {
    events.RUN_CREATED: Replay._on_run_created,
    events.RUN_FORKED: Replay._on_nothing,
    events.RUN_BLOCKED: Replay._on_nothing,
    events.RUN_STARTED: Replay._on_run_started,
    events.STEP_STARTED: Replay._on_step_started,
    events.STEP_RETRYING: Replay._on_step_retrying,
    events.STEP_COMPLETED: Replay._on_step_completed,
    events.STEP_FAILED: Replay._on_step_failed,
    events.WAIT_COMPLETED: Replay._on_wait_completed,
    events.HOOK_RECEIVED: Replay._on_hook_received,
    events.HOOK_CONFLICT: Replay._on_hook_conflict,
    events.LOCK_ACQUIRED: Replay._on_lock_acquired,
    events.CHILD_CANCELLED: Replay._on_nothing,
    events.CHILD_COMPLETED: Replay._on_child_completed,
    events.CANCEL_REQUESTED: Replay._on_cancel_requested,
    events.ATTRIBUTES_SET: Replay._on_attributes_set,
    events.RUN_COMPLETED: Replay._on_forced_end,
    events.RUN_FAILED: Replay._on_forced_end,
    events.RUN_CANCELLED: Replay._on_forced_end,
}


def find_continuation(error: BaseException | None) -> BaseException | None:
    """Take a `ContinueRun` out of the group that a TaskGroup made of it alone; give other errors back."""
    if isinstance(error, BaseExceptionGroup):
        found: Any
        found, others = error.split(ContinueRun)
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        return found if found is not None and others is None else error
    return error


def _cancel_reason(main: asyncio.Task[Any]) -> str | None:
    try:
        main.result()
    except asyncio.CancelledError as error:
        return str(error.args[0]) if error.args and error.args[0] is not None else None
    return None


def decode_error(data: bytes | None) -> BaseException:
    """Open a recorded exception; what cannot be read is an exception, too."""
    try:
        error = codec.decode(data or b"null")
    except SerializationError as unreadable:
        return unreadable
    if isinstance(error, BaseException):
        return error
    return SerializationError("error", f"an exception was recorded as {type(error).__name__}")


def is_same_failure(event: Event, meta: str | None) -> bool:
    """Tell whether a run fails as it did; since when what it failed of was there is told, and not compared."""
    if event.type != events.RUN_FAILED or event.meta is None or meta is None:
        return False
    recorded, actual = _decode_meta(event.meta), _decode_meta(meta)
    return {**recorded, "since": 0} == {**actual, "since": 0}


def is_same_call(type_: str, recorded: bytes | None, actual: bytes | None) -> bool:
    """Tell whether two payloads that differ in their bytes make the same call all the same.

    The fields of a hook's model may grow while its runs wait, and where an exception was raised
    moves with every line added above.
    """
    if type_ == events.RUN_FAILED:  # its error's type is in the meta
        return True
    if recorded is None or actual is None:
        return False
    before, after = _decode_meta(recorded), _decode_meta(actual)
    if type_ == events.HOOK_CREATED:
        before.pop("schema", None)
        after.pop("schema", None)
    # As text, not as values: Python holds 1, 1.0 and True for equal.
    return _canonical(_without_places(before)) == _canonical(_without_places(after))


def _without_places(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_places(member) for member in value]
    if not isinstance(value, dict):
        return value
    content = value.get("$exception")
    if isinstance(content, dict) and len(value) == 1:
        value = {"$exception": {k: v for k, v in content.items() if k not in ("traceback", "notes")}}
    return {key: _without_places(member) for key, member in value.items()}


# -- words for people ---------------------------------------------------------------------------


def describe(command: commands.Command) -> str:
    return _describe(command.event or "", command.correlation_id, command.name, command.meta)


def describe_event(event: Event) -> str:
    return _describe(event.type, event.correlation_id, event.name, event.meta)


def _describe(type_: str, correlation_id: int | None, name: str | None, meta: str | None) -> str:
    position = f" (position {correlation_id})" if correlation_id else ""
    if type_ == events.STEP_CREATED:
        return f"step {name}{position}"
    if type_ == events.WAIT_CREATED:
        kind = _decode_meta(meta or "{}").get("kind", "sleep")
        return ("a sleep" if kind == "sleep" else "a timeout") + position
    if type_ == events.CHILD_STARTED:
        return (f"child run of {name}" if name else "a wait for another run") + position
    if type_ == events.CHILD_CANCELLED:
        return f"cancelling the child run of {name}{position}"
    words = {
        events.HOOK_CREATED: f"hook {name}",
        events.HOOK_DISPOSED: "disposing of a hook",
        events.LOCK_REQUESTED: f"lock {(name or '').removeprefix('lock:')}",
        events.LOCK_RELEASED: f"release of lock {(name or '').removeprefix('lock:')}",
        events.ATTRIBUTES_SET: "a change of attributes",
        events.RUN_COMPLETED: "the run's completion",
        events.RUN_FAILED: "the run's failure",
        events.RUN_CANCELLED: "the run's cancellation",
    }
    return words.get(type_, type_) + position


def describe_meta(meta: str | None) -> str:
    content = _decode_meta(meta or "{}")
    if "due_at" in content:
        return f"another time ({from_instant(content['due_at']).isoformat()})"
    if "set" in content:
        return "other keys or values"
    return f"other options ({meta})"


def describe_change(recorded: bytes | None, actual: bytes | None) -> str:
    """Name the arguments that differ, never their values: the text is kept in clear."""
    before = _decode_meta(recorded) if recorded else None
    after = _decode_meta(actual) if actual else None
    if isinstance(before, dict) and isinstance(after, dict):
        names = [
            name
            for name in {**before, **after}
            if name not in before or name not in after or _canonical(before[name]) != _canonical(after[name])
        ]
        if names:
            return "another " + ", ".join(f"`{name}`" for name in names)
        return "its arguments in another order"
    return "another value"
