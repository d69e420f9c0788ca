"""Step replays: one recorded step is carried out once more, compared, and leaves nothing behind in the world."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.wfstudio.recorded import Recording, own_modules, recording, serving
from wf.errors import RunNotFoundError
from wf.loading import LoadError
from wfstudio.core.bench.views import StepReplayView
from wfstudio.core.errors import BenchError, ConflictError, NotFoundError, UsageError

STEPS = """
    import asyncio
    import logging
    import os
    import sys
    import time
    from dataclasses import dataclass
    from pathlib import Path

    import wf


    @dataclass
    class Line:
        name: str
        price: int = 1


    @wf.step(max_retries=2, retry_delay=0)
    async def flaky(line: Line) -> dict:
        info = wf.get_step_metadata()
        if info.attempt < 2:
            raise OSError(f"attempt {info.attempt}")
        return {"attempt": info.attempt, "id": info.step_id, "run": wf.get_workflow_metadata().run_id,
                "workflow": wf.get_workflow_metadata().workflow_name, "at": info.step_started_at.isoformat(),
                "price": line.price}


    @wf.step
    def plain(text: str, *more: int, **named: str) -> list:
        print("plain says", text)
        print("and more", file=sys.stderr)
        logging.getLogger("flow").warning("about %s", text)
        sys.stdout.write("no newline")
        return [text, list(more), named, wf.get_step_metadata().attempt]


    @wf.step(max_retries=0)
    async def declines(reason: str) -> None:
        raise ValueError(reason)


    @wf.step
    async def asks() -> str:
        await wf.set_attributes(paid="yes")
        out = wf.get_writable()
        await out.write({"n": 1})
        await out.write({"n": 2})
        await out.close()
        run = await wf.start(other, "x")
        return "asked"


    @wf.workflow
    async def other(text: str) -> str:
        return text


    @wf.step
    async def reads() -> str:
        return await wf.get_run("wrun_other").status()


    @wf.step
    async def measures() -> str:
        return os.environ.get("MEASURE", "first")


    @wf.step
    async def gives_tuple() -> tuple:
        return tuple([1]) if "MEASURE" not in os.environ else [1]


    @wf.workflow
    async def all_steps() -> None:
        await flaky(Line("a", 2))
        await plain("text", 1, 2, key="value")
        try:
            await declines("no")
        except ValueError:
            pass
        await asks()
        await measures()
        await gives_tuple()
        await measures()
        await wf.sleep(0.001)
        await wf.get_run(wf.get_workflow_metadata().run_id).status()
