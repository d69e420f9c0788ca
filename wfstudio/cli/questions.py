"""Questions: what a command asks on a terminal, each with a default that Enter takes.

One of several is chosen with the arrow keys. When it is answered, a question is one line. Ctrl-C and
Ctrl-D leave: `typer.Abort`, and nothing was done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import typer
from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.application import Application
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText, StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.validation import ValidationError, Validator

from wf.errors import WorkflowError
from wfstudio.cli.terminal import results
from wfstudio.text.printable import printable

_KEYS: Final = "arrow keys, Enter"


def choose(question: str, options: Sequence[tuple[str, str]], default: str) -> str:
    """Have one of `(name, what it is)` chosen, and give its name. Its first letter jumps to it."""
    names = [name for name, _ in options]
    widest = max(len(name) for name in names)
    at = names.index(default)
    cursor = "❯" if results().is_unicode else ">"

    def draw() -> StyleAndTextTuples:
        lines: StyleAndTextTuples = [("bold", f"{question} "), ("ansibrightblack", f"({_KEYS})\n")]
        for index, (name, what) in enumerate(options):
            is_here = index == at
            lines.append(("ansicyan bold" if is_here else "", f"{cursor if is_here else ' '} {name.ljust(widest)}  "))
            lines.append(("" if is_here else "ansibrightblack", f"{what}\n"))
        return lines

    keys = KeyBindings()

    @keys.add("up")
    @keys.add("k")
    @keys.add("c-p")
    def _(event: KeyPressEvent) -> None:
        nonlocal at
        at = (at - 1) % len(names)

    @keys.add("down")
    @keys.add("j")
    @keys.add("c-n")
    def _(event: KeyPressEvent) -> None:
        nonlocal at
        at = (at + 1) % len(names)

    @keys.add("<any>")
    def _(event: KeyPressEvent) -> None:
        nonlocal at
        behind = [*range(at + 1, len(names)), *range(at + 1)]
        at = next((index for index in behind if names[index].startswith(event.data.lower() or "\0")), at)

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        event.app.exit(result=names[at])

    @keys.add("c-c")
    @keys.add("c-d")
    @keys.add("escape", eager=True)
    def _(event: KeyPressEvent) -> None:
        event.app.exit(exception=typer.Abort())

    window = Window(FormattedTextControl(draw, focusable=True, show_cursor=False), dont_extend_height=True)
    application: Application[str] = Application(layout=Layout(window), key_bindings=keys, erase_when_done=True)
    chosen = application.run()
    _tell(question, chosen)
    return chosen


def ask(question: str, default: str, check: Callable[[str], object]) -> str:
    """Ask for a text. `check` raises `WorkflowError` for one that will not do, which is shown as it is typed in."""
    session: PromptSession[str] = PromptSession(erase_when_done=True)
    try:
        answer = session.prompt(
            [("bold", f"{question} "), ("ansibrightblack", f"({default}) " if default else "")],
            validator=_Check(check, default),
            validate_while_typing=False,
        )
    except (KeyboardInterrupt, EOFError):
        raise typer.Abort from None
    answer = answer.strip() or default
    _tell(question, answer)
    return answer


def confirm(question: str) -> bool:
    """Ask for a yes; Enter alone is a no."""
    session: PromptSession[str] = PromptSession()
    try:
        answer = session.prompt([("bold", f"{question} "), ("ansibrightblack", "(y/N) ")])
    except (KeyboardInterrupt, EOFError):
        raise typer.Abort from None
    return answer.strip().lower() in ("y", "yes")


def _tell(question: str, answer: str) -> None:
    print_formatted_text(FormattedText([("bold", f"{question} "), ("ansicyan", printable(answer))]))


class _Check(Validator):
    def __init__(self, check: Callable[[str], object], default: str) -> None:
        self._check = check
        self._default = default

    def validate(self, document: Document) -> None:
        try:
            self._check(document.text.strip() or self._default)
        except WorkflowError as error:
            raise ValidationError(
                cursor_position=len(document.text), message=": ".join(filter(None, (printable(str(error)), error.hint)))
            ) from None
