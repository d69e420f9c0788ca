"""Diffs: two runs side by side, call by call, from the first difference on.

1. A call is known by its kind, its name and which of them it is; calls are aligned first by their inputs,
   too, then by their names alone (`alignment`), so that one which was put in shifts nothing.
2. What differs by nature is no difference: times, run ids, drawn tokens. The ids and tokens of `b` are read
   as those of `a`.
3. Bounded: of a value at most `MOST_OF_A_VALUE` changes are shown, of all `MOST_CHANGES`; a value over
   `LARGEST_COMPARED` bytes is only said to be another.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from itertools import zip_longest
from typing import Any, Final, Literal, NamedTuple

import msgspec

from wf import events as types
from wf.engine.fork import is_generated, swap_id
from wf.errors import RunNotFoundError
from wf.events import Event
from wf.ids import is_run_id
from wf.keys import Keyring
from wf.records import decode_meta
from wf.session import Session
from wf.worker.opening import read_whole_log
from wf.world import RunRow
from wfstudio.core.alignment import align
from wfstudio.core.bench.views import ChangeView
from wfstudio.core.changes import find_changes
from wfstudio.core.diff_views import DiffCallView, DiffRunView, DiffSideView, DiffView, DivergenceView
from wfstudio.core.reasons import short_name
from wfstudio.core.rows import Opener, read_error
from wfstudio.core.traces import RUN_SPAN, Span, Trace, make_trace
from wfstudio.core.values import show_value
from wfstudio.core.views import ErrorView, to_ms

LARGEST_COMPARED: Final = 16 << 20
LARGEST_SHOWN: Final = 2_000
MOST_OF_A_VALUE: Final = 50
MOST_CHANGES: Final = 1_000
MOST_CALLS: Final = 10_000

_CALL_DATA: Final = frozenset({types.STEP_CREATED, types.CHILD_STARTED, types.HOOK_CREATED})
_OUTCOMES: Final = frozenset({types.STEP_COMPLETED, types.STEP_FAILED, types.CHILD_COMPLETED, types.HOOK_RECEIVED})
_PLACES: Final = ("traceback", "notes")

What = Literal["workflow", "input", "output", "status", "call", "end"]
Seqs = tuple[int | None, int | None]


class Recorded(NamedTuple):
    """A run as it was recorded: its row, its log and its pending waits."""

    row: RunRow
    log: Sequence[Event]
    pending: frozenset[int]


async def diff_runs(
    session: Session, a: str, b: str, *, is_locked: bool = False, is_all: bool = False, limit: int = MOST_CALLS
) -> DiffView:
    """Compare two runs; with `is_all` calls that do not differ are listed, too. Raises `RunNotFoundError`."""
    sides = [_Side(await read_recorded(session, name), session.keyring, is_locked=is_locked) for name in (a, b)]
    comparison = _Comparison(sides[0], sides[1], is_all=is_all, limit=limit)
    return await asyncio.to_thread(comparison.make)  # a second of work for a hundred thousand events


async def read_recorded(session: Session, run_id: str) -> Recorded:
    row = await session.world.get_run(run_id) if is_run_id(run_id) else None
    if row is None:
        raise RunNotFoundError(run_id)
    log = await read_whole_log(session.world, row)
    waits = await session.world.list_waits(run_id, MOST_CALLS)
    return Recorded(row, log, frozenset(wait.correlation_id for wait in waits))


# -- one side -----------------------------------------------------------------------------------


class _Call:
    """A call in one of the runs, with its payloads still sealed."""

    __slots__ = ("created", "key", "occurrence", "outcomes", "span", "wait_ms")

    def __init__(self, span: Span, created: Event, outcomes: list[Event], wait_ms: float | None) -> None:
        self.span = span
        self.created = created
        self.outcomes = outcomes
        self.wait_ms = wait_ms
        self.key = (span.kind, "" if span.kind == "watch" else span.name)
        self.occurrence = 0

    @property
    def end_seq(self) -> int:
        return max([self.span.end_seq or self.created.seq, *(event.seq for event in self.outcomes)])


class _Side:
    """One of the runs. `open` gives payloads with ids and drawn tokens as the other side has them."""

    def __init__(self, recorded: Recorded, keyring: Keyring, *, is_locked: bool) -> None:
        self.row = recorded.row
        self.log = recorded.log
        self.opener = Opener(keyring, recorded.row.run_id, is_locked=is_locked)
        self.trace: Trace = make_trace(recorded.log, pending_waits=recorded.pending)
        self.calls = self._list_calls()
        self.is_locked = False
        self._other_id = recorded.row.run_id
        self._swaps: list[tuple[bytes, bytes]] = []

    def _list_calls(self) -> list[_Call]:
        created: dict[int, Event] = {}
        outcomes: dict[int, list[Event]] = {}
        waits: dict[int, float] = {}
        now = 0
        for event in self.log:
            number = event.correlation_id or 0
            if event.type in types.DELIVERIES:
                now = event.at
            if event.type in _OUTCOMES:
                outcomes.setdefault(number, []).append(event)
            elif event.type in types.CALLS and number not in created:
                created[number] = event
                if event.type == types.WAIT_CREATED:
                    waits[number] = to_ms(decode_meta(event.meta).get("due_at", now) - now)
        calls = [
            _Call(span, created[span.correlation_id or 0], outcomes.get(span.correlation_id or 0, []),
                  waits.get(span.correlation_id or 0))
            for span in self.trace.spans
            if span.id != RUN_SPAN
        ]  # fmt: skip
        counts: Counter[tuple[str, str]] = Counter()
        for call in calls:
            counts[call.key] += 1
            call.occurrence = counts[call.key]
        return calls

    def read_as(self, other: _Side) -> None:
        """Have this side's id and drawn tokens read as those of the other's hooks in the same place."""
        ours, theirs = self._list_tokens(), other._list_tokens()
        self._swaps = [(mine.encode(), theirs[key].encode()) for key, mine in ours.items() if key in theirs]
        self._other_id = other.row.run_id

    def _list_tokens(self) -> dict[tuple[str, int], str]:
        """Give the drawn tokens of this side by the names of their hooks and which of them they are."""
        found: dict[tuple[str, int], str] = {}
        for call in self.calls:
            if call.created.type == types.HOOK_CREATED and is_generated(call.created.meta):
                data = self.opener.open(call.created)[0]
                record = show_value(data) if data is not None else None
                if isinstance(record, dict) and isinstance(record.get("token"), str):
                    found[call.span.name, call.occurrence] = record["token"]
        return found

    def open(self, event: Event | None) -> bytes | None:
        data, is_locked = self.opener.open(event)
        self.is_locked = self.is_locked or is_locked
        if data is None:
            return None
        if self._other_id != self.row.run_id:
            data = swap_id(data, self.row.run_id, self._other_id) or b""
        for old, new in self._swaps:
            data = data.replace(old, new)
        return data

    def read_input(self, call: _Call) -> bytes | None:
        """Give what a call was made with, as JSON: the same bytes for the same call."""
        if call.created.type == types.HOOK_CREATED:
            return _strip_hook(self.open(call.created), (self.row.run_id, self._other_id))
        if call.created.type in _CALL_DATA:
            return self.open(call.created)
        if call.wait_ms is not None:
            return msgspec.json.encode({"ms": call.wait_ms})
        return call.created.meta.encode() if call.created.type == types.LOCK_REQUESTED and call.created.meta else None

    def read_output(self, event: Event | None) -> bytes | None:
        """Give what an event says that a call, or the run, came to."""
        return _without_places(self.open(event))

    def read_error(self, call: _Call) -> ErrorView | None:
        failed = next((event for event in call.outcomes if event.type == types.STEP_FAILED), None)
        if failed is None and call.span.kind == "child" and call.span.status == types.FAILED:
            failed = next(iter(call.outcomes), None)
        if failed is None:
            return None
        return read_error(self.opener.open(failed)[0], type=decode_meta(failed.meta).get("error_type"))

    def find_end(self) -> Event | None:
        return next((event for event in self.log if event.type in types.ENDS), None)


def _strip_hook(data: bytes | None, run_ids: tuple[str, str]) -> bytes | None:
    """Leave out of a hook's record what is not the call's: its schema, and a fork's id behind its token."""
    if data is None:
        return None
    record = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    token = show_value(bytes(record.get("token", b"null")))
    if isinstance(token, str):
        for run_id in run_ids:
            token = token.removesuffix(f"~{run_id}")
        record["token"] = msgspec.Raw(msgspec.json.encode(token))
    return msgspec.json.encode({key: part for key, part in record.items() if key != "schema"})


