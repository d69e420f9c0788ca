"""What is asked before something is done to a run. Each gives a small frozen struct, or None."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from wfstudio.core.forks import ForkRequest
from wfstudio.core.traces import Span
from wfstudio.text.timeline import label_span
from wfstudio.tui.run_commands import cancel_command, fork_command, replay_step_command
from wfstudio.tui.run_wishes import ForkForm, Instead, read_arguments, read_fork, write_json
from wfstudio.tui.widgets.choice import Choice, Tick
from wfstudio.tui.widgets.dialog import Dialog
from wfstudio.tui.widgets.ordered_keys import TextBox, TextLine


class Cancel(msgspec.Struct, frozen=True):
    reason: str | None = None
    is_forced: bool = False


class CancelDialog(Dialog[Cancel]):
    verb = "cancels it"

    def __init__(self, run_id: str, workflow: str) -> None:
        super().__init__()
        self.title_text = f"cancel {workflow}"
        self._run_id = run_id

    def compose_fields(self) -> Iterable[Widget]:
        yield Static("why (it is kept with the run)", classes="label")
        yield TextLine(id="reason", compact=True, max_length=512)
        yield Tick(words=("after its clean-up", "at once, without any clean-up"), id="forced")

    def read(self) -> Cancel:
        reason = self.query_one("#reason", Input).value.strip()
        return Cancel(reason or None, self.query_one("#forced", Tick).is_on)

    def command(self, wish: Cancel) -> str:
        return cancel_command(self._run_id, wish.reason, is_forced=wish.is_forced)


class Forkable(msgspec.Struct, frozen=True):
    """What a fork starts from: the span under the cursor, as `--from` names it; what it came to, and what else
    may be said instead. Of the run itself `call` is None, and `value` its arguments."""

    run_id: str
    span: Span
    call: str | None
    value: Any = None
    has_ended: bool = False
    seq: int | None = None
    """The event that is stepped to, if any: then the fork begins there."""

    @property
    def start(self) -> str:
        return str(self.seq) if self.seq is not None else self.call or ""

    @property
    def choices(self) -> list[tuple[str, Instead]]:
        if self.call is None:
            return [
                ("from what failed, or from where it says", "same"),
                ("from the beginning, with this input", "input"),
            ]
        same: tuple[str, Instead] = ("the call is made and answered anew", "same")
        if self.span.kind == "hook":
            return [same, ("it was sent this payload", "payload")]
        if self.span.kind in ("step", "child"):
            return [same, ("it gave this output", "output"), ("it raised this error", "error")]
        return [same]


_PLACES: Final = ("beside it: its hooks get tokens of their own", "in its place: its hooks keep their tokens")


class ForkDialog(Dialog[ForkRequest]):
    verb = "forks it"

    def __init__(self, of: Forkable) -> None:
        super().__init__()
        self._of = of
        self.title_text = f"fork from {label_span(of.span)}"
        self._shown: Instead = "same"

    def compose_fields(self) -> Iterable[Widget]:
        yield Static("share the log up to an event's number, or a step (empty: what fits)", classes="label")
        yield TextLine(self._of.start, id="start", compact=True)
        yield Static("and then", classes="label")
        yield Choice([text for text, _ in self._of.choices], id="instead")
        yield TextBox("", id="value", language=None, compact=True)
        if self._of.has_ended:
            yield Tick(
                words=("beside it: its hooks get tokens of their own", "in its place: its hooks keep their tokens"),
                id="tokens",
            )

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#value").display = False

    def on_choice_changed(self, event: Choice.Changed) -> None:
        """Offer what was recorded for editing. With an answer of its own, a fork is cut right after it."""
        instead = self._of.choices[event.index][1]
        area, start = self.query_one("#value", TextArea), self.query_one("#start", Input)
        area.display = instead != "same"
        if instead != self._shown:
            self._shown = instead
            start.value = self._of.start if instead == "same" else ""
            area.text = "" if instead == "error" else write_json(self._of.value)
            area.placeholder = "shop.Declined: stolen card" if instead == "error" else ""
        super().on_choice_changed(event)

    def read(self) -> ForkRequest:
        tokens = self.query("#tokens")
        return read_fork(
            ForkForm(
                start=self.query_one("#start", Input).value,
                instead=self._of.choices[self.query_one("#instead", Choice).index][1],
                text=self.query_one("#value", TextArea).text,
                call=self._of.call,
                keeps_tokens=bool(tokens) and tokens.first(Tick).is_on,
            )
        )

    def command(self, wish: ForkRequest) -> str:
        return fork_command(self._of.run_id, wish)


class StepTrial(msgspec.Struct, frozen=True):
    """A step that is to be carried out once more, with these arguments in place of the recorded ones."""

    call: str
    edited: dict[str, Any] = {}


class StepTrialDialog(Dialog[StepTrial]):
    verb = "carries it out"

    def __init__(self, run_id: str, call: str, name: str, recorded: dict[str, Any] | None) -> None:
        super().__init__()
        self.title_text = f"carry out {name} once more"
        self._run_id = run_id
        self._call = call
        self._recorded = recorded

    def compose_fields(self) -> Iterable[Widget]:
        yield Static(
            "its arguments; what it does to the outside is really done, and nothing is recorded", classes="label"
        )
        yield TextBox(write_json(self._recorded or {}), id="value", language=None, compact=True)

    def read(self) -> StepTrial:
        return StepTrial(self._call, read_arguments(self.query_one("#value", TextArea).text, self._recorded))

    def command(self, wish: StepTrial) -> str:
        return replay_step_command(self._run_id, wish.call, wish.edited)
