"""The dialogs of the query screen: under which name a query is kept, and into which file its answer goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from textual.widget import Widget
from textual.widgets import Input, Static

from wfstudio.core.errors import UsageError
from wfstudio.history.formats import format_of
from wfstudio.history.library import SavedQuery, is_query_name
from wfstudio.tui.commands import command_of, query_command
from wfstudio.tui.widgets.dialog import Dialog
from wfstudio.tui.widgets.ordered_keys import TextLine

SUFFIXES = (".csv", ".json", ".jsonl", ".md", ".parquet", ".arrow")


class Keep(msgspec.Struct, frozen=True):
    name: str
    is_replacing: bool


class KeepDialog(Dialog[Keep]):
    title_text = "Save the query"
    verb = "save it"

    def __init__(self, sql: str, known: Sequence[SavedQuery]) -> None:
        super().__init__()
        self._sql = sql
        self._own = {query.name for query in known if query.origin == "project"}

    def compose_fields(self) -> Iterable[Widget]:
        yield Static("It is kept with the project, as a file in queries/ that goes into version control.", markup=False)
        yield Static("name (lower-case letters, digits, - and _)", classes="label", markup=False)
        yield TextLine(compact=True, id="name")
        yield Static("", id="taken", markup=False)

    def read(self) -> Keep:
        name = self.query_one("#name", Input).value.strip()
        if not is_query_name(name):
            raise UsageError(
                f"{name!r:.80} is no name for a query", "use lower-case letters, digits, - and _: `slow-orders`"
            )
        return Keep(name, name in self._own)

    def command(self, wish: Keep) -> str:
        return command_of("query", "--save", wish.name, self._sql)

    def on_input_changed(self, event: Input.Changed) -> None:
        taken = event.value.strip() in self._own
        self.query_one("#taken", Static).update("There is one of this name; it is replaced." if taken else "")
        super().on_input_changed(event)


class Export(msgspec.Struct, frozen=True):
    path: Path
    form: str


class ExportDialog(Dialog[Export]):
    title_text = "Export all rows"
    verb = "write it"

    def __init__(self, sql: str) -> None:
        super().__init__()
        self._sql = sql

    def compose_fields(self) -> Iterable[Widget]:
        yield Static("The query is asked again, and all of its rows are written, however many.", markup=False)
        yield Static(f"file ({', '.join(SUFFIXES)})", classes="label", markup=False)
        yield TextLine("query.csv", compact=True, id="file", select_on_focus=False)
        yield Static("", id="taken", markup=False)

    def read(self) -> Export:
        text = self.query_one("#file", Input).value.strip()
        path = Path(text).expanduser()
        form = format_of(path)
        if not text or form is None:
            raise UsageError(f"{text!r:.80} does not say in which format", f"end its name in {', '.join(SUFFIXES)}")
        return Export(path, form)

    def command(self, wish: Export) -> str:
        return query_command(self._sql, "-o", str(wish.path))

    def on_input_changed(self, event: Input.Changed) -> None:
        path = Path(event.value.strip()).expanduser()
        is_there = bool(event.value.strip()) and path.is_file()
        self.query_one("#taken", Static).update("There is one of this name; it is replaced." if is_there else "")
        super().on_input_changed(event)
