"""Hot reload with real worker processes: what a save does to the code and to the runs in flight."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import wf
from tests.wfstudio.dev.stage import PATIENCE_SECONDS, Dev, Project, developing, until
from tests.wfstudio.forker import FORKER
from wf.errors import WorkflowRunFailedError
from wf.run import Run
from wfstudio.core.errors import UsageError
from wfstudio.dev import fleet, supervisor
from wfstudio.dev.remedies import RemedyError, apply_remedy
from wfstudio.dev.workers import WorkerGone, WorkerProcess

GREETER = """
    import wf

    @wf.step
    async def greet(name: str) -> str:
        return f"hello {name}"

    @wf.step
    async def part(name: str) -> str:
        return f"bye {name}"

    @wf.workflow
    async def main(name: str) -> list[str]:
        first = await greet(name)
        answer = await wf.hook(token=f"ask:{name}")
        return [first, answer, await part(name)]
"""
CLEAN = GREETER.replace('f"bye {name}"', 'f"so long {name}"')
DIVERGING = GREETER.replace("await greet(name)", "await part(name)")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.write("flow.py", GREETER)
    return made


def play(project: Project, scene: Callable[[Dev], Awaitable[None]], target: str = "flow.py", *, size: int = 1) -> None:
    async def perform() -> None:
        async with developing(project, target, size=size) as dev:
            await scene(dev)

    asyncio.run(perform())


# -- the code


def test_what_is_saved_serves_the_next_run(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        reload = await dev.save("flow.py", GREETER.replace("hello", "good day,"))
        assert (reload["outcome"], reload["files"], reload["workflows"]) == ("loaded", ["flow.py"], 1)
        run = await dev.start("main", "ada")
        await dev.client.resume(await dev.wait_for_hook(run), "yes")
        assert await run.return_value("20s") == ["good day, ada", "yes", "bye ada"]
        assert await dev.deployment_of(run) == reload["deployment_id"]

    play(project, scene)


def test_a_save_of_the_same_second_and_length_is_loaded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python would take the bytecode of the one before for it."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    second = int(time.time()) + 60  # whenever it is loaded, it has just been saved
    words = project.root / "words.py"
    project.write("words.py", "GREETING = 'hi'\n")
    os.utime(words, (second, second))
    flow = GREETER.replace("import wf", "import wf\n    import words", 1).replace('f"hello', 'f"{words.GREETING}')
    project.write("flow.py", flow)

    async def scene(dev: Dev) -> None:
        project.write("words.py", "GREETING = 'yo'\n")
        os.utime(words, (second, second))
        assert (await dev.reload("words.py"))["outcome"] == "loaded"
        run = await dev.start("main", "ada")
        await dev.client.resume(await dev.wait_for_hook(run), "yes")
        assert await run.return_value("20s") == ["yo ada", "yes", "bye ada"]

    play(project, scene)


def test_a_module_that_the_target_imports_is_reloaded_with_it(project: Project) -> None:
    project.write("words.py", "GREETING = 'hi'\n")
    flow = GREETER.replace("import wf", "import wf\n    import words", 1).replace('f"hello', 'f"{words.GREETING}')
    project.write("flow.py", flow)

    async def scene(dev: Dev) -> None:
        assert (await dev.save("words.py", "GREETING = 'hey'\n"))["outcome"] == "loaded"
        run = await dev.start("main", "ada")
        await dev.client.resume(await dev.wait_for_hook(run), "yes")
        assert (await run.return_value("20s"))[0] == "hey ada"

    play(project, scene)


def test_new_and_deleted_files_of_a_directory_are_noticed(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        reload = await dev.save("more.py", "import wf\n\n@wf.workflow\nasync def second() -> int:\n    return 2\n")
        assert reload["workflows"] == 2
        assert await (await dev.start("second")).return_value("20s") == 2
        (project.root / "more.py").unlink()
        assert (await dev.reload("more.py"))["workflows"] == 1

    play(project, scene, ".")


def test_a_save_that_changes_nothing_keeps_the_processes(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        assert dev.supervisor.fleet.current is not None
        before = dev.supervisor.fleet.current.workers[0].pid
        assert (await dev.save("flow.py", GREETER))["outcome"] == "unchanged"
        assert (await dev.save("unrelated.py", "x = 1\n"))["outcome"] == "unchanged"
        assert dev.supervisor.fleet.current.workers[0].pid == before

    play(project, scene)


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("import wf\nthis is no python\n", "SyntaxError", 2),
        ("import wf\nimport nowhere_at_all\n", "No module named 'nowhere_at_all'", 2),
        ("import sys\nsys.exit(3)\n", "SystemExit", 2),
        ("import wf\n\nvalue = 1 / 0\n", "ZeroDivisionError", 3),
        ("import wf\n\n@wf.step(max_retries=-1)\nasync def bad() -> None: ...\n", "max_retries", 3),
    ],
)
def test_code_that_does_not_load_is_shown_and_the_code_before_serves(
    project: Project, text: str, message: str, line: int
) -> None:
    async def scene(dev: Dev) -> None:
        run = await dev.start("main", "ada")
        token = await dev.wait_for_hook(run)
        reload = await dev.save("flow.py", text)
        assert reload["outcome"] == "not_loaded"
        error = reload["error"]
        assert message in error["message"]
        assert f"flow.py:{line}" in error["where"]
        assert f"> {line:>4} | " in error["frame"]
        assert dev.supervisor.status()["error"] == error
        await dev.client.resume(token, "yes")
        assert await run.return_value("20s") == ["hello ada", "yes", "bye ada"]
        mended = await dev.save("flow.py", GREETER)
        assert (mended["outcome"], mended["is_mended"]) == ("unchanged", True)
        again = await dev.reload("flow.py")
        assert (again["outcome"], again["is_mended"]) == ("unchanged", False)
        assert (await dev.save("flow.py", CLEAN))["outcome"] == "loaded"
        assert dev.supervisor.status()["error"] is None

    play(project, scene)


def test_code_that_hangs_when_it_is_imported_is_told_of_while_it_does(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "SLOW_LOAD_SECONDS", 0.05)

    async def scene(dev: Dev) -> None:
        dev.said.clear()  # the first load may have been slow, too
        project.write("flow.py", "import time\ntime.sleep(60)\n")
        dev.supervisor.files_changed(["flow.py"])
        await until(lambda: bool(dev.told("loading")), "it is told of")
        assert dev.told("loading")[0] == {"files": ["flow.py"], "seconds": 0.05}
        reload = await dev.save("flow.py", CLEAN)
        assert reload["outcome"] == "loaded"

    play(project, scene)


def test_a_process_that_ends_while_it_loads_is_a_load_that_failed(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        reload = await dev.save("flow.py", "import os\nos._exit(9)\n")
        assert reload["outcome"] == "not_loaded"
        assert "exited with code 9" in reload["error"]["message"]

    play(project, scene)


def test_a_save_while_the_last_one_still_loads_begins_anew(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        project.write("flow.py", "import time\ntime.sleep(60)\n")
        dev.supervisor.files_changed(["flow.py"])
        await until(lambda: dev.supervisor._is_loading, "it loads")
        reload = await dev.save("flow.py", CLEAN)
        assert reload["outcome"] == "loaded"
        assert len(dev.reloads) == 2, "the first load of all, and the last save"

    play(project, scene)


def test_nothing_is_reloaded_while_it_is_paused_and_once_afterwards(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        dev.supervisor.pause(True)
        project.write("flow.py", CLEAN)
        dev.supervisor.files_changed(["flow.py"])
        dev.supervisor.files_changed(["other.py"])
        await asyncio.sleep(0)
        assert len(dev.reloads) == 1
        dev.supervisor.pause(False)
        await until(lambda: len(dev.reloads) == 2, "it is made up for")
        assert dev.reloads[-1]["files"] == ["flow.py", "other.py"]

    play(project, scene)


def test_who_asks_for_a_reload_while_one_is_finished_is_told_of_the_next(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(dev: Dev) -> None:
        settle, goes_on = dev.supervisor.settle, asyncio.Event()

        async def settle_slowly() -> Any:
            await goes_on.wait()
            return await settle()

        monkeypatch.setattr(dev.supervisor, "settle", settle_slowly)
        current = dev.supervisor.fleet.current
        saving = asyncio.create_task(dev.save("flow.py", CLEAN))
        await until(lambda: dev.supervisor.fleet.current is not current, "the code of the save serves")
        project.write("flow.py", DIVERGING)
        asking = asyncio.create_task(dev.supervisor.reload_now())
        await asyncio.sleep(0)
        goes_on.set()
        first, told = await saving, await asking
        assert (told.outcome, told.deployment_id != first["deployment_id"]) == ("loaded", True)

    play(project, scene)


# -- the runs in flight


def test_a_run_that_fits_moves_to_the_new_code(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        run = await dev.start("main", "ada")
        token = await dev.wait_for_hook(run)
        reload = await dev.save("flow.py", CLEAN)
        assert (reload["clean"], reload["diverging"]) == (1, [])
        assert await dev.deployment_of(run) == reload["deployment_id"]
        await dev.client.resume(token, "yes")
        assert await run.return_value("20s") == ["hello ada", "yes", "so long ada"]

    play(project, scene)


def test_a_run_that_does_not_fit_goes_on_with_its_own_code(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        run = await dev.start("main", "ada")
        token = await dev.wait_for_hook(run)
        old = await dev.deployment_of(run)
        reload = await dev.save("flow.py", DIVERGING)
        (verdict,) = reload["diverging"]
        assert (verdict["run_id"], verdict["outcome"], reload["clean"]) == (run.run_id, "diverges", 0)
        assert verdict["trouble"]["code"] == "NONDETERMINISM"
        assert "greet" in verdict["trouble"]["recorded"]
        assert "part" in verdict["trouble"]["actual"]
        assert "flow.py:" in verdict["trouble"]["where"]
        assert [served["deployment_id"] for served in dev.supervisor.status()["pegged"]] == [old]
        other = await dev.start("main", "bob")
        await dev.client.resume(await dev.wait_for_hook(other), "ok")
        assert await other.return_value("20s") == ["bye bob", "ok", "bye bob"]
        await dev.client.resume(token, "yes")
        assert await run.return_value("20s") == ["hello ada", "yes", "bye ada"]
        assert await run.attention() is None
        dev.supervisor._look.set()
        await until(lambda: not dev.supervisor.status()["pegged"], "nobody serves the old code any more")

    play(project, scene)


def test_a_reload_that_fails_for_a_reason_that_nobody_foresaw_is_told_and_the_next_one_is_tried(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_room(self: fleet.Fleet) -> None:
        raise OSError("too many open files")

    async def scene(dev: Dev) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(fleet.Fleet, "load", no_room)
            with pytest.raises(OSError, match="too many open files"):
                await dev.supervisor.reload_now()
        [told] = dev.told("error")
        assert told == {"message": "the reload could not be finished: OSError: too many open files", "hint": None}
        assert (await dev.save("flow.py", CLEAN))["outcome"] == "loaded"

    play(project, scene)


def test_a_process_that_does_not_say_that_it_serves_is_not_left_behind(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve = fleet.Fleet._serve
    mute: list[WorkerProcess] = []

    async def serve_current(self: fleet.Fleet, worker: WorkerProcess, deployments: list[str]) -> None:
        if self.current is not None and deployments[0] != self.current.deployment_id:
            mute.append(worker)
            raise WorkerGone("no answer for 20 s")
        await serve(self, worker, deployments)

    async def scene(dev: Dev) -> None:
        run = await dev.start("main", "ada")
        await dev.wait_for_hook(run)
        monkeypatch.setattr(fleet.Fleet, "_serve", serve_current)
        await dev.save("flow.py", DIVERGING)
        assert dev.supervisor.status()["pegged"] == []
        assert await mute[0].ended == "killed by SIGKILL"

    play(project, scene)


def test_a_run_is_not_moved_to_code_that_came_while_it_was_judged_by_other_code(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(dev: Dev) -> None:
        run = await dev.start("main", "ada")
        await dev.wait_for_hook(run)
        old = await dev.deployment_of(run)
        clean = await dev.save("flow.py", CLEAN)
        await dev.session.world.peg_runs([run.run_id], old)  # as one that an old process has just started
        judge, judged, goes_on = dev.supervisor.fleet.judge, asyncio.Event(), asyncio.Event()

        async def judge_slowly(run_ids: list[str], **how: Any) -> Any:
            verdicts = await judge(run_ids, **how)
            judged.set()
            await goes_on.wait()
            return verdicts

        monkeypatch.setattr(dev.supervisor.fleet, "judge", judge_slowly)
        looking = asyncio.create_task(dev.supervisor.settle())
        await judged.wait()
        monkeypatch.undo()
        reloading = asyncio.create_task(dev.save("flow.py", DIVERGING))
        current = dev.supervisor.fleet.current
        await until(lambda: dev.supervisor.fleet.current is not current, "the newer code serves")
        goes_on.set()
        await looking
        reload = await reloading
        assert [verdict["run_id"] for verdict in reload["diverging"]] == [run.run_id]
        assert await dev.deployment_of(run) in (old, clean["deployment_id"])

    play(project, scene)


def test_runs_that_could_not_be_judged_go_on_with_their_own_code_until_they_are(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_judge(run_ids: list[str], **how: Any) -> Any:
        raise WorkerGone("no process with the current code is there")

    async def scene(dev: Dev) -> None:
        diverging = await dev.start("main", "ada")
        token = await dev.wait_for_hook(diverging)
        old = await dev.deployment_of(diverging)
        await dev.save("flow.py", DIVERGING)
        other = await dev.start("main", "bob")
        await dev.wait_for_hook(other)
        with monkeypatch.context() as patch:
            patch.setattr(dev.supervisor.fleet, "judge", no_judge)
            await dev.save("flow.py", DIVERGING + "\n    # edited\n")
            pegged = [served["deployment_id"] for served in dev.supervisor.status()["pegged"]]
            assert sorted(pegged) == sorted([old, await dev.deployment_of(other)])
            await dev.client.resume(token, "yes")
            assert await diverging.return_value("20s") == ["hello ada", "yes", "bye ada"]
        dev.supervisor._look.set()
        current = dev.reloads[-1]["deployment_id"]
        await until(lambda: _is_pegged_to(dev, other, current), "it is judged, and moves")

    play(project, scene)


async def _is_pegged_to(dev: Dev, run: Run[Any], deployment_id: str) -> bool:
    return await dev.deployment_of(run) == deployment_id


def test_a_run_that_fits_again_comes_back(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        run = await dev.start("main", "ada")
        token = await dev.wait_for_hook(run)
        await dev.save("flow.py", DIVERGING)
        reload = await dev.save("flow.py", CLEAN)
        assert (reload["clean"], reload["diverging"]) == (1, [])
        await dev.client.resume(token, "yes")
        assert await run.return_value("20s") == ["hello ada", "yes", "so long ada"]
        assert dev.supervisor.status()["pegged"] == []

    play(project, scene)


def test_a_run_whose_workflow_is_gone_goes_on_with_its_own_code(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        run = await dev.start("main", "ada")
        token = await dev.wait_for_hook(run)
        reload = await dev.save("flow.py", GREETER.replace("def main", "def renamed"))
        assert [verdict["trouble"]["code"] for verdict in reload["diverging"]] == ["NOT_REGISTERED"]
        await dev.client.resume(token, "yes")
        assert await run.return_value("20s") == ["hello ada", "yes", "bye ada"]

    play(project, scene)


RELAY = """
    import wf

    @wf.step
    async def greet(name: str) -> str:
        return f"hello {name}"

    @wf.step
    async def pass_on(name: str) -> None:
        await wf.start(main.with_options(id=f"{name}-by-step", deployment="latest"), name, "stop")

    @wf.workflow
    async def main(name: str, how: str) -> str:
        first = await greet(name)
        if how == "stop":
            return first
        await wf.hook(token=f"ask:{name}")
        await pass_on(name)
        await wf.start(main.with_options(id=f"{name}-by-body", deployment="latest"), name, "stop")
        await wf.start(main.with_options(id=f"{name}-as-it-is"), name, "stop")
        await wf.continue_as_new(name, "stop", deployment="latest")
