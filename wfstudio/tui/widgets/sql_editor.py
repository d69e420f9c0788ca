"""The SQL editor: a text area with colours, and what the word at the cursor may become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Offset
from textual.message import Message
from textual.widgets import OptionList, TextArea
from textual.widgets.option_list import Option

from wfstudio.history.completion import Offer, find_word
from wfstudio.text.printable import printable
from wfstudio.tui.sql_colours import Span, colour_sql
from wfstudio.tui.widgets.ordered_keys import TextBox

MOST_OFFERS: Final = 50
_STYLES: Final = {
    "keyword": "bold {primary}",
    "string": "{success}",
    "number": "{warning}",
    "comment": "italic {secondary}",
    "function": "{primary}",
    "operator": "{secondary}",
}
Complete = Callable[[str, str], Sequence[Offer]]
"""Gives the offers of a text, and of what of it is before the cursor."""


class Offers(OptionList, can_focus=False):
    """What the word may become, under the cursor; the keys stay with the editor."""

    DEFAULT_CSS = """
    Offers {
        position: absolute;
        overlay: screen;
        constrain: inside inflect;
        display: none;
        width: auto;
        min-width: 16;
        max-width: 56;
        height: auto;
        max-height: 8;
        border: none;
        padding: 0;
        background: $panel;
        scrollbar-size: 1 1;
    }
    Offers.-open {
        display: block;
    }
    """

    def __init__(self, editor: SqlEditor) -> None:
        super().__init__(markup=False)
        self._editor = editor

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """One was clicked on. It lies on the screen, so that nothing cuts it off: the editor would not hear of it."""
        event.stop()
        self._editor.take_offer(event.option_index)
        self._editor.focus()


class SqlEditor(TextBox):
    HELP = """
    SQL over all history, read-only. Words are completed as they are typed: Tab takes the first one, down and Enter
    another, Esc none.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+@,ctrl+space", "offer", "Complete", show=False, id="sql.complete"),
        Binding("escape", "leave", "Leave", id="sql.leave"),
    ]
    DEFAULT_CSS = """
    SqlEditor, SqlEditor:focus {
        background: $background;
        padding: 0 1;
    }
    """

    class Left(Message):
        """The keys are to go elsewhere."""

    def __init__(self, text: str, complete: Complete, *, id: str | None = None) -> None:
        super().__init__(
            text,
            id=id,
            classes="pane",
            tab_behavior="focus",
            show_line_numbers=False,
            highlight_cursor_line=False,
            placeholder="SELECT status, count(*) FROM runs GROUP BY status",
        )
        self._complete = complete
        self._offered: list[Offer] = []
        self._spans: tuple[str, list[list[Span]]] = ("", [])
        self._offers = Offers(self)

    def on_mount(self) -> None:
        self.screen.mount(self._offers)

    # -- colours

    def get_line(self, line_index: int) -> Text:
        line = super().get_line(line_index)
        text = self.document.text
        if self._spans[0] != text:
            self._spans = (text, colour_sql(text.replace("\r\n", "\n")))
        _, spans = self._spans
        for span in spans[line_index] if line_index < len(spans) else ():
            line.stylize(self._style(span.kind), span.start, span.end)
        if printable(line.plain) != line.plain:
            line.plain = _show(line.plain)
        return line

    def _style(self, kind: str) -> Style:
        return Style.parse(_STYLES[kind].format_map(self.app.theme_variables))

    # -- completion

    @property
    def before(self) -> str:
        """What stands before the cursor."""
        row, column = self.cursor_location
        lines = [self.document.get_line(index) for index in range(row + 1)]
        return "\n".join([*lines[:-1], lines[-1][:column]])

    @property
    def is_offering(self) -> bool:
        return self._offers.has_class("-open")

    def action_offer(self) -> None:
        """Offer what the word at the cursor may become."""
        word = find_word(self.before)
        found = [offer for offer in self._complete(self.text, self.before) if offer.text != word][:MOST_OFFERS]
        self._offered = found
        if not found:
            self.close_offers()
            return
        self._offers.clear_options()
        self._offers.add_options([Option(_show_offer(offer)) for offer in found])
        self._offers.highlighted = None
        self._offers.absolute_offset = self.cursor_screen_offset + Offset(-len(word), 1)
        self._offers.add_class("-open")

    def close_offers(self) -> None:
        self._offers.remove_class("-open")

    def take_offer(self, index: int) -> None:
        """Have the word at the cursor become what was offered."""
        word = find_word(self.before)
        row, column = self.cursor_location
        self.close_offers()
        self.replace(self._offered[index].text, (row, column - len(word)), (row, column))

    def insert_word(self, word: str) -> None:
        """Write a word at the cursor, with a space in front where one is needed."""
        needs_space = self.before[-1:].isalnum() or self.before[-1:] == "_"
        self.insert(f" {word}" if needs_space else word)

    def action_leave(self) -> None:
        self.post_message(self.Left())

    # -- what is heard

    async def on_key(self, event: events.Key) -> None:
        """Have the offers' keys first, while there are offers."""
        if not self.is_offering:
            return
        offers = self._offers
        is_taken = True
        match event.key:
            case "down" | "up":
                if offers.highlighted is None:
                    offers.highlighted = 0 if event.key == "down" else offers.option_count - 1
                elif event.key == "down":
                    offers.action_cursor_down()
                else:
                    offers.action_cursor_up()
            case "tab":
                self.take_offer(offers.highlighted or 0)
            case "enter" if offers.highlighted is not None:
                self.take_offer(offers.highlighted)
            case "escape":
                self.close_offers()
            case "left" | "right" | "home" | "end" | "enter":
                self.close_offers()
                is_taken = False
            case _:
                is_taken = False
        if is_taken:
            event.stop()
            event.prevent_default()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        if self.has_focus and find_word(self.before) and not self._is_pasted():
            self.action_offer()
        else:
            self.close_offers()

    def _is_pasted(self) -> bool:
        """Tell whether the last edit was more than a letter: then nobody is typing a word."""
        edits = self.history.undo_stack[-1] if self.history.undo_stack else []
        return bool(edits) and len(edits[-1].text) != 1 and bool(edits[-1].text)

    def on_blur(self) -> None:
        self.close_offers()


def _show(text: str) -> str:
    """Give a line in as many characters, of which none steers a terminal."""
    return "".join(character if printable(character) == character or character == "\t" else "�" for character in text)


def _show_offer(offer: Offer) -> Content:
    about = printable(offer.about)
    about = about if len(about) <= 30 else f"{about[:29]}…"
    return Content.assemble(printable(offer.text), (f"  {about}", "$secondary"))
