"""Terminals: what they show, and what never reaches them."""

from __future__ import annotations

import io
import json

import pytest

from wfstudio.cli.terminal import Terminal, printable, printable_lines, to_json

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


def test_colour_is_for_terminals_that_want_it(make_terminal) -> None:
    assert make_terminal().paint("x", "red") == "\x1b[31mx\x1b[0m"
    assert make_terminal(NO_COLOR="1").paint("x", "red") == "x"
    assert make_terminal(TERM="dumb").paint("x", "red") == "x"
    assert Terminal(io.StringIO()).paint("x", "red") == "x"


def test_a_status_is_said_in_words_and_by_a_sign(make_terminal) -> None:
    assert make_terminal(NO_COLOR="1").show_status("failed") == "✗ failed"
    assert make_terminal(encoding="ascii", NO_COLOR="1").show_status("failed") == "x failed"
    assert Terminal(io.StringIO()).show_status("failed") == "failed"


def test_what_an_encoding_cannot_say_is_escaped(make_terminal) -> None:
    terminal = make_terminal(encoding="ascii")
    terminal.print("käse")
    assert terminal.stream.text == "k\\xe4se\n"


def test_json_is_indented_for_a_reader_and_on_one_line_for_a_program(make_terminal, capsys) -> None:
    terminal = make_terminal()
    terminal.print_json({"a": [1]})
    assert terminal.stream.text == '{\n  "a": [\n    1\n  ]\n}\n'
    stream = io.StringIO()
    Terminal(stream).print_json({"a": [1]})
    assert stream.getvalue() == '{"a":[1]}\n'
