"""A live run: a leased run with its body in memory, its log's tail, and its open attempts.

1. Everything that happens to the run comes in here, one thing at a time, becomes events in the
   log's order, and is delivered to the body at once; the commands that follow become events, too.
2. Nothing of it leaves the process before its commit: attempts start, slots are asked for and
   callers are answered in `committed`. A body may see a result a moment before it is durable, but
   a body has no effect but its commands, which are in the same commit. So one commit carries the
   result of step N and the call of step N+1, and a lost commit loses both.
3. When the lease is lost (`lose`), nothing further happens: no append, no attempt, no answer.

Things that don't work: committing before delivering (two commits a step, twice the latency), and
starting attempts before the commit (an attempt that nobody recorded).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wf import codec, events, ids
from wf.engine import commands
from wf.engine.body import MAX_ATTRIBUTES, StepState, add_note, merge_attributes
from wf.engine.replay import Opened
from wf.errors import BlockedError, DecryptionError, FatalError, PayloadTooLargeError, StepError
from wf.records import End, decode_meta, encode_meta, open_message, open_reason, seal_new_run
from wf.registry import Workflow
from wf.retry import say_malformed
from wf.worker.inheritance import find_deadline, take_up_the_world
from wf.worker.interference import ATTRIBUTE, FAULT, cut_text
from wf.worker.opening import make_replay
from wf.worker.tail import LogTail
from wf.world import (
    Append,
    CancelChild,
    DropHook,
    DropWait,
    EndRun,
    InboxMessage,
    NewRun,
    PutHook,
    PutLog,
    PutWait,
    ReleaseLock,
    RequestLock,
    RunRow,
    SetAttributes,
    StartChild,
    StartRun,
    WatchRun,
)

if TYPE_CHECKING:
    from wf.worker.worker import Worker

STEP_LOCK = "step:"
LOST = "worker lost"
PARENT_CANCELLED = "parent cancelled"
NOT_AWAITED = "its parent does not await it any more"

Taken = tuple[Append, list[StepState], list[Callable[[], None]]]
"""What is to be committed, the attempts that its commit starts, and the callers that it answers."""


class LiveRun:
    """See the laws at the top of this module. All methods are called on the worker's loop."""

    __slots__ = (
        "answered", "answers", "attempts", "attributes", "given_up", "grants", "inbox_high", "is_committing",
        "is_dirty", "is_ended", "is_lost", "max_events", "queued", "replay", "row", "run_id", "starts", "tail",
        "worker", "workflow",
    )  # fmt: skip

    def __init__(self, worker: Worker, row: RunRow, workflow: Workflow[..., Any], created: events.Event) -> None:
        self.worker = worker
        self.row = row
        self.run_id = row.run_id
        self.workflow = workflow
        self.tail = LogTail(row, worker.keyring.run(row.run_id))
        self.answered: frozenset[int] = frozenset()  # calls whose answer this run brought: nobody else is asked
        self.attempts: dict[int, Any] = {}
        self.starts: list[StepState] = []  # attempts that their commit will start; each has its slot
        self.answers: list[Callable[[], None]] = []
        self.given_up: list[commands.CancelStep] = []  # cancelled steps whose end comes behind the body's calls
        self.grants: dict[int, int] = {}  # turns that steps have got and wait for a slot with: the messages
        self.queued = 0
        self.inbox_high = 0
        self.is_committing = False
        self.is_dirty = False
        self.is_ended = False
        self.is_lost = False
        self.attributes = row.attributes  # as the log says: the body may be ahead of it
        self.max_events = worker.limits.events

        self.replay = make_replay(row, workflow, created, payload_limit=worker.limits.payload)
        self.replay.witness = worker.casualties
        self.replay.watch = worker.watch

    @property
    def is_over(self) -> bool:
        """The body hears nothing any more: it has ended, or was interrupted."""
        return self.is_ended or self.replay.blocked is not None

    @property
    def is_idle(self) -> bool:
        """Nothing of this run is under way here: its next move comes from outside, or never."""
        return not (self.attempts or self.queued or self.is_dirty or self.is_committing)

    # -- taking over

    def recover(self, log: list[Opened], *, is_inherited: bool = False) -> None:
        """Bring the body to where the log ends, and take up what was under way.

        An inherited history ends before the calls of its last delivery: the body has made them now,
        and they become events as any others.
        """
        if len(log) == 1 and not is_inherited:  # the body is yet to begin
            self.replay.apply(*log[0])
            self.tail.at = log[0][0].at
            return
        for event, _ in log if is_inherited else ():
            if event.type == events.ATTRIBUTES_SET:
                self._log_attributes(event)
        self.replay.replay(log, is_open_ended=is_inherited)
        self.tail.at = max(self.tail.at, log[-1][0].at) if log else 0
        if not self.replay.is_started or self.replay.is_ended:
            self.process_commands()
            return
        body = self.replay.body
        fresh = {command.correlation_id for command in self.replay.commands}
        if is_inherited:
            take_up_the_world(self, log, fresh)
        for number, wait in body.waits.items():
            if number not in fresh:
                self.worker.add_timer(wait.due_at, self, number)
        if self.workflow.timeout_us is not None and not self.replay.timed_out:
            self.worker.add_timer(find_deadline(self.workflow.timeout_us, log), self, 0)
        under_way = [body.steps[number] for number in sorted(body.steps.keys() - fresh - self.answered)]
        self.process_commands()  # first: what follows are notes and deliveries, behind the calls of the last one
        for state in under_way:
            if body.steps.get(state.correlation_id) is state and not self.is_over:
                self._take_up_step(state)

    def _take_up_step(self, state: StepState) -> None:
        """Go on with a step that was under way. An attempt that began in a process that is gone counts."""
        if state.is_cancelled and state.step.is_cancellable:
            self._give_up_step(state)
        elif state.due_at is not None:
            self.worker.add_timer(state.due_at, self, state.correlation_id)
        elif state.attempt > state.step.policy.max_retries:
            self._fail_step(state, StepError(LOST))
        elif state.attempt or state.step.concurrency is None:
            self._want_slot(state)

    def start(self) -> None:
        """Run the body for the first time."""
        url = self.worker.page_url(self.run_id)  # recorded: a replay may run behind another port
        event = self.add_event(events.RUN_STARTED, meta=encode_meta({"url": url}) if url else None)
        self.tail.add_effect(StartRun(event.at))
        if self.workflow.timeout_us is not None:
            due_at = event.at + self.workflow.timeout_us
            self.tail.add_effect(PutWait(0, "run", due_at))
            self.worker.add_timer(due_at, self, 0)
        self.replay.apply(event, None)
        self.process_commands()

    # -- appending

    def add_event(
        self,
        type_: str,
        correlation_id: int | None = None,
        name: str | None = None,
        attempt: int | None = None,
        meta: str | None = None,
        data: bytes | None = None,
    ) -> events.Event:
        if not self.is_dirty:
            self.is_dirty = True
            self.worker.mark_dirty(self)
        return self.tail.add(self.worker.clock.now_us(), type_, correlation_id, name, attempt, meta, data)

    def touch(self) -> None:
        """Have the tail committed although no event was added."""
        if not self.is_dirty:
            self.is_dirty = True
            self.worker.mark_dirty(self)

    def take_append(self) -> Taken:
        """Hand out what is to be committed, and what its commit sets free."""
        self.is_dirty = False
        self.is_committing = True
        starts, answers = self.starts, self.answers
        self.starts, self.answers = [], []
        return self.tail.take(), starts, answers

    def process_commands(self) -> None:
        if self.replay.blocked is not None:
            self._note_block(self.replay.blocked)
            return
        queue = self.replay.commands
        while queue:
            self._process(queue.popleft())
            if self.tail.seq > self.max_events and not self.is_ended:
                queue.clear()  # what the body asked for beyond the limit is not recorded
        given_up, self.given_up = self.given_up, []
        for command in given_up:
            self._cancel_step(command.correlation_id or 0, command.message)
        if self.tail.seq > self.max_events and not self.is_ended:
            self.end_by_force(
                events.RUN_FAILED,
                {"code": "LIMIT_EXCEEDED"},
                codec.encode(FatalError(f"the run has over {self.max_events} events"), "error"),
            )
        elif self.tail.payload_bytes > self.worker.limits.run and not self.is_ended:
            too_large = PayloadTooLargeError("the run", self.tail.payload_bytes, self.worker.limits.run)
            self.end_by_force(events.RUN_FAILED, {"code": "LIMIT_EXCEEDED"}, codec.encode(too_large, "error"))

    def _note_block(self, blocked: BlockedError) -> None:
        """Record that the body was interrupted in what it made of the last delivery, which is to be made anew.

        What else was delivered since the last commit, and the calls that followed, stays. Attempts under way end, and
        are recorded; then the run is left alone (`Leases.rest`).
        """
        self.add_event(events.RUN_BLOCKED, meta=encode_meta({"where": blocked.where}) if blocked.where else None)

    def _process(self, command: commands.Command) -> None:
        tail = self.tail
        number = command.correlation_id or 0
        match command:
            case commands.ScheduleStep():
                self._schedule(command)
            case commands.StartWait():
                self._record(command)
                tail.add_effect(PutWait(number, command.kind, command.due_at))
                self.worker.add_timer(command.due_at, self, number)
            case commands.DropWait():
                tail.add_effect(DropWait(number))
                self.touch()
            case commands.CancelStep():
                self.given_up.append(command)
            case commands.CreateHook():
                event = self._record(command)
                tail.add_effect(PutHook(number, ids.hash_token(command.token), event.seq, command.kind))
            case commands.DisposeHook():
                self._record(command)
                tail.add_effect(DropHook(number))
            case commands.RequestLock():
                self._record(command)
                tail.add_effect(RequestLock(number, command.name or "", command.limit))
            case commands.ReleaseLock():
                self._record(command)
                tail.add_effect(ReleaseLock(number))
            case commands.StartChild():
                event = self._record(command)
                if command.workflow is None:
                    tail.add_effect(WatchRun(number, command.run_id))
                else:
                    tail.add_effect(StartChild(number, self._new_child(command, event.at)))
            case commands.CancelChild():
                self._record(command)
                tail.add_effect(CancelChild(number, command.run_id, self._say_why_given_up()))
            case commands.SetAttributes():
                self._log_attributes(self._record(command))
            case commands.CompleteRun():
                self._finish(self._record(command), "completed", command.data)
            case commands.ContinueAsNew():
                event = self._record(command)
                self._finish(event, "completed", None, continued=self._next_run(command, event.at))
            case commands.FailRun():
                self._finish(self._record(command), "failed", command.data, error_code=command.code)
            case commands.CancelRun():
                self._finish(self._record(command), "cancelled", command.data)

    def _record(self, command: commands.Command) -> events.Event:
        return self.add_event(
            command.event or "", command.correlation_id, command.name, None, command.meta, command.data
        )

    def _finish(
        self,
        event: events.Event,
        status: str,
        data: bytes | None,
        error_code: str | None = None,
        continued: NewRun | None = None,
    ) -> None:
        self.is_ended = True
        for number in list(self.grants):
            self._use_grant(number)
        self.tail.add_effect(EndRun(status, event.at, event.seq, error_code, continued))
        tracing = self.worker.tracing
        if tracing is not None:
            started_at = self.replay.body.info.started_at if self.replay.is_started else None
            self.answers.append(lambda: tracing.run_ended(self.row, event, status, started_at))
        if continued is None:
            end = End(self.run_id, status, error_code, data)
            self.answers.append(lambda: self.worker.session.note_end(end))

    def end_by_force(self, type_: str, meta: dict[str, Any], data: bytes | None) -> None:
        """End the run from outside its body: no clean-up runs, and no replay expects the call."""
        self._give_up_children(type_)
        event = self.add_event(type_, None, None, None, encode_meta({**meta, "forced": True}), data)
        self.replay.apply(event, data)
        self.replay.commands.clear()
        for attempt in list(self.attempts.values()):
            if attempt.step.is_cancellable:
                attempt.cancel("the run has ended")
        status = {events.RUN_FAILED: "failed", events.RUN_CANCELLED: "cancelled"}[type_]
        self._finish(event, status, data, error_code=meta.get("code"))

    def _give_up_children(self, end: str) -> None:
        """Cancel the children that a body awaits which is put away, as it would have done."""
        for child in [child for child in self.replay.body.children.values() if child.is_awaited]:
            meta = encode_meta({"run_id": child.run_id, "forced": True})
            self.add_event(events.CHILD_CANCELLED, child.correlation_id, child.workflow, None, meta)
            reason = self._say_why_given_up(is_cancelled=end == events.RUN_CANCELLED)
            self.tail.add_effect(CancelChild(child.correlation_id, child.run_id, reason))

    def _say_why_given_up(self, *, is_cancelled: bool = False) -> str:
        return PARENT_CANCELLED if is_cancelled or self.replay.is_cancelling else NOT_AWAITED

    # -- new runs

    def _new_child(self, command: commands.StartChild, at: int) -> NewRun:
        workflow: Workflow[..., Any] = command.workflow
        options = command.options
        return seal_new_run(
            self.worker.keyring,
            run_id=command.run_id,
            workflow=workflow.id,
            arguments=command.data or b"{}",
            at=at,
            deployment_id=self._find_deployment(options.deployment),
            attributes=options.attributes or {},
            concurrency=workflow.concurrency,
            delay_us=options.delay_us,
            parent_run_id=self.run_id,
            parent_correlation_id=command.correlation_id,
        )

    def _next_run(self, command: commands.ContinueAsNew, at: int) -> NewRun:
        return seal_new_run(
            self.worker.keyring,
            run_id=command.run_id,
            workflow=self.workflow.id,
            arguments=command.arguments,
            at=at,
            deployment_id=self._find_deployment(command.deployment),
            attributes=self.replay.body.attributes,
            concurrency=self.workflow.concurrency,
            continued_from=self.run_id,
        )

    def _find_deployment(self, asked: str | None) -> str:
        """Give the deployment that a run which this one starts is pegged to; the same, unless it asks for another."""
        return self.worker.session.latest_deployment_id if asked == "latest" else asked or self.row.deployment_id

    # -- steps

    def _schedule(self, command: commands.Command) -> None:
        number = command.correlation_id or 0
        state = self.replay.body.steps[number]
        step = state.step
        attempt = 0
        is_asked = number not in self.answered
        if is_asked and step.concurrency is None and self.worker.take_slot(step):
            attempt = 1
            self.starts.append(state)
        event = self.add_event(events.STEP_CREATED, number, command.name, attempt, None, command.data)
        if attempt:
            state.attempt = 1
            state.started_at = state.attempt_started_at = event.at
        elif not is_asked:
            return
        elif step.concurrency is not None:
            self.request_turn(state)
        else:
            self.worker.queue_for_slot(self, number)

    def request_turn(self, state: StepState) -> None:
        """Queue for the limit of a step that has one: how many of its attempts may run in the whole world."""
        if state.step.concurrency is not None:
            lock = STEP_LOCK + state.step.id
            self.tail.add_effect(RequestLock(state.correlation_id, lock, state.step.concurrency))

    def _want_slot(self, state: StepState) -> None:
        if self.worker.take_slot(state.step):
            if not self.begin_attempt(state.correlation_id):
                self.worker.free_slot(state.step)
        else:
            self.worker.queue_for_slot(self, state.correlation_id)

    def begin_attempt(self, number: int) -> bool:
        """Record the next attempt of a step; its commit starts it. False: it is not wanted any more.

        The caller has taken a slot for it.
        """
        state = self.replay.body.steps.get(number)
        if state is None or self.is_over or self.is_lost:
            return False
        was_waiting = state.due_at is not None
        event = self.add_event(events.STEP_STARTED, number, state.name, state.attempt + 1)
        self.replay.apply(event, None)
        if was_waiting:
            self.tail.add_effect(DropWait(number))
        self._use_grant(number)
        self.starts.append(state)
        return True

    def _use_grant(self, number: int) -> None:
        """Take the message that gave a step its turn: not before, or who comes next would never hear of it."""
        message_id = self.grants.pop(number, None)
        if message_id is not None:
            self.tail.take_message(message_id)

    def attempt_succeeded(self, number: int, attempt: int, data: bytes, log: list[PutLog]) -> None:
        """Record a step's result and give it to the body."""
        if self.is_lost:
            return
        state = self.replay.body.steps.get(number)
        if state is None:
            return
        event = self.add_event(events.STEP_COMPLETED, number, state.name, attempt, None, data)
        self._end_attempt(state, log)
        if self.is_over:
            self.replay.body.steps.pop(number, None)
        else:
            self.replay.apply(event, data)
            self.process_commands()

    def attempt_failed(
        self, number: int, attempt: int, error: BaseException, log: list[PutLog], *, is_final: bool
    ) -> None:
        """Record a failed attempt: plan the next one, or give the body the exception."""
        if self.is_lost:
            return
        state = self.replay.body.steps.get(number)
        if state is None:
            return
        self._end_attempt(state, log)
        mistake = say_malformed(error)
        if mistake is not None and mistake not in getattr(error, "__notes__", ()):
            add_note(error, mistake)
            self.worker.report(f"step {state.name} of run {self.run_id}, attempt {attempt}: {mistake}")
        now = self.worker.clock.now_us()
        due_at = None if is_final or self.is_ended else state.step.policy.retry_at(attempt, error, now)
        if due_at is None:
            self._fail_step(state, error)
            return
        meta = encode_meta({"due_at": due_at, "error_type": codec.public_type_name(type(error))})
        event = self.add_event(events.STEP_RETRYING, number, state.name, attempt, meta, codec.encode(error, "error"))
        self.replay.apply(event, None)
        self.tail.add_effect(PutWait(number, "retry", due_at))
        self.worker.add_timer(due_at, self, number)

    def _end_attempt(self, state: StepState, log: list[PutLog]) -> None:
        for lines in log:
            self.tail.add_effect(lines)
        if state.step.concurrency is not None:
            self.tail.add_effect(ReleaseLock(state.correlation_id))

    def _fail_step(self, state: StepState, error: BaseException) -> None:
        event, data = self._record_failure(state, error)
        if self.is_over:
            self.replay.body.steps.pop(state.correlation_id, None)
        else:
            self.replay.apply(event, data)
            self.process_commands()

    def _record_failure(self, state: StepState, error: BaseException) -> tuple[events.Event, bytes]:
        data = codec.encode(error, "error")
        meta = encode_meta({"error_type": codec.public_type_name(type(error))})
        number = state.correlation_id
        return self.add_event(events.STEP_FAILED, number, state.name, state.attempt, meta, data), data

    def _cancel_step(self, number: int, message: str | None) -> None:
        attempt = self.attempts.get(number)
        state = self.replay.body.steps.get(number)
        if attempt is not None:
            attempt.cancel(message)
        elif state is not None:
            self._give_up_step(state)

    def _give_up_step(self, state: StepState) -> None:
        """End a cancelled step of which no attempt is under way here. It is nothing to the body, which went on."""
        number = state.correlation_id
        self._use_grant(number)
        if state.step.concurrency is not None:
            self.tail.add_effect(ReleaseLock(number))
        if state.due_at is not None:
            self.tail.add_effect(DropWait(number))
        self._record_failure(state, asyncio.CancelledError(state.message))
        self.replay.body.steps.pop(number, None)
        if state in self.starts:  # one that is being committed gives its slot back then
            self.starts.remove(state)
            self.worker.free_slot(state.step)

    # -- time

    def wants_timer(self, number: int, due_at: int) -> bool:
        """Tell whether a due time of this run is still one."""
        if self.is_lost or self.is_over:
            return False
        wait, state = self.replay.body.waits.get(number), self.replay.body.steps.get(number)
        is_pending = (wait is not None and wait.due_at == due_at) or (state is not None and state.due_at == due_at)
        return is_pending or (number == 0 and not self.replay.timed_out)

    def time_came(self, number: int, due_at: int) -> None:
        """A due time of this run has come; one that is not wanted any more is nothing."""
        if self.is_lost or self.is_over:
            return
        body = self.replay.body
        if number == 0:
            if not self.replay.timed_out:
                self._complete_wait(0)
            return
        wait = body.waits.get(number)
        if wait is not None:
            if wait.due_at == due_at:
                self._complete_wait(number)
            return
        state = body.steps.get(number)
        if state is not None and state.due_at == due_at:
            if state.step.concurrency is not None:
                self.tail.add_effect(DropWait(number))
                self.request_turn(state)
                self.touch()
            else:
                self._want_slot(state)

    def _complete_wait(self, number: int) -> None:
        event = self.add_event(events.WAIT_COMPLETED, number)
        self.tail.add_effect(DropWait(number))
        self.replay.apply(event, None)
        self.process_commands()

    # -- messages

    def take_message(self, message: InboxMessage) -> None:
        """Delete a message from the inbox with the next append, which holds what became of it."""
        self.inbox_high = message.id
        self.tail.take_message(message.id)
        self.touch()

    def receive(self, message: InboxMessage, child: End | None = None) -> None:
        """Turn a message into events. `child` is how the run ended that a `child_ended` is about."""
        if self.is_lost or message.id <= self.inbox_high or self.replay.blocked is not None:
            return
        if message.kind == "lock_granted" and self._has_turn(message):
            return
        self.take_message(message)
        if self.is_ended:
            return
        meta = decode_meta(message.meta)
        number = message.correlation_id or 0
        match message.kind:
            case "hook_payload":
                self._receive_payload(message, number)
            case "cancel":
                self._receive_cancel(message, meta)
            case "terminate":
                self.end_by_force(events.RUN_CANCELLED, {}, self._open(message))
            case "wake":
                for wait in meta.get("waits", []):
                    if wait in self.replay.body.waits and not self.is_over:
                        self._complete_wait(wait)
            case "timer":
                self._receive_timer(number, meta)
            case "lock_granted":
                self._receive_grant(number)
            case "hook_conflict":
                event = self.add_event(
                    events.HOOK_CONFLICT, number, None, None, encode_meta({"run_id": meta.get("run_id", "")})
                )
                self.replay.apply(event, None)
                self.process_commands()
            case "child_ended" | "child_conflict":
                self._receive_child(number, child, meta)

    def _open(self, message: InboxMessage) -> bytes | None:
        return open_message(self.tail.key, message)

    def _receive_payload(self, message: InboxMessage, number: int) -> None:
        hook = self.replay.body.hooks.get(number)
        if hook is None or hook.is_disposed:
            return
        try:
            data = self._open(message)
        except DecryptionError as error:
            self.worker.report(f"a payload for hook {number} of run {self.run_id} was dropped: {error}")
            return
        self._deliver_payload(number, message.meta, data)
        interference = self.worker.interference
        reason = None if interference is None or hook.is_disposed else interference.repeat(self, hook)
        if reason is not None and not self.is_over:
            self.note_fault(reason, _do_nothing)
            self._deliver_payload(number, message.meta, data)

    def _deliver_payload(self, number: int, meta: str | None, data: bytes | None) -> None:
        event = self.add_event(events.HOOK_RECEIVED, number, None, None, meta, data)
        self.replay.apply(event, data)
        self.process_commands()

    def _receive_cancel(self, message: InboxMessage, meta: dict[str, Any]) -> None:
        if self.replay.is_cancelling and "reason" in meta:  # of the parent: it does not press what cleans up already
            return
        data = open_reason(self.tail.key, message)
        if not self.replay.is_started or self.replay.is_cancelling or meta.get("force"):
            self.end_by_force(events.RUN_CANCELLED, {}, data)
            return
        event = self.add_event(events.CANCEL_REQUESTED, None, None, None, None, data)
        self.replay.apply(event, data)
        self.process_commands()

    def _receive_timer(self, number: int, meta: dict[str, Any]) -> None:
        """Have a due time come now; one that is not pending any more is nothing."""
        due_at = int(meta.get("due_at", 0))
        body = self.replay.body
        wait, state = body.waits.get(number), body.steps.get(number)
        pending = wait.due_at if wait is not None else state.due_at if state is not None else None
        if number == 0:
            pending = due_at if self.workflow.timeout_us is not None and not self.replay.timed_out else None
        if pending == due_at:
            if "fault" in meta:
                self.note_fault(str(meta["fault"]), _do_nothing)
            self.time_came(number, due_at)

    def _receive_grant(self, number: int) -> None:
        body = self.replay.body
        if number in body.locks:
            event = self.add_event(events.LOCK_ACQUIRED, number, body.locks[number].name)
            self.replay.apply(event, None)
            self.process_commands()
            return
        self.tail.add_effect(ReleaseLock(number))  # nobody wants it any more

    def _has_turn(self, message: InboxMessage) -> bool:
        """Begin the attempt of a step under a limit whose turn it is, or queue for a slot with it. False: no step's."""
        number = message.correlation_id or 0
        state = None if self.is_ended else self.replay.body.steps.get(number)
        if state is None or state.step.concurrency is None:
            return False
        self.inbox_high = message.id
        self.grants[number] = message.id
        self._want_slot(state)
        return True

    def _receive_child(self, number: int, child: End | None, meta: dict[str, Any]) -> None:
        known = self.replay.body.children.get(number)
        if known is None or known.future.done():
            return
        if child is None:
            other = meta.get("run_id", "")
            text = f"the run id {other} belongs to a run of another workflow"
            # Without a code: no run failed, the start was refused.
            child = End(other, "failed", None, codec.encode(ValueError(text), "error"))
        meta_text = encode_meta({"run_id": child.run_id, "status": child.status, "code": child.code})
        event = self.add_event(events.CHILD_COMPLETED, number, known.workflow, None, meta_text, child.data)
        self.replay.apply(event, child.data)
        self.process_commands()

    # -- attributes from steps

    def set_attributes(self, step_name: str, changes: dict[str, str | None], answer: Callable[[], None]) -> None:
        """Record attributes that a step set; `answer` is called when they are durable."""
        if self.is_lost or self.is_ended:
            answer()
            return
        event = self.add_event(events.ATTRIBUTES_SET, None, step_name, None, encode_meta({"set": changes}))
        self.replay.apply(event, None)
        self._log_attributes(event)
        self.answers.append(answer)

    def _log_attributes(self, event: events.Event) -> None:
        """Have the run's row say what its log says now: what the body has set since may never be recorded."""
        self.attributes = merge_attributes(self.attributes, decode_meta(event.meta)["set"])
        self.tail.add_effect(SetAttributes(dict(self.attributes)))

    def note_fault(self, text: str, answer: Callable[[], None]) -> None:
        """Record that this run was disturbed on purpose, and how; `answer` is called when that is durable.

        A run that has all the attributes it may have keeps them: only the attempt's log tells then.
        """
        present = self.replay.body.attributes
        if len(present) >= MAX_ATTRIBUTES and ATTRIBUTE not in present:
            answer()
            return
        self.set_attributes(FAULT, {ATTRIBUTE: cut_text(text)}, answer)

    # -- leaving

    def lose(self) -> None:
        """Forget the run at once: another owner has it, or it is put away."""
        self.is_lost = True
        starts, self.starts = self.starts, []
        for state in starts:
            self.worker.free_slot(state.step)
        for attempt in list(self.attempts.values()):
            attempt.cancel("the worker lost this run")
        self.replay.close()


def _do_nothing() -> None:
    """Stand for who wants no answer."""
