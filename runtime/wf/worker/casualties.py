"""Casualties: processes that died while a run's body ran in them, and whose body that was.

A body may take its process down (`os._exit`, a segfault, memory), and would do so again wherever the run is
recovered: each time all other runs lose the attempts that are under way. So who died of what is kept.

1. Before a body runs, its run's id is written into a file that is also memory of this process (shared mmap);
   when it blocks, the id is taken out. What stands there survives the process, however it dies. This costs
   a third of a microsecond an activation, and no system call.
2. Whoever comes next buries the dead: it counts the death against that run, under the code that ran it, and removes
   the file. An orderly process removes its own.
3. A body that neither ends nor can be interrupted is the business of who started the process, if anybody did: it sees
   that the count of activations stands still (`read_turns`), marks the file, and ends the process. Such a run is
   not run again at all by that code. A debugger exempts its process.
4. It is forgiven with other code, and `FORGIVEN_SECONDS` after the last death: memory may have been short, and is not
   any more. Progress in between is no excuse: the neighbours die with it all the same.

A world in a database has such a folder on each machine, which knows of the deaths there.

A file is `<pid>-<start time>-<ulid>` in `<world>.bodies`: 2 bytes length (little-endian; 0: no body runs), the run's
id, one byte each of count (`_TURN_AT`), `_EXEMPT` and `_BLOCKED`, from `_DEPLOYMENT_AT` on the deployment's id, from
`_STACK_AT` on where a body is that could not be interrupted, zero-padded. `ledger.json` is what was counted; it
and the burying are guarded by a `flock` of `lock`. All of it may be deleted at any time: deaths are then counted
from the start. It is a help and no truth: where the disk is full or the folder cannot be written, a worker goes on
without.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import mmap
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from wf.ids import new_ulid
from wf.settings import Settings
from wf.worlds.process import is_process_alive, process_token

log = logging.getLogger("wf.worker")

MOST_DEATHS: Final = 3
"""Deaths after which a run's body is not run any more by the code that it died under. It is known whose body it
was, so more would prove nothing, and each costs the neighbours an attempt."""

FORGIVEN_SECONDS: Final = 3600

if sys.platform != "win32":
    import fcntl

_SIZE: Final = 1024
_TURN_AT: Final = 208
_EXEMPT: Final = 209
_BLOCKED: Final = 210
_DEPLOYMENT_AT: Final = 512
_STACK_AT: Final = 768
_NOBODY: Final = b"\0\0"
_LEDGER: Final = "ledger.json"
_LOCK: Final = "lock"
_NAME: Final = re.compile(r"(\d+)-(\d*)-\w+")


class Death(msgspec.Struct, frozen=True):
    """How often a run's body took its process down; `at` is the last time, in seconds since 1970.

    With `is_blocked` it was ended because its body did not come to an end, at `stack` as far as that was seen.
    """

    run_id: str
    deployment_id: str
    deaths: int
    at: float
    is_blocked: bool = False
    stack: list[str] = []


class Turn(NamedTuple):
    """The activation that a process is in: of which run, and a number that changes with each, in which file."""

    path: Path
    run_id: str
    number: int


_decode: Final = msgspec.json.Decoder(list[Death]).decode


def open_casualties(settings: Settings, deployment_id: str) -> Casualties | None:
    """Begin to watch over this process's bodies; None for a world that no process survives, or that has no room."""
    folder = folder_of(settings)
    if folder is None:
        return None
    try:
        return Casualties(folder, deployment_id)
    except OSError as error:
        log.warning("bodies are not watched over: %s", error)
        return None


