"""Layout: code in lines, as `ruff format` and `black` leave it.

What fits into a line is a line. What does not is opened: an item a line, with a comma behind the last one,
which tells formatters to leave it open. Texts are never broken; a line may be too long for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

INDENT: Final = "    "


class Atom(msgspec.Struct, frozen=True):
    """Code that is never broken."""

    text: str


class Group(msgspec.Struct, frozen=True):
    """Something in brackets. Items have a prefix: `key: ` of a dict, `name=` of a call.

    `is_tuple`: one item alone has a comma behind it.
    """

    opening: str
    items: Sequence[tuple[str, Code]]
    closing: str
    is_tuple: bool = False


Code = Atom | Group


def flatten(code: Code) -> str:
    """Write code in one line."""
    if isinstance(code, Atom):
        return code.text
    inner = ", ".join(f"{prefix}{flatten(item)}" for prefix, item in code.items)
    comma = "," if code.is_tuple and len(code.items) == 1 else ""
    return f"{code.opening}{inner}{comma}{code.closing}"


def measure(text: str) -> int:
    """Count the columns that a line takes, as formatters do. Where that is not sure, it is the more."""
    return len(text) if text.isascii() else sum(1 if ord(c) < 0x300 else 2 for c in text)


def lay_out(code: Code, *, width: int, depth: int = 0, before: str = "", behind: str = "") -> str:
    """Write code between two texts, in lines of at most `width` where that can be. The first line is not indented."""
    flat = f"{before}{flatten(code)}{behind}"
    if isinstance(code, Atom) or not code.items or len(INDENT) * depth + measure(flat) <= width:
        return flat
    lines = [f"{before}{code.opening}"]
    for prefix, item in code.items:
        text = lay_out(item, width=width, depth=depth + 1, before=prefix, behind=",")
        lines.append(f"{INDENT * (depth + 1)}{text}")
    lines.append(f"{INDENT * depth}{code.closing}{behind}")
    return "\n".join(lines)


def lay_out_equal(left: str, right: Code, *, width: int, depth: int) -> str:
    """Write `assert left == right`. A text that is too long goes into brackets of its own, as formatters put it."""
    if not isinstance(right, Atom):
        return lay_out(right, width=width, depth=depth, before=f"assert {left} == ")
    inner, outer = INDENT * (depth + 1), INDENT * depth
    flat = f"{left} == {right.text}"
    if measure(f"{outer}assert {flat}") <= width:
        return f"assert {flat}"
    if measure(f"{inner}{flat}") <= width:
        return f"assert (\n{inner}{flat}\n{outer})"
    return f"assert (\n{inner}{left}\n{inner}== {right.text}\n{outer})"


def quote(text: str, *, mark: str = '"') -> str:
    """Write a text as formatters do: with `mark`, unless the other one needs fewer backslashes."""
    other = "'" if mark == '"' else '"'
    if text.count(mark) > text.count(other):
        mark = other
    return mark + "".join(_escape(c, mark) for c in text) + mark


def quote_bytes(data: bytes, *, mark: str = '"') -> str:
    text = data.decode("latin-1")
    other = "'" if mark == '"' else '"'
    if text.count(mark) > text.count(other):
        mark = other
    return "b" + mark + "".join(_escape_byte(c, mark) for c in text) + mark


def _escape(character: str, mark: str) -> str:
    if character in (mark, "\\"):
        return f"\\{character}"
    return character if character in "\"'" else repr(character)[1:-1]


def _escape_byte(character: str, mark: str) -> str:
    return _escape(character, mark) if character < "\x7f" else f"\\x{ord(character):02x}"
