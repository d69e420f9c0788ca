"""The chart of a result: which columns, which kind, and the drawing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from wfstudio.history.formats import is_number
from wfstudio.text.printable import printable
from wfstudio.tui.charts import (
    AXIS,
    KINDS,
    LABEL,
    SERIES,
    choose_chart,
    draw_chart,
    read_points,
)
from wfstudio.tui.charts import (
    Choice as Chosen,
)
from wfstudio.tui.results import Result
from wfstudio.tui.widgets.choice import Choice, Tick

COLOURS: Final = ("primary", "success", "warning", "error", "accent")


class ChartView(Vertical):
    DEFAULT_CSS = """
    ChartView {
        height: 1fr;
    }
    ChartView > #chart-choices {
        height: auto;
        padding: 0 1;
    }
    ChartView > #chart-choices > Static {
        width: auto;
        color: $text-muted;
    }
    ChartView > #chart-choices > Choice, ChartView > #chart-choices > Tick {
        margin-right: 2;
        max-width: 28;
    }
    ChartView > VerticalScroll {
        height: 1fr;
        scrollbar-size: 1 1;
    }
    ChartView #drawing {
        width: 100%;
        height: auto;
        padding: 0 1;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._result: Result | None = None
        self.chosen: Chosen | None = None

    def compose(self) -> ComposeResult:
        yield Horizontal(id="chart-choices")
        with VerticalScroll(can_focus=True):
            yield Static("", id="drawing")

    async def show(self, result: Result) -> None:
        """Draw another result; what was chosen stays where the columns are the same."""
        is_same = self._result is not None and self._result.columns == result.columns
        self._result = result
        if not is_same:
            self.chosen = choose_chart(result.columns)
            choices = self.query_one("#chart-choices", Horizontal)
            await choices.remove_children()
            await choices.mount_all(self._compose_choices())
        self.draw()

    def _compose_choices(self) -> Iterator[Widget]:
        chosen, result = self.chosen, self._result
        if chosen is None or result is None:
            return
        yield Choice(KINDS, KINDS.index(chosen.kind), id="chart-kind")
        yield Static("across ", markup=False)
        yield Choice([column.name for column in result.columns], chosen.x, id="chart-x")
        yield Static("up ", markup=False)
        for index, column in enumerate(result.columns):
            if is_number(column):
                name = printable(column.name)
                yield Tick(index in chosen.y, words=(name, name), id=f"chart-y-{index}")

    # -- what is chosen

    def on_choice_changed(self, event: Choice.Changed) -> None:
        event.stop()
        if self.chosen is not None:
            if event.choice.id == "chart-kind":
                self.chosen = Chosen(self.chosen.x, self.chosen.y, KINDS[event.index])
            else:
                self.chosen = Chosen(event.index, self.chosen.y, self.chosen.kind)
            self.draw()

    def on_tick_changed(self, event: Tick.Changed) -> None:
        event.stop()
        if self.chosen is not None and event.tick.id is not None:
            index = int(event.tick.id.rpartition("-")[2])
            others = {one for one in self.chosen.y if one != index}
            y = tuple(sorted(others | {index} if event.is_on else others))
            self.chosen = Chosen(self.chosen.x, y, self.chosen.kind)
            self.draw()

    def on_resize(self, event: events.Resize) -> None:
        self.draw()

    # -- drawing

    def draw(self) -> None:
        drawing, chosen, result = self.query_one("#drawing", Static), self.chosen, self._result
        room = self.query_one(VerticalScroll).scrollable_content_region
        if room.width <= 2 or result is None:
            return
        if chosen is None:
            drawing.update(Text("There is no number to draw", style="dim"))
            return
        points = read_points(chosen, result.columns, result.rows)
        colours = self.app.theme_variables
        has_colour = not self.app.no_color
        text = Text(no_wrap=True)
        for line in draw_chart(points, room.width - 2, max(room.height, 4), has_colour=has_colour):
            for piece, series in line:
                if series == LABEL or not has_colour:
                    text.append(piece)
                else:
                    text.append(piece, colours["secondary" if series == AXIS else COLOURS[series % SERIES]])
            text.append("\n")
        text.rstrip()
        drawing.update(text)
