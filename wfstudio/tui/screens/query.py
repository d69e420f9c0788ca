"""Query: SQL over all history. Nothing is asked before somebody says so, or takes a saved one.

1. The query runs in a process of its own, as for every face (`history.asking`): Esc ends it, and so does its time.
2. At most `results.ROWS` rows are shown, which is said; a file gets all of them.
3. What was asked is kept beside the world, in the history that `wf query` has at its prompt; and so is what was
   given for its `$name`s, which are asked for in a form.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Static

from wf.errors import WorkflowError
from wfstudio.history import completion
from wfstudio.history.asking import SECONDS, Asker, make_question
from wfstudio.history.exports import export
from wfstudio.history.formats import decode_rows, read_text
from wfstudio.history.library import Library
from wfstudio.history.placeholders import find_placeholders, read_value
from wfstudio.history.schema import show_schema
from wfstudio.history.wire import Column, Done, Head, Rows
from wfstudio.text.printable import printable, printable_lines
from wfstudio.tui import clock
from wfstudio.tui.asked import asked_path, keep_asked, read_asked
from wfstudio.tui.charts import say_chart
from wfstudio.tui.commands import command_of, query_command
from wfstudio.tui.given import given_path, keep_given, read_given
from wfstudio.tui.results import BYTES, ROWS, Result, Row, draw_record, make_result, say_count
from wfstudio.tui.studio_screen import StudioScreen
from wfstudio.tui.tasks import begin_newest
from wfstudio.tui.widgets.chart import ChartView
from wfstudio.tui.widgets.dialog import SheetDialog
from wfstudio.tui.widgets.grid import Grid
from wfstudio.tui.widgets.query_dialogs import Export, ExportDialog, Keep, KeepDialog, Values, ValuesDialog
from wfstudio.tui.widgets.shelf import Shelf
from wfstudio.tui.widgets.sql_editor import SqlEditor

FIRST: Final = """\
-- Runs by workflow and status
SELECT workflow, status, count(*) AS runs
FROM runs
GROUP BY ALL
ORDER BY runs DESC"""
TICK_SECONDS: Final = 0.1
_SAID_HERE: Final = {"`wf query --schema`": "the shelf (f2)", "`wf query --list`": "the shelf (f2)"}
"""How the cures that errors name are called here."""
_RUN_ID: Final = "run_id"


class Said(VerticalScroll, can_focus=True):
    HELP = "What is said where there are no rows: how to ask, or what is wrong with the query."


class QueryScreen(StudioScreen):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+j,ctrl+enter,f5", "ask", "Run", id="query.run"),
        Binding("f3,v", "turn", "Grid or chart", id="query.chart"),
        Binding("f2,l", "shelf", "Saved, tables, asked", id="query.shelf"),
        Binding("ctrl+s", "keep", "Save", id="query.save"),
        Binding("f4,x", "export", "Export", id="query.export"),
        Binding("o", "open_run", "Run of the row", id="query.open_run"),
        Binding("slash", "edit", "Editor", show=False, id="query.edit"),
    ]
    DEFAULT_CSS = """
    QueryScreen #ask {
        height: 2fr;
        min-height: 6;
    }
    QueryScreen #answer {
        height: 3fr;
    }
    QueryScreen SqlEditor {
        width: 1fr;
        height: 1fr;
    }
    QueryScreen Shelf {
        width: 44;
        height: 1fr;
    }
    QueryScreen.-narrow Shelf {
        display: none;
        width: 1fr;
    }
    QueryScreen.-narrow.-shelf Shelf {
        display: block;
    }
    QueryScreen.-narrow.-shelf SqlEditor, QueryScreen.-narrow.-shelf #answer {
        display: none;
    }
    QueryScreen.-narrow.-shelf #ask {
        height: 1fr;
    }
    QueryScreen #said {
        padding: 0 1;
        height: 1fr;
        scrollbar-size: 1 1;
    }
    """

    crumb = "query"

    def __init__(self) -> None:
        super().__init__()
        self.result: Result | None = None
        self.sql = ""
        self.values: dict[str, str] = {}
        """What was given for the names of the query that is answered, as it was typed."""
        self._given: dict[str, str] = {}
        self._asker: Asker | None = None
        self._warming: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[Any]] = set()
        self._functions: list[str] = list(completion.OURS)
        self._has_learnt = False
        self._began = 0.0
        self._look = "table"

    # -- made of

    def compose_body(self) -> Iterable[Widget]:
        asked = self._read_asked()
        editor = SqlEditor(asked[0] if asked else FIRST, self._complete, id="sql")
        editor.border_title = "sql"
        shelf = Shelf(show_schema(), id="shelf")
        shelf.border_title = "shelf"
        answer = ContentSwitcher(
            Said(Static(self._say_first(), id="said-text"), id="said"),
            Grid(id="table"),
            ChartView(id="chart"),
            id="answer",
            classes="pane",
            initial="said",
        )
        answer.border_title = "answer"
        yield Horizontal(editor, shelf, id="ask")
        yield answer

    def on_mount(self) -> None:
        self._fill_shelf()
        self.set_interval(TICK_SECONDS, self._tick)
        self._get_ready()

    async def on_unmount(self) -> None:
        """Leave no process behind: what still asks is ended first, or its process would be nobody's."""
        asking = [task for task in (self._warming, *self._asking) if task is not None]
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        if self._asker is not None:
            await self._asker.close()

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Note that this task asks, for as long as it does."""
        task = asyncio.current_task()
        assert task is not None
        self._asking.add(task)
        try:
            yield
        finally:
            self._asking.discard(task)

    def _get_ready(self) -> None:
        """Have a process ready for the first question; one that is being started is not left alone."""
        try:
            self._asker = Asker(self.studio.attachment.settings, keeps_warm=True)
        except WorkflowError as error:
            self._show_error(error)
            return
        self._warming = asyncio.create_task(self._asker.warm_up())

    @property
    def library(self) -> Library:
        return Library(self.studio.attachment.settings.root)

    @property
    def editor(self) -> SqlEditor:
        return self.query_one(SqlEditor)

    @property
    def answer(self) -> ContentSwitcher:
        return self.query_one("#answer", ContentSwitcher)

    @property
    def is_ready(self) -> bool:
        """Whether a question would be asked: there is who asks."""
        return self._asker is not None

    @property
    def is_asking(self) -> bool:
        return bool(self._began)

    def _complete(self, text: str, before: str) -> Sequence[completion.Offer]:
        if not self._has_learnt and self._asker is not None:
            self._has_learnt = True
            self.run_worker(self._learn(self._asker), name="learn")
        return completion.offer_sql(text, before, functions=self._functions)

    async def _learn(self, asker: Asker) -> None:
        """Learn what DuckDB calls its functions: once somebody types, so that nobody's first question waits for it."""
        with self._noted():
            self._functions += await completion.list_functions(asker)

    # -- what was asked and saved

    @property
    def _asked_path(self) -> Path | None:
        path = self.studio.attachment.settings.local_path
        return None if path is None else asked_path(path)

    def _find_given(self, names: Sequence[str]) -> dict[str, str]:
        """Give what was given last for these names."""
        path = self.studio.attachment.settings.local_path
        known = ({} if path is None else read_given(given_path(path))) | self._given
        return {name: known[name] for name in names if name in known}

    def _keep_given(self, values: dict[str, str]) -> None:
        self._given |= values
        path = self.studio.attachment.settings.local_path
        if path is not None:
            keep_given(given_path(path), values)

    def _read_asked(self) -> list[str]:
        return [] if self._asked_path is None else read_asked(self._asked_path)

    def _fill_shelf(self) -> None:
        self.query_one(Shelf).put(self.library.list(), self._read_asked())

    async def on_changed(self, run_ids: list[str]) -> None:
        if not run_ids:  # it is shown again: files may have changed
            self._fill_shelf()

    # -- asking

    async def _ask(self, sql: str, values: dict[str, str]) -> None:
        asker = self._asker
        if asker is None:
            return
        self.sql, self.values = sql, values
        if self._asked_path is not None:
            keep_asked(self._asked_path, sql, clock.now())
        self._fill_shelf()
        self._began = began = time.monotonic()
        self.refresh_bindings()
        try:
            with self._noted():
                result = await _read_answer(asker, sql, values)
            self._began = 0.0
            await self._show(result)
        except WorkflowError as error:
            self._show_error(error)
        except asyncio.CancelledError:
            if self.is_attached and self._began == began:  # else another one was asked instead
                self._say("the query was cancelled")
            raise
        finally:
            if self._began == began:
                self._began = 0.0
            self.refresh_bindings()

    async def _show(self, result: Result) -> None:
        self.result = result
        if not result.columns:
            self._say("It is done. It has no rows.")
            return
        self.query_one(Grid).show(result.grid_columns(), result)
        await self.query_one(ChartView).show(result)
        self._turn(self._look)

    def _turn(self, look: str) -> None:
        """Show the answer as a table, or as a chart."""
        self._look = look
        result = self.result
        if result is None:
            return
        self.answer.current = look
        chosen = self.query_one(ChartView).chosen
        is_chart = look == "chart" and chosen is not None
        said = say_chart(chosen, result.columns, len(result)) if is_chart and chosen else say_count(result)
        self._subtitle(said)

    def _tick(self) -> None:
        if self.is_asking:
            self._subtitle(f"asking … {time.monotonic() - self._began:.1f} s of {SECONDS:g} s · esc ends it")

    # -- saying

    def _subtitle(self, text: str) -> None:
        self.answer.border_subtitle = printable(text).replace("[", r"\[")

    def _say(self, text: str) -> None:
        self.query_one("#said-text", Static).update(Text(printable_lines(text)))
        self.answer.current = "said"
        self._subtitle("")

    def _show_error(self, error: WorkflowError) -> None:
        self.result = None
        hint = getattr(error, "hint", None)
        colours = self.app.theme_variables
        text = Text(printable_lines(str(error)), style=colours["error"])
        for there, here in _SAID_HERE.items():
            hint = hint and hint.replace(there, here)
        if hint:
            text.append(f"\n\nfix: {printable_lines(hint)}", style=colours["foreground"])
        self.query_one("#said-text", Static).update(text)
        self.answer.current = "said"
        self._subtitle(error.slug)

    def _say_first(self) -> Text:
        return Text(
            "Ask all history: ctrl+j runs the query.\n\n"
            f"It reads only. It may take {SECONDS:g} s, and {ROWS // 1000} 000 rows are shown at most; a file gets all."
        )

    # -- verbs

    def command(self) -> str:
        sql = self.editor.text.strip()
        return query_command(sql, values=self._find_given(find_placeholders(sql))) if sql else command_of("query")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("turn", "export"):
            return self.result is not None
        if action == "open_run":
            return self.result is not None and any(column.name == _RUN_ID for column in self.result.columns)
        return super().check_action(action, parameters)

    def go_back(self) -> bool:
        if self.is_asking:
            self.workers.cancel_group(self, "ask")
        elif self.has_class("-shelf"):
            self.action_shelf()
        else:
            return False
        return True

    def action_ask(self) -> None:
        """Ask the query; first for what its names stand for, if it has any."""
        sql = self.editor.text.strip()
        names = find_placeholders(sql)

        def ask(wish: Values | None) -> None:
            if wish is not None:
                self._keep_given(wish.texts)
                begin_newest(self, "ask", partial(self._ask, sql, wish.texts))

        if names:
            self.app.push_screen(ValuesDialog(sql, names, self._find_given(names)), ask)
        elif sql:
            begin_newest(self, "ask", partial(self._ask, sql, {}))

    def action_turn(self) -> None:
        self._turn("table" if self.answer.current == "chart" else "chart")
        if not self.editor.has_focus:
            self._focus_answer()

    def action_edit(self) -> None:
        self.remove_class("-shelf")
        self.editor.focus()

    def action_shelf(self) -> None:
        shelf = self.query_one(Shelf)
        is_there = self.focused is not None and shelf in self.focused.ancestors
        self.set_class(not is_there, "-shelf")
        if is_there:
            self.editor.focus()
        else:
            shelf.enter()

    def _focus_answer(self) -> None:
        """Give the keys to the answer, also to one in words: there `:` and `q` mean something."""
        chart = self.query_one(ChartView)
        if self.answer.current == "table":
            self.query_one(Grid).focus()
        elif self.answer.current == "chart":
            self.set_focus(next((widget for widget in chart.query("*") if widget.focusable), None))
        else:
            self.query_one(Said).focus()

    async def action_open_run(self) -> None:
        grid, result = self.query_one(Grid), self.result
        if result is not None and grid.cursor < len(result):
            run_id = dict(result.record(grid.cursor)).get(_RUN_ID)
            if run_id:
                await self.client.get_run(run_id, is_locked=True)
                self.studio.open_run(run_id)

    def action_keep(self) -> None:
        sql = self.editor.text.strip()
        if not sql:
            self.studio.say("there is no query to save", "warning")
            return

        def keep(wish: Keep | None) -> None:
            if wish is not None:
                self.run_worker(self._keep(sql, wish))

        self.app.push_screen(KeepDialog(sql, self.library.list()), keep)

    async def _export(self, asker: Asker, wish: Export) -> None:
        with self._noted():
            work = export(asker, self.sql, wish.path, wish.form, parameters=_read_values(self.values))
            command = query_command(self.sql, "-o", str(wish.path), values=self.values)
            await self.studio.act(command, work, partial(_say_written, wish.path))

    async def _keep(self, sql: str, wish: Keep) -> None:
        async def save() -> Path:
            return self.library.save(wish.name, sql, is_replacing=wish.is_replacing)

        command = command_of("query", "--save", wish.name, sql)
        await self.studio.act(command, save(), lambda path: f"kept as {path.parent.name}/{path.name}")
        self._fill_shelf()

    def action_export(self) -> None:
        def write(wish: Export | None) -> None:
            if wish is not None and self._asker is not None:
                self.run_worker(self._export(self._asker, wish))

        self.app.push_screen(ExportDialog(self.sql, self.values), write)

    # -- what is heard

    def on_sql_editor_left(self, event: SqlEditor.Left) -> None:
        if not self.is_asking or not self.go_back():
            self._focus_answer()

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        if self.result is not None:
            record = self.result.record(event.index)
            self.app.push_screen(SheetDialog(f"row {event.index + 1}", lambda pen: draw_record(pen, record)))

    def on_shelf_taken(self, event: Shelf.Taken) -> None:
        self.remove_class("-shelf")
        if event.side == "tables":
            self.editor.insert_word(event.text)
        else:
            self.editor.load_text(event.text.strip())
        self.editor.focus()
        if event.side == "saved":
            self.action_ask()


def _read_values(values: Mapping[str, str]) -> dict[str, Any]:
    return {name: read_value(text) for name, text in values.items()}


async def _read_answer(asker: Asker, sql: str, values: Mapping[str, str]) -> Result:
    columns: list[Column] = []
    rows: list[Row] = []
    done: Done | None = None
    question = make_question(sql, parameters=_read_values(values), row_limit=ROWS, byte_limit=BYTES)
    async with aclosing(asker.ask(question, seconds=SECONDS)) as answers:
        async for part in answers:
            match part:
                case Head():
                    columns = part.columns
                case Rows():
                    rows += [[read_text(cell) for cell in row] for row in decode_rows(part)]
                    await asyncio.sleep(0)  # a megabyte a time: keys come in between
                case Done():
                    done = part
    assert done is not None  # asking ends with it, or raises
    return make_result(columns, rows, done)


def _say_written(path: Path, done: Done) -> str:
    return f"{done.rows} {'row' if done.rows == 1 else 'rows'} are in {path}"
