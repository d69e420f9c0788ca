"""Paging: answers that fit into an agent's context, and the cursor that asks for the rest.

1. No answer is longer than `CAP` bytes of JSON, whatever a run's payloads, tracebacks or names are.
2. A list ends before the item that would not fit, and its cursor goes on with that one. So an item is left out of
   a page only to be the first of the next.
3. What is too long by itself is cut where it is long: texts end in `… (N characters)`, lists and objects in
   `{"$more": N}`. A payload that is not shown is `{"$large": bytes}`, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from wfstudio.core.errors import UsageError

CAP: Final = 20_000
SHOWN_BYTES: Final = 2_000
"""What is shown of a payload unless more is asked for."""

_SPARE: Final = 200
"""For the cursor, and what JSON puts between items."""

_CUTS: Final = ((4_000, 200), (1_000, 50), (300, 20), (80, 5), (30, 2))
"""Characters of a text and items of a list that are kept, the first that fit."""

_encode: Final = msgspec.json.Encoder().encode


def make_page(fields: dict[str, Any], name: str, items: Sequence[Any], cursors: Sequence[str]) -> dict[str, Any]:
    """Give `fields` with as many of the `items` under `name` as fit, and the `cursor` that goes on behind them.

    `cursors[i]` asks for what comes behind `items[i]`; the last one is empty where nothing does.
    """
    head = cut(fields, CAP // 2)
    left = CAP - _SPARE - len(_encode(head))
    shown: list[Any] = []
    for item in items:
        found = cut(item, CAP // 2)
        left -= len(_encode(found)) + 1
        if left < 0 and shown:
            break
        shown.append(found)
    return {**head, name: shown, "cursor": (cursors[len(shown) - 1] or None) if shown else None}


def cut(value: Any, budget: int) -> Any:
    """Give a view as plain JSON of at most so many bytes."""
    plain = msgspec.to_builtins(value)
    size = len(_encode(plain))
    if size <= budget:
        return plain
    for characters, count in _CUTS:
        found = _shorten(plain, characters, count)
        if len(_encode(found)) <= budget:
            return found
    return {"$large": size}


def _shorten(value: Any, characters: int, count: int) -> Any:
    match value:
        case str() if len(value) > characters:
            return f"{value[:characters]}… ({len(value)} characters)"
        case list():
            shown = [_shorten(item, characters, count) for item in value[:count]]
            return [*shown, {"$more": len(value) - count}] if len(value) > count else shown
        case dict():
            kept = {
                str(_shorten(key, characters, count)): _shorten(item, characters, count)
                for key, item in list(value.items())[: max(count, _FIELDS)]
            }
            more = len(value) - max(count, _FIELDS)
            return {**kept, "$more": more} if more > 0 else kept
    return value


_FIELDS: Final = 30
"""Objects keep at least so many fields: no view has more, and what is missing of one would mislead."""


def read_offset(cursor: str | None) -> int:
    """Read a cursor that is a number."""
    if cursor is None:
        return 0
    if not cursor.isdecimal() or len(cursor) > 15:
        raise UsageError(f"the cursor {cursor!r:.80} is of no page of this", "give the `cursor` of the answer before")
    return int(cursor)
