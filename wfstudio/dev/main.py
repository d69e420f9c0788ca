"""`wf dev`: puts the studio process together, and takes it apart again.

The studio process owns the world, serves the API and the studio, watches the files, and supervises
the worker processes. It never imports the user's code.

Order matters. Opening: world, workers' warm parent, server, first load, watcher. Closing: no new
requests, workers finish their attempts (a grace period), the server says goodbye, the world closes
last, since workers reach it through us.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from wf.session import Session, enter_session, leave_session, make_world
from wf.settings import Settings, configure, find_root, load_settings
from wf.worlds.process import process_token
from wfstudio import __version__
from wfstudio.core.client import Client
from wfstudio.core.cookie_secret import cookie_secret_path, keep_cookie_secret
from wfstudio.core.faults import FaultRule
from wfstudio.core.live import Feed, ids_from_now
from wfstudio.core.options import DevOptions
from wfstudio.core.replays import Replays
from wfstudio.core.retention import keep_forgetting
from wfstudio.core.server_file import (
    ServerFile,
    read_server_file,
    remove_server_file,
    server_file_path,
    write_server_file,
)
from wfstudio.core.views import FindingView, show_instant
from wfstudio.dev.beside import open_beside
from wfstudio.dev.editors import Editors
from wfstudio.dev.faults import FaultPlan
from wfstudio.dev.remedies import apply_remedy
from wfstudio.dev.supervisor import Supervisor
from wfstudio.dev.terminal import Terminal, open_browser
from wfstudio.dev.watching import watch
from wfstudio.dev.wire import Order
from wfstudio.server.access import Access, is_loopback
from wfstudio.server.app import make_app
from wfstudio.server.serving import Server, serve
from wfstudio.text import dev_lines as lines

INTERRUPTED: Final = 130
TAKEN: Final = 3
GRACE_SECONDS: Final = 5.0


def run_dev(options: DevOptions) -> int:
    """Serve until told to stop; give the exit code. Raises `WorkflowError` where it cannot begin."""
    try:
        return asyncio.run(_DevServer(options).run())
    except KeyboardInterrupt:  # a second one, which forces
        return INTERRUPTED


class _DevServer:
    def __init__(self, options: DevOptions) -> None:
        self.options = options
        self.terminal = Terminal(is_json=options.is_json)
        self.feed = Feed(after=ids_from_now())
        self._stopping = asyncio.Event()
        self._is_forced = False

    async def run(self) -> int:
        options = self.options
        settings, targets = find_project(options.target)
        if options.world:
            configure(world=options.world)
            settings = load_settings(settings.root)
        place = server_file_path(settings)
        other = read_server_file(place)
        if other is not None:
            print(
                f"this world is served already: {other.url}, process {other.pid}\n"
                f"  fix: use that one, `wf link` opens it, or stop it: `kill {other.pid}`\n"
                f"  more: wf dev --help",
                file=sys.stderr,
            )
            return TAKEN
        world, keyring = make_world(settings, role="worker")
        opening = getattr(world, "open", None)
        if opening is not None:
            await opening()
        self.session = Session(world, keyring, settings)
        enter_session(self.session)
        try:
            await self._serve(settings, targets, place)
        finally:
            leave_session(self.session)
            await world.close()
        return 0

    async def _serve(self, settings: Settings, targets: list[str], place: Path) -> None:
        options, client = self.options, Client(self.session)
        # A token that was chosen may be meant to shut out whoever had another.
        secret = None if options.token else keep_cookie_secret(cookie_secret_path(settings))
        access = Access(options.token, allowed_hosts=options.allowed_hosts, cookie_secret=secret)
        self.supervisor = Supervisor(
            self.session,
            Order(
                root=str(settings.root),
                targets=targets,
                world=settings.address.url,
                durability=settings.durability,
                concurrency=settings.concurrency,
            ),
            size=max(1, options.workers),
            publish=self._publish,
            prints_to_stderr=options.is_json,  # every line of our output is JSON then
        )
        replays = Replays(self.session, targets=targets, launch=self.supervisor.fleet.start_bench)
        checks = self.supervisor.checks
        self.faults = FaultPlan(self.supervisor.fleet.set_faults, self._publish)
        self.editors = Editors(settings.root)
        app = make_app(client, self.feed, access=access, dev=self, replays=replays, checks=checks)
        port = options.port if options.port is not None else settings.port
        async with (
            serve(app, access, options.host, port, is_strict_port=options.is_strict_port) as server,
            contextlib.AsyncExitStack() as stack,
        ):
            self.server = server
            told = ServerFile(
                os.getpid(), process_token(), server.url, access.token, show_instant(self.session.now_us())
            )
            write_server_file(place, told)
            stack.callback(remove_server_file, place, told)
            self._show_banner(server, port, settings, targets)
            self.supervisor.fleet.order = msgspec.structs.replace(self.supervisor.fleet.order, url=server.url)
            stack.enter_context(self._signals())
            stack.enter_context(self.terminal.keys())
            watching = asyncio.create_task(watch(settings.root, self.supervisor.files_changed, self._stopping))
            opening = asyncio.create_task(self.supervisor.open())
            forgetting = asyncio.create_task(keep_forgetting(self.session, self._tell_forgotten))
            try:
                await self._stopping.wait()
            finally:
                opening.cancel()
                forgetting.cancel()
                await asyncio.gather(opening, forgetting, return_exceptions=True)
                await replays.close()  # its processes come from the supervisor's parent
                await self.supervisor.close(0 if self._is_forced else GRACE_SECONDS)
                self._stopping.set()
                await asyncio.gather(watching, return_exceptions=True)

    def _publish(self, kind: str, facts: dict[str, Any]) -> None:
        self.terminal.tell(kind, facts)
        self.feed.publish(kind, facts)

    def _tell_forgotten(self, text: str, count: int) -> None:
        self.terminal.tell("retention", {"message": text, "runs": count})

    # -- the terminal

    def _show_banner(self, server: Server, wanted_port: int, settings: Settings, targets: list[str]) -> None:
        self.terminal.say(
            lines.show_banner(
                self.terminal.painter,
                version=__version__,
                url=server.url,
                world=_show_world(settings),
                durability=settings.durability,
                target=str(settings.root) if targets == ["."] else ", ".join(targets),
                warnings=list(self._warn(server, wanted_port)),
            )
        )
        self.terminal.tell("serving", {"url": server.url, "pid": os.getpid(), "world": settings.address.shown})
        self.terminal.actions.update(
            {
                "r": lambda: self.supervisor.files_changed([]),
                "o": lambda: self._open(server),
                "u": lambda: self.terminal.say(
                    lines.show_urls(self.terminal.painter, url=server.url, link=server.launch_url)
                ),
                "t": self._open_tui,
                "d": lambda: self.terminal.say(
                    lines.show_divergences(self.terminal.painter, self.status()["diverging"])
                ),
                "p": self._toggle_pause,
                "c": self.terminal.clear,
                "h": self.terminal.help,
                "q": self._stop,
                "\n": lambda: self.terminal.say(""),
            }
        )
        if self.options.is_opening and not self.options.is_json and sys.stdout.isatty():
            self._open(server)

    def _warn(self, server: Server, wanted_port: int) -> Iterator[str]:
        if wanted_port not in (0, server.port):
            yield f"port {wanted_port} is taken"
        if not is_loopback(server.host):
            yield "other machines can reach this, in clear; whoever has the token can run code here"
            if not self.options.allowed_hosts and server.host in ("0.0.0.0", "::", "[::]"):
                yield "it answers to none of its names there yet: name one, `--allow-host NAME`"

    def _open(self, server: Server) -> None:
        url = server.launch_url
        if not open_browser(url):
            self.terminal.say(lines.show_link(self.terminal.painter, url))

    def _open_tui(self) -> None:
        world = ["--world", self.session.settings.address.url]
        command = [sys.executable, "-m", "wfstudio", "tui", *world]
        if not open_beside(command, self.session.settings.root, os.environ):
            words = shlex.join(["wf", "tui", *(world if self.options.world else [])])
            self.terminal.say(f"  in another terminal: {words}")

    def _toggle_pause(self) -> None:
        self.supervisor.pause(not self.supervisor.is_paused)
        self.terminal.say("reloading is paused" if self.supervisor.is_paused else "reloading again")

    @contextlib.contextmanager
    def _signals(self) -> Any:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        """The first time: finish what runs. The second time: end now; nothing that is committed is lost."""
        if self._stopping.is_set():
            self._is_forced = True
            self.supervisor.fleet.kill()
            return
        self.terminal.say(self.terminal.painter.dim("stopping: attempts in flight may finish; again to force"))
        self._stopping.set()

    # -- what the faces ask of the dev server

    def status(self) -> dict[str, Any]:
        """`editor` is what `open_file` starts; `root` is where the files' paths begin."""
        return {**self.supervisor.status(), "editor": self.editors.name, "root": str(self.session.settings.root)}

    def find_nondeterministic(self) -> dict[str, list[FindingView]]:
        return self.supervisor.proofs.list_findings()

    async def reload(self) -> dict[str, Any]:
        """Load the code now, whether or not a file was saved, and say how it went."""
        return msgspec.to_builtins(await self.supervisor.reload_now())  # type: ignore[no-any-return]

    async def open_file(self, file: str, line: int, column: int) -> str:
        return await asyncio.to_thread(self.editors.open, file, line, column)

    def list_faults(self) -> list[FaultRule]:
        return self.faults.list_rules()

    async def add_fault(self, action: str, **fields: Any) -> FaultRule:
        return await self.faults.add(action, **fields)

    async def clear_faults(self, ids: list[str] | None = None) -> int:
        return await self.faults.clear(ids)

    async def remedy(self, run_id: str, action: str) -> dict[str, Any]:
        return await apply_remedy(self.session, run_id, action, self.supervisor.diverging.get(run_id))


def _show_world(settings: Settings) -> str:
    """Name the world as pyproject.toml would: a file below the project's root as seen from there."""
    path = settings.address.path
    if path is None or not path.is_relative_to(settings.root):
        return settings.address.shown
    return f"sqlite:///{path.relative_to(settings.root)}"


def find_project(target: str | None) -> tuple[Settings, list[str]]:
    """Give the settings of the project that a target belongs to, and what to load, as seen from its root."""
    if target is None:
        settings = load_settings()
        return settings, list(settings.modules) or ["."]
    path = Path(os.path.abspath(target))
    if not path.exists():
        return load_settings(), [target]  # a module's name; what it is not, loading says best
    root = find_root(path)
    return load_settings(root), [os.path.relpath(path, root)]
