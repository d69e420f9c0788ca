"""The warm parent: a process that has imported `wf` and forks a worker process in a few milliseconds.

1. One thread, no event loop, no open world: what is forked is in a known state.
2. It forks on request (`Order` or `BenchOrder`, with the child's end of a socket pair as ancillary data),
   answers with the pid, and tells of every child's end with its wait status.
3. When the studio is gone it ends, and its children, asked by the system, end with it.

The user's code is never imported here: what a module does on import must not outlive a reload.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
from typing import Final

# What `wf` loads only when it is needed, every child needs: loaded here it costs a reload nothing.
import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401
import msgspec

import wf.worlds.shared  # noqa: F401
from wfstudio.core.bench.child import run_bench
from wfstudio.core.parentage import die_with_parent
from wfstudio.dev import child
from wfstudio.dev.wire import BenchOrder, Order, encode_line

PIECE: Final = 1 << 16
PARTING_SECONDS: Final = 4.0
"""How long children may take to leave by themselves when the studio is gone."""


class Forked(msgspec.Struct, frozen=True, tag="forked"):
    pid: int


class Exited(msgspec.Struct, frozen=True, tag="exited"):
    """`status` is what `waitpid` gave."""

    pid: int
    status: int


decode_news = msgspec.json.Decoder(Forked | Exited).decode
_decode_order = msgspec.json.Decoder(Order | BenchOrder).decode


def run_zygote(control: socket.socket) -> int:
    """Fork workers until the studio closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # may go to all processes of a service; the studio decides
    wakeup, pipe = os.pipe()
    os.set_blocking(pipe, False)
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(pipe, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    gc.freeze()  # the pages of what is imported stay shared
    while True:
        ready, _, _ = select.select([control.fileno(), wakeup], [], [])
        if wakeup in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wakeup, 4096)
            _tell_ended(control)
        if control.fileno() in ready:
            line, descriptors = _read_order(control)
            if not descriptors:
                _see_off()
                return 0
            _fork(control, _decode_order(line), descriptors, (wakeup, pipe))


def _read_order(control: socket.socket) -> tuple[bytes, list[int]]:
    """Give an order's line and the descriptors that came with it; none at the end of the stream."""
    line, found = b"", list[int]()
    while not line.endswith(b"\n"):
        piece, descriptors, _, _ = socket.recv_fds(control, PIECE, 2)
        if not piece:
            return b"", []
        line += piece
        found += descriptors
    return line, found


def _see_off() -> None:
    """Wait for children that see the end of their streams, too; whoever stays longer dies with us."""
    deadline = time.monotonic() + PARTING_SECONDS
    while time.monotonic() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.02)


def _fork(control: socket.socket, order: Order | BenchOrder, descriptors: list[int], own: tuple[int, ...]) -> None:
    pid = os.fork()
    if pid:
        for descriptor in descriptors:
            os.close(descriptor)
        control.sendall(encode_line(Forked(pid)))
        return
    status = 1
    try:
        die_with_parent()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        control.close()
        for number in own:
            os.close(number)
        if isinstance(order, Order):
            status = child.run_child(socket.socket(fileno=descriptors[0]), order)
        else:
            for standard in (1, 2):
                os.dup2(descriptors[1], standard)
            os.close(descriptors[1])
            status = run_bench(socket.socket(fileno=descriptors[0]))
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)  # not through the zygote's own frames


def _tell_ended(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        with contextlib.suppress(OSError):
            control.sendall(encode_line(Exited(pid, status)))


if __name__ == "__main__":
    sys.exit(run_zygote(socket.socket(fileno=int(sys.argv[1]))))
