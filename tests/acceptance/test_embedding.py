"""API.md §3, §6, §8: `wf.worker`, `wf.run`, `wf.lifespan`, clients without a worker, and where worlds lie."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import textwrap
import types

import pytest

import wf
from wf import session, settings
from wf.clock import SystemClock
from wf.worlds.lockfile import try_acquire


@wf.step
async def echo(value):
    return value


@wf.workflow
async def quick(x=1):
    return await echo(x)


@wf.workflow
async def waiting(token):
    return await wf.hook(token=token)


@wf.workflow
async def failing():
    raise ValueError("no")


@pytest.fixture(autouse=True)
def world(tmp_path, monkeypatch):
    """Every test its own project directory, and so its own world."""
    (tmp_path / "pyproject.toml").write_text("[tool.wf]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "_memory", {})
    monkeypatch.setattr(session, "_clients", {})
    yield tmp_path / ".wf" / "world.db"
    settings.forget_configuration()


async def resume(token, payload=None):
    while True:
        try:
            return await wf.resume_hook(token, payload)
        except wf.HookNotFoundError:
            await asyncio.sleep(0.001)


# -- wf.worker


async def test_a_worker_runs_what_is_started(world):
    async with wf.worker() as worker:
        run = await wf.start(quick, 5)
        assert await run.return_value() == 5
        assert worker.world is not None
        await worker.drain()
    assert world.exists()


async def test_a_worker_that_cannot_begin_lets_go_of_its_world(world):
    class Stopped(SystemClock):
        def now_us(self):
            raise OSError("no clock")

    with pytest.raises(OSError, match="no clock"):
        async with wf.worker(clock=Stopped()):
            pass
    lock = try_acquire(str(world))
    assert lock is not None, "another process can have it"
    lock.release()


async def test_memory_is_one_world_per_process():
    async with wf.worker("memory://"):
        run = await wf.start(waiting, "t")
        await resume_later("t")
    async with wf.worker("memory://"):
        await resume("t", 7)
        assert await wf.get_run(run.run_id).return_value() == 7


async def resume_later(token):
    while True:
        try:
            return await wf.get_hook_by_token(token)
        except wf.HookNotFoundError:
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("how", ["argument", "configure", "environment", "pyproject"])
async def test_where_the_world_is(tmp_path, monkeypatch, how):
    url = f"sqlite:///{tmp_path}/there.db"
    match how:
        case "configure":
            wf.configure(world=url)
        case "environment":
            monkeypatch.setenv("WF_WORLD", url)
        case "pyproject":
            (tmp_path / "pyproject.toml").write_text(f'[tool.wf]\nworld = "{url}"\n')
    async with wf.worker(url) if how == "argument" else wf.worker():
        run = await wf.start(quick, 5)
        assert await run.return_value() == 5
    assert (tmp_path / "there.db").exists()
    assert (tmp_path / "there.db.key").exists()
    if how != "argument":
        assert await wf.get_run(run.run_id).return_value() == 5


async def test_runs_survive_their_worker(world):
    async with wf.worker():
        run = await wf.start(waiting, "t")
        await resume_later("t")
    assert await run.status() == "running"
    await wf.resume_hook("t", 9)
    async with wf.worker():
        assert await run.return_value() == 9
    assert await run.return_value() == 9


async def test_key_and_world_are_private(world):
    async with wf.worker():
        await (await wf.start(quick, "a secret text")).return_value()
    key = world.parent / "key"
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    assert b"a secret text" not in world.read_bytes()


async def test_without_encryption_everything_still_works(monkeypatch, world):
    monkeypatch.setenv("WF_KEY", "off")
    async with wf.worker():
        run = await wf.start(quick, {"a": [1]})
        assert await run.return_value() == {"a": [1]}


async def test_a_worker_takes_modules_and_names(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "acceptance_module.py").write_text(
        "async def flow(x):\n    'use workflow'\n    return await work(x)\n\n"
        "def work(x):\n    'use step'\n    return x + 1\n"
    )
    made = types.ModuleType("acceptance_made")
    exec("async def other():\n    'use workflow'\n    return 'other'\n", made.__dict__)
    async with wf.worker("memory://", modules=["acceptance_module", made], concurrency=3):
        assert await (await wf.start(sys.modules["acceptance_module"].flow, 1)).return_value() == 2
        assert await (await wf.start(made.other)).return_value() == "other"


async def test_bad_arguments_of_a_worker():
    for arguments in ({"concurrency": 0}, {"grace": "soon"}, {"world": "nonsense://x"}):
        with pytest.raises((ValueError, wf.WorkflowError)):
            async with wf.worker(**arguments):
                pass
    with pytest.raises(wf.WorkflowError, match="no_such_module_here"):
        async with wf.worker("memory://", modules=["no_such_module_here"]):
            pass
    async with wf.worker("memory://"):
        assert await (await wf.start(quick)).return_value() == 1


async def test_leaving_waits_for_attempts_in_flight(world):
    begun, ended = asyncio.Event(), []

    @wf.step
    async def slow():
        begun.set()
        for _ in range(20):
            await asyncio.sleep(0)
        ended.append(True)
        return "done"

    @wf.workflow
    async def flow():
        return await slow()

    async with wf.worker(grace="5s"):
        run = await wf.start(flow)
        await begun.wait()
    assert ended == [True]
    async with wf.worker():
        assert await run.return_value() == "done"
    assert ended == [True]


async def test_attempts_over_the_grace_are_cancelled_and_retried_by_the_next_worker(world):
    begun, attempts = asyncio.Event(), []

    @wf.step
    async def slow():
        attempts.append(wf.get_step_metadata().attempt)
        begun.set()
        if len(attempts) == 1:
            await asyncio.Event().wait()
        return "done"

    @wf.workflow
    async def flow():
        return await slow()

    async with wf.worker(grace=0):
        run = await wf.start(flow)
        await begun.wait()
    async with wf.worker():
        assert await run.return_value() == "done"
    assert attempts == [1, 2]


async def test_kills_use_retries_up_and_end_in_worker_lost(world):
    begun = asyncio.Event()

    @wf.step(max_retries=1)
    async def poison():
        begun.set()
        await asyncio.Event().wait()

    @wf.workflow
    async def flow():
        try:
            await poison()
        except wf.StepError as error:
            return str(error)

    run = None
    for _ in range(2):
        begun.clear()
        async with wf.worker(grace=0):
            run = run or await wf.start(flow)
            await begun.wait()
    async with wf.worker():
        assert "worker lost" in await run.return_value()


async def test_a_client_without_a_worker_starts_resumes_and_reads(world):
    run = await wf.start(waiting.with_options(attributes={"a": "b"}), "t")
    assert await run.status() == "pending"
    assert await run.attributes() == {"a": "b"}
    assert [r.run_id async for r in wf.list_runs()] == [run.run_id]
    with pytest.raises(TimeoutError):
        await run.return_value(timeout=0.01)
    with pytest.raises(wf.RunNotFoundError):
        await wf.get_run("nobody").status()
    async with wf.worker():
        await resume("t", 3)
        assert await run.return_value() == 3
    assert await run.return_value() == 3


async def test_lifespan_embeds_the_runtime_in_an_app(world):
    from starlette.applications import Starlette

    app = Starlette(lifespan=wf.lifespan)
    async with app.router.lifespan_context(app):
        assert await (await wf.start(quick, 6)).return_value() == 6


# -- wf.run


def test_run_blocks_and_gives_the_value(world):
    assert wf.run(quick, 4) == 4
    assert wf.run(quick, x=5) == 5
    assert world.exists()


def test_run_raises_as_return_value_does(world):
    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        wf.run(failing)
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(TypeError):
        wf.run(quick, 1, 2)
    with pytest.raises(TypeError):
        wf.run(quick.func, 1)


def test_run_with_an_id_gives_the_same_run_again(world):
    assert wf.run(quick.with_options(id="mine"), 1) == 1
    assert wf.run(quick.with_options(id="mine"), 1) == 1
    assert len(asyncio.run(_list())) == 1


async def _list():
    return [run async for run in wf.list_runs()]


async def test_run_in_a_running_loop_says_what_to_do():
    with pytest.raises(RuntimeError, match=r"wf\.start"):
        wf.run(quick)


# -- processes

SCRIPT = """
import sys, wf

