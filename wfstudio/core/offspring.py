"""Offspring: what a step forks dies of signals, as it would anywhere else.

A worker takes SIGTERM for a wish that it should stop, and a forked process would have inherited that. `multiprocessing`
ends its processes with SIGTERM, and waits for them: for ever, then. Worse, asyncio is told of a signal through a
descriptor, which both share (Python 3.11): the step would have stopped its own worker.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from functools import cache
from types import FrameType
from typing import Any, Final

_Handler = Callable[[int, FrameType | None], Any] | signal.Handlers
_USUAL: Final[dict[signal.Signals, _Handler]] = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}
_forking: Final = threading.local()


@cache
def leave_signals_behind() -> None:
    """Have no process that this one forks from now on inherit what it does on signals. Doing it twice is harmless.

    What ignores a signal goes on ignoring it, and a program that is executed has no handlers in any case.
    """
    os.register_at_fork(before=_hold_signals, after_in_parent=_release_signals, after_in_child=_forget_handlers)


def _hold_signals() -> None:
    """Let no signal come before the child has forgotten: it may be sent as soon as the parent has its id."""
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _USUAL)


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _forget_handlers() -> None:
    for number, handler in _USUAL.items():
        if callable(signal.getsignal(number)):
            signal.signal(number, handler)
    signal.set_wakeup_fd(-1)
    _release_signals()
