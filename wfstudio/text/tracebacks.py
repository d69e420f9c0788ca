"""Tracebacks: a recorded exception as Python would show it, first cause first, in the user's frames."""

from __future__ import annotations

from wf.invocation import keep_users_frames
from wfstudio.core.views import ErrorView
from wfstudio.text.printable import printable_lines


def describe_error(error: ErrorView) -> list[str]:
    """Give the lines that show a recorded exception and its causes. They are safe to print."""
    parts: list[list[str]] = []
    outer: ErrorView | None = None
    link: ErrorView | None = error
    while link is not None:
        if outer is None or not _is_repeated(link, outer):
            parts.insert(0, _describe_one(link))
        outer, link = link, link.cause
    return [line for part in parts for line in ([] if part is parts[0] else [""]) + part]


def _is_repeated(error: ErrorView, outer: ErrorView) -> bool:
    """Tell whether an exception is the one that went on as `outer`: a step's, raised again in the body."""
    return (error.type, error.message) == (outer.type, outer.message) and _frames(error) in _frames(outer)


def _describe_one(error: ErrorView) -> list[str]:
    frames = _frames(error)
    lines = ["Traceback (most recent call last):", *frames.split("\n")] if frames else []
    name = error.type or error.code or "error"
    return lines + printable_lines(f"{name}: {error.message}" if error.message else name).split("\n")


def _frames(error: ErrorView) -> str:
    return printable_lines("".join(keep_users_frames(error.traceback or "")).rstrip("\n"))
