"""Faults with real worker processes: they strike as asked, are told on the run, and end with the plan."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.wfstudio.dev.process import serving
from tests.wfstudio.dev.stage import PATIENCE_SECONDS, Dev, Project, developing, until
from wf.errors import WorkflowRunFailedError
from wf.run import Run
from wfstudio.core.errors import UsageError
from wfstudio.core.faults import FaultError, strikes
from wfstudio.dev.faults import MOST_RULES, FaultPlan, WorkerFaults, find_exception

Wf = Callable[..., subprocess.CompletedProcess[str]]

FLOW = """
    import wf

    class Declined(ValueError):
        pass

    @wf.step(retry_delay="1ms", max_retries=2)
    async def charge(name: str) -> str:
        return f"charged {name}, attempt {wf.get_step_metadata().attempt}"

    @wf.step(retry_delay="1ms")
    def ship(name: str) -> str:
        return f"shipped {name}"

    @wf.workflow
    async def buy(name: str) -> list[str]:
        try:
            paid = await charge(name)
        except Declined as error:
            paid = f"declined: {error}"
        return [paid, await ship(name)]

    @wf.workflow
    async def ask(token: str) -> list[str]:
        hook = wf.hook(token=token)
        return [await hook, await hook]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.write("flow.py", FLOW)
    return made


def play(project: Project, scene: Callable[[Dev, FaultPlan], Awaitable[None]], *, size: int = 1) -> None:
    async def perform() -> None:
        async with developing(project, size=size) as dev:
            plan = FaultPlan(dev.supervisor.fleet.set_faults, lambda kind, facts: dev.said.append((kind, facts)))
            await scene(dev, plan)

    asyncio.run(perform())


async def told(dev: Dev, run: Run[Any]) -> list[str]:
    """Give what a run tells was done to it."""
    trace = await dev.client.read_trace(run.run_id)
    return [marker.data["text"] for marker in trace.markers if marker.kind == "fault"]


def test_attempts_fail_as_asked_and_only_those(project: Project) -> None:
    async def scene(dev: Dev, plan: FaultPlan) -> None:
        rule = await plan.add("fail", workflow="buy", step="charge", attempt=1, seed=7)
        run = await dev.start("buy", "ada")
        assert await run.return_value("20s") == ["charged ada, attempt 2", "shipped ada"]
        text = "fail=ConnectionError: injected fault in charge (position 1), attempt 1, by f1 seed 7"
        assert await told(dev, run) == [text]
        assert (await dev.client.get_run(run.run_id)).attributes == {"$fault": text}
        [step, _] = await dev.client.list_steps(run.run_id)
        assert step.attempts[0].error is not None
        assert (step.attempts[0].error.type, step.attempts[0].error.message) == ("ConnectionError", "injected fault")
        assert [line.text for line in await dev.client.read_logs(run.run_id)] == [f"injected: {text}"]
        assert dev.told("fault")[0]["text"] == "fail=ConnectionError: injected fault"
        await plan.add("fail=flow.Declined: no money", run="named", step="charge")
        await dev.client.start("buy", ["bob"], id="named")
        assert (await dev.client.wait_for_end("named", 20)).output == ["declined: no money", "shipped bob"]
        assert await plan.clear([rule.id]) == 1
        assert await plan.clear() == 1
        assert dev.told("fault")[-1] == {"change": "cleared", "ids": ["f2"]}
        quiet = await dev.start("buy", "eve")
        assert await quiet.return_value("20s") == ["charged eve, attempt 1", "shipped eve"]
        assert await told(dev, quiet) == []

    play(project, scene)


def test_an_exception_of_the_projects_own_is_raised_in_the_body(project: Project) -> None:
    async def scene(dev: Dev, plan: FaultPlan) -> None:
        for error in ("Declined", "flow.Declined"):
            rule = await plan.add(f"fail={error}", workflow="buy", step="charge")
            run = await dev.start("buy", "ada")
            assert await run.return_value("20s") == ["declined: ", "shipped ada"]
            assert len(await told(dev, run)) == 3, "every attempt"
            await plan.clear([rule.id])
        with pytest.raises(UsageError) as refused:
            await plan.add("fail=Nonsense", workflow="buy")
        assert str(refused.value) == "no exception is called 'Nonsense' in the code that is loaded"
        assert plan.list_rules() == []
        assert (await dev.start("buy", "x")) is not None

    play(project, scene)


