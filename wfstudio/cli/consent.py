"""Consent: asking before something is done to runs that nobody named. Where nobody can answer, `-y` is the answer."""

from __future__ import annotations

import sys

import typer

from wfstudio.cli.misuse import Misuse
from wfstudio.cli.terminal import words


def ask(verb: str, count: int) -> None:
    """Ask whether to `verb` so many runs. Raises `typer.Abort` for a no, `Misuse` where nobody is there."""
    what = count_runs(count)
    if not sys.stdin.isatty():
        raise Misuse(f"this would {verb} {what}, and nobody can be asked", hint="say `-y`")
    words().write(f"{verb} {what}? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise typer.Abort


def count_runs(number: int) -> str:
    return f"{number} run{'' if number == 1 else 's'}"
