"""The asking side of a bench: whatever the process does, who asks gets an answer or an error, in time."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.stage import until
from wf.settings import Limits
from wfstudio.core.bench import wire
from wfstudio.core.bench.process import Bench, Launch, Started, describe_end, open_bench, spawn
from wfstudio.core.errors import BenchError


def code(folder: Path) -> wire.Code:
    return wire.Code(str(folder), ["flow.py"], Limits())


async def load(folder: Path, text: str = "import wf\n") -> tuple[Bench, wire.Loaded | wire.NotLoaded]:
    (folder / "pyproject.toml").write_text("[tool.wf]\n")
    (folder / "flow.py").write_text(text)
    bench = await open_bench()
    try:
        return bench, await bench.ask(code(folder), wire.Loaded | wire.NotLoaded, 20)  # type: ignore[arg-type]
    except BaseException:
        await bench.close()
        raise


def act(program: str) -> Launch:
    """Start, in place of a bench, a process that does something else with the socket `line`."""

    async def launch(control: socket.socket, output: int) -> Started:
        text = f"import os, socket, sys, time\nline = socket.socket(fileno={control.fileno()})\n{program}"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", text, pass_fds=[control.fileno()], stdout=output, stderr=output
        )

        async def wait() -> str:
            return describe_end(await process.wait())

        return Started(process.pid, asyncio.get_running_loop().create_task(wait()), process.kill)

    return launch


async def fail(launch: Launch, seconds: float = 20) -> str:
    bench = await open_bench(launch)
    try:
        with pytest.raises(BenchError) as failed:
            await bench.ask(code(Path("nowhere")), wire.Loaded, seconds)
    finally:
        await bench.close()
    assert not bench.is_alive
    return failed.value.message


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("sys.exit(0)", "the process with the code ended"),
        ("print('why'); sys.exit(3)", "the process with the code exited with code 3; it printed last:\nwhy"),
        ("os.kill(os.getpid(), 9)", "the process with the code was killed by SIGKILL"),
        ("os.abort()", "the process with the code was killed by SIGABRT"),
        ("line.sendall(b'not a length at all')", "the process with the code ended"),
        (
            "line.sendall(b'\\0\\0\\0\\3abc'); time.sleep(60)",
            "the process with the code gave an answer that is none, and was killed",
        ),
        (
            "line.sendall(b'\\0\\0\\0\\1\\x80'); time.sleep(60)",
            "the process with the code gave an answer that is none, and was killed",
        ),
        (
            "line.sendall(b'\\xff\\xff\\xff\\xff'); time.sleep(60)",
            "the process with the code closed its stream, and was killed",
        ),
        ("line.close(); time.sleep(60)", "the process with the code closed its stream, and was killed"),
    ],
)
async def test_a_process_that_gives_no_answer_is_an_error_that_says_how(program: str, message: str) -> None:
    assert await fail(act(program)) == message


async def test_a_process_that_hangs_is_killed_in_time() -> None:
    message = await fail(act("time.sleep(60)"), 0.2)
    assert message == "the process with the code gave no answer for 0.2 s, and was killed"


async def test_an_answer_to_another_question_is_none() -> None:
    data = wire.encode_message(wire.Travelled(3))
    assert await fail(act(f"line.sendall({data!r}); time.sleep(60)")) == (
        "the process with the code gave an answer to another question, and was killed"
    )


async def test_only_the_last_of_what_it_prints_is_shown() -> None:
    message = await fail(act("print('x' * 3000000); [print(n) for n in range(9)]; sys.exit(1)"))
    assert message.endswith("it printed last:\n4\n5\n6\n7\n8")


async def test_a_refusal_is_the_error_that_it_names() -> None:
    from wfstudio.core.errors import ConflictError, NotFoundError, UsageError

    kinds = {"usage": UsageError, "not-found": NotFoundError, "conflict": ConflictError, "bench": BenchError}
    for kind, error in kinds.items():
        data = wire.encode_message(wire.Refused(kind, "no", "a hint"))  # type: ignore[arg-type]
        bench = await open_bench(act(f"line.sendall({data!r}); line.recv(1)"))
        with pytest.raises(error, match="no"):
            await bench.ask(code(Path("nowhere")), wire.Loaded, 20)
        await bench.close()


async def test_whoever_is_cancelled_while_it_asks_leaves_no_answer_for_the_next() -> None:
    bench = await open_bench(act("time.sleep(60)"))
    asking = asyncio.create_task(bench.ask(code(Path("nowhere")), wire.Loaded, 20))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(lambda: not bench.is_alive, "the process has ended")
    with pytest.raises(BenchError):
        await bench.ask(code(Path("nowhere")), wire.Loaded, 20)
    await bench.close()


async def test_a_process_that_cannot_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(BenchError, match=r"no process could be started: .*nowhere"):
        await open_bench(spawn)


def test_ends_are_said_in_words() -> None:
    said = [describe_end(code) for code in (0, 1, 255, -signal.SIGSEGV, -99)]
    assert said == [
        "ended",
        "exited with code 1",
        "exited with code 255",
        "was killed by SIGSEGV",
        "was killed by signal 99",
    ]


# -- the real one -------------------------------------------------------------------------------


async def test_a_bench_loads_code_and_leaves_when_its_line_is_closed(tmp_path: Path) -> None:
    bench, loaded = await load(tmp_path, "import wf\n\n@wf.workflow\nasync def flow() -> None: ...\n")
    assert isinstance(loaded, wire.Loaded)
    assert loaded.workflows == ["flow:flow"]
    assert loaded.files == ["flow.py"]
    pid = bench.pid
    await bench.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 +", "flow.py cannot be imported: SyntaxError: invalid syntax (flow.py, line 1)"),
        ("import wf\nraise ValueError('no')", "flow.py cannot be imported: ValueError: no"),
        ("import wf\nraise SystemExit(3)", "flow.py cannot be imported: SystemExit: 3"),
    ],
)
async def test_code_that_does_not_load_is_told_with_its_traceback(tmp_path: Path, text: str, message: str) -> None:
    bench, report = await load(tmp_path, text)
    assert isinstance(report, wire.NotLoaded)
    assert report.message == message
    assert "flow.py" in (report.where or "")
    assert "wfstudio" not in (report.traceback or "")
    await bench.close()


async def test_a_folder_that_is_gone_is_no_crash(tmp_path: Path) -> None:
    bench = await open_bench()
    report = await bench.ask(code(tmp_path / "gone"), wire.NotLoaded, 20)
    assert report.message.startswith("the project's folder cannot be entered")
    await bench.close()


async def test_code_that_leaves_a_thread_behind_does_not_keep_the_process(tmp_path: Path) -> None:
    bench, _ = await load(
        tmp_path, "import wf, threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
    )
    await bench.close()
    assert not bench.is_alive


async def test_a_bench_has_neither_the_world_nor_its_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WF_WORLD", f"sqlite:///{tmp_path}/world.db")
    bench, loaded = await load(
        tmp_path,
        "import wf\nfrom wf.session import current_session\nassert current_session().world.url == 'memory://'\n",
    )
    assert isinstance(loaded, wire.Loaded), loaded
    assert not (tmp_path / "world.db").exists()
    await bench.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell by the end of the stream")
def test_a_bench_ends_with_whoever_asked_although_it_is_busy(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.wf]\n")
    (tmp_path / "flow.py").write_text(
        "import os, wf\nprint(os.getpid(), file=open('pid', 'w'), flush=True)\nwhile True: pass\n"
    )
    program = (
        "import asyncio\nfrom wf.settings import Limits\nfrom wfstudio.core.bench import wire\n"
        "from wfstudio.core.bench.process import open_bench\n"
        "async def main():\n    bench = await open_bench()\n"
        f"    await bench.ask(wire.Code({str(tmp_path)!r}, ['flow.py'], Limits()), wire.Loaded, 60)\n"
        "asyncio.run(main())\n"
    )
    asker = subprocess.Popen([sys.executable, "-c", program])
    place = tmp_path / "pid"
    wait(lambda: place.exists() and place.read_text().strip() != "")
    pid = int(place.read_text())
    asker.kill()
    asker.wait()
    wait(lambda: not is_running(pid))


def wait(condition: Callable[[], bool]) -> None:
    asyncio.run(until(condition, "it is so"))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"
