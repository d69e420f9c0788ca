"""Charts of a result, drawn with characters: lines and points in braille, bars in eighths of a cell.

    choice = choose_chart(columns)                what to draw, as the browser studio chooses it
    points = read_points(choice, columns, rows)   numbers, in order
    draw_chart(points, width, height)             lines of pieces: a text, and which series it belongs to

1. What is no number is left out, and not drawn as nothing.
2. A bar begins at nothing: one that does not tells a lie about how much there is.
3. Whatever the numbers are, what is drawn has the width that was asked for; bars alone may be higher, and are
   scrolled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import floor, inf, isfinite, log10
from typing import Final, Literal

import msgspec

from wfstudio.history.formats import is_number
from wfstudio.history.wire import Column
from wfstudio.text.printable import printable
from wfstudio.text.widths import cell_width, cut, fit

Kind = Literal["line", "bar", "scatter"]
Piece = tuple[str, int]
"""A text, and the number of its series; `AXIS` and `LABEL` are nobody's."""

KINDS: Final[tuple[Kind, ...]] = ("line", "bar", "scatter")
AXIS: Final = -1
LABEL: Final = -2
SERIES: Final = 5
"""Series that have a colour of their own; more of them are hard to tell apart."""
MOST_BARS: Final = 500
LABEL_WIDTH: Final = 24
FARTHEST: Final = 1e300
"""Beyond it the distance of two numbers is none."""
FILLS: Final = "█▓▒░▚"
"""What bars are drawn with where there are no colours."""
MARKS: Final = "●○◆◇▲"
"""What points are drawn with there, of several series."""

