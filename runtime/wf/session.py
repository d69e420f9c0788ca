"""Sessions: which world this code talks to, and with which keys.

A step's code talks to its worker's world. Otherwise the innermost open `wf.worker` (or test
environment) of the process decides, and without one the settings do: then the world is opened for
each call and let go of, or reached through the process that owns it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any, Final, Literal
from weakref import WeakKeyDictionary

from wf.clock import Clock, SystemClock
from wf.context import current_attempt
from wf.ends import Ends
from wf.errors import WorldError
from wf.ids import new_run_id
from wf.keys import Keyring
from wf.records import End
from wf.settings import Settings, WorldAddress, key_path, load_settings, parse_world_url
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
        self._ends: WeakKeyDictionary[asyncio.AbstractEventLoop, Ends] = WeakKeyDictionary()

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

    def ends(self) -> Ends:
        """Give those who wait on the running loop for runs to end."""
        loop = asyncio.get_running_loop()
        ends = self._ends.get(loop)
        if ends is None:
            ends = self._ends[loop] = Ends(self.world)
        return ends

    def note_end(self, end: End) -> None:
        """Tell who waits on this loop how a run ended, now that it is durable."""
        self.ends().tell(end)

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


def make_world(
    settings: Settings, *, role: Literal["worker", "client"], is_making: bool = True
) -> tuple[World, Keyring]:
    """Make the world that the settings name, and load its keys. A worker's world is yet to be opened.

    `is_making` False: a database that holds no world yet is left as it is.
    """
    address = parse_world_url(settings.world, settings.root)
    if address.kind == "memory":
        return _memory_world(settings)
    if address.path is None:
        return _postgres_world(address, settings, is_making=is_making)
    from wf.worlds.shared import SharedWorld  # sqlite3 and sockets are not needed to import wf

    keyring = load_keys(address, settings.root)
    return SharedWorld(address.path, settings.durability, role), keyring


def load_keys(address: WorldAddress, root: Path) -> Keyring:
    """Load the keys of a world; those of a file are made with the world, and only with it.

    A fresh key beside a world that is there would hide that its own is gone, and what was then sealed with it would be
    lost when that is put back. A database knows itself by which keys it is sealed.
    """
    place = key_path(address, root)
    assert place is not None
    is_made = address.path is not None and address.path.exists()  # asked first: the key is made before the world
    if is_made and "WF_KEY" not in os.environ and not place.exists():
        error = WorldError(f"the key of this world is gone: there is no {place}, and no WF_KEY")
        error.hint = "put it back; `WF_KEY=off` shows what is not sealed, and is right for a world that was made so"
        raise error
    try:
        return Keyring.load(place, os.environ)
    except WorldError as error:
        if isinstance(error.__cause__, OSError) and error.hint is None:
            error.hint = (
                "let this user write there, or name another place: `--world sqlite:////…/world.db`, or WF_WORLD"
            )
        raise


def _postgres_world(address: WorldAddress, settings: Settings, *, is_making: bool) -> tuple[World, Keyring]:
    try:
        from wf.worlds.postgres import PostgresWorld
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != "psycopg":
            raise
        missing = WorldError(f"the world {address.shown} needs psycopg, which is not installed")
        missing.hint = "pip install 'wfstudio[postgres]'"
        raise missing from error
    keyring = load_keys(address, settings.root)
    keys = [key.hex() for key in keyring.key_ids] or ["off"]
    return PostgresWorld(address.url, settings.durability, is_making=is_making, keys=keys), keyring


def _memory_world(settings: Settings) -> tuple[World, Keyring]:
    """`memory://` is one world per process."""
    from wf.worlds.memory import MemoryWorld

    if settings.world not in _memory:
        text = os.environ.get("WF_KEY", "")
        keyring = Keyring.parse(text) if text else Keyring([os.urandom(32)])
        _memory[settings.world] = (MemoryWorld(), keyring)
    return _memory[settings.world]
