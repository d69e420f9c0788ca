"""The runs: all of them, newest first, live, with a preview of the one under the cursor.

1. The first runs are there at once; the rest is read behind them, page by page, and nothing waits for it.
2. Of what changed only so much is read at a time; the rest follows, so that 500 changes a second hold no key back.
3. Why a run rests is asked for runs in sight only: it takes a look at its hooks and waits.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widget import Widget

from wf.errors import WorkflowError
from wf.world import RunFilter
from wfstudio.core.views import RunView
from wfstudio.text.details import draw_run, draw_trouble, list_run_facts
from wfstudio.text.looks import Look, look_at
from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable, printable_lines
from wfstudio.tui.filters import make_test, read_filter
from wfstudio.tui.inspection import draw_facts, say_error
from wfstudio.tui.listed import LIVE, MOST, Listed, ListedRuns
from wfstudio.tui.run_cells import COLUMNS, Cell, draw_cells
from wfstudio.tui.studio_screen import StudioScreen
from wfstudio.tui.widgets.consent import ConsentScreen
from wfstudio.tui.widgets.grid import Grid
from wfstudio.tui.widgets.sheet import Sheet

FIRST_PAGE: Final = 200
PAGE: Final = 2_000
HEAD: Final = 200
"""Newest runs that are read again where nobody knows what changed."""
AT_ONCE: Final = 200
"""Changed runs that are read at a time."""
AGAIN_SECONDS: Final = 1.0
"""After this a page is asked for again, of a world that did not answer."""
PREVIEW_SECONDS: Final = 0.08
NEWS_SECONDS: Final = 0.3
TICK_SECONDS: Final = 1.0
TICKS_AT_REST: Final = 20
YOUNG_US: Final = 90_000_000
"""Ages under a minute and a half change by the second or nearly so."""
_PREVIEW_BYTES: Final = 4_000
_PREVIEW_SPANS: Final = 60
_PREVIEW_EVENTS: Final = 2_000
REASON_SECONDS: Final = 3.0


class Reasons:
    """Why runs rest, or of what they failed, as far as it was asked: of which event on, and when."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, float, str | None]] = {}

    def get(self, run_id: str) -> str | None:
        known = self._known.get(run_id)
        return None if known is None else known[2]

    def holds(self, run: Listed, now: float) -> bool:
        known = self._known.get(run.run_id)
        is_over = run.status not in LIVE
        return known is not None and known[0] == run.seq and (is_over or now < known[1] + REASON_SECONDS)

    def put(self, run: Listed, now: float, reason: str | None) -> None:
        self._known[run.run_id] = (run.seq, now, reason)


