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
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from inspect import unwrap
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from wf import events
from wf.errors import NondeterminismError, NotRegisteredError
from wf.loading import is_own_file
from wf.settings import Limits
from wf.worker.tracing import quiet_context
from wf.worker.verdicts import begin_replay
from wfstudio.core.bench import wire

_OURS: Final = ("wf", "wf.*", "wfstudio", "wfstudio.*")
_LIBRARY: Final = os.path.join(sysconfig.get_path("stdlib"), "")
_INSTALLED: Final = tuple(os.path.join(sysconfig.get_path(name), "") for name in ("purelib", "platlib"))


class _Pdb(pdb.Pdb):
    """pdb that knows coroutines: a frame that goes on after an await is no call to stop at, and between two
    lines of a body lie wf's, asyncio's and other frames of Python's own, which nobody wants to step through.
    It first stops in the project's own code; from there, `s` leads into libraries, too."""

    def __init__(self, root: str) -> None:
        super().__init__(skip=_OURS, nosigint=True)
        self._root = Path(root)
        self._has_stopped = False

    def stop_here(self, frame: FrameType) -> bool:
        if not self._has_stopped and not is_own_file(frame.f_code.co_filename, self._root):
            return False
        return not _is_of_python(frame) and bool(super().stop_here(frame))

    def interaction(self, *arguments: Any) -> None:
        self._has_stopped = True
        super().interaction(*arguments)

    def user_call(self, frame: FrameType, argument_list: Any) -> None:
        return

    def user_exception(self, frame: FrameType, exc_info: Any) -> None:
        """Say what is raised, and show where: not in what of ours lies below, and without the notes, which pdb shows
        in its place."""
        kind, error, raised = exc_info
        self.message(_describe(kind, error))
        last = raised
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        is_ours = last is not None and (
            _is_of_python(last.tb_frame) or self.is_skipped_module(last.tb_frame.f_globals.get("__name__", ""))
        )
        self.interaction(frame, None if is_ours else raised)

    def do_quit(self, arg: str) -> bool | None:
        sys.stdout.flush()
        os._exit(0)

    do_q = do_exit = do_EOF = do_quit


def debug_run(question: wire.Debug, limits: Limits, root: str) -> wire.Travelled | wire.Refused:
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
                    stack.enter_context(stopping_next(question.debugger, root))
                context.run(replay.feed, event, data)
                reached = event.seq
    except NondeterminismError as error:
        return wire.Refused("conflict", str(error), f"at {error.where}" if error.where else None)
    return wire.Travelled(reached)


@contextlib.contextmanager
def stopping_in(debugger: wire.Debugger, function: Callable[..., Any], root: str) -> Iterator[None]:
    """Within the block, stop at the first line of a function."""
    found: Any = unwrap(function)
    code: CodeType = found.__code__
    if debugger == "debugpy":
        with _suspending(lambda frame: frame.f_code is code):
            yield
        return

    def stop(pdb: _Pdb) -> None:
        pdb.set_break(code.co_filename, _first_line(code), temporary=True)
        pdb.set_continue()

    with _tracing(stop, root):
        yield


@contextlib.contextmanager
def stopping_next(debugger: wire.Debugger, root: str) -> Iterator[None]:
    """Within the block, stop at the first line of the project's code that runs."""
    if debugger == "debugpy":
        with _suspending(lambda frame: is_own_file(frame.f_code.co_filename, Path(root))):
            yield
        return
    with _tracing(_Pdb.set_step, root):
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
def _tracing(stop: Callable[[_Pdb], None], root: str) -> Iterator[None]:
    """Trace what is called in the block; `stop` says where to, before anything is traced."""
    debugger = _Pdb(root)
    debugger.reset()
    debugger.botframe = sys._getframe()  # `continue` then keeps breakpoints alive
    stop(debugger)
    sys.settrace(debugger.trace_dispatch)
    try:
        yield
    finally:
        sys.settrace(None)


@contextlib.contextmanager
def _suspending(is_wanted: Callable[[FrameType], bool]) -> Iterator[None]:
    """Have debugpy stop in the first frame that is called, or goes on, in the block and is wanted.

    `debugpy.breakpoint()` would stop here, in our own code. Its engine can be told the frame.
    """

    def look(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and is_wanted(frame):
            sys.setprofile(None)
            sys.modules["pydevd"].settrace(
                suspend=True, trace_only_current_thread=True, patch_multiprocessing=False, stop_at_frame=frame
            )

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)


def _describe(kind: type[BaseException], error: BaseException) -> str:
    lines = traceback.format_exception_only(kind, error)
    notes = sum(len(str(note).split("\n")) for note in getattr(error, "__notes__", ()))
    return lines[max(len(lines) - 1 - notes, 0)].strip()


def _is_of_python(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith(("<", _LIBRARY)) and not file.startswith(_INSTALLED)


def _first_line(code: CodeType) -> int:
    """Give the first line of a function's body: the line of its `def` only begins it."""
    lines = [line for _, line in dis.findlinestarts(code) if line]
    return lines[1] if len(lines) > 1 else lines[0]
