"""The timeline: a run's calls as a tree with bars over a common axis, of which only what is in sight is drawn.

    timeline.show(rows, now_ms)     other rows, or the same ones grown; cursor and folds stay where they are

The line on top is the axis. `playhead_ms` marks an instant: where the step-through is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from wfstudio.text.looks import Row
from wfstudio.text.moments import show_ms
from wfstudio.text.pen import Pen
from wfstudio.text.timeline import Columns, Scale, arrange, draw_legend, draw_row, label_row
from wfstudio.text.widths import cell_width
from wfstudio.tui.camera import Camera, list_ticks, show_tick
from wfstudio.tui.gaps import BusyTime, Gaps, SqueezedScale
from wfstudio.tui.inks import Inks
from wfstudio.tui.run_rows import (
    Place,
    Search,
    Wanted,
    compare_rows,
    find_failure,
    find_parent,
    find_row,
    is_parent,
    place_of,
    unfold_rows,
)
from wfstudio.tui.widgets.cursor_list import CursorList, cursor_keys

TALL: Final = 14
"""From so many lines on there is room for a legend."""
_CELLS_A_TICK: Final = 16
_MARGIN: Final = 4
"""Cells of a row that are neither name nor bar nor duration: its sign, and the gaps."""


class Timeline(CursorList, can_focus=True):
    HELP = """
    The run's calls over time, a child's under the call that started it. w and s zoom, a and d move, f shows all of
    it; i squeezes time in which no attempt ran. The mouse wheel zooms with ctrl and moves with shift.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *cursor_keys("timeline"),
        Binding("left,h", "fold", "Fold", show=False, id="timeline.fold"),
        Binding("right,l", "unfold", "Unfold", show=False, id="timeline.unfold"),
        Binding("enter", "open", "Open", show=False, id="timeline.open"),
        Binding("w", "zoom(0.5)", "Zoom in", show=False, id="timeline.zoom_in"),
        Binding("s", "zoom(2)", "Zoom out", show=False, id="timeline.zoom_out"),
        Binding("a", "pan(-0.25)", "Earlier", show=False, id="timeline.earlier"),
        Binding("d", "pan(0.25)", "Later", show=False, id="timeline.later"),
        Binding("f", "fit", "All of it", show=False, id="timeline.fit"),
        Binding("z", "focus_span", "Zoom to this", show=False, id="timeline.focus"),
        Binding("i", "squeeze", "Idle time", show=False, id="timeline.idle"),
        Binding("n", "next_failure", "Next failure", show=False, id="timeline.next_failure"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"timeline--playhead"}
    DEFAULT_CSS = """
    Timeline > .timeline--playhead {
        color: $warning;
    }
    """

    called = "timeline"
    lines_above = 1
    playhead_ms: reactive[float | None] = reactive(None)
    is_squeezing: reactive[bool] = reactive(True, repaint=False)
    wanted: reactive[Wanted] = reactive(Wanted(), repaint=False)

    class Selected(Message):
        """Another span is under the cursor."""

        def __init__(self, timeline: Timeline, row: Row) -> None:
            super().__init__()
            self.timeline = timeline
            self.row = row

        @property
        def control(self) -> Timeline:
            return self.timeline

    class Opened(Selected):
        """A span was opened: with Enter, or by clicking on it again."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.rows: list[Row] = []
        self.camera = Camera.whole(0, 1)
        self.now_ms = 0.0
        self._all: Sequence[Row] = ()
        self._busy = BusyTime()
        self._search: Search | None = None
        """What is looked for; None: it is not known yet of the rows that there are, or it is all of them."""
        self._longest = 0
        """The width of the longest name, of all rows that were ever shown since they were chosen."""
        self._folded: set[Place] = set()
        self._columns = Columns(12, 10)
        self._gaps = Gaps()
        self._reach = 0.0, 1.0
        """The instants at which the run begins and, so far, ends."""
        self._base_inks: Inks | None = None
        self._cursor_inks: Inks | None = None

    # -- what is shown

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lines_below(self) -> int:
        """The legend, where there is room for it."""
        return int(self.scrollable_content_region.height >= TALL)

    @property
    def row(self) -> Row | None:
        """The span under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def show(self, rows: Sequence[Row], now_ms: float) -> None:
        """Show these spans; `now_ms` is where what has not ended reaches to."""
        is_first = not self.rows
        change = compare_rows(self._all, rows)
        self._all = rows
        self._busy.change(change)
        if self._search is not None:
            self._search.change(change)
        self._find_gaps(now_ms)
        self.camera = Camera.whole(*self._bounds) if is_first else self.camera.grow(*self._bounds)
        self._choose(is_following=True, new=change.new)

    def tick(self, now_ms: float) -> None:
        """Let time go on: what has not ended grows."""
        self._find_gaps(now_ms)
        self.camera = self.camera.grow(*self._bounds)
        self.refresh()

    def _find_gaps(self, now_ms: float) -> None:
        self.now_ms, self._reach = now_ms, self._busy.reach(now_ms)
        had = bool(self._gaps.gaps)
        self._gaps = self._busy.find_gaps(now_ms) if self.is_squeezing else Gaps()
        if bool(self._gaps.gaps) != had:  # what the camera stood on is another time now
            self.camera = Camera.whole(*self._bounds)

    @property
    def _bounds(self) -> tuple[float, float]:
        """The whole of the run's time, squeezed."""
        first_ms, last_ms = self._reach
        return self._gaps.squeeze(first_ms), self._gaps.squeeze(last_ms)

    def select(self, place: Place) -> bool:
        """Put the cursor on a span, and tell whether it is there. What is folded over it unfolds."""
        if not any(place_of(row) == place for row in self.rows):
            self._folded.clear()
            self._choose()
        if not any(place_of(row) == place for row in self.rows):
            return False
        self.cursor = find_row(self.rows, place)
        return True

    def _choose(self, *, is_following: bool = False, new: Sequence[Row] | None = None) -> None:
        """Choose what is shown of all spans; the cursor stays on its span, or at the end of a run that grows.

        Where only `new` rows came to those that there were, nothing else is measured.
        """
        before = self.row
        is_at_end = is_following and 0 < self.cursor == len(self.rows) - 1
        is_all = self.wanted.is_all
        self.rows = unfold_rows(self._all, self._folded) if is_all else self._find_rows()
        if new is None or self._folded or not is_all:
            self._longest, new = 0, self.rows
        self._longest = max([self._longest, *map(_measure_label, new)])
        self._measure()
        place = None if before is None else place_of(before)
        is_last = is_at_end and is_all
        index = len(self.rows) - 1 if is_last else find_row(self.rows, place, self.cursor)
        self.set_reactive(Timeline.cursor, index)
        self.reveal()
        self.refresh()
        after = self.row
        if after is not None and (before is None or place_of(after) != place or after.span != before.span):
            self.post_message(self.Selected(self, after))

    def _find_rows(self) -> list[Row]:
        if self._search is None:
            self._search = Search(self.wanted, self._all)
        return self._search.choose(self._all)

    def _label(self, index: int) -> str:
        row = self.rows[index]
        label = label_row(row)
        if is_parent(self.rows, index):
            mark = "▾ "
        elif place_of(row) in self._folded:
            mark = "▸ "
        else:
            return label
        indent = len(label) - len(label.lstrip(" "))
        return f"{label[:indent]}{mark}{label[indent:]}"

    def _measure(self) -> None:
        self._columns = arrange(self._width, [" " * self._longest])
        self.set_extent(Size(self._width, len(self.rows) + self.lines_above + self.lines_below))

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    @property
    def scale(self) -> Scale:
        start_ms, end_ms, width = self.camera.start_ms, self.camera.end_ms, self._columns.bar
        return SqueezedScale(start_ms, end_ms, width, self._gaps) if self._gaps.gaps else Scale(start_ms, end_ms, width)

    def on_resize(self, event: events.Resize) -> None:
        self._measure()
        self.reveal()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._base_inks = self._cursor_inks = None

    # -- moving

    def watch_cursor(self, before: int, now: int) -> None:
        self.reveal()
        self.refresh()
        if self.row is not None:
            self.post_message(self.Selected(self, self.row))

    def watch_wanted(self) -> None:
        self._search = None
        self._choose()

    def action_fold(self) -> None:
        """Fold the calls of a child run away; where there is nothing to fold, go to what the span lies under."""
        row = self.row
        if row is None:
            return
        if is_parent(self.rows, self.cursor):
            self._folded.add(place_of(row))
            self._choose()
        else:
            self.cursor = find_parent(self.rows, self.cursor)

    def action_unfold(self) -> None:
        if self.row is not None and place_of(self.row) in self._folded:
            self._folded.discard(place_of(self.row))
            self._choose()
        elif is_parent(self.rows, self.cursor):
            self.cursor += 1

    def action_open(self) -> None:
        if self.row is not None:
            self.post_message(self.Opened(self, self.row))

    def action_next_failure(self) -> None:
        found = find_failure(self.rows, self.cursor)
        if found is None:
            self.notify("no span failed", markup=False)
        else:
            self.cursor = found

    # -- zooming

    def action_zoom(self, factor: float) -> None:
        """Zoom around what the cursor is on, as far as it is in sight; else around the middle."""
        row = self.row
        at_ms = None if row is None or row.depth == 0 else self._gaps.squeeze(row.span.start_ms)
        is_in_sight = at_ms is not None and self.camera.start_ms <= at_ms <= self.camera.end_ms
        self._look(self.camera.zoom(factor, at_ms if is_in_sight else None))

    def action_pan(self, share: float) -> None:
        self._look(self.camera.pan(share))

    def action_fit(self) -> None:
        self._look(self.camera.fit())

    def action_focus_span(self) -> None:
        """Show the stretch of time that the span under the cursor takes."""
        if self.row is not None:
            end_ms = self.now_ms if self.row.span.end_ms is None else self.row.span.end_ms
            self._look(self.camera.show(self._gaps.squeeze(self.row.span.start_ms), self._gaps.squeeze(end_ms)))

    def action_squeeze(self) -> None:
        """Show time in which no attempt ran at full length, or not."""
        self.is_squeezing = not self.is_squeezing

    def watch_is_squeezing(self) -> None:
        self._find_gaps(self.now_ms)
        self._look(Camera.whole(*self._bounds))

    def _look(self, camera: Camera) -> None:
        self.camera = camera
        self.refresh()

    # -- the mouse

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        if place is None or place.y < 1 or (self.lines_below and place.y == self.scrollable_content_region.height - 1):
            return
        index = round(self.scroll_y) + place.y - 1
        if not 0 <= index < len(self.rows):
            return
        is_again = index == self.cursor and event.chain >= 2
        self.cursor = index
        if is_again:
            self.action_open()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._roll(event, 0.7, -0.1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._roll(event, 1 / 0.7, 0.1)

    def _roll(self, event: events.MouseEvent, factor: float, share: float) -> None:
        """With ctrl the wheel zooms at the pointer, with shift it pans; else it scrolls."""
        if not (event.ctrl or event.shift):
            return
        event.prevent_default()
        event.stop()
        if event.ctrl:
            x = event.get_content_offset_capture(self).x
            cell = min(max(x - self._bar_x, 0), self._columns.bar)
            share = cell / self._columns.bar
            at_ms = self.camera.start_ms + share * (self.camera.end_ms - self.camera.start_ms)
            self._look(self.camera.zoom(factor, at_ms))
        else:
            self._look(self.camera.pan(share))

    # -- drawing

    @property
    def _bar_x(self) -> int:
        return self._columns.name + _MARGIN

    def render_line(self, y: int) -> Strip:
        width = self._width
        if y == 0:
            return self._draw_axis(width)
        inks = self._find_inks(is_cursor=False)
        if self.lines_below and y == self.scrollable_content_region.height - 1:
            shown = [row.span for row in self.rows[: self.scrollable_content_region.height * 4]]
            legend = list(draw_legend(Pen(width=width), shown))
            return inks.to_strip(legend[0] if legend else "", width)
        index = round(self.scroll_y) + y - 1
        if index >= len(self.rows):
            return inks.to_strip("", width)
        if index == self.cursor:
            inks = self._find_inks(is_cursor=True)
        row = self.rows[index]
        line = draw_row(Pen(width=width), row.span, self._label(index), self._columns, self.scale, self.now_ms)
        strip = inks.to_strip(line, width)
        if index == self.cursor and self.app.no_color and self.has_focus:  # a bar in reverse shows where nothing was
            name, rest = strip.divide([self._bar_x - 1, width])
            strip = Strip.join([name, Strip(Segment(part.text, self.rich_style + Style(bold=True)) for part in rest)])
        return self._mark(strip, "│")

    def _find_inks(self, *, is_cursor: bool) -> Inks:
        if self._base_inks is None or self._cursor_inks is None:
            variables = self.app.theme_variables
            self._base_inks = Inks(variables, self.rich_style)
            self._cursor_inks = Inks(variables, self.get_component_rich_style("list--cursor"))
        if is_cursor and self.app.no_color and self.has_focus:
            return Inks({}, self.cursor_style())
        return self._cursor_inks if is_cursor else self._base_inks

    def _draw_axis(self, width: int) -> Strip:
        style = self.get_component_rich_style("list--title")
        cells = [" "] * max(width, 1)
        free, head = 0, self._find_playhead()
        for place, text in self._list_labels():
            x = self._bar_x + place
            is_hidden = head is not None and x <= head < x + len(text)  # it would show half of another instant
            if x >= free and x + cell_width(text) <= width and not is_hidden:
                cells[x : x + len(text)] = text
                free = x + len(text) + 1
        strip = Strip([Segment("".join(cells)[:width], style)]).crop_extend(0, width, style)
        return self._mark(strip, "▼", is_over=True)

    def _list_labels(self) -> list[tuple[int, str]]:
        """Give the labels of the axis with their places: round instants, and how long the gaps are."""
        scale = self.scale
        labels: list[tuple[int, str]] = []
        if not self._all:
            return labels
        first_ms, last_ms = max(self._reach[0], scale.at(0)), min(self._reach[1], scale.at(scale.width))
        for start_ms, end_ms in self._gaps.list_busy(first_ms, last_ms):
            room = scale.cell(end_ms) - scale.cell(start_ms)
            if room < 1:
                continue
            for at_ms in list_ticks(start_ms, end_ms, max(1, int(room // _CELLS_A_TICK))):
                labels.append((min(int(scale.cell(at_ms)), scale.width - 1), f"╷{show_tick(at_ms)}"))
        for gap in self._gaps.within(first_ms, last_ms):
            place = int(scale.cell(gap.start_ms))
            if 0 <= place < scale.width:
                labels.append((place, f"┆{show_ms(gap.end_ms - gap.start_ms)} idle"))
        return sorted(labels)

    def _find_playhead(self) -> int | None:
        """Give the column of the playhead; None where it is out of sight, or there is none."""
        place = -1.0 if self.playhead_ms is None else self.scale.cell(self.playhead_ms)
        return self._bar_x + min(int(place), self._columns.bar - 1) if 0 <= place <= self._columns.bar else None

    def _mark(self, strip: Strip, sign: str, *, is_over: bool = False) -> Strip:
        """Draw the playhead into a line, where it has nothing else to show."""
        x = self._find_playhead()
        if x is None or x >= strip.cell_length:  # of a bar that is wider than the window
            return strip
        before, cell, after = strip.divide([x, x + 1, strip.cell_length])
        if not is_over and cell.text != " ":
            return strip
        style = next((segment.style for segment in cell if segment.style), self.rich_style)
        colour = self.get_component_rich_style("timeline--playhead", partial=True)
        return Strip.join([before, Strip([Segment(sign, style + colour)]), after])


def _measure_label(row: Row) -> int:
    """Give how wide a name is; that of a child has a mark in front when there is something to fold away."""
    return cell_width(label_row(row)) + 2 * (row.span.kind == "child")