def test_a_crash_kills_the_worker_and_the_attempt_is_lost_and_repeated(project: Project) -> None:
    async def scene(dev: Dev, plan: FaultPlan) -> None:
        await plan.add("crash", workflow="buy", step="charge", attempt=1)
        [before] = [worker.pid for worker in dev.supervisor.fleet.current.workers]  # type: ignore[union-attr]
        run = await dev.start("buy", "ada")
        assert await run.return_value("20s") == ["charged ada, attempt 2", "shipped ada"]
        assert dev.told("worker")[0]["cause"] == "killed by SIGKILL"
        assert dev.told("worker")[0]["pid"] == before
        [step, _] = await dev.client.list_steps(run.run_id)
        assert [attempt.status for attempt in step.attempts] == ["lost", "completed"]
        assert await told(dev, run) == ["crash in charge (position 1), attempt 1, by f1 seed 0"]
        await plan.clear()
        await plan.add("crash", workflow="buy", step="charge")
        doomed = await dev.start("buy", "bob")
        with pytest.raises(WorkflowRunFailedError) as failed:
            await doomed.return_value("30s")
        assert "worker lost" in str(failed.value.__cause__)
        assert len(await told(dev, doomed)) == 3

    play(project, scene)


def test_a_delay_and_a_failure_meet_in_one_attempt(project: Project) -> None:
    async def scene(dev: Dev, plan: FaultPlan) -> None:
        await plan.add("delay=20ms", workflow="buy", step="ship")
        await plan.add("fail=OSError: gone", workflow="buy", step="2", attempt=1)
        run = await dev.start("buy", "ada")
        assert await run.return_value("20s") == ["charged ada, attempt 1", "shipped ada"]
        assert [text.partition(" in ")[0] for text in await told(dev, run)] == [
            "delay=0.02s", "fail=OSError: gone", "delay=0.02s",
        ]  # fmt: skip
        [_, step] = await dev.client.list_steps(run.run_id)
        assert all((attempt.duration_ms or 0) >= 20 for attempt in step.attempts)

    play(project, scene)


def test_a_payload_is_delivered_twice(project: Project) -> None:
    async def scene(dev: Dev, plan: FaultPlan) -> None:
        await plan.add("twice", workflow="ask", hook="news")
        run = await dev.start("ask", "news")
        await dev.client.resume(await dev.wait_for_hook(run), "once")
        assert await run.return_value("20s") == ["once", "once"]
        assert await told(dev, run) == ["twice at hook hook (position 1), by f1 seed 0"]
        other = await dev.start("ask", "other")
        await dev.client.resume(await dev.wait_for_hook(other), "once")
        await dev.client.resume("other", "again")
        assert await other.return_value("20s") == ["once", "again"]

    play(project, scene)


def test_which_runs_are_struck_follows_from_the_seed(project: Project) -> None:
    async def scene(dev: Dev, plan: FaultPlan) -> None:
        rule = await plan.add("fail", workflow="buy", step="charge", probability=0.5, seed=3)
        names = [f"run-{n}" for n in range(12)]
        for name in names:
            await dev.client.start("buy", [name], id=name)
        for name in names:
            await dev.client.wait_for_end(name, 20)
        struck = {name: [n for n in (1, 2, 3) if strikes(rule, name, 1, n)] for name in names}
        for name in names:
            texts = await told(dev, Run(name))
            attempts = [n for n in struck[name] if all(m in struck[name] for m in range(1, n))]
            assert len(texts) == len(attempts), "as the rule says, as long as attempts fail"
        assert any(struck.values())

    play(project, scene, size=2)


def test_workers_that_come_later_have_the_plan_too(project: Project) -> None:
    async def scene(dev: Dev, plan: FaultPlan) -> None:
        await plan.add("fail", workflow="buy", step="charge", attempt=1)
        await dev.save("flow.py", FLOW.replace("charged", "paid"))
        run = await dev.start("buy", "ada")
        assert await run.return_value("20s") == ["paid ada, attempt 2", "shipped ada"]
        waiting = await dev.start("ask", "news")
        await dev.wait_for_hook(waiting)
        await plan.add("twice", run=waiting.run_id)
        reload = await dev.save(
            "flow.py", FLOW.replace("        hook = wf", "        await ship('x')\n        hook = wf")
        )
        assert len(reload["diverging"]) == 1
        await until(lambda: bool(dev.supervisor.fleet.pegged), "its code is served")
        await dev.client.resume("news", "once")
        assert await waiting.return_value("20s") == ["once", "once"]

    play(project, scene)


def test_a_plan_has_bounds_and_knows_what_is_in_it() -> None:
    async def perform() -> None:
        spread: list[int] = []

        async def tell(rules: Any) -> list[str]:
            spread.append(len(rules))
            return []

        plan = FaultPlan(tell, lambda kind, facts: None)
        for _ in range(MOST_RULES):
            await plan.add("crash", run="r")
        with pytest.raises(FaultError):
            await plan.add("crash", run="r")
        with pytest.raises(FaultError, match="there is no fault 'f999'"):
            await plan.clear(["f1", "f999"])
        assert len(plan.list_rules()) == MOST_RULES, "all or none are taken back"
        assert await plan.clear(["f1", "f1"]) == 1
        assert (await plan.add("crash", run="r")).id == f"f{MOST_RULES + 1}", "no id is used again"
        assert spread[-1] == MOST_RULES

    asyncio.run(perform())


