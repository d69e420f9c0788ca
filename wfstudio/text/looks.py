"""Looks: a run as it was at one moment, with its children's spans among its own, for whoever draws it.

    look = await look_at(client, run_id)        reads
    looker = Looker(client, run_id)             looks again and again: `await looker.look()` reads what is new
    rows = lay_out(look)                        pure: spans in order, a child's under the call that made it
    rows = layout.lay_out(look)                 the same, of look after look of one run, for what is new in it

Rows are in the time of the run that was looked at: milliseconds since its creation.
"""

from __future__ import annotations

from datetime import datetime
from itertools import compress
from operator import is_not
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
        self._listed: dict[str, tuple[Trace, list[str | None]]] = {}

    @property
    def run(self) -> FollowedRun:
        return self.runs[self.run_id]

    async def look(self) -> Look:
        """Look, and give what there is; `is_new` tells whether it differs from the last time."""
        self.is_new = await self._follow(self.run_id)
        children: dict[str, Trace] = {}
        level = [self.run.trace]
        for _ in range(DEEPEST):
            ids = [child_id for parent in level for child_id in self._list_children(parent)]
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

    def _list_children(self, trace: Trace) -> list[str | None]:
        """List the children of a run; of one that did not change they are known."""
        known = self._listed.get(trace.run_id)
        if known is None or known[0] is not trace:
            ids = [span.child_run_id for span in trace.spans if span.kind == "child"]
            known = self._listed[trace.run_id] = trace, ids
        return known[1]

    async def _follow(self, run_id: str) -> bool:
        followed = self.runs.get(run_id) or FollowedRun(self._client, run_id)
        is_new = await followed.look()
        self.runs[run_id] = followed
        return is_new


def lay_out(look: Look) -> list[Row]:
    """Give all spans in the order of their calls, each child's under the call that made it."""
    return Layout().lay_out(look)


class Layout:
    """Lays out look after look of one run. What did not change is laid out already: it has the same rows."""

    def __init__(self) -> None:
        self._laid: dict[tuple[str, int, float], _Laid] = {}

    def lay_out(self, look: Look) -> list[Row]:
        """Give all spans in the order of their calls, each child's under the call that made it."""
        return self._lay_out(look, look.trace, 0, 0.0)

    def _lay_out(self, look: Look, trace: Trace, depth: int, shift_ms: float) -> list[Row]:
        key = trace.run_id, depth, shift_ms
        laid = self._laid.get(key) or self._laid.setdefault(key, _Laid(depth, shift_ms))
        laid.update(trace)
        rows: list[Row] = []
        start = 0
        for place, child_id in sorted(laid.children.items()) if depth < DEEPEST else ():
            child = look.children.get(child_id)
            if child is not None:
                rows += laid.rows[start : place + 1]
                rows += self._lay_out(look, child, depth + 1, _since_ms(look.trace, child))
                start = place + 1
        return rows + laid.rows[start:]


class _Laid:
    """The rows of one run, without its children's. Its own span has one unless the call in its parent names it."""

    def __init__(self, depth: int, shift_ms: float) -> None:
        self._depth = depth
        self._shift_ms = shift_ms
        self._spans: list[Span] = []
        self.rows: list[Row] = []
        self.children: dict[int, str] = {}
        """The places of calls that made a child, with its run."""

    def update(self, trace: Trace) -> None:
        spans = trace.spans[1:] if self._depth else trace.spans
        known = min(len(self._spans), len(spans))
        if known < len(self.rows):
            del self.rows[known:]
            self.children = {place: id for place, id in self.children.items() if place < known}
        differs = map(is_not, self._spans, spans)
        for place in compress(range(known), differs):
            self.rows[place] = self._make_row(place, spans[place], trace)
        for place in range(known, len(spans)):
            self.rows.append(self._make_row(place, spans[place], trace))
        self._spans = spans

    def _make_row(self, place: int, span: Span, trace: Trace) -> Row:
        if span.kind == "child" and span.child_run_id:
            self.children[place] = span.child_run_id
        return Row(_shift(span, self._shift_ms), self._depth + (span.id != RUN_SPAN), trace.run_id)


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
