"""Inks: lines that a pen drew, in the colours of the studio's theme.

A pen paints with ANSI's few colours, by what they mean; here each becomes the theme's colour for that. Nothing
else in a line is taken for a control: pens draw what is `printable`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.color import Color, ColorParseError
from textual.strip import Strip

_MARK = re.compile(r"\x1b\[([\d;]*)m")
_COLOURS: Final = {  # an ANSI colour, and the theme's for the same
    "2": "secondary",
    "31": "error",
    "32": "success",
    "33": "warning",
    "34": "primary",
    "35": "accent",
    "36": "primary",
}


class Inks:
    """The styles of one theme. `base` is the widget's own style, under everything."""

    def __init__(self, variables: Mapping[str, str], base: Style) -> None:
        self.base = base
        self._variables = variables
        self._styles: dict[str, Style] = {"": base, "0": base}

    def to_strip(self, line: str, width: int) -> Strip:
        """Give a line in exactly so many cells; one that is cut says so."""
        strip = Strip(self.to_segments(line))
        if strip.cell_length <= width or width < 1 or not strip.crop(width).text.strip():
            return strip.crop_extend(0, width, self.base)
        kept = strip.crop(0, width - 1)
        style = next((segment.style for segment in reversed(list(kept)) if segment.style), self.base)
        return Strip([*kept, Segment("…", style)]).crop_extend(0, width, self.base)

    def to_text(self, line: str) -> Text:
        """Give a line, or several, as a text."""
        text = Text(no_wrap=True)
        for segment in self.to_segments(line):
            text.append(segment.text, segment.style)
        return text

    def to_segments(self, line: str) -> list[Segment]:
        style = self.base
        segments: list[Segment] = []
        for place, part in enumerate(_MARK.split(line)):
            if place % 2:
                style = self._find(part)
            elif part:
                segments.append(Segment(part, style))
        return segments

    def _find(self, codes: str) -> Style:
        found = self._styles.get(codes)
        if found is None:
            found = self._styles[codes] = self.base + self._make(codes)
        return found

    def _make(self, codes: str) -> Style:
        style = Style()
        for code in codes.split(";"):
            if code == "1":
                style += Style(bold=True)
            elif code in _COLOURS:
                style += self.colour(_COLOURS[code])
        return style

    def colour(self, name: str) -> Style:
        """Give a colour of the theme by its name; none where the theme's is no plain colour."""
        try:
            return Style(color=Color.parse(self._variables.get(name, "")).rich_color)
        except ColorParseError:
            return Style()