@wf.step
def add(a, b=1):
    print("add", file=sys.stderr)
    return a + b

@wf.workflow
async def flow(a, stop=False):
    value = await add(a)
    if stop:
        raise ValueError("stopped")
    return {"value": value, "name": wf.get_workflow_metadata().workflow_name}

@wf.workflow
async def waits(token):
    return await wf.hook(token=token)

if __name__ == "__main__":
    print(wf.run(flow.with_options(id="same"), 1))
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script_flow.py"
    path.write_text(textwrap.dedent(SCRIPT))
    return path


def call(*words, **options):
    return subprocess.run(
        [sys.executable, "-W", "error", *words], capture_output=True, text=True, timeout=60, check=False, **options
    )


def test_a_script_and_the_command_continue_each_others_runs(script):
    first = call(str(script))
    assert first.returncode == 0, first.stderr
    assert "'value': 2" in first.stdout
    assert "script_flow:flow" in first.stdout
    again = call("-m", "wf", "run", "script_flow.py:flow", "1", "--id", "same")
    assert again.returncode == 0, again.stderr
    assert '"value": 2' in again.stdout
    assert "add" not in again.stderr.split("\n")


def test_the_command_takes_json_and_names(script):
    done = call("-m", "wf", "run", "script_flow.py:flow", "a=41")
    assert done.returncode == 0, done.stderr
    assert '"value": 42' in done.stdout
    module = call("-m", "wf", "run", "script_flow:flow", "41", cwd=script.parent)
    assert module.returncode == 0, module.stderr


