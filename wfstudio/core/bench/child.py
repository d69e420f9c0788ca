"""The answering side of a bench: a process that loads the user's code once, and answers until it is left.

It is single-threaded and runs no event loop of its own: what is asked is done between two messages, and
a copy of the process (`posts`) is as good as the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import socket
import sys
from typing import Final

from wf import registry
from wf.settings import Limits, configure
from wf.worker import guard
from wf.worker.verdicts import judge_log
from wfstudio.core.bench import wire
from wfstudio.core.bench.code import load_code

_PR_SET_PDEATHSIG: Final = 1


def run_bench(control: socket.socket) -> int:
    """Answer until the other side closes its end. `control` is ours of the socket pair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal; who asks decides
    faulthandler.enable()
    configure(world="memory://")  # what the user's code does to a world by itself, it does to nobody's
    guard.forbid_io()
    bench = _Bench()
    with contextlib.suppress(ConnectionError):
        while (data := wire.read_message(control)) is not None:
            answer = bench.answer(wire.decode_question(data))
            control.sendall(wire.encode_message(answer))
    return 0


class _Bench:
    def __init__(self) -> None:
        self._limits = Limits()

    def answer(self, question: wire.Question) -> wire.Answer:
        match question:
            case wire.Code():
                self._limits = question.limits
                return load_code(question)
            case wire.Judge(run=run, log=log):
                is_missing = registry.find_workflow(run.workflow) is None
                return wire.Judged(judge_log(run, log, self._limits), is_missing)


def die_with_parent() -> None:
    """Have the system kill this process when its parent dies; where it cannot, the end of the stream tells."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(argv: list[str]) -> int:
    """Be started as a process of its own, with the number of its socket."""
    die_with_parent()
    status = run_bench(socket.socket(fileno=int(argv[0])))
    # Not through the interpreter's end: threads that the user's code left behind would hold it up.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
