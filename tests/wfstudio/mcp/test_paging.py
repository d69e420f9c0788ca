"""Paging: no answer is long, nothing is left out between two pages, and what is cut says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wfstudio.core.errors import UsageError
from wfstudio.core.views import ErrorView
from wfstudio.mcp.paging import CAP, cut, make_page, read_offset


def size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def pages(items: list[Any], fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask for page after page, as an agent would."""
    found, offset = list[dict[str, Any]](), 0
    while True:
        cursors = [str(place) for place in range(offset + 1, len(items))] + [""]
        page = make_page(fields, "items", items[offset:], cursors)
        found.append(page)
        if page["cursor"] is None:
            return found
        assert int(page["cursor"]) > offset, "a page shows at least one item"
        offset = int(page["cursor"])


@pytest.mark.parametrize("length", [1, 50, 1_000, 9_000])
def test_pages_are_short_and_together_they_are_all(length: int) -> None:
    items = [f"{number:04}" + "ä" * length for number in range(60)]
    found = pages(items, {"run": {"id": "r"}})
    assert all(size(page) <= CAP for page in found)
    shown = [item for page in found for item in page["items"]]
    assert [text[:4] for text in shown] == [text[:4] for text in items]
    assert len(found) == 1 or length > 1


def test_a_page_of_nothing_has_no_cursor() -> None:
    assert make_page({}, "items", [], []) == {"items": [], "cursor": None}


def test_what_fits_is_not_touched() -> None:
    view = ErrorView(type="ValueError", message="no", cause=ErrorView(type="OSError"))
    assert cut(view, CAP)["cause"]["type"] == "OSError"


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1_000_000,
        ["x" * 300] * 10_000,
        {f"key {number}": "y" * 200 for number in range(10_000)},
        {"k" * 100_000: 1},
        [[["z" * 5_000] * 10] * 10] * 10,
        list(range(100_000)),
    ],
    ids=["text", "list", "object", "key", "nested", "numbers"],
)
def test_what_is_too_long_is_cut_to_the_budget(value: Any) -> None:
    assert size(cut(value, 3_000)) <= 3_000


def test_what_is_cut_says_how_much_there_was() -> None:
    assert cut({"traceback": "t" * 5_000}, 4_500) == {"traceback": "t" * 4_000 + "… (5000 characters)"}
    assert cut(list(range(5_000)), 1_000)[-1] == {"$more": 4_800}


@pytest.mark.parametrize("cursor", ["-1", "x", "", "1" * 40, "²"])
def test_a_cursor_of_something_else_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="is of no page of this"):
        read_offset(cursor)