class Casualties:
    """See the laws at the top of this module. For one thread, like the bodies it watches over."""

    def __init__(self, folder: Path, deployment_id: str) -> None:
        """Open this process's file, and bury who died before."""
        self._folder = folder
        self._deployment_id = deployment_id
        self._ledger: dict[tuple[str, str], Death] = {}
        self._read_at: tuple[int, int] = (0, 0)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        token = process_token().replace(":", "-")
        self._path = folder / f"{token}-{new_ulid(time.time_ns() // 1000)}"
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # Not truncated to its size: a page without a block on a full disk would end the process when it is written.
            if os.write(descriptor, bytes(_SIZE)) != _SIZE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            self._memory = mmap.mmap(descriptor, _SIZE)
        except BaseException:
            self._path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        encoded = deployment_id.encode()[: _STACK_AT - _DEPLOYMENT_AT]
        self._turn = 0
        self._memory[_DEPLOYMENT_AT : _DEPLOYMENT_AT + len(encoded)] = encoded
        self.bury()

    def close(self) -> None:
        """Stop watching: this process did not die in a body."""
        self._memory.close()
        self._path.unlink(missing_ok=True)

    # -- while bodies run

    def enter(self, run_id: str) -> None:
        encoded = run_id.encode()
        size = len(encoded)
        self._turn = turn = (self._turn + 1) & 0xFF
        self._memory[_TURN_AT] = turn
        self._memory[2 : 2 + size] = encoded
        self._memory[:2] = size.to_bytes(2, "little")  # last: who dies in between is not blamed for another run

    def leave(self) -> None:
        self._memory[:2] = _NOBODY

    def go_on(self) -> None:
        """Say that the body that runs is well, for as long as it takes."""
        self._turn = turn = (self._turn + 1) & 0xFF  # a byte is enough for who looks ten times, and quickly written
        self._memory[_TURN_AT] = turn

    def exempt(self) -> None:
        """Say that this process is looked into: nothing that takes long is a fault."""
        self._memory[_EXEMPT] = 1

    def note_stack(self, stack: Sequence[str]) -> None:
        """Note where a body is that cannot be interrupted, innermost last; what does not fit is left out."""
        text = "\n".join(stack).encode()[-(_SIZE - _STACK_AT) :]
        self._memory[_STACK_AT:] = text.ljust(_SIZE - _STACK_AT, b"\0")

    # -- after one ended its process

    def bury(self) -> None:
        """Count the dead, and read what others counted. What cannot be written is counted again by the next one."""
        try:
            dead = self._list_dead()
            if dead:
                with self._locked():
                    self._read()
                    for path in dead:
                        self._count(path)
                    self._write()
                    for path in dead:
                        path.unlink(missing_ok=True)
            elif self._changed_at() != self._read_at:
                self._read()
        except OSError as error:
            log.warning("who died could not be noted: %s", error)

    def count(self, run_id: str) -> int:
        """Give how often a run's body took a process down with this code, lately."""
        death = self._ledger.get((run_id, self._deployment_id))
        return 0 if death is None or time.time() - death.at > FORGIVEN_SECONDS else death.deaths

    def find_blocked(self, run_id: str) -> Death | None:
        """Give the death of a run whose body did not come to an end with this code, lately."""
        death = self._ledger.get((run_id, self._deployment_id))
        return death if death is not None and death.is_blocked and self.count(run_id) else None

    def _list_dead(self) -> list[Path]:
        dead = []
        for name in os.listdir(self._folder):
            match = _NAME.fullmatch(name)
            if match is not None and name != self._path.name and not is_process_alive(f"{match[1]}:{match[2]}"):
                dead.append(self._folder / name)
        return dead

    def _count(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # another one was quicker
            return
        size = int.from_bytes(content[:2], "little")
        if size == 0 or len(content) != _SIZE:
            return
        run_id = content[2 : 2 + size].decode("utf-8", "replace")
        deployment_id = content[_DEPLOYMENT_AT:_STACK_AT].rstrip(b"\0").decode("utf-8", "replace")
        is_blocked = bool(content[_BLOCKED])
        stack = content[_STACK_AT:].rstrip(b"\0").decode("utf-8", "replace").splitlines() if is_blocked else []
        before = self._ledger.get((run_id, deployment_id))
        now = time.time()
        if before is None or now - before.at > FORGIVEN_SECONDS:
            before = Death(run_id, deployment_id, 0, now)
        self._ledger[run_id, deployment_id] = Death(
            run_id, deployment_id, before.deaths + 1, now, before.is_blocked or is_blocked, stack or before.stack
        )

    # -- the ledger

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self._folder / _LOCK, "wb") as lock:
            if sys.platform != "win32":  # there, two who bury at once may lose a count
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _changed_at(self) -> tuple[int, int]:
        try:
            found = os.stat(self._folder / _LEDGER)
        except FileNotFoundError:
            return (0, 0)
        return found.st_mtime_ns, found.st_ino

    def _read(self) -> None:
        self._read_at = self._changed_at()
        try:
            deaths = _decode((self._folder / _LEDGER).read_bytes())
        except (FileNotFoundError, msgspec.MsgspecError):
            deaths = []
        self._ledger = {(death.run_id, death.deployment_id): death for death in deaths}

    def _write(self) -> None:
        now = time.time()
        deaths = [death for death in self._ledger.values() if now - death.at <= FORGIVEN_SECONDS]
        draft = self._folder / f"{_LEDGER}.{os.getpid()}"
        draft.write_bytes(msgspec.json.encode(deaths))
        os.replace(draft, self._folder / _LEDGER)
        self._read_at = self._changed_at()


# -- from outside


def folder_of(settings: Settings) -> Path | None:
    """Give where processes with this world note whose body runs; None: nowhere."""
    path = settings.local_path
    return None if path is None else path.with_name(path.name + ".bodies")


def read_turns(folder: Path, pid: int) -> set[Turn]:
    """Give the activations that a process of this machine is in, unless it is exempt. It need not answer for that."""
    found: set[Turn] = set()
    try:
        paths = [path for path in folder.iterdir() if path.name.startswith(f"{pid}-")]
    except OSError:
        return found
    for path in paths:
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            size = int.from_bytes(content[:2], "little")
            if len(content) != _SIZE:
                continue
            if content[_EXEMPT]:
                return set()
            if size:
                found.add(Turn(path, content[2 : 2 + size].decode("utf-8", "replace"), content[_TURN_AT]))
    return found


def mark_blocked(turn: Turn) -> None:
    """Note that a process is about to be ended because of this activation."""
    with contextlib.suppress(OSError), open(turn.path, "r+b") as file:
        file.seek(_BLOCKED)
        file.write(b"\1")