"""


async def tried(found: Recording, run_id: str, step: str, **options: Any) -> StepReplayView:
    """Replay a step; nothing that the world holds of the run, or of any other, may change by that."""
    before = await found.read_everything(run_id), await found.replays.choose_runs("all")
    view = await found.replays.replay_step(run_id, step, **options)
    assert (await found.read_everything(run_id), await found.replays.choose_runs("all")) == before
    return view


async def test_a_step_that_gives_the_same_is_the_same(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        view = await tried(found, run_id, "charge")
        assert (view.outcome, view.changes, view.is_edited) == ("same", [], False)
        assert (view.id, view.correlation_id, view.name, view.attempt) == (f"{run_id}:1", 1, "flow:charge", 1)
        assert (view.recorded.kind, view.actual.kind) == ("returned", "returned")
        assert view.actual.value == {"card": "ada", "amount": 3}
        assert view.input == {"card": "ada"}
        assert [(line.source, line.text) for line in view.logs] == [("stdout", "charging ada")]
        assert view.deployment_id == found.session.deployment_id


async def test_a_step_sees_what_the_recorded_attempt_saw(tmp_path: Path) -> None:
    async with recording(tmp_path, STEPS) as found:
        run_id = await found.run("all_steps")
        view = await tried(found, run_id, "flaky")
        assert (view.outcome, view.attempt) == ("same", 2)
        value = view.actual.value
        assert (value["attempt"], value["id"], value["run"], value["workflow"]) == (
            2,
            f"{run_id}:1",
            run_id,
            "flow:all_steps",
        )
        first = await tried(found, run_id, "flaky", attempt=1)
        assert (first.outcome, first.recorded.kind, first.actual.kind) == ("same", "raised", "raised")
        assert first.actual.error is not None
        assert (first.actual.error.type, first.actual.error.message) == ("OSError", "attempt 1")
        with pytest.raises(NotFoundError, match="step 1 has no attempt 3"):
            await found.replays.replay_step(run_id, "flaky", attempt=3)


async def test_a_plain_function_runs_in_a_thread_and_what_it_prints_is_kept(tmp_path: Path) -> None:
    async with recording(tmp_path, STEPS) as found:
        view = await tried(found, await found.run("all_steps"), "plain")
        assert view.outcome == "same"
        assert view.input == {"text": "text", "*more": [1, 2], "**named": {"key": "value"}}
        assert [(line.source, line.text) for line in view.logs] == [
            ("stdout", "plain says text"),
            ("stderr", "and more"),
            ("logging:WARNING", "about text"),
            ("stdout", "no newline"),
        ]


async def test_a_step_that_raises_the_same_is_the_same_wherever_its_lines_are_now(tmp_path: Path) -> None:
    async with recording(tmp_path, STEPS) as found:
        run_id = await found.run("all_steps")
        found.edit("    raise ValueError(reason)", "    pass\n    raise ValueError(reason)")
        view = await tried(found, run_id, "declines")
        assert (view.outcome, view.recorded.kind, view.actual.kind) == ("same", "raised", "raised")
        assert view.actual.error is not None
        assert "flow.py" in (view.actual.error.traceback or "")
        assert "wfstudio" not in (view.actual.error.traceback or "")
        edited = await tried(found, run_id, "declines", edited={"reason": "never"})
        assert (edited.outcome, edited.is_edited) == ("differs", True)
        assert [(change.path, change.before, change.after) for change in edited.changes] == [
            ("error.message", "no", "never")
        ]


async def test_todays_code_is_carried_out_and_what_differs_is_told_by_path(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        found.edit('"amount": amount}', '"amount": amount + 1, "note": "new"}')
        view = await tried(found, run_id, "1")
        assert (view.outcome, view.is_edited) == ("differs", False)
        assert [(c.path, c.kind, c.before, c.after) for c in view.changes] == [
            ("result.amount", "changed", 3, 4), ("result.note", "added", None, "new"),
        ]  # fmt: skip
        own = await tried(found, run_id, "1", deployment="own")
        assert (own.outcome, own.deployment_id) == ("same", found.session.deployment_id)


async def test_a_step_that_raises_where_it_returned_differs(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        view = await tried(found, run_id, "1", edited={"card": "bad"})
        assert (view.outcome, view.recorded.kind, view.actual.kind) == ("differs", "returned", "raised")
        assert [(c.path, c.before, c.after) for c in view.changes] == [("outcome", "returned", "raised")]
        assert view.actual.error is not None
        assert view.actual.error.type == "flow.Declined"
        assert view.input == {"card": "bad"}


async def test_the_same_json_of_another_type_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with recording(tmp_path, STEPS) as found:
        run_id = await found.run("all_steps")
        monkeypatch.setenv("MEASURE", "second")
        view = await tried(found, run_id, "gives_tuple")
        assert [(change.path, change.kind) for change in view.changes] == [("result", "retyped")]
        assert (await tried(found, run_id, "measures#1")).changes[0].after == "second"


async def test_edited_input_takes_the_types_of_the_parameters(tmp_path: Path) -> None:
    async with recording(tmp_path, STEPS) as found:
        run_id = await found.run("all_steps")
        view = await tried(found, run_id, "flaky", edited={"line": {"name": "b", "price": 7}})
        assert view.actual.value["price"] == 7
        shown = {"line": {"name": "a", "price": 2}}
        same = await tried(found, run_id, "flaky", edited=shown)
        assert (same.outcome, same.is_edited, same.input) == ("same", False, shown)


@pytest.mark.parametrize(
    ("edited", "message"),
    [
        ({"line": {"name": 3}}, "the argument line does not fit"),
        ({"line": "text"}, "the argument line does not fit"),
        ({"lines": 3}, "the input does not fit flaky"),
    ],
)
async def test_edited_input_that_does_not_fit_is_refused_and_nothing_runs(
    tmp_path: Path, edited: dict[str, Any], message: str
) -> None:
    async with recording(tmp_path, STEPS) as found:
        with pytest.raises(UsageError, match=message):
            await tried(found, await found.run("all_steps"), "flaky", edited=edited)


# -- which step ---------------------------------------------------------------------------------


async def test_a_step_is_named_by_number_id_name_or_place(tmp_path: Path) -> None:
    async with recording(tmp_path, STEPS) as found:
        run_id = await found.run("all_steps")
        for text in ("2", f"{run_id}:2", "plain", "flow:plain", "plain#1"):
            assert (await tried(found, run_id, text)).correlation_id == 2
        assert (await tried(found, run_id, "measures#2")).correlation_id == 7
        with pytest.raises(UsageError, match="2 calls of the run are named 'measures'"):
            await found.replays.replay_step(run_id, "measures")
        for text in ("99", "plane", "8", "measures#3", "", "-1"):
            with pytest.raises(NotFoundError):
                await found.replays.replay_step(run_id, text)
        with pytest.raises(ConflictError, match=r"call 9 is an operation of wf's own \(wf/run_status\)"):
            await found.replays.replay_step(run_id, "9")
        with pytest.raises(RunNotFoundError):
            await found.replays.replay_step("wrun_none", "1")


async def test_code_without_the_step_is_refused(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        found.edit("charge(", "charged(")
        with pytest.raises(NotFoundError, match="this code has no step flow:charge") as refused:
            await found.replays.replay_step(run_id, "1")
        assert refused.value.hint == "did you mean `flow:charged`?"
        found.edit("import asyncio", "import asyncioo")
        with pytest.raises(LoadError, match="No module named 'asyncioo'"):
            await found.replays.replay_step(run_id, "1")


async def test_a_step_of_an_older_deployment_runs_from_its_kept_files(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        found.edit('"amount": amount}', '"amount": -amount}')
    with own_modules(tmp_path):
        async with serving(tmp_path) as found:
            assert (await tried(found, run_id, "1")).outcome == "differs"
            (tmp_path / "flow.py").unlink()
            assert (await tried(found, run_id, "1", deployment="own")).outcome == "same"


async def test_a_step_in_flight_has_nothing_to_compare_with(tmp_path: Path) -> None:
    code = """
        import asyncio
        import os
        import wf

        @wf.step
        async def hangs() -> str:
            if "BENCH" not in os.environ:
                await asyncio.sleep(1000)
            return "done"

        @wf.workflow
        async def waits() -> str:
            return await hangs()
    """
    from tests.wfstudio.recorded import until

    async with recording(tmp_path, code) as found:
        run = await found.start("waits")

        async def is_running() -> bool:
            row = await found.world.get_run(run.run_id)
            return row is not None and row.seq == 3

        await until(is_running, "the step runs")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BENCH", "1")
            view = await tried(found, run.run_id, "hangs")
        assert (view.outcome, view.recorded.kind, view.actual.value, view.changes) == ("unrecorded", "none", "done", [])


# -- what it asks of wf -------------------------------------------------------------------------


async def test_what_a_step_asks_of_its_run_is_told_and_not_done(tmp_path: Path) -> None:
    async with recording(tmp_path, STEPS) as found:
        run_id = await found.run("all_steps")
        view = await tried(found, run_id, "asks")
        assert (view.outcome, view.actual.value) == ("same", "asked")
        assert [(effect.kind, effect.text) for effect in view.effects] == [
            ("attributes", "would have set attributes"),
            ("chunk", "would have written to the stream default"),
            ("chunk", "would have written to the stream default"),
            ("close", "would have closed the stream default"),
            ("start", "would have started a run of flow:other"),
        ]
        assert view.effects[0].data == {"set": {"paid": "yes"}}
        assert view.effects[2].data == {"run_id": run_id, "stream": "default", "value": {"n": 2}}
        assert view.effects[4].data["input"] == {"text": "x"}


async def test_what_would_need_an_answer_of_the_world_is_refused(tmp_path: Path) -> None:
    code = STEPS.replace(
        "        await asks()", "        try:\n            await reads()\n        except Exception:\n            pass"
    )
    async with recording(tmp_path, code) as found:
        view = await tried(found, await found.run("all_steps"), "reads")
        assert view.outcome == "differs"
        assert view.actual.error is not None
        assert view.actual.error.type == "wf.errors.WorldError"
        assert view.actual.error.message == "a step that is replayed alone has no world to ask (`get_run`)"
        assert [(effect.kind, effect.text) for effect in view.effects] == [("refused", "asked the world: get_run")]


# -- time, and what dies ------------------------------------------------------------------------

SLOW = """
    import asyncio
    import os
    import time
    import wf


    def wait(how: str) -> None:
        if how == "spin":
            while True:
                pass
        time.sleep(60)


    @wf.step
    async def sleeps(how: str) -> str:
        if "BENCH" in os.environ:
            print("begins")
            if how == "await":
                await asyncio.sleep(60)
            elif how == "exit":
                print("bye", flush=True)
                os._exit(5)
            elif how == "quit":
                raise SystemExit(3)
            else:
                wait(how)
        return how


    @wf.step
    def thread(how: str) -> str:
        if "BENCH" in os.environ:
            print("begins")
            wait(how)
        return how


    @wf.step(timeout="100ms", max_retries=0)
    async def bounded() -> str:
        if "BENCH" in os.environ:
            await asyncio.sleep(60)
        return "in time"


    @wf.workflow
    async def slow(how: str) -> None:
        await sleeps(how)
        await thread(how)
        await bounded()