"""


def test_what_a_pegged_run_starts_on_the_latest_code_runs_on_the_newest(project: Project) -> None:
    project.write("flow.py", RELAY)
    newer = RELAY.replace("async def greet", "async def welcome").replace("await greet", "await welcome")

    async def scene(dev: Dev) -> None:
        run = await dev.start("main", "ada", "go on")
        token = await dev.wait_for_hook(run)
        old = await dev.deployment_of(run)
        reload = await dev.save("flow.py", newer.replace("hello", "welcome"))
        assert [verdict["run_id"] for verdict in reload["diverging"]] == [run.run_id]
        reload = await dev.save(
            "flow.py", newer.replace("hello", "welcome back")
        )  # it is served already, and told anew
        await dev.client.resume(token, None)
        assert await run.return_value("20s") == "welcome back ada"
        for how in ("by-step", "by-body"):
            other = wf.get_run(f"ada-{how}")
            assert await other.return_value("20s") == "welcome back ada"
            assert await dev.deployment_of(other) == reload["deployment_id"]
        child = wf.get_run("ada-as-it-is")
        assert await child.return_value("20s") == "hello ada"
        assert await dev.deployment_of(child) == old

    play(project, scene)


def test_a_run_that_a_program_without_code_starts_is_pegged_to_the_newest(project: Project) -> None:
    program = f"""
        import asyncio, sys, textwrap, wf
        module = {{}}
        exec(textwrap.dedent({GREETER!r}).replace("@wf.workflow", "@wf.workflow(name='flow:main')"), module)
        asyncio.run(wf.start(module["main"].with_options(id="run-1"), "ada"))
    """
    project.write("client.py", program)

    async def scene(dev: Dev) -> None:
        client = await asyncio.create_subprocess_exec(sys.executable, "client.py", cwd=project.root)
        assert await client.wait() == 0
        run = wf.get_run("run-1")
        token = await dev.wait_for_hook(run)
        assert await dev.deployment_of(run) == dev.reloads[0]["deployment_id"]
        reload = await dev.save("flow.py", DIVERGING)
        assert [verdict["run_id"] for verdict in reload["diverging"]] == ["run-1"]
        await dev.client.resume(token, "yes")
        assert await run.return_value("20s") == ["hello ada", "yes", "bye ada"]

    play(project, scene)


def test_pegged_runs_find_their_code_after_the_studio_was_restarted(project: Project) -> None:
    async def perform() -> None:
        async with developing(project) as dev:
            run = await dev.start("main", "ada")
            token = await dev.wait_for_hook(run)
        project.write("flow.py", DIVERGING)
        async with developing(project) as dev:
            assert [verdict["run_id"] for verdict in dev.reloads[0]["diverging"]] == [run.run_id]
            await dev.client.resume(token, "yes")
            assert await run.return_value("20s") == ["hello ada", "yes", "bye ada"]

    asyncio.run(perform())


def test_a_run_goes_on_with_its_code_when_the_file_is_called_something_else(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        run = await dev.start("main", "ada")
        token = await dev.wait_for_hook(run)
        (project.root / "flow.py").rename(project.root / "greeting.py")
        reload = await dev.reload("flow.py", "greeting.py")
        (verdict,) = reload["diverging"]
        assert (verdict["run_id"], verdict["trouble"]["code"]) == (run.run_id, "NOT_REGISTERED")
        assert [served["workflows"] for served in dev.supervisor.status()["pegged"]] == [["flow:main"]]
        await dev.client.resume(token, "yes")
        assert await run.return_value("20s") == ["hello ada", "yes", "bye ada"]

    play(project, scene, ".")


def test_a_run_of_a_file_that_is_not_served_goes_on_with_that_file(project: Project) -> None:
    """As `wf run other.py` leaves one that was interrupted: it was loaded by another name than what is served."""

    async def perform() -> None:
        project.write("other.py", GREETER.replace("bye", "see you"))
        async with developing(project, "other.py") as dev:
            run = await dev.start("main", "ada")
            token = await dev.wait_for_hook(run)
        async with developing(project, "flow.py") as dev:
            await dev.client.resume(token, "yes")
            assert await run.return_value("20s") == ["hello ada", "yes", "see you ada"]

    asyncio.run(perform())


def test_runs_of_code_that_nobody_kept_are_left_to_todays(project: Project) -> None:
    async def perform() -> None:
        async with developing(project) as dev:
            run = await dev.start("main", "ada")
            token = await dev.wait_for_hook(run)
            await dev.session.world.peg_runs([run.run_id], "dep_lost")
        project.write("flow.py", DIVERGING)
        async with developing(project) as dev:
            await until(lambda: _has_attention(dev, run.run_id), "it says why it rests")
            await dev.save("flow.py", CLEAN)
            await dev.client.resume(token, "yes")
            assert await run.return_value("20s") == ["hello ada", "yes", "so long ada"]

    asyncio.run(perform())


async def _has_attention(dev: Dev, run_id: str) -> bool:
    row = await dev.session.world.get_run(run_id)
    return row is not None and row.attention is not None


# -- attempts under way

SLOW = """
    import asyncio, pathlib
    import wf

    HERE = pathlib.Path({place!r})

    @wf.step(max_retries=2)
    async def work() -> int:
        attempt = wf.get_step_metadata().attempt
        with (HERE / "attempts").open("a") as file:
            file.write(f"{{attempt}} ")
        while not (HERE / "go").exists():
            await asyncio.sleep(0.01)
        return attempt

    @wf.step
    async def tell(attempt: int) -> str:
        return f"attempt {{attempt}}"

    @wf.workflow
    async def main() -> str:
        return await tell(await work())
