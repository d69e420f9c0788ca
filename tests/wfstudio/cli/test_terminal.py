"""Terminals: what they show."""

from __future__ import annotations

import io

from wfstudio.cli.terminal import Terminal


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
