"""The dialogs of the query screen: what its names stand for, under which name it is kept, where its answer goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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


class Values(msgspec.Struct, frozen=True):
    """What is given for each name, as it was typed."""

    texts: dict[str, str]


class ValuesDialog(Dialog[Values]):
    title_text = "Values for the query"
    verb = "asks it"

    def __init__(self, sql: str, names: Sequence[str], known: Mapping[str, str]) -> None:
        super().__init__()
        self._sql = sql
        self._names = list(names)
        self._known = known

    def compose_fields(self) -> Iterable[Widget]:
        yield Static("A number, true, false or null is what it says, anything else a text.", markup=False)
        for place, name in enumerate(self._names):
            yield Static(f"${name}", classes="label", markup=False)
            yield TextLine(self._known.get(name, ""), compact=True, id=f"value-{place}")

    def read(self) -> Values:
        fields = (self.query_one(f"#value-{place}", Input) for place in range(len(self._names)))
        return Values({name: field.value for name, field in zip(self._names, fields, strict=True)})

    def command(self, wish: Values) -> str:
        return query_command(self._sql, values=wish.texts)


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

    def __init__(self, sql: str, values: Mapping[str, str]) -> None:
        super().__init__()
        self._sql = sql
        self._values = values

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
        return query_command(self._sql, "-o", str(wish.path), values=self._values)

    def on_input_changed(self, event: Input.Changed) -> None:
        path = Path(event.value.strip()).expanduser()
        is_there = bool(event.value.strip()) and path.is_file()
        self.query_one("#taken", Static).update("There is one of this name; it is replaced." if is_there else "")
        super().on_input_changed(event)
