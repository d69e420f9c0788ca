"""Timelines: a run's spans as lines of text, one a line, bars over a common axis.

    draw_timeline(pen, lay_out(look), now_ms)       all of it, with an axis and a legend
    draw_row(pen, span, label, columns, scale, now_ms)      one line, of any stretch of time

1. Pure, but for what the pen can show. A line costs what is visible of its span, whatever else the run has.
2. A cell of a bar stands for a stretch of time. It shows what fills most of it, except that an attempt
   always shows: a step of a millisecond in a run of a day is what one looks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from wfstudio.core.traces import Segment, Span
from wfstudio.text.looks import Row
from wfstudio.text.moments import show_ms
from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable
from wfstudio.text.widths import cell_width, fit

NARROWEST: Final = 40
_DURATION_WIDTH: Final = 8
_LONGEST_NAME: Final = 32
_SHORTEST_BAR: Final = 10

_NAMED_BY_MODULE: Final = ("step", "operation", "child", "hook")
_LOOKS: Final = {  # a segment's kind: sign, sign in ASCII, style
    "queued": ("░", ".", "dim"),
    "running": ("█", "#", "green"),
    "retry_wait": ("┄", "~", "yellow"),
    "waiting": ("─", "-", "blue"),
    "open": ("╌", ":", "dim"),
    "held": ("▒", "=", "magenta"),
}
_WORDS: Final = {
    "queued": "queued",
    "running": "running",
    "retry_wait": "waits to retry",
    "waiting": "waiting",
    "open": "had a payload",
    "held": "held",
}
_OUTCOMES: Final = {"failed": "red", "lost": "red", "cancelled": "yellow", "abandoned": "yellow"}
_LOST: Final = ("▓", "x")
_SIGNS: Final = {  # what a span's status is like, of those that a run can have
    "completed": "completed", "received": "completed", "released": "completed", "disposed": "completed",
    "failed": "failed", "conflict": "failed", "cancelled": "cancelled", "abandoned": "cancelled",
    "queued": "pending", "pending": "pending",
}  # fmt: skip


class Scale(msgspec.Struct, frozen=True):
    """A stretch of time, in milliseconds since the run's creation, on the cells of a bar."""

    start_ms: float
    end_ms: float
    width: int

    def cell(self, at_ms: float) -> float:
        """Give where an instant lies, in cells from the left; outside of the stretch that is < 0 or > `width`."""
        return (at_ms - self.start_ms) * (self.width / (self.end_ms - self.start_ms))

    def at(self, cell: float) -> float:
        """Give the instant at a place in cells."""
        return self.start_ms + cell * (self.end_ms - self.start_ms) / self.width


class Columns(msgspec.Struct, frozen=True):
    """How wide names and bars are. Before the name is its sign, behind the bar how long it took."""

    name: int
    bar: int


def draw_timeline(pen: Pen, rows: Sequence[Row], now_ms: float, *, limit: int | None = None) -> list[str]:
    """Draw the spans of a run, at most `limit` of them. `now_ms` is where what has not ended reaches to."""
    shown = rows if limit is None else rows[:limit]
    spans = [row.span for row in shown]
    labels = [label_row(row) for row in shown]
    columns = arrange(pen.width, labels)
    start_ms, end_ms = measure(rows, now_ms)
    scale = Scale(start_ms, end_ms, columns.bar)
    lines = [_draw_axis(pen, columns, scale)]
    lines += [draw_row(pen, span, label, columns, scale, now_ms) for span, label in zip(spans, labels, strict=True)]
    if len(shown) < len(rows):
        more = f"{len(rows) - len(shown)} more spans; --limit draws more of them"
        lines.append(pen.paint(f"{pen.ellipsis} {more}", "dim"))
    return [*lines, *draw_legend(pen, spans)]


def measure(rows: Sequence[Row], now_ms: float) -> tuple[float, float]:
    """Give the stretch that a run's spans lie in. What a fork inherited lies before 0."""
    end_ms = max([now_ms if row.span.end_ms is None else row.span.end_ms for row in rows] + [0.001])
    return min([row.span.start_ms for row in rows] + [0.0]), end_ms


