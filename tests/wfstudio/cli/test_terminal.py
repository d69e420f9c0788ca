"""Terminals: what they show."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import subprocess
import sys

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


QUIET = """
import sys, termios
from wfstudio.cli.terminal import quiet_keys

def tell():
    print("echoes" if termios.tcgetattr(0)[3] & termios.ECHOCTL else "quiet", end=" ", flush=True)

tell()
with quiet_keys():
    tell()
tell()
"""


def test_a_ctrl_c_is_not_written_into_what_is_drawn() -> None:
    pid, number = pty.fork()  # a terminal of its own: only that may be changed
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", QUIET])
    said = b""
    with contextlib.suppress(OSError):  # Linux: the program has closed its end
        while piece := os.read(number, 1000):
            said += piece
    os.close(number)
    assert os.waitpid(pid, 0)[1] == 0
    assert said.split() == [b"echoes", b"quiet", b"echoes"]


def test_a_terminal_that_is_not_ours_is_left_alone() -> None:
    ours, theirs = pty.openpty()
    try:
        told = subprocess.run([sys.executable, "-c", QUIET], stdin=theirs, capture_output=True, text=True, check=True)
    finally:
        os.close(ours)
        os.close(theirs)
    assert told.stdout.split() == ["echoes", "echoes", "echoes"]
