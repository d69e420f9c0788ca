"""The inspector: what is known of a run, of a step, of any other call."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from tests.wfstudio.studio import open_studio, rest, run
from tests.wfstudio.tui.spans import ORDER, span
from wfstudio.core.client import Client
from wfstudio.core.followed import FollowedRun
from wfstudio.core.views import ChunkView, EventView, LogView, StreamView
from wfstudio.text.pen import Pen
from wfstudio.tui.inspection import Found, draw_streams, inspect_span, list_logs

PEN = Pen(width=60, has_colour=False, now=datetime(2100, 1, 1, tzinfo=UTC))


async def inspect(client: Client, run_id: str, kind: str) -> str:
    """Inspect the first span of a kind of a run."""
    followed = FollowedRun(client, run_id)
    await followed.look()
    found = next(one for one in followed.trace.spans if one.kind == kind)
    number = found.correlation_id or 0
    if kind == "run":
        given = Found(found, followed.trace, run=await client.get_run(run_id))
    elif kind == "step":
        logs = await followed.read_logs_of(number)
        given = Found(found, followed.trace, step=followed.show_step(number), logs=logs)
    else:
        events = [followed.show_event(event) for event in followed.events_of(number)]
        given = Found(found, followed.trace, events=events)
    return "\n".join(inspect_span(PEN, given))


async def test_a_run_shows_what_went_in_and_came_out() -> None:
    async with open_studio() as client:
        text = await inspect(client, (await run(client, "greet", "ada", times=2)).id, "run")
    assert text.startswith("✓ completed  studio.greet\n")
    assert "  attributes  name=ada\n" in text
    assert text.endswith('input\n  {"name":"ada","times":2}\n\noutput\n  ["hello, ada","hello, ada"]')


async def test_a_failed_run_shows_the_traceback_before_its_input() -> None:
    async with open_studio() as client:
        text = await inspect(client, (await run(client, "fail", "no money")).id, "run")
    assert "Traceback (most recent call last):" in text
    assert text.index("ValueError: no money") < text.index("\ninput\n")


async def test_a_step_shows_its_attempts_and_what_they_printed() -> None:
    async with open_studio() as client:
        retried = await inspect(client, (await run(client, "retry")).id, "step")
        greeted = await inspect(client, (await run(client, "greet", "ada")).id, "step")
    assert re.search(r"attempts\n  1  ✗ failed  [\d.]+ ms  OSError: attempt 1\n  2  ✗ failed ", retried)
    assert "\n  3  ✓ completed " in retried
    assert "attempts" not in greeted, "one that went well says nothing that is not said already"
    assert greeted.endswith("printed\n  greeting ada\n  WARNING about ada")


async def test_a_hook_shows_what_it_waits_for_and_what_it_was_sent() -> None:
    async with open_studio() as client:
        waiting = await rest(client, (await client.start("studio.approve", ["docs"])).id)
        before = await inspect(client, waiting.id, "hook")
        await client.resume("site:docs", {"approved": True, "note": "well done"})
        await client.wait_for_end(waiting.id, 10)
        after = await inspect(client, waiting.id, "hook")
    assert "hook_created  event 3" in before
    assert '"token": "site:docs"' in before
    assert "hook_received" not in before
    assert '{"approved":true,"note":"well done"}' in after


def test_payloads_without_their_key_are_said_to_be_locked() -> None:
    event = EventView(seq=4, type="wait_created", at="2026-01-01T00:00:00Z", is_locked=True)
    sleep = span("4", "sleep", ("waiting", 0, 1), kind="sleep")
    assert inspect_span(PEN, Found(sleep, ORDER, events=[event]))[-1] == "  locked: its key is not here"


HOSTILE = "\x1b[2J\u202egnp.exe\x07"


def log(text: str, source: str = "stdout", number: int = 1, attempt: int = 1) -> LogView:
    return LogView(
        position=f"{number}:{attempt}:0:0", at="2026-01-01T00:00:00Z", run_id="wrun_1", correlation_id=number,
        attempt=attempt, source=source, text=text,
    )  # fmt: skip


def test_logs_say_which_attempt_they_are_of() -> None:
    lines = [log("one"), log("two", "logging:ERROR", 12, 2)]
    assert list_logs(PEN, lines, is_cut=False) == ["   1:1  one", "  12:2  ERROR two"]
    assert list_logs(PEN, lines, is_cut=True)[-1] == "`wf logs` has all of it"
    assert "printed nothing" in list_logs(PEN, [], is_cut=False)[0]


def chunk(index: int, value: object, **facts: bool) -> ChunkView:
    return ChunkView(index=index, at="2026-01-01T00:00:00Z", value=value, **facts)


def test_texts_of_a_stream_are_one_text_and_values_are_json() -> None:
    stream = StreamView(run_id="wrun_1", name="default", tail_index=9, is_closed=True)
    chunks = [chunk(6, "Once "), chunk(7, "upon\na time"), chunk(8, {"n": 1}), chunk(9, None, is_locked=True)]
    assert draw_streams(PEN, [stream], {"default": chunks}) == [
        "default  10 chunks, closed",
        "  … 6 before these",
        "  Once upon",
        "  a time",
        '  {"n":1}',
        "  locked: its key is not here",
        "",
    ]


def test_nothing_that_users_wrote_steers_a_terminal() -> None:
    stream = StreamView(run_id="wrun_1", name=HOSTILE, tail_index=0, is_closed=False)
    event = EventView(seq=1, type="hook_created", at="2026-01-01T00:00:00Z", meta={HOSTILE: 1}, payload=HOSTILE)
    hook = span("1", HOSTILE, ("waiting", 0, 1), kind="hook")
    lines = [
        *list_logs(PEN, [log(HOSTILE)], is_cut=False),
        *draw_streams(PEN, [stream], {HOSTILE: [chunk(0, HOSTILE)]}),
        *inspect_span(PEN, Found(hook, ORDER, events=[event])),
    ]
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("width", [30, 60, 120])
def test_long_lines_are_broken_and_none_is_lost(width: int) -> None:
    pen = Pen(width=width, has_colour=False)
    lines = list_logs(pen, [log("word " * 100)], is_cut=False)
    assert " ".join(lines).split().count("word") == 100
    assert max(map(len, lines)) <= width + 4
