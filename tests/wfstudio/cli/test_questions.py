"""Questions: one of several with the arrow keys, a text, a yes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import typer
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from wfstudio.cli.questions import ask, choose, confirm
from wfstudio.core.errors import UsageError

DOWN, UP, ENTER, CTRL_C, CTRL_D, ESC, CLEAR = "\x1b[B", "\x1b[A", "\r", "\x03", "\x04", "\x1b", "\x15"
FRUIT = [("apple", "red"), ("apricot", "orange"), ("banana", "yellow"), ("cherry", "dark")]


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as found, create_app_session(input=found, output=DummyOutput()):
        yield found


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        ("", "apricot"), (DOWN, "banana"), (UP, "apple"), (UP * 2, "cherry"), (DOWN * 3, "apple"), ("j", "banana"),
        ("k", "apple"), ("\x0e", "banana"), ("\x10", "apple"), ("c", "cherry"), ("C", "cherry"), ("a", "apple"),
        ("aa", "apricot"), ("z", "apricot"), ("\t", "apricot"),
    ],
)  # fmt: skip
def test_the_cursor_goes_round_and_a_letter_jumps(typed: str, chosen: str, keys: PipeInput) -> None:
    keys.send_text(f"{typed}{ENTER}")
    assert choose("Which?", FRUIT, "apricot") == chosen


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D, ESC], ids=["ctrl-c", "ctrl-d", "esc"])
def test_a_choice_can_be_left(key: str, keys: PipeInput) -> None:
    keys.send_text(key)
    with pytest.raises(typer.Abort):
        choose("Which?", FRUIT, "apple")


def check(text: str) -> None:
    if not text.isdigit():
        raise UsageError(f"{text!r} is no number")


@pytest.mark.parametrize(
    ("typed", "answer"),
    [(ENTER, "7"), (f" 8 {ENTER}", "8"), (f"x{ENTER}{CLEAR}9{ENTER}", "9"), (f"x{ENTER}{CLEAR}{ENTER}", "7")],
)
def test_a_text_is_checked_before_it_is_taken(typed: str, answer: str, keys: PipeInput) -> None:
    keys.send_text(typed)
    assert ask("How many?", "7", check) == answer


@pytest.mark.parametrize(("typed", "answer"), [("", False), ("n", False), ("no", False), ("y", True), (" YES ", True)])
def test_only_a_yes_is_a_yes(typed: str, answer: bool, keys: PipeInput) -> None:
    keys.send_text(f"{typed}{ENTER}")
    assert confirm("Sure?") is answer


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D], ids=["ctrl-c", "ctrl-d"])
def test_a_text_and_a_yes_can_be_left(key: str, keys: PipeInput) -> None:
    keys.send_text(key)
    with pytest.raises(typer.Abort):
        ask("How many?", "7", check)
    keys.send_text(key)
    with pytest.raises(typer.Abort):
        confirm("Sure?")
