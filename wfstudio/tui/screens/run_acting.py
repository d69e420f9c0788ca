"""What can be done to the run that is shown: each asks first, says its `wf` command, and shows what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar, Final

from textual.binding import Binding, BindingType

from wf.events import ENDED
from wfstudio.core.bench.views import ReplayView, StepReplayView
from wfstudio.core.excerpts import read_excerpt
from wfstudio.core.forks import ForkRequest
from wfstudio.core.replays import Replays
from wfstudio.text.printable import printable
from wfstudio.text.step_trial import draw_step_replay
from wfstudio.text.timeline import label_span
from wfstudio.text.verdicts import draw_verdict
from wfstudio.tui.inspection import LARGEST_SHOWN
from wfstudio.tui.run_commands import cancel_command, fork_command, name_call, replay_step_command, write_command
from wfstudio.tui.screens.run_stepping import RunStepping
from wfstudio.tui.tasks import begin_newest
from wfstudio.tui.widgets.dialog import Question, SheetDialog
from wfstudio.tui.widgets.run_dialogs import Cancel, CancelDialog, Forkable, ForkDialog, StepTrial, StepTrialDialog

_ANSWERS: Final = ("step_completed", "child_completed", "hook_received")


class RunActing(RunStepping):
    """The half of a run's screen that acts."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c,C", "cancel", "Cancel", id="run.cancel"),
        Binding("W", "wake", "Wake", id="run.wake"),
        Binding("r,R", "retry", "Retry", id="run.retry"),
        Binding("F", "fork", "Fork", id="run.fork"),
        Binding("v,V", "verdict", "Verdict", id="run.verdict"),
        Binding("S", "replay_step", "Replay step", id="run.replay_step"),
    ]

    async def look(self) -> None:
        """Read what is new, and show it."""
        raise NotImplementedError

    def _ask(self, dialog: Any, then: Callable[[Any], Awaitable[None]]) -> None:
        """Ask, and do it if it is wished."""

        async def take(wish: Any) -> None:
            if wish:
                await then(wish)

        self.app.push_screen(dialog, take)

    def action_cancel(self) -> None:
        if self.run is None:
            return

        async def cancel(wish: Cancel) -> None:
            command = cancel_command(self.run_id, wish.reason, is_forced=wish.is_forced)
            work = self.client.cancel(self.run_id, wish.reason, force=wish.is_forced)
            await self.studio.act(command, work, lambda run: run.status if run.ended_at else "it is being cancelled")
            await self.look()

        self._ask(CancelDialog(self.run_id, short_name(self.run.workflow)), cancel)

    async def action_wake(self) -> None:
        def tell(count: int) -> str:
            return f"{count} {'sleep' if count == 1 else 'sleeps'} ended early"

        row = self.timeline.row  # a child's sleep is a child's: the run does not end it
        run_id = self.run_id if row is None else row.run_id
        await self.studio.act(write_command("wf", "wake", run_id), self.client.wake(run_id), tell)

    def action_retry(self) -> None:
        if self.run is None:
            return
        command = write_command("wf", "retry", self.run_id)

        async def retry(_: bool) -> None:
            again = await self.studio.act(command, self.client.retry(self.run_id))
            if again is not None:
                self.studio.open_run(again.id)

        text = "A new run takes its place, with today's code. What completed keeps its result, what failed runs again."
        self._ask(Question(f"retry {short_name(self.run.workflow)}", text, command, "retries it"), retry)

    def action_fork(self) -> None:
        of = self._describe_fork()
        if of is None:
            return

        async def fork(request: ForkRequest) -> None:
            work = self.client.fork(of.run_id, request)
            forked = await self.studio.act(
                fork_command(of.run_id, request), work, lambda made: "\n".join(printable(note) for note in made.notes)
            )
            if forked is not None:
                self.studio.open_run(forked.run.id)

        self._ask(ForkDialog(of), fork)

    def _describe_fork(self) -> Forkable | None:
        row = self.timeline.row
        if row is None or self.run is None or self._looker is None:
            return None
        has_ended = self._looker.runs[row.run_id].trace.status in ENDED
        if row.span.kind == "run":
            seq = self.seq if self._stepped_id == self.run_id else None
            return Forkable(self.run_id, row.span, None, self.run.input, has_ended, seq)
        followed = self._looker.runs[row.run_id]
        call = name_call(row.run_id, followed.trace.spans, row.span)
        answered = [e for e in followed.events_of(row.span.correlation_id or 0) if e.type in _ANSWERS]
        value = followed.show_event(answered[0], LARGEST_SHOWN).payload if answered else None
        seq = self.seq if row.run_id == self._stepped_id else None
        return Forkable(row.run_id, row.span, call, value, has_ended, seq)

    def action_verdict(self) -> None:
        self.studio.say("the run is replayed against today's code …")
        begin_newest(self, "judge", self._judge)

    async def _judge(self) -> None:
        replays = Replays(self.client.session)
        try:
            command = write_command("wf", "replay", self.run_id)
            view: ReplayView | None = await self.studio.act(command, replays.replay_run(self.run_id))
        finally:
            await replays.close()
        if view is not None and self.is_mounted:
            shown = view
            source = None if shown.where is None else read_excerpt(replays.workbench.root, shown.where)
            self.app.push_screen(SheetDialog("verdict of today's code", lambda pen: draw_verdict(pen, shown, source)))

    def action_replay_step(self) -> None:
        row = self.timeline.row
        if row is None or row.span.kind != "step" or self._looker is None:
            self.studio.say("put the cursor on a step: it is carried out once more, and compared", "warning")
            return
        followed = self._looker.runs[row.run_id]
        call = name_call(row.run_id, followed.trace.spans, row.span)
        step = followed.show_step(row.span.correlation_id or 0, LARGEST_SHOWN)
        recorded = None if step is None else step.input

        async def begin(wish: StepTrial) -> None:
            self.studio.say(f"{label_span(row.span)} is carried out once more …")
            begin_newest(self, "judge", partial(self._try_step, row.run_id, wish))

        self._ask(StepTrialDialog(row.run_id, call, label_span(row.span), recorded), begin)

    async def _try_step(self, run_id: str, wish: StepTrial) -> None:
        replays = Replays(self.client.session)
        try:
            command = replay_step_command(run_id, wish.call, wish.edited)
            trial = replays.replay_step(run_id, wish.call, edited=wish.edited)
            view: StepReplayView | None = await self.studio.act(command, trial)
        finally:
            await replays.close()
        if view is not None and self.is_mounted:
            shown = view
            self.app.push_screen(SheetDialog("once more", lambda pen: draw_step_replay(pen, shown)))


def short_name(workflow: str) -> str:
    """Name a workflow without its module, made harmless."""
    return printable(workflow.rpartition(":")[2])