"""


@pytest.mark.parametrize(
    ("step", "how"), [("sleeps", "await"), ("sleeps", "block"), ("sleeps", "spin"), ("thread", "block")]
)
async def test_a_step_that_takes_too_long_is_stopped_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, how: str
) -> None:
    async with recording(tmp_path, SLOW) as found:
        run_id = await found.run("slow", how)
        monkeypatch.setenv("BENCH", "1")
        began = time.monotonic()
        view = await tried(found, run_id, step, timeout_seconds=0.2)
        assert time.monotonic() - began < 10
        assert (view.outcome, view.actual.kind) == ("timed_out", "timed_out")
        assert [line.text for line in view.logs] == ["begins"]


async def test_a_steps_own_timeout_is_an_error_of_the_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with recording(tmp_path, SLOW) as found:
        run_id = await found.run("slow", "x")
        monkeypatch.setenv("BENCH", "1")
        view = await tried(found, run_id, "bounded")
        assert (view.outcome, view.actual.kind) == ("differs", "raised")
        assert view.actual.error is not None
        assert view.actual.error.type == "wf.errors.StepTimeoutError"


async def test_a_step_that_ends_its_process_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recording(tmp_path, SLOW) as found:
        run_id = await found.run("slow", "exit")
        monkeypatch.setenv("BENCH", "1")
        with pytest.raises(BenchError) as failed:
            await tried(found, run_id, "sleeps")
        assert failed.value.message == "the process with the code exited with code 5; it printed last:\nbegins\nbye"


async def test_a_step_that_exits_like_a_program_ends_only_its_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recording(tmp_path, SLOW) as found:
        run_id = await found.run("slow", "quit")
        monkeypatch.setenv("BENCH", "1")
        view = await tried(found, run_id, "sleeps")
        assert view.actual.error is not None
        assert (view.outcome, view.actual.error.type) == ("differs", "SystemExit")


async def test_a_timeout_out_of_bounds_is_refused(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        for seconds in (0, -1, 3601, float("nan"), float("inf")):
            with pytest.raises(UsageError, match="a timeout of"):
                await found.replays.replay_step(run_id, "1", timeout_seconds=seconds)