"""


def attempts_of(place: Path) -> list[str]:
    file = place / "attempts"
    return file.read_text().split() if file.exists() else []


def test_an_attempt_that_a_reload_finds_under_way_ends_where_it_began_and_the_next_step_does_not(
    project: Project, tmp_path: Path
) -> None:
    text = SLOW.format(place=str(tmp_path))
    project.write("flow.py", text)

    async def scene(dev: Dev) -> None:
        run = await dev.start("main")
        await until(lambda: attempts_of(tmp_path) == ["1"], "the step runs")
        reload = await dev.save("flow.py", text.replace('f"attempt', 'f"told by the new code: attempt'))
        assert reload["clean"] == 1
        (tmp_path / "go").touch()
        assert await run.return_value("20s") == "told by the new code: attempt 1"
        assert attempts_of(tmp_path) == ["1"]

    play(project, scene)


def test_a_step_can_end_a_process_that_it_forked(project: Project) -> None:
    project.write("flow.py", FORKER)

    async def scene(dev: Dev) -> None:
        run = await dev.start("forker")
        assert await run.return_value("20s") == -signal.SIGTERM

    play(project, scene)


def test_an_attempt_that_outlasts_the_grace_is_retried_by_the_new_code(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "GRACE_SECONDS", 0.05)
    text = SLOW.format(place=str(tmp_path))
    project.write("flow.py", text)

    async def scene(dev: Dev) -> None:
        run = await dev.start("main")
        await until(lambda: attempts_of(tmp_path) == ["1"], "the step runs")
        await dev.save("flow.py", text + "\n    # a comment\n")
        await until(lambda: attempts_of(tmp_path) == ["1", "2"], "the next attempt runs")
        (tmp_path / "go").touch()
        assert await run.return_value("20s") == "attempt 2"

    play(project, scene)


def test_code_that_blocks_its_process_does_not_hold_a_reload_up(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr("wfstudio.dev.workers.KILL_AFTER_SECONDS", 0.2)
    blocking = SLOW.format(place=str(tmp_path)).replace("await asyncio.sleep(0.01)", "__import__('time').sleep(60)")
    project.write("flow.py", blocking)

    async def scene(dev: Dev) -> None:
        run = await dev.start("main")
        await until(lambda: attempts_of(tmp_path) == ["1"], "the step blocks")
        await dev.save("flow.py", SLOW.format(place=str(tmp_path)))
        (tmp_path / "go").touch()
        assert await run.return_value("20s") == "attempt 2"

    play(project, scene)


def test_a_killed_worker_is_replaced_and_its_attempt_repeated(project: Project, tmp_path: Path) -> None:
    project.write("flow.py", SLOW.format(place=str(tmp_path)))

    async def scene(dev: Dev) -> None:
        run = await dev.start("main")
        await until(lambda: attempts_of(tmp_path) == ["1"], "the step runs")
        assert dev.supervisor.fleet.current is not None
        os.kill(dev.supervisor.fleet.current.workers[0].pid, signal.SIGKILL)
        await until(lambda: attempts_of(tmp_path) == ["1", "2"], "the next attempt runs")
        (tmp_path / "go").touch()
        assert await run.return_value("20s") == "attempt 2"
        (told,) = dev.told("worker")
        assert told["cause"] == "killed by SIGKILL"

    play(project, scene)


def test_a_killed_warm_parent_takes_its_workers_along_and_they_are_replaced(project: Project, tmp_path: Path) -> None:
    project.write("flow.py", SLOW.format(place=str(tmp_path)))

    async def scene(dev: Dev) -> None:
        run = await dev.start("main")
        await until(lambda: attempts_of(tmp_path) == ["1"], "the step runs")
        parent = dev.supervisor.fleet._nursery._process
        assert parent is not None
        os.kill(parent.pid, signal.SIGKILL)
        await until(lambda: attempts_of(tmp_path) == ["1", "2"], "the next attempt runs in a new process")
        (tmp_path / "go").touch()
        assert await run.return_value("20s") == "attempt 2"
        assert [told["cause"] for told in dev.told("worker")] == ["killed by SIGKILL"]

    play(project, scene)


def test_a_step_that_ends_its_process_every_time_fails_and_the_neighbours_do_not(
    project: Project, tmp_path: Path
) -> None:
    project.write(
        "flow.py",
        """
        import os
        import wf

        @wf.step(max_retries=1)
        async def poison() -> None:
            os._exit(7)

        @wf.step
        async def fine(n: int) -> int:
            return n

        @wf.workflow
        async def bad() -> str:
            try:
                await poison()
            except wf.errors.StepError as error:
                return str(error)
            return "?"

        @wf.workflow
        async def good(n: int) -> int:
            await wf.sleep("10ms")
            return await fine(n)
        """,
    )

    async def scene(dev: Dev) -> None:
        neighbours = [await dev.start("good", n) for n in range(5)]
        run = await dev.start("bad")
        assert "worker lost" in await run.return_value("20s")
        assert [await other.return_value("20s") for other in neighbours] == list(range(5))
        assert [told["cause"] for told in dev.told("worker")] == ["exited with code 7"] * 2

    play(project, scene)


def test_a_process_that_dies_between_loading_and_serving_is_replaced(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(dev: Dev) -> None:
        load = dev.supervisor.fleet.load

        async def load_and_kill() -> Any:
            worker, loaded = await load()
            os.kill(worker.pid, signal.SIGKILL)
            await worker.ended
            monkeypatch.undo()
            return worker, loaded

        monkeypatch.setattr(dev.supervisor.fleet, "load", load_and_kill)
        reload = await dev.save("flow.py", CLEAN)
        assert reload["outcome"] == "loaded"
        run = await dev.start("main", "ada")
        await dev.client.resume(await dev.wait_for_hook(run), "yes")
        assert await run.return_value("20s") == ["hello ada", "yes", "so long ada"]

    play(project, scene)


def test_a_second_process_that_dies_before_it_serves_is_replaced(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve = fleet.Fleet._serve
    killed: list[WorkerProcess] = []

    async def kill_and_serve(self: fleet.Fleet, worker: WorkerProcess, deployments: list[str]) -> None:
        if not killed and self.current is not None and self.current.workers[0] is not worker:
            killed.append(worker)
            os.kill(worker.pid, signal.SIGKILL)
        await serve(self, worker, deployments)

    monkeypatch.setattr(fleet.Fleet, "_serve", kill_and_serve)

    async def scene(dev: Dev) -> None:
        await until(lambda: bool(killed), "the second process is there")
        await killed[0].ended
        await until(lambda: len(dev.supervisor.status()["current"]["pids"]) == 2, "another one is there")

    play(project, scene, size=2)


def test_a_process_that_comes_in_place_of_a_dead_one_after_a_reload_is_not_left_behind(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = fleet.Fleet._load
    late: list[WorkerProcess] = []
    is_asked, goes_on = asyncio.Event(), asyncio.Event()

    async def load_late(self: fleet.Fleet, order: Any) -> Any:
        if is_asked.is_set() or self.current is None:
            return await load(self, order)
        is_asked.set()
        worker, loaded = await load(self, order)
        late.append(worker)
        await goes_on.wait()
        return worker, loaded

    monkeypatch.setattr(fleet.Fleet, "_load", load_late)

    async def scene(dev: Dev) -> None:
        assert dev.supervisor.fleet.current is not None
        os.kill(dev.supervisor.fleet.current.workers[0].pid, signal.SIGKILL)
        await until(lambda: bool(late), "another process has loaded the code")
        await dev.save("flow.py", CLEAN)
        goes_on.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await late[0].ended == "ended"

    play(project, scene)


def test_several_workers_share_the_runs(project: Project) -> None:
    project.write(
        "flow.py",
        """
        import asyncio, os
        import wf

        @wf.step
        async def where() -> int:
            await asyncio.sleep(0.02)
            return os.getpid()

        @wf.workflow
        async def main() -> int:
            return await where()
        """,
    )

    async def scene(dev: Dev) -> None:
        await until(lambda: len(dev.supervisor.status()["current"]["pids"]) == 2, "both processes serve")
        seen: set[int] = set()

        async def has_seen_both() -> bool:
            runs = [await dev.start("main") for _ in range(40)]
            seen.update([await run.return_value("20s") for run in runs])
            return len(seen) == 2

        await until(has_seen_both, "both processes had runs")

    play(project, scene, size=2)


# -- remedies


def test_a_fork_goes_on_with_todays_code_from_before_the_two_part(project: Project) -> None:
    edited = GREETER.replace(
        "return [first, answer, await part(name)]", "return [first, answer, await greet(answer), await part(name)]"
    ).replace('token=f"ask:{name}"', 'token=f"ask:{name}", metadata={"v": 2}')

    async def scene(dev: Dev) -> None:
        run = await dev.start("main", "ada")
        await dev.wait_for_hook(run)
        await dev.save("flow.py", edited)
        verdict = dev.supervisor.diverging[run.run_id]
        done = await apply_remedy(dev.session, run.run_id, "fork", verdict)
        forked = await dev.client.get_run(done["new_run_id"])
        assert forked.forked_from == run.run_id
        assert await run.status() == "cancelled"
        new = Run[Any](done["new_run_id"])
        await dev.client.resume(await dev.wait_for_hook(new), "yes")
        assert await new.return_value("20s") == ["hello ada", "yes", "hello yes", "bye ada"]

    play(project, scene)


def test_a_restart_begins_anew_with_the_same_arguments(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        run = await dev.start("main", "ada")
        await dev.wait_for_hook(run)
        await dev.save("flow.py", DIVERGING)
        done = await apply_remedy(dev.session, run.run_id, "restart", dev.supervisor.diverging[run.run_id])
        new = Run[Any](done["new_run_id"])
        await dev.client.resume(await dev.wait_for_hook(new), "yes")
        assert await new.return_value("20s") == ["bye ada", "yes", "bye ada"]
        assert await run.status() == "cancelled"

    play(project, scene)


def test_a_cancel_runs_the_clean_up_of_the_runs_own_code(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        run = await dev.start("main", "ada")
        await dev.wait_for_hook(run)
        await dev.save("flow.py", DIVERGING)
        await apply_remedy(dev.session, run.run_id, "cancel", dev.supervisor.diverging[run.run_id])
        await until(lambda: _is_status(dev, run.run_id, "cancelled"), "it is cancelled")

    play(project, scene)


async def _is_status(dev: Dev, run_id: str, status: str) -> bool:
    return (await dev.client.get_run(run_id)).status == status


def test_an_unknown_remedy_and_one_without_need_change_nothing(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        run = await dev.start("main", "ada")
        await dev.wait_for_hook(run)
        with pytest.raises(UsageError, match="no remedy 'explode'"):
            await apply_remedy(dev.session, run.run_id, "explode", None)
        with pytest.raises(RemedyError, match="does not diverge"):
            await apply_remedy(dev.session, run.run_id, "fork", None)
        assert await run.status() == "running"

    play(project, scene)


# -- stored code


def test_stored_code_is_loaded_whole_where_files_were_edited_and_deleted(project: Project) -> None:
    project.write("shop/__init__.py", "")
    project.write("shop/words.py", "SUFFIX = '!'\n")
    project.write("shop/greeting.txt", "hail")
    flow = """
        from pathlib import Path
        import wf
        from .words import SUFFIX

        @wf.step(max_retries=0)
        async def greet(name: str) -> str:
            return (Path(__file__).parent / "greeting.txt").read_text() + " " + name + SUFFIX

        @wf.step(max_retries=0)
        async def fail() -> None:
            raise ValueError("the old code failed")  # as it was

        @wf.workflow
        async def main(name: str) -> str:
            await wf.hook(token=f"ask:{name}")
            return await greet(name)

        @wf.workflow
        async def failing() -> None:
            await wf.hook(token="fail")
            await fail()
    """
    project.write("shop/flows.py", flow)

    async def scene(dev: Dev) -> None:
        run, failing = await dev.start("shop.flows:main", "ada"), await dev.start("failing")
        await dev.wait_for_hook(run)
        await dev.wait_for_hook(failing)
        (project.root / "shop/words.py").unlink()
        edited = flow.replace("from .words import SUFFIX", "SUFFIX = '?'").replace(
            "await wf.hook(", "await greet('x')\n            await wf.hook("
        )
        reload = await dev.save("shop/flows.py", "\n\n\n" + edited)
        assert len(reload["diverging"]) == 2, reload
        await dev.client.resume("ask:ada", None)
        assert await run.return_value("20s") == "hail ada!"
        await dev.client.resume("fail", None)
        with pytest.raises(WorkflowRunFailedError) as caught:
            await failing.return_value("20s")
        assert 'raise ValueError("the old code failed")  # as it was' in "".join(caught.value.__cause__.__notes__)

    play(project, scene, ".")


def test_stored_code_is_found_where_its_file_was_renamed(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        run = await dev.start("main", "ada")
        token = await dev.wait_for_hook(run)
        (project.root / "flow.py").rename(project.root / "flows.py")
        reload = await dev.reload("flow.py", "flows.py")
        assert [verdict["trouble"]["code"] for verdict in reload["diverging"]] == ["NOT_REGISTERED"]
        await dev.client.resume(token, "yes")
        assert await run.return_value("20s") == ["hello ada", "yes", "bye ada"]

    play(project, scene, ".")


# -- proofs after the fact


def test_a_body_that_asks_the_clock_is_found_out_when_its_run_has_ended(project: Project) -> None:
    project.write(
        "flow.py",
        """
        import time
        import wf

        @wf.step
        async def note(at: int) -> int:
            return at

        @wf.workflow
        async def hidden() -> int:
            return await note(time.time_ns())

        @wf.workflow
        async def honest() -> int:
            return await note(wf.time_ns())
        """,
    )

    async def scene(dev: Dev) -> None:
        for name in ("honest", "hidden"):
            await (await dev.start(name)).return_value("20s")
        await until(lambda: bool(dev.told("nondeterminism")), "it is found out")
        assert [told["workflow"] for told in dev.told("nondeterminism")] == ["flow:hidden"]
        (finding,) = dev.supervisor.status()["nondeterministic"]
        assert "flow.py:" in finding["trouble"]["where"]
        await dev.save("flow.py", GREETER)
        assert dev.supervisor.status()["nondeterministic"] == []

    play(project, scene)


def test_a_replay_by_code_that_came_meanwhile_is_no_finding(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(dev: Dev) -> None:
        judge, is_done = dev.supervisor.fleet.judge, asyncio.Event()

        async def judge_late(run_ids: list[str], *, is_ended: bool = False) -> Any:
            if is_ended:
                await dev.save("flow.py", DIVERGING)
            verdicts = await judge(run_ids, is_ended=is_ended)
            if is_ended:
                is_done.set()
            return verdicts

        monkeypatch.setattr(dev.supervisor.fleet, "judge", judge_late)
        run = await dev.start("main", "ada")
        await dev.client.resume(await dev.wait_for_hook(run), "yes")
        await run.return_value("20s")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await is_done.wait()
        await asyncio.sleep(0)
        assert dev.told("nondeterminism") == []
        assert dev.supervisor.status()["nondeterministic"] == []

    play(project, scene)


# -- arguments from outside


def test_a_run_that_was_started_by_name_gets_its_arguments_as_its_code_says(project: Project) -> None:
    project.write(
        "flow.py",
        """
        from dataclasses import dataclass
        from datetime import datetime
        import wf

        @dataclass
        class Order:
            name: str
            due: datetime

        @wf.step
        async def note(order: Order) -> str:
            return f"{type(order).__name__} {order.due.year}"

        @wf.workflow
        async def main(order: Order) -> str:
            await wf.hook(token="go")
            return await note(order)
        """,
    )

    async def scene(dev: Dev) -> None:
        run = await dev.start("main", {"name": "a", "due": "2026-11-22T10:00:00Z"})
        await dev.wait_for_hook(run)
        source = (project.root / "flow.py").read_text()
        assert (await dev.save("flow.py", source + "\nx = 1\n"))["clean"] == 1
        await dev.client.resume("go", None)
        assert await run.return_value("20s") == "Order 2026"

    play(project, scene)
