"""Origins: where runs came from that did not run here, and what that forbids."""

from __future__ import annotations

import pytest

from wf.origin import Origin, read_origin, say_unreplayable, write_origin


@pytest.mark.parametrize(
    ("text", "origin", "reason"),
    [
        ("bundle:order.wf.zip", Origin("bundle", "order.wf.zip"), None),
        ("redacted:a:b", Origin("redacted", "a:b"), "its payloads were left out of the bundle that it came in"),
        (
            "vercel:shop/.workflow-data",
            Origin("vercel", "shop/.workflow-data"),
            "it ran on another runtime, and its log here is a translation",
        ),
        ("tomorrow:x", Origin(None, "tomorrow:x"), "it was imported by another version of wf"),
        ("", Origin(None, ""), "it was imported by another version of wf"),
    ],
)
def test_an_origin_says_where_a_run_came_from_and_what_that_forbids(
    text: str, origin: Origin, reason: str | None
) -> None:
    assert read_origin(text) == origin
    assert say_unreplayable(text) == reason
    if origin.kind is not None:
        assert write_origin(origin.kind, origin.name) == text


def test_a_run_of_ones_own_has_none() -> None:
    assert say_unreplayable(None) is None
    assert write_origin("bundle", "x" * 1000) == "bundle:" + "x" * 200
