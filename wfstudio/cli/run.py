"""`wf run`: one workflow in this process, from its start to its end.

stdout belongs to the result: what the steps print goes to stderr, above the progress. A run that is
interrupted is not lost: any worker of the world goes on with it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import nullcontext, redirect_stdout
from typing import Annotated, Any, Final

import typer

from wf.embedding import worker
from wf.errors import WorkflowError
from wf.invocation import Invocation, read_invocation
from wf.loading import LoadError
from wf.starting import start
from wfstudio.cli import parameters
from wfstudio.cli.connection import carry_out
from wfstudio.cli.exits import FAILED, INTERRUPTED
from wfstudio.cli.failures import refuse_load, tell_end
from wfstudio.cli.misuse import Misuse
from wfstudio.cli.progress import Progress, make_progress, see_through
from wfstudio.cli.terminal import Terminal, results, words
from wfstudio.core.client import Client
from wfstudio.core.views import RunView

PARTING_SECONDS: Final = 0.3
"""An end that takes longer is explained."""


def run(
    ctx: typer.Context,
    target: Annotated[str, typer.Argument(metavar="TARGET:WORKFLOW", help="A file or module, and a workflow in it.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="ARG", help="JSON values in order, or name=JSON.")
    ] = None,
    id: parameters.Id = None,
    world: parameters.World = None,
    attributes: parameters.Attributes = None,
    is_quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    is_json: Annotated[bool, typer.Option("--json", help="Print the whole run as JSON, not only its result.")] = False,
) -> int:
    """Run one workflow in this process and print its result as JSON.

    The same --id goes on with the same run. Exit code 1: the run failed; 2: it could not be started.

    Examples:

        wf run flow.py:order '"ada"' amount=3
    """
    given = parameters.check_values(ctx, arguments)
    tags = parameters.read_pairs(attributes, "--attr")
    with redirect_stdout(sys.stderr):
        invocation = _read(target, given, id, tags, world)
    return _Errand(invocation, target, is_quiet=is_quiet, is_json=is_json).carry_out()


def _read(target: str, given: list[str], id: str | None, tags: dict[str, str], world: str | None) -> Invocation:
    try:
        return read_invocation(target, given, id=id, attributes=tags or None, world=world)
    except LoadError as error:
        raise refuse_load(error) from None
    except (WorkflowError, TypeError, ValueError) as error:
        raise Misuse.of(error) from None


class _Errand:
    """A run to see through: start it, show it, tell how it ended."""

    def __init__(self, invocation: Invocation, target: str, *, is_quiet: bool, is_json: bool) -> None:
        self._invocation = invocation
        self._target = target
        self._is_quiet = is_quiet
        self._is_json = is_json
        self._run_id: str | None = None

    def carry_out(self) -> int:
        terminal = words()
        progress = None if self._is_quiet else make_progress(terminal)
        try:
            with redirect_stdout(sys.stderr), nullcontext() if progress is None else progress.shown():
                _log_to(sys.stderr)
                view = carry_out(self._run(progress))
        except KeyboardInterrupt:
            self._tell_of_interruption(terminal)
            return INTERRUPTED
        is_completed = tell_end(terminal, view)
        if self._is_json:
            results().print_json(view)
        elif is_completed:
            results().print_json(view.output)
        return 0 if is_completed else FAILED

    async def _run(self, progress: Progress | None) -> RunView:
        invocation = self._invocation
        async with worker(modules=invocation.modules, settings=invocation.settings) as embedded:
            try:
                handle = await start(invocation.workflow, *invocation.args, **invocation.kwargs)
            except (WorkflowError, TypeError, ValueError) as error:
                raise Misuse.of(error) from None
            self._run_id = handle.run_id
            if progress is not None:
                words().print(f"run {handle.run_id}")
            try:
                return await see_through(Client(embedded.session), handle.run_id, progress)
            except asyncio.CancelledError:  # the worker is left now, which an attempt in flight may hold up
                asyncio.get_running_loop().call_later(PARTING_SECONDS, _tell_of_parting)
                raise

    def _tell_of_interruption(self, terminal: Terminal) -> None:
        if self._run_id is None:
            terminal.print("interrupted before the run was started")
            return
        terminal.print(
            f"interrupted; the run {self._run_id} goes on with the next worker of this world",
            f"  fix: `wf run {self._target} … --id {self._run_id}` goes on here, `wf dev` or `wf worker` anywhere",
            f"  more: wf inspect {self._run_id}",
        )


def _tell_of_parting() -> None:
    words().print("interrupted: what runs may finish; Ctrl-C again to force")


def _log_to(stream: Any) -> None:
    """Show warnings of the runtime. The stream is taken before a worker listens to what attempts print."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(handler)
