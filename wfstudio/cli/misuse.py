"""Misuse: a command line that cannot be carried out as it is written. Exit code 2."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

import typer


class Misuse(typer.BadParameter):
    """A command line is wrong; `hint` is the cure."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    @classmethod
    def of(cls, error: Exception) -> Misuse:
        """Make one of an error that a command line caused; it keeps what the error knows of itself."""
        text = str(error)
        where = getattr(error, "where", None)
        return cls(f"{text}\n  at {where}" if where else text, hint=getattr(error, "hint", None))

    def format_message(self) -> str:
        return self.message


def suggest(word: str, known: Iterable[str]) -> str | None:
    """Give the hint for a mistyped word, or None if nothing is close to it."""
    bare = {name.lstrip("-"): name for name in known}  # dashes would make all options alike
    close = [bare[match] for match in get_close_matches(word.lstrip("-"), list(bare), n=3, cutoff=0.6)]
    return "did you mean " + " or ".join(f"`{match}`" for match in close) + "?" if close else None
