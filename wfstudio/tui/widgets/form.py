"""The form: the rows of `forms.form` as controls. What may be typed and what is wrong with it is said there.

1. Every change gives another form, and is told; only what changes the rows makes them anew.
2. Problems are told once somebody meant it, and then as they come and go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import msgspec
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Input, Static, TextArea

from wfstudio.text.printable import printable, to_json
from wfstudio.text.widths import fit
from wfstudio.tui.forms.drafts import Chosen, Draft, Flag, Typed
from wfstudio.tui.forms.fields import BooleanField, ChoiceField, JsonField, NumberField, TextField
from wfstudio.tui.forms.form import Form, Row, place_problems
from wfstudio.tui.widgets.choice import Choice, Tick
from wfstudio.tui.widgets.ordered_keys import TextBox, TextLine

LABEL_WIDTH: Final = 16
"""Cells of a name, at the first depth."""
_INDENT: Final = 2


class FormRow(Vertical):
    """One row: its name, whether it is given, its kind, its control, and what is wrong with it."""

    DEFAULT_CSS = """
    FormRow {
        height: auto;
    }
    FormRow > Horizontal {
        height: auto;
    }
    FormRow .name {
        width: auto;
        height: 1;
    }
    FormRow:focus-within .name {
        color: $primary;
        text-style: bold;
    }
    FormRow .problem {
        height: auto;
        color: $error;
        display: none;
    }
    FormRow .problem.-told {
        display: block;
    }
    FormRow .said {
        width: 1fr;
        height: 1;
        color: $text-muted;
    }
    FormRow Input.-textual-compact, FormRow Input.-textual-compact:focus {
        width: 1fr;
        height: 1;
        border: none;
        padding: 0 1;
        background: $surface;
    }
    FormRow Input:focus {
        background: $boost;
    }
    FormRow Input.key, FormRow Input.key:focus {
        width: 15;
        margin-right: 1;
    }
    FormRow TextArea.-textual-compact, FormRow TextArea.-textual-compact:focus {
        width: 1fr;
        height: auto;
        min-height: 3;
        max-height: 10;
        border: none;
        padding: 0 1;
        background: $surface;
    }
    FormRow TextArea:focus {
        background: $boost;
    }
    FormRow Button {
        min-width: 5;
        width: auto;
        height: 1;
        margin-left: 1;
    }
    FormRow .kind {
        margin-right: 1;
    }
    """

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.row = row

    def compose(self) -> ComposeResult:
        if self.row.is_adder:
            with Horizontal():
                yield Static(" " * _INDENT * self.row.depth, classes="name", markup=False)
                yield Button(self.row.label, compact=True, id="add")
            yield Static("", classes="problem", markup=False)
            return
        with Horizontal():
            yield from self._compose_name()
            yield from self._compose_control()
            if self.row.is_removable:
                yield Button("✕", compact=True, id="remove", tooltip=None)
        yield Static("", classes="problem", markup=False)

    def _compose_name(self) -> Iterator[Widget]:
        row = self.row
        indent = " " * _INDENT * row.depth
        if row.key is not None:
            yield Static(indent, classes="name", markup=False)
            yield TextLine(row.key, placeholder="key", compact=True, id="key", classes="key", select_on_focus=False)
        else:
            width = max(LABEL_WIDTH - len(indent), 4)
            yield Static(Text(indent + fit(printable(row.label), width) + " "), classes="name")
        if row.is_optional:
            yield Tick(row.draft is not None, id="give")
            yield Static(" ", classes="name")

    def _compose_control(self) -> Iterator[Widget]:
        row = self.row
        if row.draft is None:
            yield Static(Text(say_left_out(row)), classes="said")
            return
        if row.kinds:
            kind = Choice(row.kinds, row.kind, id="kind")
            kind.add_class("kind")
            yield kind
        match row.field, row.draft:
            case TextField(is_long=is_long), Typed(text=text) if not is_long and "\n" not in text:
                yield self._input(text)
            case NumberField(), Typed(text=text):
                yield self._input(text)
            case ((TextField() | JsonField()), Typed(text=text)):
                hint = printable(row.type)
                yield TextBox(text, compact=True, id="value", highlight_cursor_line=False, placeholder=hint)
            case BooleanField(), Flag(is_on=is_on):
                yield Tick(is_on, words=("false", "true"), id="value")
            case ChoiceField(values=values), Chosen(index=index):
                words = [one if isinstance(one, str) else to_json(one) for one in values]
                if len(words) == 1:
                    yield Static(Text(printable(words[0])), classes="said")
                else:
                    yield Choice(words, index, id="value")
            case _:
                yield Static(Text("" if row.kinds else printable(row.type)), classes="said")

    def _input(self, text: str) -> Input:
        hint = printable(self.row.type)
        return TextLine(text, placeholder=hint, compact=True, id="value", select_on_focus=False)

    def tell(self, problem: str | None) -> None:
        """Say what is wrong here; nothing where nothing is."""
        told = self.query_one(".problem", Static)
        told.set_class(problem is not None, "-told")
        told.update(Text(" " * LABEL_WIDTH + f" {printable(problem or '')}"))


def say_left_out(row: Row) -> str:
    return "left out" if row.fallback is None else f"default: {printable(row.fallback)}"


def say_row(row: Row) -> str:
    """Say what a row takes, and what its schema says of it."""
    bounds = ""
    if isinstance(row.field, NumberField):
        low, high = row.field.low, row.field.high
        bounds = "".join(
            [f", at least {low:g}" if low is not None else "", f", at most {high:g}" if high is not None else ""]
        )
    note = "" if row.note is None else f" · {' '.join(row.note.split())}"
    return printable(f"{row.label}: {row.type}{bounds}{note}" if row.type else f"{row.label}{note}")


class SchemaForm(Vertical):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", "Next field", show=False, id="form.next"),
        Binding("up", "app.focus_previous", "Field before", show=False, id="form.before"),
    ]
    DEFAULT_CSS = """
    SchemaForm {
        height: auto;
        max-width: 100;
    }
    SchemaForm > .nothing {
        color: $text-muted;
    }
    """

    class Changed(Message):
        """Something was typed, ticked or chosen: `control.form` is what there is now."""

        def __init__(self, control: SchemaForm) -> None:
            super().__init__()
            self._control = control

        @property
        def control(self) -> SchemaForm:
            return self._control

    class Reached(Message):
        """Another row is being filled in; `text` says what it takes."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, form: Form, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.form = form
        self._is_meant = False

    def compose(self) -> ComposeResult:
        rows = self.form.rows()
        if not rows:
            yield Static("It takes nothing.", classes="nothing")
        for row in rows:
            yield FormRow(row)

    # -- verbs

    async def show(self, form: Form) -> None:
        """Show another form: other values, or other fields."""
        self._is_meant = False
        await self._remake(form)

    def mean_it(self) -> bool:
        """Say that it is to be sent now. Where something is wrong, that is told, and False is given."""
        self._is_meant = True
        told = self._tell()
        if told:
            first = self._rows()[min(told)]
            for control in [*first.query("#value"), *first.query("*")]:
                if control.focusable:
                    control.focus()
                    break
        return not told

    # -- what controls say

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        row = _row_of(event.input)
        if event.input.id == "key":
            self._change(self.form.rename(row.whole, event.value))
        else:
            self._change(self.form.put(row.path, Typed(event.value)))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.focus_next()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        self._change(self.form.put(_row_of(event.text_area).path, Typed(event.text_area.text)))

    async def on_tick_changed(self, event: Tick.Changed) -> None:
        event.stop()
        row = _row_of(event.tick)
        if event.tick.id != "give":
            self._change(self.form.put(row.path, Flag(event.is_on)))
        elif event.is_on:
            await self._remake(self.form.give(row.whole), event.tick)
        else:
            await self._remake(self.form.leave_out(row.whole), event.tick)

    async def on_choice_changed(self, event: Choice.Changed) -> None:
        event.stop()
        row = _row_of(event.choice)
        if event.choice.id != "kind":
            self._change(self.form.put(row.path, Chosen(event.index)))
        elif event.index != row.kind:
            assert row.union is not None
            await self._remake(self.form.choose(row.union, event.index), event.choice)

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        row = _row_of(event.button)
        if event.button.id == "add":
            await self._remake(self.form.add(row.path), event.button)
        else:
            await self._remake(self.form.remove(row.whole), event.button)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if isinstance(event.widget.parent, Horizontal) and not _row_of(event.widget).is_adder:
            self.post_message(self.Reached(say_row(_row_of(event.widget))))

    # -- made anew

    def _change(self, form: Form) -> None:
        if form == self.form:
            return
        self.form = form
        self._tell()
        self.post_message(self.Changed(self))

    async def _remake(self, form: Form, control: Widget | None = None) -> None:
        """Make those rows anew that are others now, and give the keys to what the control made, else leave them.

        Rows that stay keep their widgets: making all anew takes so long that what is typed meanwhile goes astray.
        """
        before, after = self.form.rows(), form.rows()
        rows = self._rows()
        place = None if control is None else rows.index(_form_row(control))
        role = None if control is None else control.id
        kept, kept_below = _count_alike(before, after)
        self.form = form
        made = [FormRow(row) for row in after[kept : len(after) - kept_below]]
        stay = [*rows[:kept], *made, *rows[len(rows) - kept_below :]]
        for widget, row in zip(stay, after, strict=True):
            widget.row = row
        with self.app.batch_update():
            if made:
                await self.mount(*made, after=rows[kept - 1] if kept else None, before=None if kept else 0)
            for widget in rows[kept : len(rows) - kept_below]:
                await widget.remove()
        self._tell()
        self.post_message(self.Changed(self))
        if place is not None and role is not None:
            self._refocus(place, role)

    def _refocus(self, place: int, role: str) -> None:
        rows = self._rows()
        if role == "add":  # what was added stands where the row was that added it
            wanted = [("#key, #kind, #value", row) for row in rows[place:]]
        elif role == "remove":
            wanted = [("#remove", row) for row in rows[place : place + 1]] + [("#add", row) for row in rows[place:]]
        elif role == "give":
            wanted = [("#value" if rows[place].row.draft is not None else "#give", rows[place]), ("#give", rows[place])]
        else:
            wanted = [(f"#{role}", rows[place])]
        for selector, row in wanted:
            found = row.query(selector)
            if found:
                found.first(Widget).focus()
                return

    def _tell(self) -> dict[int, str]:
        told: dict[int, str] = {}
        rows = self._rows()
        if self._is_meant:
            # Of the form, not of the widgets: a key that is typed renames what is under it.
            told = place_problems(self.form.rows(), self.form.read().problems)
        for index, row in enumerate(rows):
            row.tell(told.get(index))
        return told

    def _rows(self) -> list[FormRow]:
        return list(self.query(FormRow))


def _count_alike(before: Sequence[Row], after: Sequence[Row]) -> tuple[int, int]:
    """Count the rows that look alike from the top, and those from the bottom."""
    most = min(len(before), len(after))
    top = next((index for index in range(most) if not _is_alike(before[index], after[index])), most)
    left = most - top
    bottom = next((index for index in range(left) if not _is_alike(before[-1 - index], after[-1 - index])), left)
    return top, bottom


def _is_alike(one: Row, other: Row) -> bool:
    """Tell whether two rows are drawn the same; where they are is no matter, nor what is in the rows below a head."""
    return msgspec.structs.replace(one, path=(), place=None, union=None, draft=_own_draft(one)) == (
        msgspec.structs.replace(other, path=(), place=None, union=None, draft=_own_draft(other))
    )


def _own_draft(row: Row) -> Draft | None:
    return Flag() if row.is_head and row.draft is not None else row.draft


def _form_row(widget: Widget) -> FormRow:
    return next(node for node in widget.ancestors if isinstance(node, FormRow))


def _row_of(widget: Widget) -> Row:
    return _form_row(widget).row