_INSTANT: Final = re.compile(r"TIMESTAMP.*|DATE")
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille character, by row and column."""
_DAY: Final = 86_400


class Choice(msgspec.Struct, frozen=True):
    """Which column goes across, which ones up, and how they are drawn."""

    x: int
    y: tuple[int, ...]
    kind: Kind


class Point(msgspec.Struct, frozen=True):
    """`label` is what stands below it where what goes across is no number; `values` are those of the series."""

    at: float
    label: str
    values: tuple[float | None, ...]


class Points(msgspec.Struct, frozen=True):
    kind: Kind
    names: tuple[str, ...]
    points: list[Point]
    is_time: bool = False
    is_scale: bool = True
    is_whole: bool = False


def is_instant(column: Column) -> bool:
    return _INSTANT.fullmatch(column.type) is not None


def choose_chart(columns: Sequence[Column]) -> Choice | None:
    """Choose what to draw: an instant or a text across, every number up. None where there is no number."""
    numbers = tuple(index for index, column in enumerate(columns) if is_number(column))
    instants = [index for index, column in enumerate(columns) if is_instant(column)]
    others = [index for index, column in enumerate(columns) if not is_number(column)]
    if not numbers:
        return None
    if instants:
        return Choice(instants[0], numbers[:SERIES], "line")
    if others:
        return Choice(others[0], numbers[:SERIES], "bar")
    return Choice(numbers[0], numbers[1 : SERIES + 1], "scatter") if len(numbers) > 1 else None


def read_points(choice: Choice, columns: Sequence[Column], rows: Sequence[Sequence[str | None]]) -> Points:
    """Read the numbers of the columns that are chosen, in the order of what goes across."""
    across = columns[choice.x]
    is_time, is_scale = is_instant(across), is_number(across) or is_instant(across)
    found: list[Point] = []
    for place, row in enumerate(rows):
        cell = row[choice.x]
        at = _read_instant(cell) if is_time else _read_number(cell) if is_scale else float(place)
        if at is not None:
            values = tuple(_read_number(row[index]) for index in choice.y)
            found.append(Point(at, "NULL" if cell is None else printable(cell), values))
    if is_scale:
        found.sort(key=lambda point: point.at)
    numbers = [value for point in found for value in point.values if value is not None]
    names = tuple(printable(columns[index].name) for index in choice.y)
    return Points(choice.kind, names, found, is_time, is_scale, all(value.is_integer() for value in numbers))


def say_chart(choice: Choice, columns: Sequence[Column], count: int) -> str:
    """Say in words what is drawn."""
    up = ", ".join(columns[index].name for index in choice.y) or "nothing"
    return f"a {choice.kind} chart of {up} by {columns[choice.x].name}, {count} rows"


def draw_chart(points: Points, width: int, height: int, *, has_colour: bool = True) -> list[list[Piece]]:
    """Draw a chart in so many cells."""
    numbers = [value for point in points.points for value in point.values if value is not None]
    if not numbers or width < LABEL_WIDTH or height < 4:
        return [[("there is nothing to draw" if not numbers else "there is no room", LABEL)]]
    low, high = min(numbers), max(numbers)
    ends = [point.at for point in points.points]
    if max(map(abs, (low, high, min(ends), max(ends)))) > FARTHEST:
        return [[("the numbers lie too far apart to be drawn", LABEL)]]
    legend: list[Piece] = []
    for index, name in enumerate(points.names):
        legend += [(f"{_mark(points, index, has_colour)} ", index), (cut(name, LABEL_WIDTH), LABEL), ("  ", LABEL)]
    if points.kind == "bar":
        return [legend, *_draw_bars(points, min(0.0, low), max(0.0, high), width, has_colour)]
    return [legend, *_draw_plane(points, low, high, width, height - 1, has_colour)]


def _mark(points: Points, index: int, has_colour: bool) -> str:
    if points.kind == "bar":
        return _fill(index, has_colour)
    return MARKS[0] if has_colour else MARKS[index % len(MARKS)]


def _fill(index: int, has_colour: bool) -> str:
    return FILLS[0] if has_colour else FILLS[index % len(FILLS)]


# -- bars ------------------------------------------------------------------------------------------


def _draw_bars(points: Points, low: float, high: float, width: int, has_colour: bool) -> Iterator[list[Piece]]:
    """Draw a bar a line, from left to right: so there is room for what each is of."""
    shown = points.points[:MOST_BARS]
    labels = [_show_at(points, point) for point in shown]
    numbers = {
        value: show_number(value, points.is_whole) for point in shown for value in point.values if value is not None
    }
    right = max(map(len, numbers.values()), default=0)
    left = max(0, min(max(map(cell_width, labels)), LABEL_WIDTH, width // 3, width - right - 6))
    room = width - left - right - 2
    span = (high - low) or 1.0
    zero = max(low < 0, min(room - (high > 0), round(-low / span * room)))
    for label, point in zip(labels, shown, strict=True):
        for index, value in enumerate(point.values):
            pieces: list[Piece] = [(fit(label if index == 0 else "", left) + " ", LABEL)]
            if value is not None:
                pieces.append((_draw_bar(value, zero, span, room, _fill(index, has_colour)), index))
                pieces.append((f" {numbers[value]:>{right}}", LABEL))
            yield pieces
    if len(points.points) > len(shown):
        yield [(f"and {len(points.points) - len(shown)} more", LABEL)]


def _draw_bar(value: float, zero: int, span: float, room: int, fill: str) -> str:
    if value < 0:
        cells = max(1, min(zero, round(-value / span * room)))
        return " " * (zero - cells) + fill * cells + " " * (room - zero)
    eighths = min(round(value / span * room * 8), (room - zero) * 8)
    if value > 0:
        eighths = max(1, eighths)
    whole, rest = divmod(eighths, 8)
    part = "" if not rest else _EIGHTHS[rest] if fill == FILLS[0] else fill
    return (" " * zero + fill * whole + part).ljust(room)


# -- lines and points ------------------------------------------------------------------------------


def _draw_plane(
    points: Points, low: float, high: float, width: int, height: int, has_colour: bool
) -> Iterator[list[Piece]]:
    ticks = choose_ticks(low, high, max(2, height // 3), is_whole=points.is_whole)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    rows = max(1, height - 2)
    labels = {_row_of(tick, low, high, rows): show_number(tick, points.is_whole) for tick in ticks}
    left = max(len(label) for label in labels.values())
    room = max(1, width - left - 2)
    canvas = _Canvas(room, rows, is_marked=not has_colour and len(points.names) > 1)
    for index in range(len(points.names)):
        _trace(canvas, points, index, low, high)
    for row in range(rows):
        label = labels.get(row)
        yield [(f"{label or '':>{left}} {'┤' if label else '│'}", AXIS), *canvas.draw(row)]
    yield [(f"{'':>{left}} └{'─' * room}", AXIS)]
    yield [(f"{'':>{left}}  ", AXIS), (_draw_ends(points, room), LABEL)]


def _trace(canvas: _Canvas, points: Points, index: int, low: float, high: float) -> None:
    """Put a series on the canvas; where a value is missing, its line is broken."""
    first, last = points.points[0].at, points.points[-1].at
    wide, high_dots = canvas.width * 2 - 1, canvas.height * 4 - 1
    before: tuple[int, int] | None = None
    for point in points.points:
        value = point.values[index]
        if value is None:
            before = None
            continue
        x = round((point.at - first) / ((last - first) or 1.0) * wide)
        y = round((high - value) / ((high - low) or 1.0) * high_dots)
        if points.kind == "line" and before is not None:
            canvas.connect(before, (x, y), index)
        canvas.put(x, y, index)
        before = (x, y)


def _row_of(value: float, low: float, high: float, rows: int) -> int:
    return round((high - value) / ((high - low) or 1.0) * (rows * 4 - 1)) // 4


def _draw_ends(points: Points, room: int) -> str:
    first, last = _show_at(points, points.points[0]), _show_at(points, points.points[-1])
    if len(points.points) == 1 or len(first) + len(last) + 2 > room:
        return fit(first, room)
    return first + " " * (room - cell_width(first) - cell_width(last)) + last


class _Canvas:
    """Cells of two by four dots; where two series meet in a cell, it has the colour, or the mark, of the later one."""

    def __init__(self, width: int, height: int, *, is_marked: bool = False) -> None:
        self.width, self.height = width, height
        self._is_marked = is_marked
        self._bits = [[0] * width for _ in range(height)]
        self._owners = [[0] * width for _ in range(height)]

    def put(self, x: int, y: int, owner: int) -> None:
        self._bits[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
        self._owners[y // 4][x // 2] = owner

    def connect(self, start: tuple[int, int], end: tuple[int, int], owner: int) -> None:
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
        for step in range(1, steps):
            share = step / steps
            x, y = (round(a + (b - a) * share) for a, b in zip(start, end, strict=True))
            self.put(x, y, owner)

    def draw(self, row: int) -> Iterator[Piece]:
        """Give a row of cells, in pieces of one series each."""
        text, owner = "", AXIS
        for bits, its in zip(self._bits[row], self._owners[row], strict=True):
            whose = its if bits else owner
            if whose != owner and text:
                yield text, owner
                text = ""
            owner = whose
            text += " " if not bits else MARKS[its % len(MARKS)] if self._is_marked else chr(0x2800 + bits)
        yield text, owner


# -- scales ----------------------------------------------------------------------------------------


def choose_ticks(low: float, high: float, most: int, *, is_whole: bool = False) -> list[float]:
    """Choose round numbers around a range: steps of 1, 2 or 5 by powers of ten, whole ones for whole numbers."""
    span = high - low
    if not isfinite(span) or span <= 0:
        return [low] if low == high else [low, high]
    power = 10.0 ** floor(log10(span / most)) if span / most > 0 else 0.0
    step = next((power * step for step in (1, 2, 5, 10) if power * step * most >= span), power * 10)
    if is_whole:
        step = max(1.0, step)
    if step <= 0 or not isfinite(step) or low + step == low:
        return [low, high]
    first, last = floor(low / step), -floor(-high / step)
    return [number * step for number in range(first, last + 1)]


def show_number(value: float, is_whole: bool = False) -> str:
    """Write a number as short as it can be read: `12 400`, `0.25`, `1.2e+15`."""
    if is_whole and abs(value) < 1e12:
        return f"{round(value):,}".replace(",", " ")
    text = f"{value:.4g}"
    return text if "e" in text and not 1e-4 <= abs(value) < 1e6 else f"{value:,.6g}".replace(",", " ")


def _show_at(points: Points, point: Point) -> str:
    """Say where a point lies, as finely as the whole of the chart needs it."""
    if not points.is_time:
        return show_number(point.at) if points.is_scale else point.label
    span = points.points[-1].at - points.points[0].at
    form = "%Y-%m-%d" if span > 60 * _DAY else "%m-%d %H:%M" if span > _DAY else "%H:%M:%S"
    return datetime.fromtimestamp(point.at, UTC).strftime(form)


def _read_number(cell: str | None) -> float | None:
    try:
        value = inf if cell is None else float(cell)
    except (ValueError, OverflowError):
        return None
    return value if isfinite(value) else None


def _read_instant(cell: str | None) -> float | None:
    try:
        at = datetime.fromisoformat(cell or "")
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
