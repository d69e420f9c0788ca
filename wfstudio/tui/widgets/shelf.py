"""The shelf beside the SQL editor: saved queries, the tables with their columns, and what was asked before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from wfstudio.history.library import SavedQuery
from wfstudio.history.schema import SchemaDoc
from wfstudio.text.printable import printable
from wfstudio.tui.widgets.tabline import TabLine

Side = Literal["saved", "tables", "asked"]
SIDES: Final[tuple[Side, ...]] = ("saved", "tables", "asked")
_LONGEST: Final = 200


class Shelf(Vertical):
    HELP = "What there is to ask: 1 saved queries, 2 tables and columns, 3 what was asked before. Enter takes one."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "turn('saved')", "Saved", show=False, id="shelf.saved"),
        Binding("2", "turn('tables')", "Tables", show=False, id="shelf.tables"),
        Binding("3", "turn('asked')", "Asked before", show=False, id="shelf.asked"),
        Binding("left,h", "side(-1)", "Side before", show=False, id="shelf.before"),
        Binding("right,l", "side(1)", "Next side", show=False, id="shelf.next"),
        Binding("j", "move(1)", "Down", show=False, id="shelf.down"),
        Binding("k", "move(-1)", "Up", show=False, id="shelf.up"),
    ]
    DEFAULT_CSS = """
    Shelf OptionList, Shelf OptionList:focus {
        height: 1fr;
        border: none;
        padding: 0;
        background: $background;
        scrollbar-size: 1 1;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    """

    class Taken(Message):
        """Something was taken: a query to be asked, one to be written into the editor, or a word for it."""

        def __init__(self, side: Side, text: str) -> None:
            super().__init__()
            self.side = side
            self.text = text

    def __init__(self, schema: SchemaDoc, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="pane")
        self._schema = schema
        self._saved: Sequence[SavedQuery] = ()
        self._asked: Sequence[str] = ()
        self._open: set[str] = set()
        self.side: Side = "saved"
        self._texts: list[str] = []

    def compose(self) -> ComposeResult:
        yield TabLine(SIDES)
        yield OptionList(markup=False)

    def on_mount(self) -> None:
        self.fill()

    # -- what is on it

    def put(self, saved: Sequence[SavedQuery], asked: Sequence[str]) -> None:
        if (list(saved), list(asked)) != (list(self._saved), list(self._asked)):
            self._saved, self._asked = saved, asked
            self.fill()

    def fill(self) -> None:
        """List what the side has; the cursor stays where it was."""
        found = {"saved": self._list_saved, "tables": self._list_tables, "asked": self._list_asked}[self.side]()
        options = self.query_one(OptionList)
        place = options.highlighted
        self._texts = [text for text, _ in found]
        options.clear_options()
        options.add_options([Option(shown, disabled=not text) for text, shown in found])
        if place is not None and place < len(found) and found[place][0]:
            options.highlighted = place

    def _list_saved(self) -> list[tuple[str, Content]]:
        found: list[tuple[str, Content]] = []
        for origin, title in (("project", "the project's"), ("wf", "from wf")):
            its = [query for query in self._saved if query.origin == origin]
            found.append(("", Content.styled(title, "$secondary")))
            if not its:
                found.append(("", Content.styled("none yet: ctrl+s keeps one in queries/", "$secondary")))
            found += [(query.sql, _entry(query.name, query.doc)) for query in its]
        return found

    def _list_tables(self) -> list[tuple[str, Content]]:
        found: list[tuple[str, Content]] = []
        for table in self._schema.tables:
            found.append((f"table {table.name}", _entry(table.name, table.doc)))
            if table.name in self._open:
                found += [
                    (column.name, Content.assemble(f"  {column.name} ", (_shorten(column.type), "$secondary")))
                    for column in table.columns
                ]
        found.append(("", Content.styled("functions", "$secondary")))
        found += [
            (f"{function.name}(", _entry(function.signature, function.doc)) for function in self._schema.functions
        ]
        return found

    def _list_asked(self) -> list[tuple[str, Content]]:
        if not self._asked:
            return [("", Content.styled("Nothing was asked here yet.", "$secondary"))]
        return [(sql, Content(printable(" ".join(sql.split()))[:_LONGEST])) for sql in self._asked]

    # -- verbs

    def action_turn(self, side: Side) -> None:
        self.side = side
        self.query_one(TabLine).active = side
        self.query_one(OptionList).highlighted = None
        self.fill()

    def action_side(self, by: int) -> None:
        self.action_turn(SIDES[(SIDES.index(self.side) + by) % len(SIDES)])

    def action_move(self, by: int) -> None:
        options = self.query_one(OptionList)
        if by > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def enter(self) -> None:
        self.query_one(OptionList).focus()

    # -- what is heard

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        event.stop()
        self.action_turn("tables" if event.tab == "tables" else "asked" if event.tab == "asked" else "saved")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        text = self._texts[event.option_index]
        table = text.removeprefix("table ")
        if self.side == "tables" and table != text:
            self._open ^= {table}
            self.fill()
        else:
            self.post_message(self.Taken(self.side, text))


def _entry(name: str, doc: str) -> Content:
    return Content.assemble((printable(name), "bold"), "\n", (f"  {printable(doc)}", "$secondary"))


def _shorten(type: str) -> str:
    return type.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
