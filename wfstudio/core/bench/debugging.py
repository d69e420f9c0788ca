"""Debuggers on the bench: pdb in the terminal that the process has, or debugpy, which an editor attaches to.

Whoever quits pdb ends the process: the code that was stopped in cannot be left half done.
"""

from __future__ import annotations

import contextlib
import dis
import os
import pdb  # noqa: T100  it is what a user asked for
import signal
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from inspect import unwrap
from types import CodeType, FrameType
from typing import Any, Final

from wf import events
from wf.errors import NondeterminismError, NotRegisteredError
from wf.settings import Limits
from wf.worker.tracing import quiet_context
from wf.worker.verdicts import begin_replay
from wfstudio.core.bench import wire

OURS: Final = ("wf", "wf.*", "wfstudio.*", "asyncio", "asyncio.*", "contextlib", "importlib.*")
"""Modules whose frames nobody wants to step through."""


class _Pdb(pdb.Pdb):
    """pdb that knows coroutines: a frame that goes on after an await is no call to stop at."""

    def __init__(self) -> None:
        super().__init__(skip=OURS, nosigint=True)

    def user_call(self, frame: FrameType, argument_list: Any) -> None:
        return

    def do_quit(self, arg: str) -> bool | None:
        sys.stdout.flush()
        os._exit(0)

    do_q = do_exit = do_EOF = do_quit


def debug_run(question: wire.Debug, limits: Limits) -> wire.Travelled | wire.Refused:
    """Replay a run, stopping where its body goes on with the delivery that is, or was the last before, an event."""
    try:
        replay = begin_replay(question.run, question.log, limits)
    except (NotRegisteredError, NondeterminismError) as error:
        return wire.Refused("conflict", f"this code cannot replay the run: {error}", error.hint)
    if replay is None:
        return wire.Refused("conflict", f"run {question.run.run_id} has not begun", "there is no line to stop at yet")
    deliveries = [event.seq for event, _ in question.log if event.type in events.DELIVERIES]
    stop = max((seq for seq in deliveries if seq <= question.seq), default=deliveries[0])
    context, reached = quiet_context(), 0
    replay.expect(question.log)
    try:
        with contextlib.ExitStack() as stack:
            for event, data in question.log:
                if event.seq == stop:
                    stack.enter_context(stopping_next(question.debugger))
                context.run(replay.feed, event, data)
                reached = event.seq
    except NondeterminismError as error:
        return wire.Refused("conflict", str(error), f"at {error.where}" if error.where else None)
    return wire.Travelled(reached)


@contextlib.contextmanager
def stopping_in(debugger: wire.Debugger, function: Callable[..., Any]) -> Iterator[None]:
    """Within the block, stop at the first line of a function; with debugpy right before it is called."""
    if debugger == "debugpy":
        import_module("debugpy").breakpoint()
        yield
        return
    found: Any = unwrap(function)
    with _tracing() as stop:
        stop.set_break(found.__code__.co_filename, _first_line(found.__code__), temporary=True)
        stop.set_continue()
        yield


@contextlib.contextmanager
def stopping_next(debugger: wire.Debugger) -> Iterator[None]:
    """Within the block, stop at the first line of the user's that runs."""
    if debugger == "debugpy":
        import_module("debugpy").breakpoint()
        yield
        return
    with _tracing() as stop:
        stop.set_step()
        yield


def prepare(debugger: wire.Debugger) -> wire.Refused | None:
    """Make a debugger ready, waiting for an editor that is to attach; say so where there is none."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in a debugger, Ctrl-C is for the code
    if debugger != "debugpy":
        return None
    try:
        debugpy = import_module("debugpy")
    except ImportError:
        return wire.Refused("usage", "debugpy is not installed in this environment", "pip install debugpy, or use pdb")
    if not debugpy.is_client_connected():
        host, port = debugpy.listen(("127.0.0.1", 0))
        print(f"debugpy listens at {host}:{port}; attach your editor to it", file=sys.stderr, flush=True)
        debugpy.wait_for_client()
    return None


@contextlib.contextmanager
def _tracing() -> Iterator[_Pdb]:
    debugger = _Pdb()
    debugger.reset()
    debugger.botframe = sys._getframe()  # `continue` then keeps breakpoints alive
    sys.settrace(debugger.trace_dispatch)
    try:
        yield debugger
    finally:
        sys.settrace(None)


def _first_line(code: CodeType) -> int:
    """Give the first line of a function's body: the line of its `def` only begins it."""
    lines = [line for _, line in dis.findlinestarts(code) if line]
    return lines[1] if len(lines) > 1 else lines[0]