def test_exceptions_are_found_in_what_is_loaded() -> None:
    assert find_exception("ValueError") is ValueError
    assert find_exception("json.JSONDecodeError") is json.JSONDecodeError
    assert find_exception("FatalError") is not None
    assert find_exception("FaultError") is FaultError, "a class of a loaded module, by its bare name"
    assert find_exception("FaultError", "wfstudio.core.faults") is FaultError
    for name in ("int", "json.dumps", "nowhere.Error", "KeyboardInterrupt", "", "."):
        assert find_exception(name) is None
    assert WorkerFaults().set_rules([]) == []


# -- wf dev and the command line --------------------------------------------------------------------


@pytest.fixture
def wf(quick_wf: Path, project: Project) -> Wf:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        command = [quick_wf, *words]
        return subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=PATIENCE_SECONDS)

    return call


def test_the_command_line_disturbs_what_wf_dev_runs(project: Project, wf: Wf) -> None:
    with serving(project) as process:
        process.wait_for("reload")
        added = wf("fault", "add", "fail=Declined: no", "--workflow", "buy", "--step", "charge", "--json")
        assert added.returncode == 0, added.stderr
        assert json.loads(added.stdout)["error"] == "Declined"
        assert process.wait_for("fault")["change"] == "added"
        told = wf("start", "buy", '"ada"', "--id", "first", "--wait")
        assert json.loads(told.stdout) == ["declined: no", "shipped ada"]
        shown = wf("inspect", "first").stdout
        assert "injected    fail=Declined: no in charge (position 1), attempt 1, by f1 seed 0" in shown
        listed = wf("fault")
        assert listed.stdout.split("\n")[1].split() == [
            "f1", "fail=Declined:", "no", "workflow", "buy,", "step", "charge", "1", "0",
        ]  # fmt: skip
        assert wf("fault", "clear", "f1").stdout == "1 fault taken back\n"
        assert wf("fault", "list").stderr == "no fault is injected\n"
        wf("start", "ask", '"news"', "--id", "asking")
        twice = wf("fault", "add", "twice", "--run", "asking")
        assert twice.stdout == "f2  twice  run asking, any hook\n"
        process.wait_for_run("asking", lambda run: run["reason"] is not None)
        assert wf("resume", "news", '"hi"').returncode == 0
        assert process.wait_for_run("asking", lambda run: run["status"] == "completed")["output"] == ["hi", "hi"]
        ahead = wf("fault", "add", "crash", "--run", "to-come", "--attempt", "1", "--step", "ship")
        assert ahead.stderr == "no run has the id to-come yet: the fault waits for one that is started with it\n"
        told = wf("start", "buy", '"bob"', "--id", "to-come", "--wait")
        assert json.loads(told.stdout) == ["charged bob, attempt 1", "shipped bob"]
        assert process.wait_for("worker")["cause"] == "killed by SIGKILL"


def test_a_timer_comes_when_the_command_line_says_so(project: Project, wf: Wf) -> None:
    project.write(
        "flow.py",
        FLOW
        + """
    @wf.workflow
    async def nap() -> str:
        await wf.sleep("7d")
        return "rested"
    """,
    )
    with serving(project) as process:
        process.wait_for("reload")
        wf("start", "nap", "--id", "napping")
        process.wait_for_run("napping", lambda run: (run["reason"] or "").startswith("sleeping"))
        jumped = wf("fault", "jump", "nap")
        assert jumped.stdout.startswith("napping  sleep at position 1, due at "), jumped.stderr
        ended = process.wait_for_run("napping", lambda run: run["status"] == "completed")
        assert ended["attributes"]["$fault"].startswith("jump to the sleep at position 1, 6d 23h")
        again = wf("fault", "jump", "napping")
        assert again.returncode == 1
        assert again.stderr.splitlines()[0] == "run napping waits for no time"


def test_without_wf_dev_the_command_line_says_why_not(project: Project, wf: Wf) -> None:
    (project.root / ".wf").mkdir()
    told = wf("fault", "add", "crash", "--workflow", "buy")
    assert told.returncode == 1
    assert told.stderr.splitlines() == [
        "faults are injected under `wf dev` only, and none runs beside this world",
        "  fix: start `wf dev`, and say it again",
        "  more: docs/errors/fault.md",
    ]