def arrange(width: int, labels: Sequence[str]) -> Columns:
    """Share a line's width between names, which get what they need up to a third, and bars."""
    width = max(width, NARROWEST)
    longest = max((cell_width(label) for label in labels), default=0)
    name = min(longest, _LONGEST_NAME, max(12, width // 3))
    return Columns(name, max(_SHORTEST_BAR, width - name - _DURATION_WIDTH - 6))


def draw_row(
    pen: Pen, span: Span, label: str, columns: Columns, scale: Scale, now_ms: float, *, sign: str | None = None
) -> str:
    """Draw a span's line: how it is (or another `sign`, of one cell), its name, its bar, how long it took."""
    sign = sign or status_sign(pen, span.status)
    name = fit(label, columns.name, pen.ellipsis)
    bar = _draw_bar(pen, span, scale, now_ms)
    spent = (max(now_ms, span.start_ms) if span.end_ms is None else span.end_ms) - span.start_ms
    return f"{sign} {name}  {bar}  {show_ms(spent):>{_DURATION_WIDTH}}"


def label_row(row: Row) -> str:
    """Name a span, as far to the right as it lies deep."""
    return "  " * max(row.depth - 1, 0) + label_span(row.span)


def label_span(span: Span) -> str:
    """Name a span for a reader: a step by its short name, what was tried again with how often."""
    if span.kind == "run":
        return printable(span.name.rpartition(":")[2])
    name = printable(span.name.rpartition(":")[2] if span.kind in _NAMED_BY_MODULE else span.name)
    text = name if span.kind == "step" or name == span.kind else f"{span.kind} {name}"
    return f"{text} x{span.attempts}" if span.attempts > 1 else text


def status_sign(pen: Pen, status: str) -> str:
    """Give the one sign that stands for a span's status."""
    like = _SIGNS.get(status, "running")
    return pen.paint(pen.sign(like), pen.status_style(like))


def _draw_axis(pen: Pen, columns: Columns, scale: Scale) -> str:
    """Draw where the bars begin, where their middle is and where they end."""
    start, middle, end = (_show_place(ms) for ms in (scale.start_ms, scale.at(scale.width / 2), scale.end_ms))
    half = scale.width // 2
    axis = f"{start:<{half}}{middle}"
    room = scale.width - len(axis) - len(end)
    axis = f"{axis}{' ' * room}{end}" if room > 0 else f"{start:<{scale.width - len(end)}}{end}"
    return pen.paint(f"  {' ' * columns.name}  {axis}", "dim")


def _show_place(at_ms: float) -> str:
    return "0" if not at_ms else show_ms(at_ms) if at_ms > 0 else f"-{show_ms(-at_ms)}"


def _draw_bar(pen: Pen, span: Span, scale: Scale, now_ms: float) -> str:
    width = scale.width
    cells: list[Segment | None] = [None] * width
    filled = [0.0] * width
    for segment in span.segments:
        start = scale.cell(segment.start_ms)
        end = scale.cell(now_ms if segment.end_ms is None else segment.end_ms)
        if start > width or end < 0:
            continue
        first = min(max(int(start), 0), width - 1)
        for cell in range(first, max(first + 1, min(width, int(end) + (end > int(end))))):
            share = min(end, cell + 1) - max(start, cell)
            if segment.kind == "running":
                share += 1  # an attempt always shows
            if cells[cell] is None or share > filled[cell]:
                cells[cell], filled[cell] = segment, share
    return _paint_cells(pen, span, cells)


def _paint_cells(pen: Pen, span: Span, cells: Sequence[Segment | None]) -> str:
    parts: list[str] = []
    position = 0
    while position < len(cells):
        segment = cells[position]
        end = position
        while end < len(cells) and cells[end] is segment:
            end += 1
        parts.append(" " * (end - position) if segment is None else _paint_segment(pen, span, segment, end - position))
        position = end
    return "".join(parts)


def _paint_segment(pen: Pen, span: Span, segment: Segment, width: int) -> str:
    sign, plain, style = _LOOKS[segment.kind]
    if _is_lost(span, segment):
        style = _OUTCOMES[segment.outcome or ""]
        sign, plain = _LOST  # not by colour alone
    return pen.paint((sign if pen.is_unicode else plain) * width, style)


def _is_lost(span: Span, segment: Segment) -> bool:
    """Tell whether a segment is an attempt that came to nothing. A run has no attempts."""
    return span.kind != "run" and segment.kind == "running" and segment.outcome in _OUTCOMES


def draw_legend(pen: Pen, spans: Sequence[Span]) -> Iterator[str]:
    """Name the signs that the bars are drawn with, in as many lines as that takes."""
    kinds = {segment.kind for span in spans for segment in span.segments}
    looks = [(_LOOKS[kind][:2], _WORDS[kind]) for kind in _LOOKS if kind in kinds]
    if any(_is_lost(span, segment) for span in spans for segment in span.segments):
        looks.append((_LOST, "failed attempt"))
    line = ""
    for signs, word in looks:
        part = f"  {signs[0 if pen.is_unicode else 1]} {word}"
        if line and cell_width(line + part) > max(pen.width, NARROWEST):
            yield pen.paint(line, "dim")
            line = ""
        line += part
    yield pen.paint(line, "dim")
