"""Runs that are followed: only what is new is read, and what is kept says the same as reading all of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wfstudio.studio import open_studio, rest, run, until
from wf.errors import RunNotFoundError
from wfstudio.core.followed import FollowedRun


async def test_what_was_followed_is_what_reading_it_all_gives() -> None:
    async with open_studio() as client:
        started = await rest(client, (await client.start("order", [["tea", "milk"]])).id, "waiting")
        followed = FollowedRun(client, started.id)
        assert await followed.look()
        assert followed.trace == await client.read_trace(started.id)
        before = len(followed.log)
        await client.resume("order:tea+milk", {"approved": True})
        await client.wait_for_end(started.id, 10)
        assert await followed.look()
        assert followed.trace == await client.read_trace(started.id)
        assert len(followed.log) > before
        assert followed.trace.status == "completed"


async def test_nothing_new_is_said_to_be_nothing_new() -> None:
    async with open_studio() as client:
        followed = FollowedRun(client, (await run(client, "greet", "ada")).id)
        assert await followed.look()
        assert not await followed.look()


async def test_a_step_and_an_event_are_opened_when_they_are_asked_for() -> None:
    async with open_studio() as client:
        ended = await run(client, "retry")
        followed = FollowedRun(client, ended.id)
        await followed.look()
        [step] = await client.list_steps(ended.id)
        assert followed.show_step(step.correlation_id) == step
        assert followed.show_step(99) is None
        seen = await client.list_events(ended.id)
        assert [followed.show_event(event) for event in followed.log] == seen
        assert [event.seq for event in followed.events_of(1)] == [e.seq for e in seen if e.correlation_id == 1]


async def test_a_run_that_is_none_is_an_error() -> None:
    async with open_studio() as client:
        with pytest.raises(RunNotFoundError):
            await FollowedRun(client, "wrun_none").look()


async def test_a_loser_that_ends_after_its_run_is_still_seen() -> None:
    async with open_studio() as client:
        started = await client.start("busy", [60])
        followed = FollowedRun(client, started.id)

        async def has_begun() -> bool:
            await followed.look()
            return any(span.kind == "step" and span.status == "running" for span in followed.trace.spans)

        await until(has_begun)
        await client.cancel(started.id, force=True)
        await client.wait_for_end(started.id, 10)
        await followed.look()
        assert followed.trace.status == "cancelled"
        assert followed.trace == await client.read_trace(started.id)


async def test_what_a_call_printed_is_read_by_itself() -> None:
    async with open_studio() as client:
        ended = await run(client, "greet", "ada", times=2)
        followed = FollowedRun(client, ended.id)
        await followed.look()
        steps = [span for span in followed.trace.spans if span.kind == "step"]
        found = [await followed.read_logs_of(int(step.id)) for step in steps]
        assert [line for lines in found for line in lines] == await client.read_logs(ended.id)
        assert {line.text for line in found[0]} == {"greeting ada", "about ada"}


async def test_a_sleep_that_ends_while_it_is_looked_at_is_not_shown_as_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_studio() as client:
        started = await rest(client, (await client.start("nap", [3600])).id, "sleeping")
        world, followed = client.session.world, FollowedRun(client, started.id)
        list_waits = world.list_waits

        async def list_later(run_id: str | None = None, limit: int = 1000) -> Any:
            """List the waits after the log was read and the sleep was ended."""
            await client.wake(started.id)
            await client.wait_for_end(started.id, 10)
            return await list_waits(run_id, limit)

        monkeypatch.setattr(world, "list_waits", list_later)
        await followed.look()
        [sleep] = [span for span in followed.trace.spans if span.kind == "sleep"]
        assert sleep.status == "completed"
