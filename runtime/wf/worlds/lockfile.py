"""The lock file of an SQLite world: which process owns it, and where that process answers.

`<world>.lock` lies beside the world. Whoever holds its flock owns the world; its content, JSON
`{pid, process, endpoint, url}`, tells the others whom to talk to.

1. The kernel lets go when the owner dies, however it dies. No lease, no clock, nothing to clean.
2. The file is never unlinked: a process could otherwise lock a file that the next one no longer
   sees at that path. For the same reason a new lock counts only if the path still leads to it.
3. A forked child closes its copy of the lock at once. flock belongs to the open file description,
   which fork shares, so a child of a killed owner would keep the world from everybody.
4. The content is a hint of whom to ask; it may be stale for the moment between another's death
   and the next owner's first write. Whoever connects checks who answers.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from wf.errors import StorageFull, WorldError
from wf.worlds.process import is_process_alive, process_token
from wf.worlds.sqlite import files

SOCKET_PATH_LIMIT: Final = 100
"""`sun_path` holds 104 bytes with its NUL on macOS, 108 on Linux."""


class Holder(msgspec.Struct, frozen=True):
    """The content of a lock file. `endpoint` None: it serves nobody (yet), and soon lets go."""

    pid: int
    process: str
    endpoint: str | None = None
    url: str = ""


_decoder: Final = msgspec.json.Decoder(Holder)


def lock_path(world_path: str) -> str:
    return world_path + ".lock"


def try_acquire(world_path: str, url: str = "") -> WorldLock | None:
    """Lock a world, or give None if anybody (this process included) holds it.

    Makes the directory (0700) and the file (0600) where they are missing. Raises `WorldError`
    where no lock can be had at all (read-only file systems, missing rights).
    """
    path = lock_path(world_path)
    while True:
        fd = _open_lock(path)
        try:
            _refuse_foreign(fd, path)
            if not _flock(fd):
                os.close(fd)
                return None
            if _is_at(fd, path):
                if hasattr(os, "fchmod"):
                    os.fchmod(fd, 0o600)  # one made by other hands, or restored from a backup
                lock = WorldLock(path, fd, url)
                try:
                    lock.publish(None)
                except StorageFull:
                    pass  # whoever comes meanwhile is told less; to read takes no room
                return lock
        except OSError as error:
            os.close(fd)
            raise _explain(error, path) from error
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # somebody removed the file between our open and our lock: take the new one


def read_holder(world_path: str) -> Holder | None:
    """Say who holds a world, or None if nobody is known to. Takes no lock and disturbs none."""
    try:
        with open(lock_path(world_path), "rb") as file:
            _refuse_foreign(file.fileno(), file.name)
            holder = _decoder.decode(file.read(64 * 1024))
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return None  # no lock file, an empty one, or one that is being written this moment
    except OSError as error:
        raise _explain(error, lock_path(world_path)) from error
    return holder if is_process_alive(holder.process) else None


class WorldLock:
    """A held lock. Give it back with `release`; the end of the process does so, too."""

    def __init__(self, path: str, fd: int, url: str) -> None:
        self.path = path
        self._fd = fd
        self._url = url
        _held[id(self)] = self

    @property
    def is_held(self) -> bool:
        return self._fd >= 0

    def publish(self, endpoint: str | None) -> None:
        """Write who holds the lock, and where it answers."""
        self._write(msgspec.json.encode(Holder(os.getpid(), process_token(), endpoint, self._url)))

    def is_current(self) -> bool:
        """Tell whether the path still leads to the locked file, or was deleted or replaced."""
        return self.is_held and _is_at(self._fd, self.path)

    def release(self) -> None:
        """Let go. Doing so twice is harmless."""
        if not self.is_held:
            return
        try:
            self._write(b"")
        except WorldError:
            pass  # a full disk: the content stays as a hint that leads nowhere
        finally:
            self._abandon()

    def _abandon(self) -> None:
        """Close this process's descriptor. Another that a fork made keeps the lock."""
        _held.pop(id(self), None)
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _write(self, content: bytes) -> None:
        try:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, content)
        except OSError as error:
            raise _explain(error, self.path) from error


_held: Final[dict[int, WorldLock]] = {}


def _abandon_all_in_child() -> None:
    for lock in list(_held.values()):
        lock._abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all_in_child)


# -- the socket's place -------------------------------------------------------------------------


def socket_paths(world_path: str) -> list[str]:
    """Name the places for the owner's socket, best first.

    Beside the world, unless that path is too long for a socket; else, and where the world's file
    system has no sockets, in a private directory among the temporary files.
    """
    beside = world_path + ".sock"
    digest = hashlib.sha256(os.fsencode(world_path)).hexdigest()[:24]
    apart = os.path.join(private_directory(), f"{digest}.sock")
    paths = [path for path in (beside, apart) if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT]
    if not paths:
        error = WorldError(f"no path short enough for a socket: {apart!r} has over {SOCKET_PATH_LIMIT} bytes")
        error.hint = "set TMPDIR to a shorter directory"
        raise error
    return paths


def private_directory() -> str:
    return os.path.join(tempfile.gettempdir(), f"wf-{_user()}")


def prepare_private_directory() -> None:
    """Make the directory for sockets that do not lie beside their world, and see that it is ours.

    Temporary directories are everybody's: a directory or link that another user put there first
    would let them take the socket away and answer in our place.
    """
    directory = private_directory()
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        pass
    except OSError as failure:
        raise _explain(failure, directory) from failure
    found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "geteuid") and found.st_uid != os.geteuid()):
        error = WorldError(f"{directory!r} is not a directory of this user")
        error.hint = "remove it, or set TMPDIR to a directory of your own"
        raise error
    if stat.S_IMODE(found.st_mode) != 0o700:
        os.chmod(directory, 0o700)


def _user() -> str:
    return str(os.geteuid()) if hasattr(os, "geteuid") else os.environ.get("USERNAME", "user")


# -- what differs between systems ---------------------------------------------------------------

if sys.platform == "win32":
    import msvcrt

    def _flock(fd: int) -> bool:
        # Windows locks bytes, and others cannot read those: lock one far behind the content.
        os.lseek(fd, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _flock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _open_lock(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        try:
            return os.open(path, flags, 0o600)
        except FileNotFoundError:
            files.make_private(Path(path))  # with the folders on the way to it
            return os.open(path, flags, 0o600)
    except OSError as error:
        raise _explain(error, path) from error


def _refuse_foreign(fd: int, path: str) -> None:
    """Raise for a lock file of another user, who could send us to a socket of their own.

    Root may use everybody's worlds, as root may do anyhow.
    """
    if hasattr(os, "geteuid") and os.geteuid() not in (0, os.fstat(fd).st_uid):
        error = WorldError(f"the lock file {path!r} belongs to another user")
        error.hint = "keep the world in a directory of your own (`WF_WORLD`, `[tool.wf] world`)"
        raise error


def _is_at(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _explain(error: OSError, path: str) -> WorldError:
    reason = error.strerror or type(error).__name__
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return StorageFull(f"no space left for {path!r}")
    result = WorldError(f"cannot lock the world: {path!r}: {reason}")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        result.hint = "the world's directory must be writable by this user"
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        result.hint = "too many open files: raise `ulimit -n`"
    elif error.errno in (errno.ENOLCK, errno.EOPNOTSUPP):
        result.hint = "this file system has no locks: keep the world on a local disk"
    return result
