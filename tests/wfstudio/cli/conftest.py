"""What the command line's tests share: a project, a world with runs in it, and `wf` called in this process."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.wfstudio.studio import open_studio, rest, run
from wf.loading import file_of
from wf.registry import isolated
from wf.settings import forget_configuration
from wfstudio.cli.app import main
from wfstudio.cli.terminal import Terminal
from wfstudio.core.client import Client

FLOW = """
    import asyncio
    import sys

    import wf


    class Declined(ValueError): ...


    @wf.step(max_retries=1, retry_delay=0)
    async def charge(card: str, amount: int = 3) -> dict:
        print("charging", card)
        if card == "bad":
            raise Declined(f"card {card}")
        return {"card": card, "amount": amount}


    @wf.workflow
    async def pay(card: str, *, amount: int = 3) -> dict:
        "Charge a card."
        return await charge(card, amount)


    @wf.workflow
    async def order(card: str) -> dict:
        return await pay(card)


    @wf.workflow
    async def approve(site: str) -> str:
        return await wf.hook(token=f"site:{site}")
"""


class Outcome(NamedTuple):
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def jsonl(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Wf = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def no_traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget what a command loaded of a test's project, and configured, in this process."""
    paths = list(sys.path)
    with isolated():
        yield
    forget_configuration()
    sys.path[:] = paths
    projects = str(tmp_path_factory.getbasetemp())
    for name, module in list(sys.modules.items()):
        if (file_of(module) or "").startswith(projects):
            del sys.modules[name]


@pytest.fixture
def wf_cli(capsys: pytest.CaptureFixture[str]) -> Wf:
    def call(*words: str) -> Outcome:
        capsys.readouterr()
        code = main(list(words))
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one file of workflows, as the working directory."""
    (tmp_path / "pyproject.toml").write_text("[tool.wf]\n")
    (tmp_path / "shop_flow.py").write_text(textwrap.dedent(FLOW))
    monkeypatch.chdir(tmp_path)
    return tmp_path


class World(NamedTuple):
    """A world that no process has now. Its runs rest where its last worker left them."""

    url: str
    completed: str
    failed: str
    retried: str
    waiting: str
    sleeping: str
    streamed: str
    parent: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")

    async def fill() -> World:
        async with open_studio("sqlite", folder) as client:
            return World(
                url=f"sqlite:///{folder}/world.db",
                completed=(await run(client, "greet", "ada", times=2)).id,
                failed=(await run(client, "fail", "no money \x1b[31m")).id,
                retried=(await run(client, "retry")).id,
                waiting=(await rest(client, (await client.start("approve", ["docs"])).id)).id,
                sleeping=(await rest(client, (await client.start("nap", [])).id, "sleeping")).id,
                streamed=(await run(client, "stream", 3)).id,
                parent=(await run(client, "parent", "bob")).id,
            )

    return asyncio.run(fill())


class Serving:
    """A worker that serves a world from a thread of its own, while a test's commands ask it."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/world.db"
        self._folder = folder
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="serving")
        self._loop: asyncio.AbstractEventLoop
        self._client: Client
        self._stop: asyncio.Event

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with open_studio("sqlite", self._folder) as self._client:
            self._is_ready.set()
            await self._stop.wait()

    def do(self, act: Callable[[Client], Any]) -> Any:
        """Do something with the worker's client, on its loop, and give the result."""
        return self.begin(act).result(10)

    def begin(self, act: Callable[[Client], Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(act(self._client), self._loop)

    def __enter__(self) -> Serving:
        self._thread.start()
        assert self._is_ready.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    with Serving(tmp_path) as found:
        yield found


class Screen(io.TextIOWrapper):
    """A stream that is a terminal, as far as anybody can tell, and keeps what it is given."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode(self.encoding)


@pytest.fixture
def make_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Terminal]:
    """Give a terminal of a width; `ascii` for one that knows no more than that."""

    def make(width: int = 80, encoding: str = "utf-8", **environ: str) -> Terminal:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("LINES", "24")
        monkeypatch.setenv("TERM", "xterm")
        for name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return Terminal(Screen(encoding))

    return make
