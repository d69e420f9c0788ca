"""Inks: what a pen painted is in the theme's colours, and nothing else in a line means anything."""

from __future__ import annotations

from rich.style import Style

from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable
from wfstudio.tui.inks import Inks

THEME = {"success": "#00ff00", "error": "#ff0000", "secondary": "#888888", "primary": "not a colour"}
BASE = Style(bgcolor="#111111")
PEN = Pen(width=80)


def test_each_colour_becomes_the_themes() -> None:
    line = f"{PEN.paint('ok', 'green')} and {PEN.paint('not', 'red', 'bold')}"
    segments = Inks(THEME, BASE).to_segments(line)
    assert [(part.text, part.style) for part in segments] == [
        ("ok", BASE + Style(color="#00ff00")),
        (" and ", BASE),
        ("not", BASE + Style(color="#ff0000", bold=True)),
    ]


def test_a_colour_that_the_theme_has_not_is_none() -> None:
    [segment] = Inks(THEME, BASE).to_segments(PEN.paint("waits", "blue"))
    assert segment.style == BASE


def test_a_line_takes_exactly_the_cells_that_there_are() -> None:
    inks = Inks(THEME, BASE)
    for line in ("", "x" * 100, "日本語" * 20, PEN.paint("green", "green")):
        assert inks.to_strip(line, 31).cell_length == 31


def test_a_line_that_is_cut_says_so() -> None:
    inks = Inks(THEME, BASE)
    assert inks.to_strip("x" * 8, 8).text == "xxxxxxxx"
    assert inks.to_strip("x" * 9, 8).text == "xxxxxxx…"
    assert inks.to_strip("x" * 8 + "   ", 8).text == "xxxxxxxx", "nothing that is seen is lost"
    assert inks.to_strip("日本語日本語", 8).text == "日本語 …"
    assert inks.to_strip(PEN.paint("x" * 9, "green"), 8)._segments[-1].style == BASE + Style(color="#00ff00")


def test_what_users_wrote_is_no_colour_and_no_markup() -> None:
    text = printable("\x1b[31mred\x1b[0m [bold]x[/bold]")
    [segment] = Inks(THEME, BASE).to_segments(text)
    assert segment.text == r"\x1b[31mred\x1b[0m [bold]x[/bold]"
