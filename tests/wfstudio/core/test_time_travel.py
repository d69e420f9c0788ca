"""Time travel: a run as it was at any of its events, whoever asks, in whatever order."""

from __future__ import annotations

import asyncio
import os
import random
import re
from pathlib import Path

import msgspec
import pytest

import wf
from tests.wfstudio.recorded import Recording, own_modules, recording, serving, until
from wf.errors import RunNotFoundError
from wf.world import ImportedRun
from wf.worlds.memory import MemoryWorld
from wfstudio.core import time_travel
from wfstudio.core.bench.views import FrameView, MomentView, TaskView
from wfstudio.core.errors import BenchError, ConflictError, NotFoundError, UsageError


def task(view: MomentView, name: str = "main") -> TaskView:
    [found] = [task for task in view.tasks if task.name == name]
    return found


def frame(view: MomentView, name: str = "main") -> FrameView:
    return task(view, name).frames[-1]


def held(view: MomentView, name: str = "main") -> dict[str, str]:
    """Give the variables of a task's innermost frame with the sign of their change before them."""
    signs = {"new": "+", "changed": "*", None: ""}
    return {local.name: signs[local.change] + local.value.text for local in frame(view, name).locals}


def line(view: MomentView, name: str = "main") -> str:
    found = frame(view, name)
    [text] = [line.text for line in found.source if line.number == found.line]
    return text.strip()


def waits(view: MomentView, name: str = "main") -> str:
    awaits = task(view, name).awaits
    assert awaits is not None
    return awaits.text


