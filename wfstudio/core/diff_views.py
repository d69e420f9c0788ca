"""Views of what two runs differ in. As all views (`wfstudio.core.views`), their JSON is that of every face."""

from __future__ import annotations

from typing import Literal

import msgspec

from wfstudio.core.bench.views import ChangeView, ReplayView
from wfstudio.core.views import ErrorView


class DiffRunView(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two runs. `error` is how it failed."""

    id: str
    workflow: str
    status: str
    deployment_id: str | None = None
    duration_ms: float | None = None
    events: int
    forked_from: str | None = None
    error: ErrorView | None = None


class DiffSideView(msgspec.Struct, frozen=True, kw_only=True):
    """A call in one of the runs. `seq` and `end_seq` are the events that begin and end it; `running_ms` is
    what its attempts took, `duration_ms` all of it, with waiting in queues and between attempts."""

    correlation_id: int
    seq: int
    end_seq: int | None = None
    status: str
    attempts: int = 0
    duration_ms: float | None = None
    running_ms: float | None = None
    error: ErrorView | None = None


class DiffCallView(msgspec.Struct, frozen=True, kw_only=True):
    """A call, side by side. `occurrence` counts the calls of its kind and name, from 1.

    State: `same`, `changed`, `only_a`, `only_b`. `input` and `output` are where their values differ (an error
    is an output, too), `more_changes` how many places are not shown. `delta_ms` is how much longer `b` took.
    """

    kind: str
    name: str
    occurrence: int
    state: Literal["same", "changed", "only_a", "only_b"]
    a: DiffSideView | None = None
    b: DiffSideView | None = None
    input: list[ChangeView] = []
    output: list[ChangeView] = []
    more_changes: int = 0
    delta_ms: float | None = None


class DivergenceView(msgspec.Struct, frozen=True, kw_only=True):
    """Where two runs part: at which event of each, and at which call. What: `workflow`, `input`, `output`,
    `status` (it ended otherwise), `call` (only one makes it), `end` (of the run). `text` says it in words."""

    what: Literal["workflow", "input", "output", "status", "call", "end"]
    text: str
    name: str | None = None
    seq_a: int | None = None
    seq_b: int | None = None
    correlation_id_a: int | None = None
    correlation_id_b: int | None = None


class DiffView(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs side by side. `is_same`: they differ in nothing but times, ids and drawn tokens.

    `divergence` is the first difference, in the order of their logs. `input`, `output` and `attributes` are
    those of the runs. `calls` are all calls in order, or only those that differ; of more than the limit
    `more_calls` are left out. Where payloads cannot be opened (`is_locked`) only what is clear is compared.
    """

    a: DiffRunView
    b: DiffRunView
    is_same: bool
    divergence: DivergenceView | None = None
    input: list[ChangeView] = []
    output: list[ChangeView] = []
    attributes: list[ChangeView] = []
    more_changes: int = 0
    calls: list[DiffCallView] = []
    same_calls: int = 0
    changed_calls: int = 0
    only_a: int = 0
    only_b: int = 0
    more_calls: int = 0
    delta_ms: float | None = None
    is_locked: bool = False


class CodeDiffView(msgspec.Struct, frozen=True, kw_only=True):
    """One run replayed against one code, or two. `is_same`: each makes exactly the calls that are recorded.

    `first` is the place in `codes` of the one that parts from the log first. `files` are those that differ
    between the two codes, or between the run's own and the one that was named; of code that is not kept
    nothing is known.
    """

    run_id: str
    workflow: str
    codes: list[ReplayView]
    is_same: bool
    first: int | None = None
    files: list[str] = []
