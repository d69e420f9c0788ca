"""What users' programs wrote: nothing of it steers a terminal."""

from __future__ import annotations

import json

import pytest

from wfstudio.text.printable import printable, printable_lines, to_json

HOSTILE = [
    "\x1b[2J", "\x1b]0;title\x07", "\x1b]8;;https://evil.example\x07link", "\x9b31m", "\r\x1b[K", "a\x08b", "\x7f",
    "\u202egnp.exe", "\u2066x\u2069", "\u200b", "\ufeff", "\u2028", "\x00", "\x85", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_what_steers_a_terminal_is_escaped(text: str) -> None:
    for made in (printable(text), printable_lines(text)):
        assert all(character.isprintable() for character in made)
        assert made != text


def test_what_is_only_text_stays() -> None:
    text = "käse 日本語 🙂 ñ 'quoted' \\n"
    assert printable(text) == text


def test_lines_stay_lines_where_they_are_wanted() -> None:
    assert printable("a\n\tb") == "a\\n\\tb"
    assert printable_lines("a\n\tb\r\n") == "a\n\tb\\r\n"


@pytest.mark.parametrize("text", HOSTILE[:-1], ids=ascii)
def test_json_escapes_in_its_own_way_and_stays_the_same_value(text: str) -> None:
    for made in (to_json({"key": text}), to_json({"key": text}, indent=True)):
        assert json.loads(made) == {"key": text}
        assert all(character.isprintable() or character == "\n" for character in made)
