"""Views of what benches found. As all views (`wfstudio.core.views`), their JSON is that of every face."""

from __future__ import annotations

from typing import Literal

import msgspec

ReplayOutcome = Literal["clean", "extends", "diverges", "cannot_load"]


class ReplayView(msgspec.Struct, frozen=True, kw_only=True):
    """What replaying a run's log against some code came to.

    - `clean`: the code makes exactly the calls that the log recorded, and stands where the log ends.
    - `extends`: it makes all that are recorded, and goes on where the log ends. A run that has ended would
      have done more; one in flight cannot be moved to this code.
    - `diverges`: it makes another call, or none, where event `seq` recorded one.
    - `cannot_load`: there is no verdict. The code does not load, has no such workflow or died; or the log
      cannot be read.

    `recorded` and `actual` name both calls, `where` is `file:line in function`, the file relative to the
    project where it is in it. `code` says why it is not clean: `NONDETERMINISM`, `NOT_REGISTERED`,
    `DECRYPTION`, `LOAD`, `BENCH` (its process died) or `IMPORTED` (its log cannot be replayed).
    `deployment_id` names the code; null where it did not load. `events` is the length of the log.
    """

    run_id: str
    workflow: str
    status: str
    outcome: ReplayOutcome
    deployment_id: str | None = None
    events: int
    seq: int | None = None
    recorded: str | None = None
    actual: str | None = None
    where: str | None = None
    code: str | None = None
    message: str | None = None
    hint: str | None = None


class ReplayList(msgspec.Struct, frozen=True, kw_only=True):
    """Verdicts on several runs, with how many there are of each."""

    items: list[ReplayView]
    clean: int = 0
    extends: int = 0
    diverges: int = 0
    cannot_load: int = 0
