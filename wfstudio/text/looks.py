"""Looks: a run as it was at one moment, with its children's spans among its own, for whoever draws it.

    look = await look_at(client, run_id)        reads
    looker = Looker(client, run_id)             looks again and again: `await looker.look()` reads what is new
    rows = lay_out(look)                        pure: spans in order, a child's under the call that made it

Rows are in the time of the run that was looked at: milliseconds since its creation.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from wf.errors import RunNotFoundError
from wfstudio.core.client import Client
from wfstudio.core.followed import FollowedRun
from wfstudio.core.traces import RUN_SPAN, Span, Trace

DEEPEST: Final = 4
MOST_CHILDREN: Final = 200
"""Children beyond these have a span in their parent, and none of their own."""


class Look(msgspec.Struct, frozen=True):
    """`children` are traces by run id, of the children and of theirs."""

    trace: Trace
    children: dict[str, Trace] = {}


class Row(msgspec.Struct, frozen=True):
    """A span of the run `run_id`, and how deep it lies: 0 the run, 1 its calls, 2 the calls of a child."""

    span: Span
    depth: int
    run_id: str = ""


async def look_at(client: Client, run_id: str) -> Look:
    """Read the traces of a run and of the children that it has."""
    return await Looker(client, run_id).look()


class Looker:
    """Looks at one run again and again. `runs` are all that it has seen: the run, its children, theirs."""

    def __init__(self, client: Client, run_id: str) -> None:
        self._client = client
        self.run_id = run_id
        self.runs: dict[str, FollowedRun] = {}
        self.is_new = False

    @property
    def run(self) -> FollowedRun:
        return self.runs[self.run_id]

    async def look(self) -> Look:
        """Look, and give what there is; `is_new` tells whether it differs from the last time."""
        self.is_new = await self._follow(self.run_id)
        children: dict[str, Trace] = {}
        level = [self.run.trace]
        for _ in range(DEEPEST):
            ids = [span.child_run_id for parent in level for span in parent.spans if span.kind == "child"]
            level = []
            for child_id in ids:
                if child_id is None or child_id in children or len(children) >= MOST_CHILDREN:
                    continue
                try:
                    self.is_new |= await self._follow(child_id)
                except RunNotFoundError:  # its start is not committed yet
                    continue
                children[child_id] = self.runs[child_id].trace
                level.append(children[child_id])
        return Look(self.run.trace, children)

    async def _follow(self, run_id: str) -> bool:
        followed = self.runs.get(run_id) or FollowedRun(self._client, run_id)
        is_new = await followed.look()
        self.runs[run_id] = followed
        return is_new


def lay_out(look: Look) -> list[Row]:
    """Give all spans in the order of their calls, each child's under the call that made it."""
    return list(_walk(look, look.trace, 0, 0.0))


def _walk(look: Look, trace: Trace, depth: int, shift_ms: float) -> Iterator[Row]:
    for span in trace.spans:
        is_run = span.id == RUN_SPAN
        if is_run and depth:
            continue  # the call in its parent names it
        yield Row(_shift(span, shift_ms), depth + (not is_run), trace.run_id)
        child = look.children.get(span.child_run_id or "") if span.kind == "child" else None
        if child is not None and depth < DEEPEST:
            yield from _walk(look, child, depth + 1, _since_ms(look.trace, child))


def _shift(span: Span, by_ms: float) -> Span:
    if not by_ms:
        return span
    segments = [
        msgspec.structs.replace(
            part, start_ms=part.start_ms + by_ms, end_ms=None if part.end_ms is None else part.end_ms + by_ms
        )
        for part in span.segments
    ]
    end_ms = None if span.end_ms is None else span.end_ms + by_ms
    return msgspec.structs.replace(span, start_ms=span.start_ms + by_ms, end_ms=end_ms, segments=segments)


def _since_ms(root: Trace, child: Trace) -> float:
    return (datetime.fromisoformat(child.at) - datetime.fromisoformat(root.at)).total_seconds() * 1000
