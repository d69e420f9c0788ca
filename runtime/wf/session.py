"""Sessions: which world this code talks to, and with which keys.

A step's code talks to its worker's world. Otherwise the innermost open `wf.worker` (or test
environment) of the process decides, and without one the settings do: then the world is opened for
each call and let go of, or reached through the process that owns it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal
from weakref import WeakKeyDictionary

from wf.clock import Clock, SystemClock
from wf.context import current_attempt
from wf.errors import WorldError
from wf.ids import new_run_id
from wf.keys import Keyring
from wf.records import End
from wf.settings import Settings, key_path, load_settings, parse_world_url
from wf.world import World

STARTS_AT_ONCE: Final = 32


class Session:
    """A world with the keys and settings to use it. `deployment_id` is what new runs are pegged to."""

    def __init__(
        self,
        world: World,
        keyring: Keyring,
        settings: Settings,
        *,
        clock: Clock | None = None,
        deployment_id: str = "",
    ) -> None:
        self.world = world
        self.keyring = keyring
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.deployment_id = deployment_id
        self.newest_deployment_id = ""  # told by who knows of newer code than this process has loaded
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
        self.waiting = 0  # how many callers wait for news; a virtual clock asks
        self._awaited: dict[str, int] = {}
        self._ends: dict[str, End] = {}

    @property
    def latest_deployment_id(self) -> str:
        """What `deployment="latest"` means here: the newest code that this process was told of, else its own."""
        return self.newest_deployment_id or self.deployment_id

    def start_gate(self) -> asyncio.Semaphore:
        """Give the gate of the running loop that lets a bounded number of starts through at a time.

        A burst of starts would otherwise do all its work before the first of its runs may go on.
        """
        loop = asyncio.get_running_loop()
        gate = self._gates.get(loop)
        if gate is None:
            gate = self._gates[loop] = asyncio.Semaphore(STARTS_AT_ONCE)
        return gate

    @contextmanager
    def awaiting_end(self, run_id: str) -> Iterator[None]:
        """Have the ends of a run kept that this process itself commits, while the block waits for them."""
        self._awaited[run_id] = self._awaited.get(run_id, 0) + 1
        try:
            yield
        finally:
            self._awaited[run_id] -= 1
            if not self._awaited[run_id]:
                del self._awaited[run_id]
                self._ends.pop(run_id, None)

    def note_end(self, end: End) -> None:
        """Keep how a run ended, now that it is durable, if somebody here waits for it."""
        if end.run_id in self._awaited:
            self._ends[end.run_id] = end

    def find_end(self, run_id: str) -> End | None:
        """Give an end that this process committed: who has just sealed it need not open it again."""
        return self._ends.get(run_id)

    def now_us(self) -> int:
        return self.clock.now_us()

    def new_run_id(self) -> str:
        return new_run_id(self.now_us())


_guard = threading.Lock()  # guards the three below
_active: list[Session] = []
_clients: dict[str, Session] = {}
_memory: dict[str, tuple[World, Keyring]] = {}


def current_session() -> Session:
    """Give the session that a call made here belongs to."""
    attempt: Any = current_attempt.get()
    if attempt is not None:
        session: Session = attempt.live.worker.session
        return session
    if _active:
        return _active[-1]
    settings = load_settings()
    with _guard:
        known = _clients.get(settings.world)
        if known is None or known.settings != settings:
            world, keyring = make_world(settings, role="client")
            known = _clients[settings.world] = Session(world, keyring, settings)
    return known


def enter_session(session: Session) -> None:
    """Make a session the one of this process, until `leave_session`."""
    _active.append(session)


def leave_session(session: Session) -> None:
    _active.remove(session)


def make_world(settings: Settings, *, role: Literal["worker", "client"]) -> tuple[World, Keyring]:
    """Make the world that the settings name, and load its keys. A worker's world is yet to be opened."""
    address = parse_world_url(settings.world, settings.root)
    if address.kind == "memory":
        return _memory_world(settings)
    if address.kind != "sqlite" or address.path is None:
        raise WorldError(f"the world {address.shown!r} cannot be used yet: this version knows sqlite:/// and memory://")
    from wf.worlds.shared import SharedWorld  # sqlite3 and sockets are not needed to import wf

    place = key_path(address, settings.root)
    assert place is not None
    keyring = Keyring.load(place, os.environ)
    return SharedWorld(address.path, settings.durability, role), keyring


def _memory_world(settings: Settings) -> tuple[World, Keyring]:
    """`memory://` is one world per process."""
    from wf.worlds.memory import MemoryWorld

    if settings.world not in _memory:
        text = os.environ.get("WF_KEY", "")
        keyring = Keyring.parse(text) if text else Keyring([os.urandom(32)])
        _memory[settings.world] = (MemoryWorld(), keyring)
    return _memory[settings.world]
