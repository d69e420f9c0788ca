"""Watching bodies: one that runs for too long without waiting for anything is interrupted, and nothing else is.

An *activation* is what a body runs from a delivery until it blocks. It is counted: the number is odd while one runs.
The watching thread sees the same odd number for too long, and has the interpreter raise `Interruption` in the thread
that runs it (`PyThreadState_SetAsyncExc`). It arrives some time later, between any two instructions of that thread. So:

1. *Nothing but the activation is hit.* The thread leaves it by storing the next number, and then takes back what has
   not arrived. Who strikes looks at the number and strikes with no point in between at which the interpreter could
   change threads; so after the store nobody strikes. From the moment at which an interruption is caught up to the
   taking back there is no point at which another could arrive. Both rest on where CPython looks for such things (at the
   beginning of a function, at jumps back, after calls), and `test_watching.py` reads the bytecode for it. Until 3.11 it
   also collects garbage wherever something is allocated, and finalizers are Python: so not while somebody strikes.
2. *An activation that was struck is void*, also one that ended in time or swallowed the interruption: what it did
   last is not what its code says. `run` raises `BodyBlocked`, with the stack at which it was struck.
3. It is time that the body itself takes: counted in looks, of which there are fewer while the process is
   stopped, suspended or starved. Calls that the body makes begin it anew (up to `MOST_PATIENCE` times as long), a
   debugger that has the thread stops it, and so does a module that is being imported: half of one is worse than slow.
4. It is not struck where it may have taken a lock of the process by hand (`logging` does), which nobody would give
   back; a moment later it is elsewhere. What Python calls in between on its own, like the callbacks of weak
   references, swallows an interruption, and comes to no harm.
5. Code that is in C (`time.sleep`, a backtracking `re`) is hit when it comes back; one that swallows everything is
   struck at each look. Nobody is killed here. Whoever started the process may do that (casualties.py, law 3), and is
   told what it has to know.

Things that don't work: a lock around leaving and striking (the interruption arrives while it is held), and a signal
(it is delivered to the main thread only, and belongs to the program that embeds us).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import sys
import threading
from asyncio import events as asyncio_events
from collections.abc import Callable
from types import FrameType
from typing import Final

from wf.engine.body import Body, is_user_frame, show_frame
from wf.engine.loop import BodyLoop, _swap_current_task
from wf.engine.replay import BodyBlocked
from wf.worker.casualties import Casualties

LOOKS: Final = 4
"""How many times a body must be seen in the same activation, after the first time, to be interrupted."""

MOST_PATIENCE: Final = 10
"""How many times the time that a body may run without a call it may take with calls: 50 000 of them take a second."""

MOST_FRAMES: Final = 20
_WITH_LOCKS: Final = frozenset({"logging", "threading", "queue", "concurrent", "multiprocessing"})
_DEBUGGERS: Final = frozenset({"bdb", "pdb", "code", "ipdb", "pudb", "debugpy", "pydevd", "_pydevd_bundle", "IPython"})
_SUSPENDERS: Final = frozenset({"debugpy", "pydevd"})  # they stop this thread, too
_IMPORTING: Final = "<frozen importlib._bootstrap>"
_LOOP_CODE: Final = BodyLoop.run_until_blocked.__code__


class Interruption(KeyboardInterrupt):
    """Ends an activation. Do not catch it. Of the kind that asyncio passes on at once, through all tasks."""


class BodyWatch:
    """See the laws at the top of this module. Made and used on the thread of the loop; `look` is another thread's."""

    __slots__ = (
        "_body",
        "_clear",
        "_hooks",
        "_looks",
        "_loop",
        "_number",
        "_patience",
        "_progress",
        "_seen",
        "_stack",
        "_strike",
        "_struck",
        "_thread_id",
        "casualties",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._hooks = sys.get_asyncgen_hooks()
        self._thread_id = threading.get_ident()
        self._number = 0  # of the activation; even: none
        self._struck = 0  # the last one that was struck, or was about to be
        self._body: Body | None = None
        self._stack: tuple[str, ...] = ()
        self._clear: Callable[[], object] = _do_nothing
        self._strike: Callable[[int, type[BaseException]], object] | None = None
        self.casualties: list[Casualties] = []
        # Of the thread that looks:
        self._seen = 0
        self._progress = 0
        self._looks = 0
        self._patience = 0

    @property
    def is_running(self) -> bool:
        return self._number % 2 == 1

    def run(self, body: Body) -> None:
        """Run a body until it blocks. Raises `BodyBlocked` instead, if it had to be interrupted."""
        number = self._number + 1
        failure: BaseException | None = None
        self._body = body
        task = None if _swap_current_task is None else asyncio.current_task(self._loop)
        try:
            self._number = number
            body.loop.run_until_blocked()
            self._number = number + 1
        except BaseException as error:
            self._number = number + 1  # before anything that is a call (law 1)
            if self._struck == number:
                self._clear()  # here: since 3.12 the way out of a handler is a jump back
            failure = error
        if self._struck == number:
            self._clear()
            failure = None
            self._body = None
            # The interruption may have arrived while the loop was being put back.
            asyncio_events._set_running_loop(self._loop)
            sys.set_asyncgen_hooks(*self._hooks)
            if _swap_current_task is not None:
                _swap_current_task(self._loop, task)
            raise BodyBlocked(self._stack)
        if failure is not None:
            try:
                raise failure
            finally:
                failure = None  # its traceback holds this frame

    # -- on the thread that looks

    def look(self) -> bool:
        """Look once more, and strike when it is time. True: that was done before, and to no avail."""
        number, body = self._number, self._body
        if not _SUSPENDERS.isdisjoint(sys.modules):
            self._tell(Casualties.exempt)
        if number % 2 == 0 or number != self._seen or body is None:
            self._seen, self._looks, self._patience, self._progress = number, 0, 0, -1
            return False
        self._looks += 1
        self._patience += 1
        calls = body.calls
        if calls != self._progress and self._patience < LOOKS * MOST_PATIENCE:
            self._looks, self._progress = min(self._looks, 1), calls
        stack = self._find_stack()
        if stack is None:
            self._looks = self._patience = 0
        if self._looks < 2:  # all is well so far
            self._tell(Casualties.go_on)
        if not stack or self._looks < LOOKS:
            return False
        was_struck = self._struck == number
        self._strike_at(number, stack)
        if was_struck:
            self._tell(functools.partial(_note_stack, stack))
        return was_struck

    def _tell(self, act: Callable[[Casualties], None]) -> None:
        for casualties in tuple(self.casualties):
            with contextlib.suppress(ValueError):  # it was closed meanwhile
                act(casualties)

    def _find_stack(self) -> tuple[str, ...] | None:
        """Give the body's frames, outermost first, none where it may hold a lock; None: it must not be interrupted."""
        frame: FrameType | None = sys._current_frames().get(self._thread_id)
        found: list[str] = []
        has_lock = False
        while frame is not None and frame.f_code is not _LOOP_CODE:
            module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
            if frame.f_trace is not None or module in _DEBUGGERS or frame.f_code.co_filename == _IMPORTING:
                return None
            has_lock = has_lock or module in _WITH_LOCKS
            if is_user_frame(frame):
                found.append(show_frame(frame))
            frame = frame.f_back
        if frame is None:
            return None
        return () if has_lock else tuple(found[:MOST_FRAMES][::-1])

    def _strike_at(self, number: int, stack: tuple[str, ...]) -> None:
        strike = self._strike or self._prepare()
        if strike is None:
            return
        self._stack = stack
        is_collecting = gc.isenabled()
        gc.disable()  # law 1
        self._struck = number  # first: who leaves meanwhile takes back what was not sent
        if self._number == number:
            strike(self._thread_id, Interruption)
        if is_collecting:
            gc.enable()

    def _prepare(self) -> Callable[[int, type[BaseException]], object] | None:
        if not getattr(sys, "_is_gil_enabled", _always)():  # then law 1 could not be kept
            return None
        import ctypes  # 14 ms that hardly any process pays

        send = ctypes.pythonapi.PyThreadState_SetAsyncExc
        send.argtypes = (ctypes.c_ulong, ctypes.py_object)
        self._clear = functools.partial(send, self._thread_id, ctypes.py_object())
        self._strike = send
        return send


def _note_stack(stack: tuple[str, ...], casualties: Casualties) -> None:
    casualties.note_stack(stack)


def _do_nothing() -> None:
    """Stand for what takes an interruption back, as long as none was ever sent."""


def _always() -> bool:
    return True
