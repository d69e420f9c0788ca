"""Widths: as many cells as a terminal gives a text."""

from __future__ import annotations

import pytest

from wfstudio.text.widths import cell_width, cut, fit, wrap


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("🙂", 2), ("", 0)])
def test_a_text_takes_the_cells_that_a_terminal_gives_it(text: str, width: int) -> None:
    assert cell_width(text) == width


def test_cutting_never_takes_more_cells_than_there_are() -> None:
    for text in ("abcdef", "日本語日本語", "aé日🙂bcd"):
        for width in range(1, 12):
            assert cell_width(cut(text, width)) <= width
            assert cell_width(fit(text, width)) == width


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("short", ["short"]),
        ("one two three", ["one two", "three"]),
        ("abcdefghijkl", ["abcdefgh", "ijkl"]),
        ("日本語日本語", ["日本語日", "本語"]),
    ],
)
def test_a_line_is_broken_at_spaces_else_where_it_must_be(text: str, lines: list[str]) -> None:
    assert wrap(text, 8) == lines


def test_breaking_loses_nothing_but_spaces_and_ends() -> None:
    for text in ("a" * 50, "日" * 50, "ab cd " * 20, "x y" + "z" * 30, "\u0301" * 30):
        for width in range(1, 12):
            lines = wrap(text, width)
            assert "".join(lines).replace(" ", "") == text.replace(" ", "")
            assert all(cell_width(line) <= max(width, 2) for line in lines)


def test_a_megabyte_is_broken_in_one_pass() -> None:
    """Line by line from what is left of it, this takes minutes for each of them."""
    for text in ("x" * 1_000_000, "日" * 500_000, "é\u0301 " * 250_000):
        lines = wrap(text, 70)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
