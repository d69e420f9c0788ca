"""Dialogs: a few fields over a screen, the `wf` command that does the same, and what is wrong with what was typed.

    class CancelDialog(Dialog[Cancel]):
        def compose_fields(self): ...
        def read(self): ...        # gives what is dismissed with; raises WorkflowError with the cure
        def command(self): ...     # for what `read` gave

A dialog is dismissed with what was asked for, or with None.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, cast

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.css.query import NoMatches
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from wf.errors import WorkflowError
from wfstudio.text.printable import printable, printable_lines
from wfstudio.tui.widgets.choice import Choice, Tick
from wfstudio.tui.widgets.sheet import Draw, Sheet

if TYPE_CHECKING:
    from wfstudio.tui.app import StudioApp

T = TypeVar("T")


class Dialog(ModalScreen["T | None"], Generic[T]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave it", id="dialog.leave", priority=True),
        Binding("ctrl+s,ctrl+enter", "take", "Do it", id="dialog.take", priority=True),
    ]
    DEFAULT_CSS = """
    Dialog {
        align: center middle;
    }
    Dialog > Vertical {
        width: 90%;
        max-width: 90;
        height: auto;
        max-height: 95%;
        border: round $primary;
        border-title-color: $primary;
        border-subtitle-color: $text-muted;
        background: $surface;
        padding: 0 1;
    }
    Dialog VerticalScroll {
        height: auto;
        max-height: 1fr;
    }
    Dialog Static {
        width: 100%;
        height: auto;
    }
    Dialog .label {
        color: $text-muted;
    }
    Dialog TextArea {
        height: auto;
        min-height: 5;
        max-height: 40vh;
        border: none;
        padding: 0;
        background: $panel;
    }
    Dialog Input {
        width: 100%;
        border: none;
        padding: 0;
        height: 1;
        background: $panel;
    }
    Dialog Input:focus, Dialog TextArea:focus {
        background: $block-cursor-background;
    }
    Dialog #dialog-command {
        color: $text-muted;
        margin-top: 1;
        max-height: 4;
    }
    Dialog #dialog-complaint {
        color: $error;
        max-height: 4;
    }
    """
    title_text = ""
    verb = "do it"

    # -- what a dialog gives

    def compose_fields(self) -> Iterable[Widget]:
        """Give the fields."""
        return ()

    def read(self) -> T:
        """Read the fields. Raises `WorkflowError` for what cannot be done."""
        raise NotImplementedError

    def command(self, wish: T) -> str:
        """Give the `wf` command that does the same."""
        raise NotImplementedError

    # -- made of

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(printable(self.title_text))
            box.border_subtitle = f"ctrl+s {self.verb} · esc leaves it"
            with VerticalScroll(can_focus=False):
                yield from self.compose_fields()
            yield Static("", id="dialog-complaint", markup=False)
            yield Static("", id="dialog-command", markup=False)

    def on_mount(self) -> None:
        self._tell()

    # -- verbs

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_take(self) -> None:
        try:
            wish = self.read()
        except WorkflowError as error:
            self._complain(error)
            return
        self.dismiss(wish)

    def _tell(self) -> None:
        """Say what the command is for what was typed so far, or what is wrong with it."""
        try:
            complaint, command = self.query_one("#dialog-complaint", Static), self.query_one("#dialog-command", Static)
        except NoMatches:  # the fields speak before there is where to say it
            return
        try:
            command.update(Text(printable_lines(self._complete(self.command(self.read())))))
            complaint.update("")
        except WorkflowError:
            command.update("")
            complaint.update("")

    def _complete(self, command: str) -> str:
        """Give a command as it must be typed to mean this world."""
        return cast("StudioApp", self.app).complete(command)

    def _complain(self, error: WorkflowError) -> None:
        hint = getattr(error, "hint", None)
        text = f"{error}\nfix: {hint}" if hint else str(error)
        self.query_one("#dialog-complaint", Static).update(Text(printable_lines(text)))

    # -- what the fields say

    def on_input_changed(self, event: Input.Changed) -> None:
        self._tell()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        self._tell()

    def on_tick_changed(self, event: Tick.Changed) -> None:
        self._tell()

    def on_choice_changed(self, event: Choice.Changed) -> None:
        self._tell()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_take()


class Question(Dialog[bool]):
    """Whether to do something: Enter does it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "take", "Do it", id="question.take")]

    def __init__(self, title: str, text: str, command: str, verb: str) -> None:
        super().__init__()
        self.title_text = title
        self.verb = verb
        self._text = text
        self._command = command

    def compose_fields(self) -> Iterable[Widget]:
        yield Static(Text(printable_lines(self._text)))

    def read(self) -> bool:
        return True

    def command(self, wish: bool) -> str:
        return self._command


class SheetDialog(ModalScreen[None]):
    """What came of something, as lines to be read."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "leave", "Close", id="sheet_dialog.close")]
    DEFAULT_CSS = """
    SheetDialog {
        align: center middle;
    }
    SheetDialog > Vertical {
        width: 90%;
        max-width: 120;
        height: auto;
        max-height: 90%;
        border: round $primary;
        border-title-color: $primary;
        border-subtitle-color: $text-muted;
        background: $surface;
    }
    SheetDialog Sheet {
        background: $surface;
        height: auto;
        max-height: 100%;
    }
    """

    def __init__(self, title: str, draw: Draw) -> None:
        super().__init__()
        self._heading = title
        self._draw = draw

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(printable(self._heading))
            box.border_subtitle = "esc closes"
            yield Sheet()

    def on_mount(self) -> None:
        self.query_one(Sheet).present(self._draw)
        self.query_one(Sheet).focus()

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._settle)

    def _settle(self) -> None:
        """Be as high as there are lines, as far as the screen allows."""
        sheet = self.query_one(Sheet)
        sheet.styles.height = min(max(len(sheet.lines), 1), max(3, self.size.height * 9 // 10 - 2))

    def action_leave(self) -> None:
        self.dismiss()