def test_the_command_has_exit_codes(script):
    failed = call("-m", "wf", "run", "script_flow.py:flow", "1", "stop=true")
    assert failed.returncode == 1
    assert "stopped" in failed.stderr
    for words in (
        ["script_flow.py:flow", "not json"],
        ["script_flow.py:flow"],
        ["script_flow.py:flwo", "1"],
        ["nowhere.py:flow"],
        ["script_flow.py:flow", "a=1", "2"],
        [],
    ):
        wrong = call("-m", "wf", "run", *words)
        assert wrong.returncode == 2, (words, wrong.stderr)
        assert "Traceback" not in wrong.stderr
    assert "flow" in call("-m", "wf", "run", "script_flow.py:flwo", "1").stderr


SERVER = """
import asyncio, sys, wf
from script_flow import waits

async def main():
    async with wf.worker():
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""

CLIENT = """
import asyncio, sys, wf

async def main():
    run_id = sys.argv[1]
    run = wf.get_run(run_id)
    while True:
        try:
            await wf.resume_hook("t", "from a client")
            break
        except wf.HookNotFoundError:
            await asyncio.sleep(0.01)
    print(await run.return_value(), await run.status())

asyncio.run(main())
assert "script_flow" not in sys.modules
"""


def test_a_client_process_works_while_another_serves_the_world(script):
    (script.parent / "server.py").write_text(SERVER)
    (script.parent / "client.py").write_text(CLIENT)
    start = "import asyncio, wf, script_flow as s; print(asyncio.run(wf.start(s.waits, 't')).run_id)"
    server = subprocess.Popen(
        [sys.executable, "server.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=script.parent
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        started = call("-c", start, cwd=script.parent)
        assert started.returncode == 0, started.stderr
        client = call("client.py", started.stdout.strip(), cwd=script.parent)
        assert client.returncode == 0, client.stderr
        assert client.stdout.strip() == "from a client completed"
    finally:
        server.communicate("\n", timeout=30)
    assert server.returncode == 0


async def test_a_single_module_need_not_be_put_into_a_list(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "acceptance_alone.py").write_text("async def shout(x):\n    'use workflow'\n    return x.upper()\n")
    made = types.ModuleType("acceptance_single")
    exec('async def shout(x):\n    """use workflow"""\n    return x.upper()\n', made.__dict__)
    async with wf.worker("memory://", modules=made):
        assert await (await wf.start(made.shout, "a")).return_value() == "A"
    async with wf.worker("memory://", modules="acceptance_alone"):
        assert await (await wf.start(sys.modules["acceptance_alone"].shout, "a")).return_value() == "A"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"world": 5}, "world: 5 is neither a URL nor a world"),
        ({"modules": [5]}, "modules: 5 is neither a module nor its name"),
        ({"concurrency": "x"}, "concurrency: 'x' is not a number"),
    ],
)
def test_a_worker_says_which_option_cannot_be_right(options, message):
    with pytest.raises(TypeError, match=message):
        wf.worker(**options)