class RunGrid(Grid):
    HELP = """
    The runs of this world, newest first. They keep their places: what is new goes on top, and what you look at
    stays under the cursor. Space marks runs; cancel, wake and retry then act on all that are marked.
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "Open", id="grid.choose")]

    def __init__(self, runs: ListedRuns, now_us: Callable[[], int]) -> None:
        super().__init__(COLUMNS, id="runs", classes="pane")
        self.runs = runs
        self._now_us = now_us
        self.rows = self
        self.reasons = Reasons()
        self.marked: set[str] = set()
        self.border_title = "runs"

    def __len__(self) -> int:
        return len(self.runs)

    def cells(self, index: int) -> Sequence[Cell]:
        run = self.runs[index]
        return draw_cells(
            run,
            now_us=self._now_us(),
            reason=self.reasons.get(run.run_id),
            id_width=self.widths[2] if len(self.widths) > 2 else 12,
            marked=self.marked,
        )

    def in_sight(self) -> range:
        """Give which rows are seen."""
        first = round(self.scroll_y)
        return range(first, min(len(self), first + self.size.height))


class RunsScreen(StudioScreen):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Mark", id="runs.mark"),
        Binding("c,C", "cancel", "Cancel", id="runs.cancel"),
        Binding("w,W", "wake", "Wake", id="runs.wake"),
        Binding("r,R", "retry", "Retry", id="runs.retry"),
    ]
    DEFAULT_CSS = """
    RunsScreen.-wide #body {
        layout: horizontal;
    }
    RunsScreen #runs {
        height: 3fr;
        width: 3fr;
    }
    RunsScreen #preview {
        height: 2fr;
        width: 2fr;
    }
    RunsScreen.-narrow #runs, RunsScreen.-narrow #preview {
        width: 1fr;
    }
    RunsScreen.-wide #runs, RunsScreen.-wide #preview {
        height: 1fr;
    }
    """

    crumb = "runs"
    can_filter = True

    def __init__(self) -> None:
        super().__init__()
        self.runs = ListedRuns()
        self._changed: dict[str, None] = {}
        self._is_loading = True
        self._ticks = 0
        self._previewed: tuple[str, int] | None = None
        self._wants_preview = asyncio.Event()
        self._has_moved = asyncio.Event()

    # -- made of

    def compose_body(self) -> Iterable[Widget]:
        yield RunGrid(self.runs, self.client.session.now_us)
        preview = Sheet(id="preview", classes="pane")
        preview.border_title = "preview"
        yield preview

    def on_mount(self) -> None:
        self.run_worker(self._load(), name="load")
        self.run_worker(self._keep_preview(), name="preview")
        self.set_interval(TICK_SECONDS, self._tick)

    @property
    def grid(self) -> RunGrid:
        return self.query_one(RunGrid)

    @property
    def selected(self) -> str | None:
        """The id of the run under the cursor."""
        return self.runs[self.grid.cursor].run_id if self.grid.cursor < len(self.runs) else None

    # -- reading

    async def _load(self) -> None:
        cursor: str | None = None
        while self.runs.loaded < MOST:
            limit = FIRST_PAGE if cursor is None else PAGE
            try:
                rows = await self.client.session.world.list_runs(RunFilter(limit=limit, cursor=cursor))
            except WorkflowError:  # the headline says what is wrong with the world
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            self.runs.load(rows)
            self.refresh_rows()
            if len(rows) < limit:
                break
            cursor = rows[-1].run_id
        self._is_loading = False
        self.studio.settle("the rows")
        self.refresh_rows()

    async def on_changed(self, run_ids: list[str]) -> None:
        if run_ids:
            self._changed.update(dict.fromkeys(run_ids))
        else:
            await self._read_head()
        await self._read_changed()
        await self._read_reasons()
        self._wants_preview.set()

    async def _read_head(self) -> None:
        """Read what may have changed, where nobody knows what did: the newest, and all that were in flight."""
        world = self.client.session.world
        live = ["pending", "running"]
        rows = [
            *await world.list_runs(RunFilter(limit=HEAD)),
            *await world.list_runs(RunFilter(status=live, limit=PAGE)),
        ]
        seen = {row.run_id for row in rows}
        with self._in_place():
            for row in rows:
                self.runs.put(row)
        self._changed.update(dict.fromkeys(self.runs.live - seen))

    async def _read_changed(self) -> None:
        world = self.client.session.world
        while self._changed:
            chosen = list(self._changed)[:AT_ONCE]
            for run_id in chosen:
                del self._changed[run_id]
            rows = await asyncio.gather(*(world.get_run(run_id) for run_id in chosen))
            with self._in_place():
                for run_id, row in zip(chosen, rows, strict=True):
                    if row is None:
                        self.runs.drop(run_id)
                    else:
                        self.runs.put(row)
            await asyncio.sleep(0)

    async def _read_reasons(self) -> None:
        """Ask why the runs in sight rest or failed; what is known of a run holds until it changes, and for a while."""
        grid, now = self.grid, time.monotonic()
        seen = [self.runs[index] for index in grid.in_sight()]
        told = [run for run in seen if run.status in LIVE or run.status == "failed"]
        asked = [run for run in told if not grid.reasons.holds(run, now)]
        views = await asyncio.gather(*(self.client.find_run(run.run_id) for run in asked))
        for run, view in zip(asked, views, strict=True):
            grid.reasons.put(run, now, None if view is None else _say_why(view))
        if asked:
            grid.refresh_changed()

    async def _tell_reasons(self) -> None:
        """Ask for runs that came in sight by scrolling; a world that does not answer is told of elsewhere."""
        with suppress(WorkflowError):
            await self._read_reasons()

    async def _tick(self) -> None:
        """Ages go on without any news: by the second while something in sight is young, else now and then."""
        self._ticks += 1
        if not self.is_current:
            return
        young = self.client.session.now_us() - YOUNG_US
        seen = [self.runs[index] for index in self.grid.in_sight()]
        if any(run.created_at > young or run.status in LIVE for run in seen):
            self.grid.refresh_changed()
            await self._tell_reasons()
        elif self._ticks % TICKS_AT_REST == 0:
            self.grid.refresh_changed()

    # -- drawing

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """Change the runs while the block runs, and keep the one under the cursor under it.

        At the top it is the newest that one looks at, whichever it is.
        """
        grid = self.grid
        index = grid.cursor
        run = self.runs[index] if 0 < index < len(self.runs) else None
        yield
        self.refresh_rows(None if run is None else self.runs.place(run.run_id, run.created_at))

    def refresh_rows(self, cursor: int | None = None) -> None:
        grid = self.grid
        grid.refresh_rows(cursor)
        shown, loaded = _count(len(self.runs)), _count(self.runs.loaded)
        text = shown if shown == loaded else f"{shown} of {loaded}"
        if self._is_loading:
            text += " …"
        elif self.runs.loaded >= MOST:
            text += ", the newest"
        marked = f"{len(grid.marked)} marked · " if grid.marked else ""
        grid.border_subtitle = marked + text
        self._wants_preview.set()

    def apply_filter(self) -> str | None:
        filter, problem = read_filter(self.filter_text, self.client.session.now_us())
        with self._in_place():
            self.runs.choose(make_test(filter, is_errors_only=self.is_errors_only))
        return problem

    async def _keep_preview(self) -> None:
        """Draw the run under the cursor, a moment after it came there: who scrolls through does not wait for each."""
        while True:
            await self._wants_preview.wait()
            if not self._has_moved.is_set():  # news of what is looked at, or another newest run: no need to hurry
                with suppress(TimeoutError):
                    async with asyncio.timeout(NEWS_SECONDS):
                        await self._has_moved.wait()
            await asyncio.sleep(PREVIEW_SECONDS)
            self._has_moved.clear()
            self._wants_preview.clear()
            await self._tell_reasons()
            run_id = self.selected
            run = None if run_id is None else self.runs.get(run_id)
            if run is None:
                self._previewed = None
                self.query_one("#preview", Sheet).present(_draw_nothing if self.runs.loaded == 0 else lambda pen: [])
            elif (run.run_id, run.seq) != self._previewed:
                try:
                    await self._draw_preview(run)
                except WorkflowError as error:
                    text = printable_lines(error.explain())
                    self.query_one("#preview", Sheet).present(lambda pen, text=text: text.split("\n"))  # type: ignore[misc]

    async def _draw_preview(self, run: Listed) -> None:
        is_same = self._previewed is not None and self._previewed[0] == run.run_id
        view = await self.client.get_run(run.run_id, max_bytes=_PREVIEW_BYTES)
        if run.seq <= _PREVIEW_EVENTS:
            look = await look_at(self.client, run.run_id)
            draw = partial(_draw_run, view, look)
        else:
            draw = partial(_draw_facts, view)
        self._previewed = (run.run_id, run.seq)
        self.query_one("#preview", Sheet).present(draw, is_same=is_same)

    # -- verbs

    def command(self) -> str:
        return "wf inspect runs" if self.selected is None else f"wf inspect {shlex.quote(self.selected)}"

    def on_grid_highlighted(self, event: Grid.Highlighted) -> None:
        self._has_moved.set()
        self._wants_preview.set()

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        self.studio.open_run(self.runs[event.index].run_id)

    def go_back(self) -> bool:
        if not self.grid.marked:
            return False
        self.grid.marked.clear()
        self.refresh_rows()
        return True

    def action_mark(self) -> None:
        grid = self.grid
        if self.selected is not None:
            grid.marked ^= {self.selected}
            grid.cursor += 1
            self.refresh_rows()

    def action_cancel(self) -> None:
        self._act("cancel", "Cancel", self.client.cancel, lambda view: f"{view.id} was asked to stop")

    def action_wake(self) -> None:
        self._act("wake", "", self.client.wake, _say_woken)

    def action_retry(self) -> None:
        self._act("retry", "Retry", self.client.retry, lambda view: f"it goes on as {view.id}")

    def _act(self, verb: str, asked: str, act: Callable[[str], Awaitable[Any]], done: Callable[[Any], str]) -> None:
        """Do something to the marked runs, or to the one under the cursor; first ask, if it is `asked` for."""
        run_ids = sorted(self.grid.marked) or ([self.selected] if self.selected else [])
        if not run_ids:
            return
        command = shlex.join(["wf", verb, *run_ids])

        def begin(is_agreed: bool | None) -> None:
            if is_agreed:
                say = done if len(run_ids) == 1 else lambda results: f"{len(results)} runs"
                self.run_worker(self.studio.act(command, _do_each(act, run_ids), say))

        if not asked:
            begin(True)
            return
        what = run_ids[0] if len(run_ids) == 1 else f"{len(run_ids)} runs"
        self.app.push_screen(ConsentScreen(f"{asked} {what}?", command, asked), begin)


async def _do_each(act: Callable[[str], Awaitable[Any]], run_ids: Sequence[str]) -> Any:
    """Do it to all, also where some refuse; then raise the first refusal. One run gives its own result."""
    results, refusals = [], []
    for run_id in run_ids:
        try:
            results.append(await act(run_id))
        except WorkflowError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]
    return results[0] if len(run_ids) == 1 else results


def _say_why(view: RunView) -> str | None:
    return view.reason if view.error is None else view.error.type


def _say_woken(count: int) -> str:
    return "1 sleep ends now" if count == 1 else f"{count} sleeps end now"


def _draw_run(view: RunView, look: Look, pen: Pen) -> list[str]:
    """Draw a run; of what it failed stands on top, since there may be no room for more."""
    return [*_draw_head(pen, view), *draw_run(pen, view, look, _PREVIEW_SPANS)[1:]]


def _draw_facts(view: RunView, pen: Pen) -> list[str]:
    more = pen.paint(f"{_count(view.events)} events; Enter draws its timeline", "dim")
    facts = draw_facts(pen, list_run_facts(pen, view))
    return [*_draw_head(pen, view), *facts, *draw_trouble(pen, view), "", more]


def _draw_head(pen: Pen, view: RunView) -> list[str]:
    head = f"{pen.show_status(view.status)}  {pen.paint(printable(view.workflow), 'bold')}"
    return [head, *say_error(pen, view.error), *draw_facts(pen, [("id", view.id)])]


def _draw_nothing(pen: Pen) -> list[str]:
    return ["no run yet", "", "`:workflows` starts one, and so does", "", "  wf start WORKFLOW"]


def _count(number: int) -> str:
    return f"{number:,}".replace(",", " ")