def _without_places(data: bytes | None) -> bytes | None:
    """Leave out where an exception was raised: lines move with every edit above them."""
    if data is None or b'"$exception"' not in data:
        return data
    return msgspec.json.encode(_strip(msgspec.json.decode(data)))


def _strip(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_strip(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    content = tree.get("$exception")
    if isinstance(content, dict) and len(tree) == 1:
        tree = {"$exception": {key: part for key, part in content.items() if key not in _PLACES}}
    return {key: _strip(item) for key, item in tree.items()}


# -- both sides ---------------------------------------------------------------------------------


class _Moment(NamedTuple):
    """A difference, and where in the logs it is."""

    seq: int
    divergence: DivergenceView


class _Comparison:
    def __init__(self, a: _Side, b: _Side, *, is_all: bool, limit: int) -> None:
        self.a = a
        self.b = b
        self._is_all = is_all
        self._limit = limit
        self._left = MOST_CHANGES
        self._first: _Moment | None = None

    def make(self) -> DiffView:
        a, b = self.a, self.b
        b.read_as(a)
        if a.row.workflow != b.row.workflow:
            self._note("workflow", f"they are runs of {a.row.workflow} and of {b.row.workflow}", (1, 1))
        given, more_given = self._compare(a.open(a.log[0]), b.open(b.log[0]), "input")
        if given:
            self._note("input", f"the runs differ in {_places(given)}", (1, 1))
        calls = [self._compare_pair(*pair) for pair in self._align()]
        result, more_result = self._compare_ends()
        found = find_changes(a.row.attributes, b.row.attributes, "attributes", MOST_OF_A_VALUE)
        attributes, more_attributes = self._limit_changes(*found)
        counts = Counter(call.state for call in calls)
        shown = [call for call in calls if self._is_all or call.state != "same"]
        is_same = self._first is None and not attributes
        return DiffView(
            a=_show_run(a),
            b=_show_run(b),
            is_same=is_same,
            divergence=None if self._first is None else self._first.divergence,
            input=given,
            output=result,
            attributes=attributes,
            more_changes=more_given + more_result + more_attributes,
            calls=shown[: self._limit],
            same_calls=counts["same"],
            changed_calls=counts["changed"],
            only_a=counts["only_a"],
            only_b=counts["only_b"],
            more_calls=max(0, len(shown) - self._limit),
            delta_ms=_subtract(_duration(b.row), _duration(a.row)),
            is_locked=a.is_locked or b.is_locked,
        )

    def _align(self) -> list[tuple[_Call | None, _Call | None]]:
        fine = [[(*call.key, _digest(side.read_input(call))) for call in side.calls] for side in (self.a, self.b)]
        names = [[call.key for call in side.calls] for side in (self.a, self.b)]
        pairs = align(fine[0], fine[1], (names[0], names[1]))
        return [(None if i is None else self.a.calls[i], None if j is None else self.b.calls[j]) for i, j in pairs]

    def _compare_pair(self, a: _Call | None, b: _Call | None) -> DiffCallView:
        if a is None or b is None:
            return self._show_single(a, b)
        name = _show_call(a)
        given, more_given = self._compare(self.a.read_input(a), self.b.read_input(b), "input")
        if given:
            self._note("input", f"{name} differs in {_places(given)}", (a.created.seq, b.created.seq), a, b)
        result, more_result = self._compare_outcomes(a, b, name)
        is_other_end = a.span.status != b.span.status
        if is_other_end and not result:
            text = f"{name} is {a.span.status} in a and {b.span.status} in b"
            self._note("status", text, (a.end_seq, b.end_seq), a, b)
        sides = self._show_side(self.a, a), self._show_side(self.b, b)
        return DiffCallView(
            kind=a.span.kind,
            name=a.span.name,
            occurrence=a.occurrence,
            state="changed" if given or result or is_other_end else "same",
            a=sides[0],
            b=sides[1],
            input=given,
            output=result,
            more_changes=more_given + more_result,
            delta_ms=_subtract(sides[1].duration_ms, sides[0].duration_ms),
        )

    def _show_single(self, a: _Call | None, b: _Call | None) -> DiffCallView:
        """Show a call that only one run makes."""
        call = a or b
        assert call is not None
        seqs = None if a is None else a.created.seq, None if b is None else b.created.seq
        self._note("call", f"only {'b' if a is None else 'a'} calls {_show_call(call)}", seqs, a, b)
        return DiffCallView(
            kind=call.span.kind,
            name=call.span.name,
            occurrence=call.occurrence,
            state="only_b" if a is None else "only_a",
            a=None if a is None else self._show_side(self.a, a),
            b=None if b is None else self._show_side(self.b, b),
        )

    def _compare_outcomes(self, a: _Call, b: _Call, name: str) -> tuple[list[ChangeView], int]:
        """Compare what a call came to; what a hook was sent payload by payload."""
        is_hook = a.span.kind == "hook"
        changes: list[ChangeView] = []
        more = 0
        for place, (before, after) in enumerate(zip_longest(a.outcomes, b.outcomes)):
            if not is_hook and (before is None or after is None):
                break  # only one has ended, which its status says
            path = f"payloads[{place}]" if is_hook else "output"
            found, others = self._compare(self.a.read_output(before), self.b.read_output(after), path)
            if found and not changes:
                seqs = None if before is None else before.seq, None if after is None else after.seq
                self._note("output", f"{name} differs in {_places(found)}", seqs, a, b)
            changes += found
            more += others
        return changes, more

    def _compare_ends(self) -> tuple[list[ChangeView], int]:
        a, b = self.a.find_end(), self.b.find_end()
        seqs = None if a is None else a.seq, None if b is None else b.seq
        if self.a.row.status != self.b.row.status:
            self._note("end", f"a is {self.a.row.status}, b is {self.b.row.status}", seqs)
            return [], 0
        if a is None or b is None:
            return [], 0
        found, more = self._compare(self.a.read_output(a), self.b.read_output(b), "output")
        if found:
            self._note("output", f"the runs differ in {_places(found)}", seqs)
        return found, more

    # -- values

    def _compare(self, a: bytes | None, b: bytes | None, path: str) -> tuple[list[ChangeView], int]:
        return self._limit_changes(*_diff_values(a, b, path))

    def _limit_changes(self, changes: list[ChangeView], more: int) -> tuple[list[ChangeView], int]:
        """Keep what may still be shown. A difference is always told by one change."""
        kept = changes[: max(self._left, 1)]
        self._left -= len(kept)
        return [_cut(change) for change in kept], more + len(changes) - len(kept)

    # -- the first difference

    def _note(self, what: What, text: str, seqs: Seqs, a: _Call | None = None, b: _Call | None = None) -> None:
        """Note a difference at an event of each run, or of one; the first in the order of the logs is kept."""
        seq = min((seq for seq in seqs if seq is not None), default=0)
        if self._first is not None and self._first.seq <= seq:
            return
        call = a or b
        view = DivergenceView(
            what=what,
            text=text,
            name=None if call is None else call.span.name,
            seq_a=seqs[0],
            seq_b=seqs[1],
            correlation_id_a=None if a is None else a.span.correlation_id,
            correlation_id_b=None if b is None else b.span.correlation_id,
        )
        self._first = _Moment(seq, view)

    def _show_side(self, side: _Side, call: _Call) -> DiffSideView:
        span = call.span
        running = [part for part in span.segments if part.kind == "running"]
        is_done = span.end_ms is not None and all(part.end_ms is not None for part in running)
        return DiffSideView(
            correlation_id=span.correlation_id or 0,
            seq=span.seq,
            end_seq=span.end_seq,
            status=span.status,
            attempts=span.attempts,
            duration_ms=None if span.end_ms is None else round(span.end_ms - span.start_ms, 3),
            running_ms=round(sum((p.end_ms or 0) - p.start_ms for p in running), 3) if running and is_done else None,
            error=side.read_error(call),
        )


def _show_run(side: _Side) -> DiffRunView:
    row, end = side.row, side.find_end()
    error = None
    if row.status == types.FAILED:
        error = read_error(side.opener.open(end)[0], code=row.error_code)
    return DiffRunView(
        id=row.run_id,
        workflow=row.workflow,
        status=row.status,
        deployment_id=row.deployment_id or None,
        duration_ms=_duration(row),
        events=row.seq,
        forked_from=row.forked_from,
        error=error,
    )


def _duration(row: RunRow) -> float | None:
    return None if row.started_at is None or row.ended_at is None else to_ms(row.ended_at - row.started_at)


def _subtract(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else round(after - before, 3)


def _digest(data: bytes | None) -> bytes:
    return b"" if data is None else sha256(data).digest()


def _show_call(call: _Call) -> str:
    name = short_name(call.span.name) or call.span.name
    text = name if call.span.kind in ("step", "operation") or name == call.span.kind else f"{call.span.kind} {name}"
    return f"{text}#{call.occurrence}" if call.occurrence > 1 else text


def _places(changes: Sequence[ChangeView]) -> str:
    """Name where values differ: the first place, and how many more there are."""
    more = len(changes) - 1
    return changes[0].path + (f" and {more} more {'place' if more == 1 else 'places'}" if more else "")


def _diff_values(a: bytes | None, b: bytes | None, path: str) -> tuple[list[ChangeView], int]:
    """Compare two encoded values; None is no value."""
    if a == b:
        return [], 0
    if a is None or b is None:
        kind: Literal["added", "removed"] = "added" if a is None else "removed"
        alone = show_value(a, LARGEST_COMPARED), show_value(b, LARGEST_COMPARED)
        return [ChangeView(path=path, kind=kind, before=alone[0], after=alone[1])], 0
    if max(len(a), len(b)) > LARGEST_COMPARED:
        sizes = {"$large": len(a)}, {"$large": len(b)}
        return [ChangeView(path=path, kind="changed", before=sizes[0], after=sizes[1])], 0
    shown = show_value(a), show_value(b)
    changes, more = find_changes(shown[0], shown[1], path, MOST_OF_A_VALUE)
    if not changes and _canonical(a) != _canonical(b):
        return [ChangeView(path=path, kind="retyped", before=shown[0], after=shown[1])], 0
    return changes, more


_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def _canonical(data: bytes) -> bytes:
    """Give an encoded value with its keys in order: dicts that were filled in another order are the same."""
    return _encode_sorted(msgspec.json.decode(data))


def _cut(change: ChangeView) -> ChangeView:
    """Say of what is large how large it is: a list that was put in may be megabytes."""
    return msgspec.structs.replace(change, before=_small(change.before), after=_small(change.after))


def _small(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    size = len(msgspec.json.encode(value))
    return value if size <= LARGEST_SHOWN else {"$large": size}
