"""Progress: what a run does, shown while it runs.

On a terminal it is a tree with bars that is drawn again and again, in place; piped it is a line for whatever
ended or came to rest. Both are made of the run's trace, which is read again when it or a child's has news: the
longer reading it takes, the less often.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from wfstudio.cli.terminal import Terminal, quiet_keys
from wfstudio.core.bells import Bell
from wfstudio.core.client import Client
from wfstudio.core.traces import Span
from wfstudio.core.views import RunView
from wfstudio.text.looks import Look, Looker, lay_out
from wfstudio.text.moments import show_ms
from wfstudio.text.printable import printable
from wfstudio.text.timeline import Scale, arrange, draw_row, label_row, label_span, measure, status_sign
from wfstudio.text.told_reasons import tell_reason
from wfstudio.text.widths import cell_width, cut

if TYPE_CHECKING:
    from rich.text import Text

LOOK_SECONDS: Final = 0.1
"""From one look, or drawing, to the next at least."""
LOOK_AGAIN_SECONDS: Final = 1.0
"""How long it is not looked without news: of why a run rests there are none."""
_LOAD: Final = 5
"""Reading takes at most one part in so many of the time."""
_SPINNER: Final = ("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\")
_LONGEST_ERROR: Final = 24
_SHOWN: Final = ("step", "sleep", "hook", "lock", "child")
_ENDED: Final = ("completed", "failed", "cancelled", "abandoned", "disposed", "conflict", "released")


async def see_through(client: Client, run_id: str, progress: Progress | None) -> RunView:
    """Wait for the end of a run (and of those it continues as), and show it meanwhile.

    Raises what `Client.wait_for_end` does, in a group.
    """
    async with asyncio.TaskGroup() as group:
        following = None if progress is None else group.create_task(progress.follow(client, run_id))
        view = await client.wait_for_end(run_id)
        if following is not None:
            following.cancel()
    if progress is not None:
        await progress.look(client, run_id)
    return view


def make_progress(terminal: Terminal) -> Progress:
    """Give the progress that a terminal can show."""
    return LiveProgress(terminal) if terminal.is_tty else Progress(terminal)


class Progress:
    """Follows one run. `follow` is to be cancelled when the run has ended."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._look: Look | None = None
        self._looker: Looker | None = None
        self._resting: str | None = None
        self._told: dict[tuple[str, str], tuple[str, int]] = {}
        self._reason: str | None = None

    async def follow(self, client: Client, run_id: str) -> None:
        """Look at the run and show what is new, until cancelled."""
        loop = asyncio.get_running_loop()
        known = {run_id}
        while True:
            async with Bell(client.session.world, *(f"log:{known_id}" for known_id in known)) as bell:
                while True:
                    began = loop.time()
                    await self.look(client, run_id)
                    await asyncio.sleep(max(LOOK_SECONDS, _LOAD * (loop.time() - began)))
                    if self._looker is not None and not known.issuperset(self._looker.runs):
                        known |= self._looker.runs.keys()
                        break  # it has a child more
                    await bell.wait(LOOK_AGAIN_SECONDS)

    async def look(self, client: Client, run_id: str) -> None:
        """Look once."""
        if self._looker is None or self._looker.run_id != run_id:  # it may go on as another run
            self._looker = Looker(client, run_id)
        self._look = await self._looker.look()
        view = await client.find_run(run_id)  # as lists show it: its arguments are not opened again and again
        self._resting = None if view is None else view.reason
        self.show(self._look, self._resting)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Take care of the terminal for the time of a block."""
        yield

    def show(self, look: Look, reason: str | None) -> None:
        """Tell in lines what ended or came to rest since the last look."""
        for trace in (*reversed(look.children.values()), look.trace):  # a child's steps before the child
            for span in trace.spans:
                if span.kind not in _SHOWN or _was_before(span):
                    continue
                key, state = (trace.run_id, span.id), (span.status, span.attempts)
                if self._told.get(key) == state:
                    continue
                self._told[key] = state
                line = _tell(span)
                if line is not None:
                    self._terminal.print(line)
        if reason != self._reason:
            self._reason = reason
            if reason is not None:
                self._terminal.print(printable(reason))


def _was_before(span: Span) -> bool:
    """Tell whether a call ended in the run that this one was forked from: nobody waits to hear of it."""
    return span.is_inherited and span.end_ms is not None and span.end_ms <= 0


def _tell(span: Span) -> str | None:
    """Say in a line what became of a span; what only began is not worth one."""
    if span.kind in ("step", "child") and span.status in _ENDED:
        spent = show_ms((span.end_ms or span.start_ms) - span.start_ms)
        tail = f" ({printable(span.error_type)})" if span.error_type else ""
        verb = "" if span.kind == "step" else "child "
        return f"{verb}{label_span(span).removeprefix('child ')} {span.status} in {spent}{tail}"
    if span.status == "retrying":
        tail = f" ({printable(span.error_type)})" if span.error_type else ""
        return f"{label_span(span)} failed in attempt {span.attempts}{tail}; the next one at {span.due_at}"
    return None


class LiveProgress(Progress):
    """Draws the run as a tree, in place, with what the steps print above it."""

    def __init__(self, terminal: Terminal) -> None:
        from rich.console import Console  # nobody needs it who draws nothing
        from rich.live import Live

        super().__init__(terminal)
        self._live = Live(
            console=Console(file=terminal.stream, no_color=not terminal.has_colour, highlight=False),
            auto_refresh=False,
            get_renderable=self._render,
            vertical_overflow="crop",
        )

    @contextmanager
    def shown(self) -> Iterator[None]:
        with quiet_keys(), self._live:
            yield

    async def follow(self, client: Client, run_id: str) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(super().follow(client, run_id))
            while True:  # spinners and durations go on while nothing is new
                self._live.refresh()
                await asyncio.sleep(LOOK_SECONDS)

    def show(self, look: Look, reason: str | None) -> None:
        self._live.refresh()

    def _render(self) -> Text:
        from rich.text import Text

        if self._look is None:
            return Text("")
        height = self._live.console.height - 2
        lines = draw_tree(self._terminal, self._look, self._resting, time.time(), height)
        return Text.from_ansi(self._terminal.to_encodable("\n".join(lines)), no_wrap=True, overflow="ellipsis")


def draw_tree(terminal: Terminal, look: Look, reason: str | None, now: float, height: int) -> list[str]:
    """Draw a run, its calls and its children's as lines with bars; at most `height` of them, and why it rests."""
    now_ms = max((now - datetime.fromisoformat(look.trace.at).timestamp()) * 1000, 0.001)
    rows = [row for row in lay_out(look) if row.span.kind in ("run", *_SHOWN)]
    hidden = len(rows) - height + 1 if len(rows) > height > 2 else 0
    shown = [rows[0], *rows[hidden + 1 :]]  # the first says what runs, the last ones what it does
    errors = [cut(printable(row.span.error_type or ""), _LONGEST_ERROR, terminal.ellipsis) for row in shown]
    longest = max(map(cell_width, errors))
    labels = [label_row(row) for row in shown]
    columns = arrange(terminal.width - (longest + 2 if longest else 0), labels)
    scale = Scale(*measure(rows, now_ms), columns.bar)
    lines = []
    for row, label, error in zip(shown, labels, errors, strict=True):
        sign = _sign(terminal, row.span, now)
        line = draw_row(terminal, row.span, label, columns, scale, now_ms, sign=sign)
        lines.append(f"{line}  {terminal.paint(error, 'red')}" if error else line)
    if hidden:
        lines.insert(1, terminal.paint(f"  {terminal.ellipsis} {hidden} more", "dim"))
    told = tell_reason(reason, datetime.fromtimestamp(now, UTC))
    if told is not None:
        lines.append(terminal.paint(f"  {printable(told)}", "yellow"))
    return lines


def _sign(terminal: Terminal, span: Span, now: float) -> str:
    if span.status in _ENDED or span.status == "received":
        return status_sign(terminal, span.status)
    frames = _SPINNER[0 if terminal.is_unicode else 1]
    return terminal.paint(frames[int(now * 10) % len(frames)], "cyan")
