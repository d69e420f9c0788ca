"""The client on a real world with a real worker: what it reads, what it does, what it refuses."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.jumping import jump
from tests.wfstudio.studio import DEPLOYMENT, DIGEST, SOURCE, WORLDS, flows, keep_code, open_studio, rest, run, until
from wf.errors import (
    FatalError,
    HookNotFoundError,
    NotRegisteredError,
    RunNotFoundError,
    ValidationError,
)
from wf.forking import ForkError
from wf.keys import Keyring
from wf.session import Session
from wf.settings import Settings
from wf.world import Attention, Doorbell
from wf.worlds.memory import MemoryWorld
from wfstudio.core import reading
from wfstudio.core.client import Client
from wfstudio.core.errors import ConflictError, NotFoundError, UsageError
from wfstudio.core.views import RunQuery


@pytest.fixture(params=WORLDS)
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return lambda **options: open_studio(request.param, tmp_path, **options)


async def test_a_run_is_shown_with_what_went_in_and_what_came_out(studio: Any) -> None:
    async with studio() as client:
        view = await run(client, "greet", "ada", times=2)
        assert (view.workflow, view.status, view.reason) == ("studio.greet", "completed", None)
        assert view.input == {"name": "ada", "times": 2}
        assert view.output == ["hello, ada", "hello, ada"]
        assert view.attributes == {"name": "ada"}
        assert view.deployment_id == DEPLOYMENT
        assert view.error is None
        assert not view.is_locked
        assert view.created_at.endswith("Z")
        assert len(view.created_at) == len("2026-01-02T03:04:05.000006Z")
        assert view.duration_ms is not None
        assert view.duration_ms > 0
        assert view.events == 8


async def test_a_failed_run_shows_the_exception_with_the_users_frames(studio: Any) -> None:
    async with studio() as client:
        view = await run(client, "fail", "no money")
        assert view.status == "failed"
        assert view.error is not None
        assert (view.error.type, view.error.message, view.error.code) == ("ValueError", "no money", "USER_ERROR")
        assert "flows.py" in (view.error.traceback or "")
        assert view.output is None


async def test_a_run_that_rests_says_what_it_waits_for(studio: Any) -> None:
    async with studio() as client:
        hook = await client.start("approve", ["42"])
        assert (await rest(client, hook.id)).reason == "waiting for hook site:42"
        sleep = await client.start("nap")
        view = await rest(client, sleep.id)
        [wait] = await client.list_waits(sleep.id)
        assert (wait.kind, view.reason) == ("sleep", f"sleeping until {wait.due_at}")
        patient = await client.start("retry", [], {"is_patient": True})
        assert (await rest(client, patient.id)).reason.startswith("retrying studio.patient at 20")
        holder = await client.start("guard", ["printer"])
        await rest(client, holder.id, "waiting for hook")
        queued = await client.start("guard", ["printer"])
        assert (await rest(client, queued.id)).reason == "waiting for lock printer"
        delayed = await client.start("nap", delay="1h")
        assert delayed.reason is not None
        assert (delayed.status, delayed.reason[:10]) == ("pending", "starts at ")
        busy = await client.start("busy")
        await until(lambda: client.list_steps(busy.id))
        assert (await client.get_run(busy.id)).reason is None
        listed = {item.id: item.reason for item in (await client.list_runs(RunQuery())).items}
        assert listed[hook.id] == "waiting for hook site:42"
        assert listed[busy.id] is None


async def test_a_run_without_its_code_needs_attention(studio: Any) -> None:
    async with studio() as client:
        known = await client.start("nap", id="mine")
        row = msgspec.structs.replace(await client._read_row(known.id), status="running", attention=None)
        assert row.run_id == "mine"
        ill = msgspec.structs.replace(row, attention=Attention("NOT_REGISTERED", "no workflow is registered as x"))
        view = await client._show_run(ill, is_locked=False)
        assert view.reason == "needs attention: no workflow is registered as x"
        assert view.attention is not None
        assert view.attention.code == "NOT_REGISTERED"


async def test_runs_are_listed_newest_first_by_pages_and_filters(studio: Any) -> None:
    async with studio() as client:
        names = ["a", "b", "c", "d", "e"]
        ids = [(await run(client, "greet", name)).id for name in names]
        nap = (await client.start("nap", attributes={"tenant": "acme"})).id
        await rest(client, nap)
        first = await client.list_runs(RunQuery(limit=4))
        assert [item.id for item in first.items] == [nap, *ids[:1:-1]][:4]
        second = await client.list_runs(RunQuery(limit=4, cursor=first.cursor))
        assert ([item.id for item in second.items], second.cursor) == (ids[1::-1], None)
        last = await client.list_runs(RunQuery(cursor=ids[0]))
        assert (last.items, last.cursor) == ([], None)
        with pytest.raises(UsageError, match=r"^the cursor 'wrun_gone' is of no run that is there$"):
            await client.list_runs(RunQuery(cursor="wrun_gone"))
        assert [i.id for i in (await client.list_runs(RunQuery(attributes={"tenant": "acme"}))).items] == [nap]
        assert [i.id for i in (await client.list_runs(RunQuery(status=["running"]))).items] == [nap]
        assert len((await client.list_runs(RunQuery(workflow="studio.greet"))).items) == 5
        assert first.items[1].input is None, "a list opens no payload"
        future = datetime.now(UTC) + timedelta(hours=1)
        assert (await client.list_runs(RunQuery(since=future))).items == []
        assert len((await client.list_runs(RunQuery(until=future))).items) == 6


@pytest.mark.parametrize("query", [{"status": ["finished"]}, {"limit": 0}, {"limit": 10_001}])
async def test_a_query_that_is_none_is_refused(query: dict) -> None:
    async with open_studio() as client:
        with pytest.raises(UsageError):
            await client.list_runs(RunQuery(**query))


async def test_events_are_shown_with_their_payloads(studio: Any) -> None:
    async with studio() as client:
        view = await run(client, "greet", "ada")
        events = await client.list_events(view.id)
        assert [event.type for event in events] == [
            "run_created", "run_started", "attributes_set", "step_created", "step_completed", "run_completed",
        ]  # fmt: skip
        assert (events[3].name, events[3].payload, events[3].correlation_id) == ("studio.greet_one", {"name": "ada"}, 2)
        assert events[2].meta == {"set": {"name": "ada"}}
        assert [event.seq for event in await client.list_events(view.id, after_seq=2, limit=2)] == [3, 4]
        locked = await client.list_events(view.id, is_locked=True)
        assert [event.is_locked for event in locked] == [True, False, False, True, True, True]
        assert all(event.payload is None for event in locked)


async def test_steps_are_shown_with_their_attempts(studio: Any) -> None:
    async with studio() as client:
        view = await run(client, "retry")
        [step] = await client.list_steps(view.id)
        assert (step.id, step.name, step.status, step.output) == (f"{view.id}:1", "studio.flaky", "completed", 3)
        assert [(a.number, a.status, a.error and a.error.message) for a in step.attempts] == [
            (1, "failed", "attempt 1"),
            (2, "failed", "attempt 2"),
            (3, "completed", None),
        ]
        assert step.error is None
        assert step.input == {}
        assert step.created_at == step.started_at == step.attempts[0].started_at
        failed = await run(client, "fail", "x")
        [step] = await client.list_steps(failed.id)
        assert (step.status, step.error and step.error.type, step.output) == ("failed", "ValueError", None)
        [step] = await client.list_steps(failed.id, is_locked=True)
        assert (step.is_locked, step.input, step.error and step.error.type) == (True, None, "builtins.ValueError")
        many = await run(client, "greet", "ada", times=5)
        assert [step.correlation_id for step in await client.list_steps(many.id, after=3, limit=2)] == [4, 5]


async def test_a_trace_shows_the_run_with_logs_and_streams(studio: Any) -> None:
    async with studio() as client:
        view = await run(client, "stream", 2)
        trace = await client.read_trace(view.id)
        assert [span.kind for span in trace.spans] == ["run", "step"]
        assert [mark.kind for mark in trace.markers] == ["stream_opened", "stream_closed"]
        assert trace.status == "completed"
        greeted = await client.read_trace((await run(client, "greet", "ada")).id)
        assert [(mark.kind, mark.span_id) for mark in greeted.markers] == [("attributes", "run"), ("log", "2")]


async def test_a_list_says_of_which_class_a_failed_runs_exception_was(studio: Any) -> None:
    async with studio() as client:
        failed = await run(client, "fail", "no money")
        for _ in range(2):  # read, and remembered
            [listed] = (await client.list_runs(RunQuery())).items
            assert listed.error is not None
            assert (listed.error.type, listed.error.code) == ("ValueError", "USER_ERROR")
            assert (listed.error.message, listed.error.traceback) == (None, None)
        whole = await client.get_run(failed.id)
        assert whole.error is not None
        assert whole.error.type == listed.error.type


async def test_what_no_event_tells_of_a_timeline_is_had_apart_and_is_the_same(studio: Any) -> None:
    async with studio() as client:
        for name, *args in (("stream", 2), ("greet", "ada")):
            view = await run(client, name, *args)
            trace = await client.read_trace(view.id)
            beside = await client.read_marks_beside(view.id)
            told = [(mark.kind, mark.at, mark.data) for mark in trace.markers if mark.seq is None]
            assert sorted(told, key=str) == sorted(((one.kind, one.at, one.data) for one in beside.items), key=str)
            assert told
            assert (beside.seq, beside.pending_waits) == (trace.seq, [])
        resting = await client.start("nap")
        await rest(client, resting.id)
        assert (await client.read_marks_beside(resting.id)).pending_waits == [1]
        with pytest.raises(RunNotFoundError):
            await client.read_marks_beside("wrun_nobody")


async def test_a_hook_is_listed_resumed_and_gone(studio: Any) -> None:
    async with studio() as client:
        started = await client.start("approve", ["42"])
        await rest(client, started.id)
        [hook] = await client.list_hooks()
        assert (hook.token, hook.run_id, hook.kind, hook.metadata) == ("site:42", started.id, "hook", {"site": "42"})
        assert hook.schema is not None
        assert hook.path is None
        with pytest.raises(ValidationError, match="approved"):
            await client.resume("site:42", {"approved": "yes"})
        assert (await client.resume("site:42", {"approved": True})).token == "site:42"
        assert (await client.wait_for_end(started.id, 10)).output == "live"
        assert await client.list_hooks(started.id) == []
        with pytest.raises(HookNotFoundError):
            await client.resume("site:42", {"approved": True})
        for odd in ("", "x" * 2000, "\ud800"):
            with pytest.raises(HookNotFoundError):
                await client.resume(odd, {})


async def test_a_webhook_says_its_path(studio: Any) -> None:
    async with studio() as client:
        started = await client.start("receive", ["a/b"])
        await rest(client, started.id)
        [hook] = await client.list_hooks(started.id)
        assert (hook.kind, hook.path) == ("webhook", "/hooks/a%2Fb")


async def test_a_run_is_cancelled_woken_and_waited_for(studio: Any) -> None:
    async with studio() as client:
        nap = await client.start("nap")
        await rest(client, nap.id)
        assert await client.wake(nap.id) == 1
        assert (await client.wait_for_end(nap.id, 10)).output == "rested"
        assert await client.wake(nap.id) == 0
        other = await client.start("nap")
        await rest(client, other.id)
        await client.cancel(other.id, "enough")
        ended = await client.wait_for_end(other.id, 10)
        assert (ended.status, ended.output) == ("cancelled", "enough")
        third = await client.start("busy")
        await until(lambda: client.list_steps(third.id))
        assert (await client.cancel(third.id, force=True)).status == "cancelled"
        with pytest.raises(UsageError):
            await client.cancel(third.id, "x" * 513)
        waiting = await client.start("nap")
        with pytest.raises(TimeoutError):
            await client.wait_for_end(waiting.id, 0.01)


def test_who_waits_for_an_end_listens_once_however_often_it_is_rung() -> None:
    """Of a world that nobody serves whoever subscribes is rung: who did so whenever it was rung never rested."""

    class Unserved(MemoryWorld):
        subscribed = 0

        async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
            self.subscribed += 1
            asyncio.get_running_loop().call_later(0.1, ring, "")
            return await super().subscribe(topic, ring)

    async def body() -> None:
        world = Unserved()
        client = Client(Session(world, Keyring([os.urandom(32)]), Settings(Path())))
        await keep_code(client.session)
        waiting = await client.start("nap")
        with pytest.raises(TimeoutError):
            await client.wait_for_end(waiting.id, 20)
        assert world.subscribed == 1

    jump(body)


async def test_a_run_that_failed_is_tried_again_in_a_new_one(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "mended", set())
    async with studio() as client:
        failed = await run(client, "studio.mend", "door")
        assert failed.status == "failed"
        flows.mended.add("door")
        again = await client.retry(failed.id)
        assert (again.forked_from, again.deployment_id) == (failed.id, DEPLOYMENT)
        ended = await client.wait_for_end(again.id, 10)
        assert (ended.status, ended.output) == ("completed", ["hello, door", "door is mended"])
        trace = await client.read_trace(again.id)
        assert [(span.name, span.is_inherited) for span in trace.spans[1:]] == [
            ("studio.greet_one", True),
            ("studio.check_mended", False),
        ]
        kept, tried = await client.list_steps(again.id)
        [first, _] = await client.list_steps(failed.id)
        assert (kept.started_at, kept.ended_at) == (first.started_at, first.ended_at)
        assert (tried.ended_at or "") > again.created_at
        assert await client.read_logs(again.id) == []
        waiting = await client.start("nap")
        with pytest.raises(ForkError):
            await client.retry(waiting.id)


async def test_streams_are_read_from_any_index_and_followed_to_their_end(studio: Any) -> None:
    async with studio() as client:
        started = await client.start("stream", [3], {"waits_for": "more", "is_closing": False})
        await rest(client, started.id)
        [info] = await client.list_streams(started.id)
        assert (info.name, info.tail_index, info.is_closed) == ("default", 2, False)

        async def read(start: int = 0, **options: bool) -> list:
            return [chunk.value["n"] async for chunk in client.read_stream(started.id, "default", start, **options)]

        assert await read() == [0, 1, 2]
        assert await read(2) == [2]
        assert await read(-1) == [2]
        assert await read(9) == []
        following = asyncio.create_task(read(1, is_following=True))
        await client.resume("more", None)
        assert await asyncio.wait_for(following, 10) == [1, 2, 0, 1, 2]
        assert [chunk async for chunk in client.read_stream(started.id, "nothing")] == []


async def test_logs_are_read_by_pages_and_followed(studio: Any) -> None:
    async with studio() as client:
        started = await client.start("greet", ["ada"], {"times": 2})
        followed = [line.text async for line in client.follow_logs(started.id)]
        assert followed == ["greeting ada", "about ada"] * 2
        lines = await client.read_logs(started.id)
        assert [(line.source, line.text, line.correlation_id) for line in lines] == [
            ("stdout", "greeting ada", 2),
            ("logging:WARNING", "about ada", 2),
            ("stdout", "greeting ada", 3),
            ("logging:WARNING", "about ada", 3),
        ]
        page = await client.read_logs(started.id, limit=3)
        assert [line.position for line in page] == ["2:1:0:0", "2:1:0:1", "3:1:0:0"]
        assert await client.read_logs(started.id, after=page[-1].position) == lines[3:]
        again = [line.position async for line in client.follow_logs(started.id, after=page[0].position)]
        assert again == ["2:1:0:1", "3:1:0:0", "3:1:0:1"]
        with pytest.raises(UsageError):
            await client.read_logs(started.id, after="9:9:9:9")


async def test_a_batch_that_comes_later_is_behind_the_ones_that_were_there(studio: Any) -> None:
    """An attempt that began first and ends last has the oldest lines, and the last place."""
    async with studio() as client:
        started = await client.start("studio.overtake")
        await until(lambda: client.list_hooks(started.id))
        await until(lambda: client.read_logs(started.id))
        early = await client.read_logs(started.id)
        assert [line.text for line in early] == ["quick"]
        await client.resume("go on", None)
        await client.wait_for_end(started.id, 10)
        later = await client.read_logs(started.id, after=early[-1].position)
        assert [line.text for line in later] == ["slow begins"]
        assert later[0].at < early[0].at


async def test_events_are_followed_to_the_end_of_the_run(studio: Any) -> None:
    async with studio() as client:
        started = await client.start("approve", ["1"])

        async def follow() -> list[str]:
            return [event.type async for event in client.follow_events(started.id, 1)]

        following = asyncio.create_task(follow())
        await rest(client, started.id)
        await client.resume("site:1", {"approved": True})
        assert await asyncio.wait_for(following, 10) == [
            "run_started", "hook_created", "hook_received", "run_completed",
        ]  # fmt: skip


async def test_followers_are_rung_for_each_piece_of_news_and_need_not_look(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LOOK_SECONDS", 3600.0)
    async with studio() as client, asyncio.timeout(20):
        overtaken = await client.start("studio.overtake")
        lines, events = client.follow_logs(overtaken.id), client.follow_events(overtaken.id)
        assert (await anext(lines)).text == "quick"
        while (await anext(events)).type != "hook_created":
            pass
        coming = [asyncio.ensure_future(anext(lines)), asyncio.ensure_future(anext(events))]
        await asyncio.sleep(0)  # both have nothing to give now, and wait
        await client.resume("go on", None)
        line, event = await asyncio.gather(*coming)
        assert (line.text, event.type) == ("slow begins", "hook_received")
        rest_of_it = [event.type async for event in events]
        assert rest_of_it[-1] == "run_completed"
        assert [line async for line in lines] == []

        poured = await client.start("stream", [1], {"waits_for": "more", "is_closing": False})
        chunks = client.read_stream(poured.id, "default", is_following=True)
        assert (await anext(chunks)).index == 0
        next_one = asyncio.ensure_future(anext(chunks))
        await rest(client, poured.id)
        await client.resume("more", None)
        assert (await next_one).index == 1  # and the end of the run is the end of the stream
        assert [chunk async for chunk in chunks] == []


async def test_who_watches_a_run_hears_of_what_it_does_and_of_no_other_run(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LOOK_SECONDS", 3600.0)
    async with studio() as client, asyncio.timeout(20):
        started, other = await client.start("approve", ["1"]), await client.start("approve", ["2"])
        await rest(client, started.id)
        await rest(client, other.id)
        watching = client.watch_run(started.id)
        assert await anext(watching) == started.id  # at once: it may have changed before anybody listened
        coming = asyncio.ensure_future(anext(watching))
        await client.resume("site:2", {"approved": True})
        await client.wait_for_end(other.id, 10)
        assert not coming.done()
        await client.resume("site:1", {"approved": True})
        assert await coming == started.id
        while (await client.get_run(started.id)).status != "completed":
            assert await anext(watching) == started.id
        await watching.aclose()
        with pytest.raises(RunNotFoundError):
            await anext(client.follow_events("none"))


async def test_a_watcher_hears_of_runs_that_change(studio: Any) -> None:
    async with studio() as client:
        watching = client.watch()
        first = asyncio.ensure_future(anext(watching))
        await asyncio.sleep(0)
        started = await until_watched(client, first)
        assert await asyncio.wait_for(first, 10) in started
        await watching.aclose()  # type: ignore[attr-defined]


async def until_watched(client: Client, first: asyncio.Future[str]) -> list[str]:
    """Start runs until the watcher, whose subscription is under way, hears of one."""
    started = []
    while not first.done():
        started.append((await client.start("nap")).id)
        await asyncio.sleep(0)
    return started


async def test_workflows_are_known_without_their_code(studio: Any) -> None:
    async with studio() as client:
        found = {workflow.id: workflow for workflow in await client.list_workflows()}
        greet = found["studio.greet"]
        assert (greet.name, greet.doc, greet.file) == (
            "greet",
            "Greet somebody, several times.",
            "tests/wfstudio/flows.py",
        )
        assert [(p.name, p.kind, p.is_required, p.default) for p in greet.parameters] == [
            ("name", "positional", True, None),
            ("times", "positional", False, "1"),
            ("loud", "keyword", False, "False"),
        ]
        assert greet.deployment_id == DEPLOYMENT
        deployment = (await client.list_deployments())[0]
        assert deployment == await client.get_deployment(DEPLOYMENT)
        assert deployment.files == {"flows.py": DIGEST}
        assert "studio.nap" in deployment.workflows
        assert await client.read_source(DIGEST) == SOURCE
        assert await client.read_source("0" * 64) is None
        with pytest.raises(NotFoundError):
            await client.get_deployment("dep_none")


async def test_without_code_nothing_can_be_started() -> None:
    client = Client(Session(MemoryWorld(), Keyring([os.urandom(32)]), Settings(root=Path.cwd())))
    assert await client.list_workflows() == []
    with pytest.raises(NotRegisteredError) as caught:
        await client.start("greet", ["ada"])
    assert "start `wf dev`" in (caught.value.hint or "")


MISFITS: list[tuple[list, dict, str]] = [
    ([], {}, "the arguments do not fit greet: name is missing"),
    (["a", 1, True], {}, "3 arguments were given by place, and it takes 2"),
    (["a"], {"name": "b"}, "name is given twice, by place and by name"),
    (["a"], {"lowd": True}, "it has no parameter 'lowd'; did you mean loud?"),
    ([1], {}, "name: 1 is not of type 'string'"),
    (["a"], {"times": "2"}, "times: '2' is not of type 'integer'"),
]


@pytest.mark.parametrize(("args", "kwargs", "message"), MISFITS)
async def test_arguments_that_do_not_fit_start_nothing(args: list, kwargs: dict, message: str) -> None:
    async with open_studio() as client:
        with pytest.raises(ValidationError) as caught:
            await client.start("greet", args, kwargs)
        assert message in str(caught.value)
        assert caught.value.hint == "it is greet(name, times=1, loud=False)"
        assert (await client.list_runs(RunQuery())).items == []


async def test_arguments_are_recorded_as_a_call_would(studio: Any) -> None:
    async with studio() as client:
        view = await run(client, "studio.gather", 1, 2, 3, a="x")
        assert view.input == {"first": 1, "*rest": [2, 3], "**named": {"a": "x"}}
        assert view.output == [1, [2, 3], {"a": "x"}]
        by_name = await client.start("studio.gather", [], {"first": 1})
        assert by_name.input == {"first": 1}, "a form gives every parameter by name"


async def test_a_mistyped_workflow_names_the_close_ones(studio: Any) -> None:
    async with studio() as client:
        with pytest.raises(NotRegisteredError, match="close: greet"):
            await client.start("greeet", ["ada"])


async def test_an_id_starts_once_and_belongs_to_one_workflow(studio: Any) -> None:
    async with studio() as client:
        first = await client.start("nap", id="my/run:1@x")
        again = await client.start("nap", [1.0], id="my/run:1@x")
        assert (first.id, again.id, again.input) == ("my/run:1@x", "my/run:1@x", {})
        with pytest.raises(ConflictError, match=r"belongs to a run of studio.nap, not of studio.greet"):
            await client.start("greet", ["ada"], id="my/run:1@x")
        for odd in ("", "/x", "a b", "x" * 201, "é"):
            with pytest.raises(UsageError):
                await client.start("nap", id=odd)


async def test_bad_options_start_nothing() -> None:
    async with open_studio() as client:
        with pytest.raises(FatalError):
            await client.start("nap", attributes={"$own": "x"})
        with pytest.raises(UsageError):
            await client.start("nap", delay="soon")
        with pytest.raises(NotFoundError):
            await client.start("nap", deployment="dep_none")
        assert (await client.list_runs(RunQuery())).items == []


async def test_a_start_may_name_an_older_deployment(studio: Any) -> None:
    async with studio() as client:
        await keep_code(client.session, "dep_newer", leaves_out="studio.nap")
        with pytest.raises(NotRegisteredError):
            await client.start("nap")
        assert (await client.start("nap", deployment=DEPLOYMENT)).deployment_id == DEPLOYMENT
        assert (await client.start("greet", ["a"])).deployment_id == "dep_newer"


async def test_an_unknown_run_is_not_found(studio: Any) -> None:
    async with studio() as client:
        for ask in (client.get_run, client.list_events, client.read_trace, client.list_steps, client.list_hooks,
                    client.list_waits, client.list_streams, client.read_logs, client.cancel, client.wake, client.retry,
                    client.wait_for_end):  # fmt: skip
            with pytest.raises(RunNotFoundError):
                await ask("wrun_none")
            with pytest.raises(RunNotFoundError):
                await ask("no id\0at all")


async def test_without_the_key_everything_but_payloads_is_shown(studio: Any) -> None:
    async with studio() as client:
        done = await run(client, "greet", "ada")
        failed = await run(client, "fail", "secret words")
        waiting = await client.start("approve", ["42"])
        await rest(client, waiting.id)
        session = client.session
        blind = Client(Session(session.world, Keyring([os.urandom(32)]), session.settings))
        view = await blind.get_run(done.id)
        assert (view.status, view.is_locked, view.input, view.output) == ("completed", True, None, None)
        assert view.attention is not None
        assert view.attention.code == "DECRYPTION"
        assert (await blind.get_run(failed.id)).error.message is None  # type: ignore[union-attr]
        assert (await blind.get_run(waiting.id)).reason == "waiting for hook tests.wfstudio.flows:Approval"
        [hook] = await blind.list_hooks()
        assert (hook.is_locked, hook.token, hook.metadata) == (True, None, None)
        assert [step.status for step in await blind.list_steps(done.id)] == ["completed"]
        assert "cannot be opened" in (await blind.read_logs(done.id))[0].text
        assert len((await blind.read_trace(done.id)).spans) == 2
        assert (await blind.list_deployments())[0].workflows == []


async def test_a_locked_view_opens_nothing(studio: Any) -> None:
    async with studio() as client:
        done = await run(client, "greet", "ada")
        view = await client.get_run(done.id, is_locked=True)
        assert (view.is_locked, view.input, view.output, view.attention) == (True, None, None, None)
        waiting = await client.start("approve", ["the-secret-site"])
        await rest(client, waiting.id)
        assert "secret" not in str(await client.get_run(waiting.id, is_locked=True))
