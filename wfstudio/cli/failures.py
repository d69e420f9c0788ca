"""Failures: how a run, or code, that did not do what it should is told on a terminal."""

from __future__ import annotations

import traceback

from wf.loading import LoadError
from wfstudio.cli.misuse import Misuse
from wfstudio.cli.terminal import Terminal, words
from wfstudio.core.views import RunView
from wfstudio.text.printable import printable, printable_lines
from wfstudio.text.tracebacks import describe_error


def refuse_load(error: LoadError) -> Misuse:
    """Show the user's own exception, if that is why code could not be loaded, and give the misuse."""
    if error.__cause__ is not None:
        words().print(printable_lines("".join(traceback.format_exception(error.__cause__)).rstrip()))
    return Misuse.of(error)


def tell_end(terminal: Terminal, run: RunView) -> bool:
    """Say how a run ended, unless it completed; a failure with its traceback first. Tell whether it completed."""
    if run.status == "completed":
        return True
    if run.error is not None:
        terminal.print(*describe_error(run.error))
        reason = f" ({run.error.code})" if run.error.code else ""
        terminal.print(f"run {run.id} failed{reason}", f"  more: wf inspect {run.id}")
    else:
        reason = f": {printable(run.output)}" if isinstance(run.output, str) else ""
        terminal.print(f"run {run.id} was cancelled{reason}", f"  more: wf inspect {run.id}")
    return False
