"""The language of filters, and what fits."""

from __future__ import annotations

import pytest

from wfstudio.tui.filters import Filter, make_test, read_filter
from wfstudio.tui.listed import Listed

NOW = 1_767_355_200_000_000
HOUR = 3_600_000_000


def run(**fields: object) -> Listed:
    given = {
        "run_id": "wrun_01",
        "workflow": "shop.flows:fulfil",
        "status": "completed",
        "created_at": NOW - 2 * HOUR,
        "started_at": NOW,
        "ended_at": None,
        "seq": 3,
        "attributes": "tenant=acme corp\nregion=eu",
        **fields,
    }
    return Listed(**given)


def test_everything_that_can_be_asked_is_read() -> None:
    text = 'status:failed,cancelled workflow:fulfil attr:"tenant=acme corp" after:1h before:2026-01-02T12:00:00Z'
    assert read_filter(f"{text} late Order", NOW) == (
        Filter(
            statuses=("failed", "cancelled"),
            workflow="fulfil",
            attributes=("tenant=acme corp",),
            after=NOW - HOUR,
            before=NOW,
            words=("late", "order"),
        ),
        None,
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("status:done", "no status is called 'done'; there are pending, running, completed, failed, cancelled"),
        ("status:", "status: has no value yet"),
        ("attr:tenant", "attr:tenant is not like attr:key=value"),
        ("after:soon", "after:soon is no time; write 1h, 2d or 2026-01-02T03:04:05Z"),
        ("before:99999999d", "before:99999999d is no time; write 1h, 2d or 2026-01-02T03:04:05Z"),
    ],
)
def test_what_the_language_does_not_know_is_said_and_left_out(text: str, problem: str) -> None:
    found, said = read_filter(f"{text} word", NOW)
    assert said == problem
    assert found == Filter(words=("word",))


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True),
        ("status:completed", True),
        ("status:failed,completed", True),
        ("status:failed", False),
        ("workflow:fulfil", True),
        ("workflow:shop.flows:fulfil", True),
        ("workflow:fil", False),
        ('attr:"tenant=acme corp"', True),
        ("attr:region=eu", True),
        ("attr:region=e", False),
        ("after:3h", True),
        ("after:1h", False),
        ("before:1h", True),
        ("before:3h", False),
        ("acme", True),
        ("ACME fulfil", True),
        ("acme nowhere", False),
        ("http://x", False),
        ("!status:failed", True),
        ("!status:completed", False),
        ("! acme", False),
        ('"acme corp"', True),
    ],
)
def test_a_run_fits_or_it_does_not(text: str, fits: bool) -> None:
    found, problem = read_filter(text, NOW)
    test = make_test(found)
    assert problem is None
    assert (test is None or test(run())) is fits


def test_errors_only_leaves_what_failed_and_what_needs_attention() -> None:
    test = make_test(Filter(), is_errors_only=True)
    assert test is not None
    assert test(run(status="failed"))
    assert test(run(status="running", attention="NONDETERMINISM"))
    assert not test(run())
    both = make_test(Filter(words=("fulfil",), is_inverse=True), is_errors_only=True)
    assert both is not None
    assert not both(run(status="failed"))
    assert both(run(status="failed", workflow="other"))


def test_a_filter_that_asks_nothing_costs_nothing() -> None:
    assert make_test(read_filter("  ", NOW)[0]) is None
    assert make_test(read_filter("!", NOW)[0]) is None
