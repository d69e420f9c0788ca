"""Widths: as many cells as a terminal gives a text."""

from __future__ import annotations

import pytest

from wfstudio.text.widths import cell_width, cut, fit


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("🙂", 2), ("", 0)])
def test_a_text_takes_the_cells_that_a_terminal_gives_it(text: str, width: int) -> None:
    assert cell_width(text) == width


def test_cutting_never_takes_more_cells_than_there_are() -> None:
    for text in ("abcdef", "日本語日本語", "aé日🙂bcd"):
        for width in range(1, 12):
            assert cell_width(cut(text, width)) <= width
            assert cell_width(fit(text, width)) == width