async def test_each_event_shows_the_line_the_variables_and_what_is_awaited(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.rest("order", "ada")
        before = await found.read_everything(run_id)
        moments = [await found.replays.look(run_id, seq) for seq in range(1, 8)]
        assert [(view.seq, view.event.type) for view in moments] == [
            (1, "run_created"), (2, "run_started"), (3, "step_created"), (4, "step_completed"), (5, "step_created"),
            (6, "step_completed"), (7, "hook_created"),
        ]  # fmt: skip
        begun, first, second = moments[1], moments[3], moments[5]
        assert (moments[0].has_begun, moments[0].tasks) == (False, [])
        assert held(begun) == {"card": "'ada'", "total": "0", "number": "0"}
        assert held(first) == {
            "card": "'ada'",
            "total": "0",
            "number": "*1",
            "receipt": "+{'card': 'ada', 'amount': 0}",
        }
        assert held(second) == {
            "card": "'ada'", "total": "*1", "number": "1", "receipt": "*{'card': 'ada', 'amount': 1}",
        }  # fmt: skip
        assert [line(view) for view in (begun, first, second)] == [
            "receipt = await charge(card, number)",
            "receipt = await charge(card, number)",
            'word = await wf.hook(token=f"order:{card}")',
        ]
        assert [waits(view) for view in (begun, first, second)] == [
            "step flow:charge", "step flow:charge", "hook order:ada",
        ]  # fmt: skip
        assert frame(first).file == "flow.py"
        assert frame(first).function == "order"
        assert [(view.delivered_seq, view.before_seq) for view in moments[:6]] == [
            (None, None), (2, None), (2, None), (4, 2), (4, 2), (6, 4),
        ]  # fmt: skip
        assert await found.read_everything(run_id) == before


async def test_a_call_is_shown_with_the_line_that_made_it_and_moves_nothing(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.rest("order", "ada")
        delivery, call = await found.replays.look(run_id, 4), await found.replays.look(run_id, 5)
        assert (delivery.event.where, call.event.where) == (None, "flow.py:26 in order")
        assert call.tasks == delivery.tasks
        [step] = call.open_calls
        assert (step.correlation_id, step.kind, step.name, step.status, step.attempt) == (
            2,
            "step",
            "flow:charge",
            "running",
            1,
        )
        assert step.input == {"card": "ada", "amount": 1}
        assert delivery.open_calls[0].status == "queued"


async def test_a_moment_says_of_which_run_code_and_time_it_is(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.rest("order", "ada", attributes={"tenant": "acme"})
        view = await found.replays.look(run_id, "last")
        assert (view.run_id, view.workflow, view.status) == (run_id, "flow:order", "running")
        assert (view.deployment_id, view.is_own) == (found.session.deployment_id, True)
        assert (view.seq, view.events, view.reached_seq) == (7, 7, 7)
        assert view.attributes == {"tenant": "acme"}
        delivery = await found.replays.look(run_id, 6)
        assert view.now == delivery.event.at
        assert (view.trouble, view.end, view.is_plain) == (None, None, False)


async def test_moments_are_the_same_in_whatever_order_they_are_asked_for(tmp_path: Path) -> None:
    code = """
        import wf

        @wf.step
        async def put(number: int) -> list[int]:
            return [number]

        @wf.workflow
        async def many(count: int) -> None:
            seen = []
            for number in range(count):
                seen.append(await put(number))
            await wf.hook(token="many")
    """
    async with recording(tmp_path, code) as found:
        run_id = await found.rest("many", 700)
        row = await found.world.get_run(run_id)
        assert row is not None
        assert row.seq == 1403
        places = [1, 2, 3, 500, 501, 999, 1000, 1001, 1402, 1403]
        forwards = [await found.replays.look(run_id, seq) for seq in places]
        shuffled = places * 2
        random.Random(7).shuffle(shuffled)
        for seq in shuffled:
            assert await found.replays.look(run_id, seq) == forwards[places.index(seq)]
        together = await asyncio.gather(*(found.replays.look(run_id, seq) for seq in places))
        assert together == forwards
        assert held(forwards[4])["number"] == "*249"
        assert len(found.replays._time_travel._trips) == 1


# -- what a body may wait for -------------------------------------------------------------------

WAITS = """
    import asyncio
    import wf


    @wf.step
    async def work(n: int) -> int:
        return n


    @wf.step
    async def block() -> None:
        await asyncio.sleep(1000)


    class Box:
        async def inner(self, key: str) -> None:
            await wf.hook(token=f"inner:{key}")


    async def numbers():
        yield 1
        await wf.hook(token="numbers")
        yield 2


    class Awaitable:
        def __await__(self):
            return Box().inner("awaitable").__await__()


    @wf.workflow
    async def child() -> None:
        await wf.hook(token="child")


    @wf.workflow
    async def sleeps() -> None:
        await wf.sleep("1h")


    @wf.workflow
    async def naps() -> None:
        await asyncio.sleep(3600)


    @wf.workflow
    async def bounded() -> None:
        async with asyncio.timeout(3600):
            await wf.hook(token="bounded")


    @wf.workflow
    async def waited_for() -> None:
        await asyncio.wait_for(block(), 3600)


    @wf.workflow
    async def locks() -> None:
        async with wf.lock("door"):
            async with wf.lock("cellar"):
                await wf.hook(token="locks")


    @wf.workflow
    async def queues_for_lock() -> None:
        async with wf.lock("door"):
            pass


    @wf.workflow
    async def parent() -> None:
        await child()


    @wf.workflow
    async def gathers() -> None:
        await asyncio.gather(block(), Box().inner("gather"), wf.sleep("1h"))


    @wf.workflow
    async def groups() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(Box().inner("named"), name="the named one")
            group.create_task(Box().inner("other"))


    @wf.workflow
    async def nested() -> None:
        box = Box()
        await box.inner("nested")


    @wf.workflow
    async def iterates() -> None:
        async for number in numbers():
            last = number


    @wf.workflow
    async def awaits_object() -> None:
        await Awaitable()


    @wf.workflow
    async def queues() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue()
        task = asyncio.create_task(Box().inner("queue"), name="feeder")
        await queue.get()


    @wf.workflow
    async def waits_for_task() -> None:
        task = asyncio.create_task(Box().inner("task"), name="it")
        await task


    @wf.workflow
    async def waits_for_any() -> None:
        one = asyncio.create_task(Box().inner("one"), name="one")
        other = asyncio.create_task(Box().inner("other"), name="other")
        await asyncio.wait([one, other], return_when=asyncio.FIRST_COMPLETED)


    @wf.workflow
    async def streams() -> None:
        async for value in wf.read_stream("RUN"):
            pass
"""


@pytest.mark.parametrize(
    ("workflow", "expected"),
    [
        ("sleeps", {"main": r"a sleep until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"}),
        ("naps", {"main": r"a sleep until \d{4}-.* UTC"}),
        ("bounded", {"main": r"hook bounded, until \d{4}-.* UTC at most"}),
        ("waited_for", {"main": "step flow:block, until .* at most"}),
        ("locks", {"main": "hook locks"}),
        ("parent", {"main": r"run wrun_\w+ of flow:child"}),
        (
            "gathers",
            {
                "main": r"asyncio\.gather of flow:block #\d+, Box\.inner #\d+, sleep #\d+",
                "flow:block #*": "step flow:block",
                "Box.inner #*": "hook inner:gather",
                "sleep #*": "a sleep until .*",
            },
        ),
        (
            "groups",
            {
                "main": r"asyncio\.TaskGroup of the named one, Box\.inner #\d+",
                "the named one": "hook inner:named",
                "Box.inner #*": "hook inner:other",
            },
        ),
        ("nested", {"main": "hook inner:nested"}),
        ("iterates", {"main": "hook numbers"}),
        ("awaits_object", {"main": "hook inner:awaitable"}),
        ("queues", {"main": r"asyncio\.Queue\.get", "feeder": "hook inner:queue"}),
        ("waits_for_task", {"main": "task it", "it": "hook inner:task"}),
        (
            "waits_for_any",
            {"main": r"asyncio\.wait of one, other", "one": "hook inner:one", "other": "hook inner:other"},
        ),
    ],
)
async def test_what_each_coroutine_waits_for_is_said(tmp_path: Path, workflow: str, expected: dict[str, str]) -> None:
    async with recording(tmp_path, WAITS) as found:
        run = await found.start(workflow)
        # What a turn calls is committed together; only `locks` has to be granted something in between, twice.
        events = 7 if workflow == "locks" else 3
        await until(lambda: has_calls(found, run.run_id, events), "it has made its calls")
        view = await found.replays.look(run.run_id, "last")
        names = {re.sub(r"#\d+", "#*", one.name): one.awaits.text if one.awaits else "" for one in view.tasks}
        assert list(names) == list(expected)
        for name, pattern in expected.items():
            assert re.fullmatch(pattern, names[name]), (name, names[name])
        await found.client.cancel(run.run_id, force=True)


async def has_calls(found: Recording, run_id: str, events: int = 3) -> bool:
    row = await found.world.get_run(run_id)
    return row is not None and row.seq >= events


async def test_frames_go_inwards_through_helpers_generators_and_awaitables(tmp_path: Path) -> None:
    async with recording(tmp_path, WAITS) as found:
        expected = {
            "nested": ["nested", "Box.inner"],
            "iterates": ["iterates", "numbers"],
            "awaits_object": ["awaits_object", "Box.inner"],
        }
        for workflow, functions in expected.items():
            view = await found.replays.look(await found.rest(workflow), "last")
            assert [frame.function for frame in task(view).frames] == functions
        assert held(view)["key"] == "'awaitable'"


async def test_open_calls_are_listed_with_their_state(tmp_path: Path) -> None:
    async with recording(tmp_path, WAITS) as found:
        locks = await found.rest("locks")
        view = await found.replays.look(locks, "last")
        assert [(call.correlation_id, call.kind, call.name, call.status) for call in view.open_calls] == [
            (1, "lock", "door", "held"), (2, "lock", "cellar", "held"), (3, "hook", None, "waiting"),
        ]  # fmt: skip
        queued = await found.replays.look(await found.rest("queues_for_lock"), "last")
        assert (queued.open_calls[0].status, waits(queued)) == ("queued", "lock door")
        parent = await found.replays.look(await found.rest("parent"), "last")
        [call] = parent.open_calls
        assert (call.kind, call.name, call.status) == ("child", "flow:child", "waiting")
        assert call.run_id is not None
        bounded = await found.replays.look(await found.rest("bounded"), "last")
        assert [call.kind for call in bounded.open_calls] == ["deadline", "hook"]
        assert task(bounded).awaits is not None
        assert task(bounded).awaits.due_at == bounded.open_calls[0].due_at


async def test_a_retrying_step_and_a_kept_payload_are_open_calls(tmp_path: Path) -> None:
    code = """
        import asyncio
        import wf

        @wf.step(retry_delay="1h")
        async def fails() -> None:
            raise OSError("later")

        @wf.workflow
        async def patient() -> None:
            hook = wf.hook(token="kept")
            await fails()
    """
    async with recording(tmp_path, code) as found:
        run_id = await found.rest("patient")
        await wf.resume_hook("kept", 1)
        await until(lambda: reached(found, run_id, "hook_received"), "the payload is recorded")
        view = await found.replays.look(run_id, "last")
        hook, step = view.open_calls
        assert (hook.token, hook.status, hook.payloads) == ("kept", "received", 1)
        assert (step.status, step.attempt) == ("retrying", 1)
        assert step.due_at is not None


async def reached(found: Recording, run_id: str, type_: str) -> bool:
    return any(event.type == type_ for event in await found.world.read_events(run_id))


# -- how bodies end -----------------------------------------------------------------------------


async def test_a_run_that_failed_shows_the_frame_that_raised_and_its_variables(tmp_path: Path) -> None:
    code = """
        import wf

        @wf.step
        async def fetch() -> dict:
            return {"price": None}

        def add(total: int, row: dict) -> int:
            price = row["price"]
            return total + price

        @wf.workflow
        async def bill() -> int:
            total = 1
            return add(total, await fetch())
    """
    async with recording(tmp_path, code) as found:
        run_id = await found.run("bill")
        view = await found.replays.look(run_id, "last")
        assert (view.tasks, view.status) == ([], "failed")
        assert view.end is not None
        assert (view.end.kind, view.end.error) == (
            "raised", "TypeError(\"unsupported operand type(s) for +: 'int' and 'NoneType'\")",
        )  # fmt: skip
        assert [(frame.function, frame.line) for frame in view.end.frames] == [("bill", 14), ("add", 9)]
        assert {local.name: local.value.text for local in view.end.frames[1].locals} == {
            "total": "1", "row": "{'price': None}", "price": "None",
        }  # fmt: skip


async def test_a_step_that_failed_the_run_shows_the_line_that_called_it(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        view = await found.replays.look(await found.run("pay", "bad"), "last")
        assert view.end is not None
        assert view.end.error == "Declined('card bad')"
        assert [(frame.function, frame.file) for frame in view.end.frames] == [("pay", "flow.py")]
        assert {local.name: local.value.text for local in view.end.frames[0].locals} == {"card": "'bad'"}


async def test_a_run_that_completed_shows_its_value_and_one_before_its_end_where_it_stood(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        view = await found.replays.look(run_id, "last")
        assert view.end is not None
        assert (view.end.kind, view.end.value.text) == ("returned", "{'card': 'ada', 'amount': 3}")
        assert (await found.replays.look(run_id, 3)).end is None


async def test_cancelled_and_terminated_runs_say_so(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        for how, kind in ((False, "cancelled"), (True, "forced")):
            run_id = await found.rest("order", f"c{how}")
            await found.client.cancel(run_id, "enough", force=how)
            await found.client.wait_for_end(run_id, 10)
            view = await found.replays.look(run_id, "last")
            assert view.end is not None
            assert (view.end.kind, view.tasks, view.status) == (kind, [], "cancelled")
            assert task(await found.replays.look(run_id, 6)).frames


async def test_a_run_that_has_not_begun_has_no_coroutines_until_it_begins(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run = await found.start("pay", "ada", delay="1s")
        view = await found.replays.look(run.run_id, 1)
        assert (view.has_begun, view.tasks, view.events) == (False, [], 1)
        await found.client.wait_for_end(run.run_id, 20)
        assert (await found.replays.look(run.run_id, "last")).end is not None


# -- whose code ---------------------------------------------------------------------------------


async def test_the_source_is_the_whole_function(tmp_path: Path) -> None:
    code = """
    import wf


    @wf.workflow
    async def flow(is_long: bool) -> None:
        before = 1
        await wf.hook(token="short")
        def after() -> int:
            return before
        after()


    def beside(): ...
    """
    async with recording(tmp_path, code) as found:
        found_frame = frame(await found.replays.look(await found.rest("flow", False), "last"))
    texts = [line.text for line in found_frame.source]
    assert texts[0] == "@wf.workflow" and texts[-1] == "    after()"
    assert [line.text for line in found_frame.lines_around(1)] == texts[2:5]


async def test_the_source_of_a_long_function_is_thirty_lines_around(tmp_path: Path) -> None:
    body = "".join(f"    n = {number}\n" for number in range(50))
    code = f"import wf\n\n\n@wf.workflow\nasync def flow() -> None:\n{body}    await wf.hook(token='long')\n{body}"
    async with recording(tmp_path, code) as found:
        found_frame = frame(await found.replays.look(await found.rest("flow"), "last"))
    numbers = [line.number for line in found_frame.source]
    assert numbers == list(range(found_frame.line - 30, found_frame.line + 31))


async def test_the_source_is_that_of_the_code_which_ran_it_also_when_the_files_are_gone(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        old = found.session.deployment_id
        run_id = await found.rest("order", "ada")
        found.edit(
            "        receipt = await charge(card, number)",
            "        await charge('x')\n        receipt = await charge(card, number)",
        )
    with own_modules(tmp_path):
        async with serving(tmp_path) as found:
            (tmp_path / "flow.py").unlink()
            view = await found.replays.look(run_id, 4)
            assert (view.deployment_id, view.is_own) == (old, True)
            assert line(view) == "receipt = await charge(card, number)"
            newer = await found.replays.look(run_id, 4, deployment="latest")
            assert (newer.is_own, newer.seq, newer.reached_seq) == (False, 2, 2)
            assert newer.trouble is not None
            assert (newer.trouble.seq, newer.trouble.where) == (3, "flow.py:26 in order")
            assert line(newer) == "await charge('x')"


async def test_a_run_whose_code_is_not_kept_is_replayed_by_todays(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.rest("order", "ada", deployment=None)
        await found.world.peg_runs([run_id], "dep_gone")
        view = await found.replays.look(run_id, 4)
        assert (view.is_own, view.deployment_id) == (False, found.session.deployment_id)
        assert held(view)["number"] == "*1"
        with pytest.raises(NotFoundError, match="'dep_gone' is not kept"):
            await found.replays.look(run_id, 4, deployment="dep_gone")


async def test_todays_code_is_loaded_again_when_a_file_was_saved(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.rest("order", "ada")
        assert line(await found.replays.look(run_id, 4, deployment="today")) == "receipt = await charge(card, number)"
        found.edit("receipt", "paper")
        view = await found.replays.look(run_id, 4, deployment="today")
        assert line(view) == "paper = await charge(card, number)"
        assert line(await found.replays.look(run_id, 4)) == "receipt = await charge(card, number)"


async def test_a_run_that_goes_on_is_followed(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.rest("order", "ada")
        assert (await found.replays.look(run_id, "last")).event.type == "hook_created"
        [trip] = found.replays._time_travel._trips.values()
        await wf.resume_hook("order:ada", "go")
        await found.client.wait_for_end(run_id, 10)
        view = await found.replays.look(run_id, "last")
        assert (view.event.type, view.status, view.end.value.text) == ("run_completed", "completed", "'1 go'")
        assert [trip] == list(found.replays._time_travel._trips.values())
        assert held(await found.replays.look(run_id, 6))["total"] == "*1"


async def test_a_forked_run_is_looked_at_like_any_other(tmp_path: Path) -> None:
    from wf.forking import fork_run

    async with recording(tmp_path) as found:
        run_id = await found.rest("order", "ada")
        fork = await fork_run(found.session, run_id, 4)
        await found.embedded.drain()
        view = await found.replays.look(fork.run_id, "last")
        assert (view.run_id, held(view)["total"]) == (fork.run_id, "*1")
        assert (await found.replays.look(fork.run_id, 2)).event.type == "run_forked"


async def test_code_that_hides_a_clock_is_shown_as_far_as_it_comes(tmp_path: Path) -> None:
    code = """
        import os
        import wf

        @wf.step
        async def note(text: str) -> None: ...

        @wf.workflow
        async def hides() -> None:
            await note("same")
            await note(os.urandom(8).hex())
            await wf.hook(token="hides")
    """
    async with recording(tmp_path, code) as found:
        run_id = await found.rest("hides")
        view = await found.replays.look(run_id, "last")
        assert (view.seq, view.reached_seq) == (4, 4)
        assert view.trouble is not None
        assert (view.trouble.seq, view.trouble.code) == (5, "NONDETERMINISM")
        assert line(view) == "await note(os.urandom(8).hex())"


async def test_a_step_of_wfs_own_is_an_operation(tmp_path: Path) -> None:
    async with recording(tmp_path, WAITS.replace('"RUN"', "wf.get_workflow_metadata().run_id")) as found:
        run_id = (await found.start("streams")).run_id
        await until(lambda: has_calls(found, run_id), "it reads")
        view = await found.replays.look(run_id, "last")
        assert waits(view) == "operation wf/read_chunks"
        assert view.open_calls[0].kind == "operation"
        await found.client.cancel(run_id, force=True)


# -- values that do harm ------------------------------------------------------------------------

HARM = """
    import os
    import wf
    from pydantic import BaseModel, SecretStr


    class Raises:
        def __repr__(self):
            raise SystemExit(3)


    class Hangs:
        def __repr__(self):
            while True:
                pass


    class HangsInC:
        def __repr__(self):
            return str(max(range(1 << 60)))


    class Exits:
        def __repr__(self):
            os._exit(3)


    class Eats:
        def __repr__(self):
            return "x" * (1 << 40)


    class Counts:
        shown = 0

        def __repr__(self):
            Counts.shown += 1
            self.seen = Counts.shown
            return f"shown {Counts.shown}"


    class Account(BaseModel):
        name: str
        key: SecretStr


    @wf.step
    async def step() -> None: ...


    def make_account():
        return Account(name="ada", key="hunter2")


    @wf.workflow
    async def flow(kind: str) -> None:
        value = {"Raises": Raises, "Hangs": Hangs, "HangsInC": HangsInC, "Exits": Exits, "Eats": Eats, "Counts": Counts,
                 "Account": make_account}[kind]()
        after = [1, 2]
        await step()
        await step()
        await wf.hook(token=kind)
"""


@pytest.mark.parametrize(
    ("kind", "text", "problem", "is_plain"),
    [
        ("Raises", "<flow.Raises>", "its __repr__ raises SystemExit", False),
        ("Hangs", "<flow.Hangs>", "its __repr__ takes longer than 0.1 s", False),
        ("HangsInC", "<flow.HangsInC>", "its __repr__ was not called", True),
        ("Exits", "<flow.Exits>", "its __repr__ was not called", True),
        ("Eats", "<flow.Eats>", "its __repr__ raises MemoryError", False),
        ("Account", "Account(name='ada', key=SecretStr('**********'))", None, False),
    ],
)
async def test_a_value_whose_repr_does_harm_is_survived_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, text: str, problem: str | None, is_plain: bool
) -> None:
    async with recording(tmp_path, HARM) as found:
        run_id = await found.rest("flow", kind)
        for seq in (6, "last"):
            view = await found.replays.look(run_id, seq)
            [value] = [local.value for local in frame(view).locals if local.name == "value"]
            assert (value.text, value.problem, view.is_plain) == (text, problem, is_plain)
            assert held(view)["after"] == "[1, 2]"
            assert b"hunter2" not in repr(view).encode()


async def test_a_repr_that_changes_things_changes_no_other_moment(tmp_path: Path) -> None:
    async with recording(tmp_path, HARM) as found:
        run_id = await found.rest("flow", "Counts")
        for _ in range(3):
            for seq in (4, 6, 4):
                assert held(await found.replays.look(run_id, seq))["value"] == "shown 1"


# -- what is refused, and what dies -------------------------------------------------------------


async def test_events_and_runs_that_are_not_there_are_refused(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        for seq in (0, 6, 999_999_999):
            with pytest.raises(NotFoundError, match=f"has no event {seq}"):
                await found.replays.look(run_id, seq)
        for text in ("", "x", "-1", "1.5", "1" * 10, "٣"):
            with pytest.raises(UsageError, match="is no event's number"):
                await found.replays.look(run_id, text)
        with pytest.raises(RunNotFoundError):
            await found.replays.look("wrun_none", 1)


async def test_code_without_the_workflow_is_refused(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        found.edit("def pay", "def paid")
        with pytest.raises(
            ConflictError, match="this code cannot replay the run: no workflow is registered as 'flow:pay'"
        ):
            await found.replays.look(run_id, 1, deployment="today")


async def test_a_body_that_kills_its_process_is_an_error_and_the_next_look_begins_anew(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        found.edit("    receipt = await charge(card)", "    import os; os._exit(4)")
        with pytest.raises(BenchError, match="exited with code 4"):
            await found.replays.look(run_id, 2, deployment="today")
        assert line(await found.replays.look(run_id, 2)) == "receipt = await charge(card)"


async def test_a_post_that_was_killed_costs_nothing_but_time(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.rest("order", "ada")
        view = await found.replays.look(run_id, 4)
        [trip] = found.replays._time_travel._trips.values()
        trip.loaded.bench.kill()
        await trip.loaded.bench._started.ended
        assert await found.replays.look(run_id, 4) == view
        assert len(found.replays._time_travel._trips) == 1


async def test_only_so_many_processes_are_kept_and_none_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_travel, "MOST_KEPT", 2)
    async with recording(tmp_path) as found:
        run_ids = [await found.run("pay", card) for card in ("a", "b", "c")]
        pids = set()
        for run_id in run_ids:
            await found.replays.look(run_id, 3)
            pids |= {trip.loaded.bench.pid for trip in found.replays._time_travel._trips.values()}
        assert list(found.replays._time_travel._trips) == [
            (run_id, found.session.deployment_id) for run_id in run_ids[1:]
        ]
        monkeypatch.setattr(time_travel, "KEEP_SECONDS", 0.05)  # less than a look takes on a busy machine
        for key, trip in list(found.replays._time_travel._trips.items()):
            found.replays._time_travel._keep(key, trip)
        await until(lambda: not found.replays._time_travel._trips, "nobody looks any more")
        await found.replays.close()
        await until(lambda: not any(is_alive(pid) for pid in pids), "the processes have ended")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_run_that_came_in_a_bundle_is_looked_at_with_the_code_that_came_with_it(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.rest("order", "ada")
        row, log, _, _ = await found.read_everything(run_id)
        deployment = await found.world.get_deployment(row.deployment_id)
        assert deployment is not None
        sources = {digest: await found.world.read_source(digest) for digest in deployment.manifest.values()}
        other = MemoryWorld()
        await other.put_deployment(deployment, sources)
        await other.import_run(ImportedRun(msgspec.structs.replace(row, origin="bundle:a.wfbundle"), log))
        own, found.session.world = found.session.world, other
        (tmp_path / "flow.py").unlink()
        try:
            view = await found.replays.look(run_id, 4)
            assert (view.is_own, line(view)) == (True, "receipt = await charge(card, number)")
            assert (await found.replays.replay_run(run_id, deployment="own")).outcome == "clean"
        finally:
            found.session.world = own
