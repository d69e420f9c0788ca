"""The pane beside a list: what is said of the one that is chosen, and the form by which something is sent to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widgets import Button, Input, Static

from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable
from wfstudio.tui.earlier import show_earlier
from wfstudio.tui.forms.form import Form
from wfstudio.tui.inks import Inks
from wfstudio.tui.widgets.choice import Choice
from wfstudio.tui.widgets.form import SchemaForm
from wfstudio.tui.widgets.ordered_keys import TextLine

Draw = Callable[[Pen], Sequence[str]]
Write = Callable[[Any, str], Sequence[str]]
"""Gives the commands that do the same, of the value and the id; None where the value is not there yet."""


class FormPane(VerticalScroll, can_focus=False):
    HELP = "Fill the form in and send it. Up and down go from field to field; in a choice, Enter lists what there is."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,ctrl+enter,ctrl+j", "send", "Send", id="form.send"),
        Binding("ctrl+r", "clear", "Clear", id="form.clear"),
        Binding("ctrl+t", "earlier", "Earlier ones", id="form.earlier"),
    ]
    DEFAULT_CSS = """
    FormPane {
        padding: 0 1;
        scrollbar-size: 1 1;
    }
    FormPane > .facts {
        width: 100%;
        height: auto;
    }
    FormPane > .form-head {
        height: 1;
        margin-top: 1;
    }
    FormPane .form-title {
        width: auto;
        text-style: bold;
        color: $primary;
        margin-right: 2;
    }
    FormPane > .id-row {
        height: 1;
        max-width: 100;
    }
    FormPane > .id-row > Static {
        width: 17;
    }
    FormPane > .id-row > Input, FormPane > .id-row > Input:focus {
        width: 1fr;
        height: 1;
        border: none;
        padding: 0 1;
        background: $surface;
    }
    FormPane > .form-actions {
        height: 1;
        margin-top: 1;
    }
    FormPane > .form-actions > Button {
        margin-right: 2;
        min-width: 8;
    }
    FormPane .key-hint {
        width: auto;
        color: $text-muted;
    }
    FormPane > .commands {
        width: 100%;
        height: auto;
        margin-top: 1;
        color: $text-muted;
    }
    """

    class Sent(Message):
        """It is meant, and reads well."""

        def __init__(self, value: Any, id: str) -> None:
            super().__init__()
            self.value = value
            self.id = id

    def __init__(
        self, draw: Draw, form: Form | None, *, title: str, verb: str, write: Write, has_id: bool = False
    ) -> None:
        """Without a form there is nothing to send: only what is said, and the commands."""
        super().__init__(classes="pane")
        self._draw = draw
        self._form = form
        self._title = title
        self._verb = verb
        self._write = write
        self._has_id = has_id
        self._earlier: Sequence[Any] = ()

    def compose(self) -> ComposeResult:
        yield Static("", classes="facts")
        if self._form is not None:
            with Horizontal(classes="form-head"):
                yield Static(self._title, classes="form-title", markup=False)
            yield SchemaForm(self._form)
            if self._has_id:
                with Horizontal(classes="id-row"):
                    yield Static("id", markup=False)
                    yield TextLine(
                        placeholder="the run's id, optional: the same id starts once", compact=True, id="run-id"
                    )
            with Horizontal(classes="form-actions"):
                yield Button(self._verb, compact=True, variant="primary", id="send")
                yield Static("ctrl+s", classes="key-hint", markup=False)
        yield Static("", classes="commands")

    def on_mount(self) -> None:
        self.draw_facts()
        self.call_after_refresh(self.draw_facts)  # its width is known by then, at the latest
        self._tell_commands()

    def on_resize(self, event: events.Resize) -> None:
        self.draw_facts()

    # -- what it holds

    @property
    def form(self) -> Form | None:
        """What was filled in so far."""
        found = self.query(SchemaForm)
        return found.first().form if found else self._form

    @property
    def run_id(self) -> str:
        return self.query_one("#run-id", Input).value.strip() if self._has_id else ""

    def commands(self) -> Sequence[str]:
        """Give the commands that do the same."""
        form = self.form
        return self._write(None if form is None else form.read().value, self.run_id if self.is_mounted else "")

    def draw_facts(self) -> None:
        """Say anew what is said above the form: time goes on."""
        width = self.scrollable_content_region.width
        if width <= 0:
            return
        inks = Inks(self.app.theme_variables, self.rich_style)
        text = inks.to_text("\n".join(self._draw(Pen(width=width))))
        text.no_wrap = False
        for facts in self.query(".facts").results(Static):  # none, while it is taken down
            facts.update(text)

    async def offer_earlier(self, earlier: Sequence[Any]) -> None:
        """Offer what was given before, the last first."""
        self._earlier = earlier
        for old in self.query("#earlier"):
            await old.remove()
        if earlier and self._form is not None:
            prompt = f"earlier: {len(earlier)}"
            await self.query_one(".form-head").mount(
                Choice([show_earlier(one) for one in earlier], prompt=prompt, id="earlier")
            )

    async def fill(self, value: Any) -> None:
        form = self.query_one(SchemaForm)
        await form.show(form.form.fill(value))

    def enter(self) -> None:
        """Give the keys to the first field."""
        widgets = [widget for widget in self.screen.focus_chain if self in widget.ancestors and widget.id != "earlier"]
        if widgets:
            widgets[0].focus()

    # -- verbs

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("send", "clear"):
            return self._form is not None
        return action != "earlier" or bool(self._earlier)

    def action_send(self) -> None:
        form = self.query_one(SchemaForm)
        if form.mean_it():
            self.post_message(self.Sent(form.form.read().value, self.run_id))

    async def clear(self) -> None:
        """Take back what was filled in."""
        form = self.query_one(SchemaForm)
        await form.show(form.form.clear())

    async def action_clear(self) -> None:
        await self.clear()
        self.enter()

    def action_earlier(self) -> None:
        for choice in self.query("#earlier").results(Choice):
            choice.action_list()

    # -- what is heard

    async def on_choice_changed(self, event: Choice.Changed) -> None:
        event.stop()
        await self.fill(self._earlier[event.index])
        self.enter()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_send()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._tell_commands()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.focus_next()

    def on_schema_form_changed(self, event: SchemaForm.Changed) -> None:
        event.stop()
        self._tell_commands()

    def on_schema_form_reached(self, event: SchemaForm.Reached) -> None:
        event.stop()
        self.border_subtitle = Text(event.text)

    def _tell_commands(self) -> None:
        commands = self.commands()[: 1 if self.screen.has_class("-short") else None]
        text = "\n".join(f"$ {printable(command)}" for command in commands)
        self.query_one(".commands", Static).update(Text(text))
