"""The answering side of a bench: a process that loads the user's code once, and answers until it is left.

It is single-threaded and runs no event loop of its own: what is asked is done between two messages, and
a copy of the process (`posts`) is as good as the process.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import signal
import socket
import sys
from typing import assert_never

from wf import registry
from wf.errors import NondeterminismError, NotRegisteredError
from wf.settings import configure
from wf.worker import guard
from wf.worker.verdicts import judge_log
from wfstudio.core.bench import wire
from wfstudio.core.bench.attempts import try_step
from wfstudio.core.bench.code import load_code
from wfstudio.core.bench.posts import Posts
from wfstudio.core.bytecode import keep_none_of_fresh_files
from wfstudio.core.parentage import die_with_parent
from wfstudio.core.written_tests.retelling import retell


def run_bench(control: socket.socket) -> int:
    """Answer until the other side closes its end. `control` is ours of the socket pair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal; who asks decides
    faulthandler.enable()
    keep_none_of_fresh_files()
    configure(world="memory://")  # what the user's code does to a world by itself, it does to nobody's
    guard.forbid_io()
    bench = _Bench(control)
    try:
        while (data := wire.read_message(control)) is not None:
            control.sendall(wire.encode_message(bench.answer(wire.decode_question(data))))
    except ConnectionError:
        pass  # who asked is gone
    finally:
        bench.close()
    return 0


class _Bench:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._code: wire.Code | None = None
        self._posts: Posts | None = None

    def answer(self, question: wire.Question) -> wire.Answer | bytes:
        """Give the answer, or one that is encoded already."""
        if isinstance(question, wire.Code):
            self._code = question
            loaded = load_code(question)
            gc.freeze()  # copies share the pages of what is loaded
            return loaded
        if isinstance(question, wire.Check):
            from wfstudio.core.check.checking import check_sources  # 60 ms that other questions need not pay

            return wire.Checked(check_sources(question.root, question.files))
        assert self._code is not None, "code comes first"
        match question:
            case wire.Judge(run=run, log=log):
                is_missing = registry.find_workflow(run.workflow) is None
                return wire.Judged(judge_log(run, log, self._code.limits), is_missing)
            case wire.Retell(run=run, log=log):
                return retell(run, log, self._code.limits)
            case wire.Travel(run=run, log=log):
                self._posts = Posts(run, self._code.root, self._code.limits, self._control)
                return self._travel(self._posts, log)
            case wire.GoOn(log=log):
                assert self._posts is not None
                return self._travel(self._posts, log)
            case wire.Look(seq=seq):
                assert self._posts is not None
                return self._posts.look(seq)
            case wire.TryStep():
                return _prepare(question.debugger) or try_step(question, self._code)
            case wire.Debug():
                return _prepare(question.debugger) or _debug(question, self._code)
        assert_never(question)

    def _travel(self, posts: Posts, log: wire.Log) -> wire.Answer:
        try:
            return wire.Travelled(posts.travel(log))
        except (NotRegisteredError, NondeterminismError) as error:  # no such workflow, or with other parameters
            return wire.Refused("conflict", f"this code cannot replay the run: {error}", error.hint)

    def close(self) -> None:
        if self._posts is not None:
            self._posts.close()


def _prepare(debugger: wire.Debugger | None) -> wire.Refused | None:
    if debugger is None:
        return None
    from wfstudio.core.bench import debugging  # pdb is heavy, and hardly ever wanted

    return debugging.prepare(debugger)


def _debug(question: wire.Debug, code: wire.Code) -> wire.Answer:
    from wfstudio.core.bench import debugging

    return debugging.debug_run(question, code.limits, code.root)


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
