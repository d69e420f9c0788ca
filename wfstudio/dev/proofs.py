"""Proofs after the fact: every run that ends is replayed once, to find what a body hides from its log.

A body that asks the clock, the dice or a set for its next call works until the day it must be
replayed. In development that day is now: a difference between the log of a run that has just ended
and its replay by the same code is a defect of the workflow, and is told as one.

Nobody waits for a proof. When runs end faster than `A_SECOND`, some go without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from wf.errors import WorkflowError
from wf.events import ENDED
from wf.session import Session
from wf.worker.verdicts import Verdict
from wfstudio.core.views import FindingView
from wfstudio.dev.workers import WorkerGone

A_SECOND: Final = 50
WAITING: Final = 500

Prove = Callable[[list[str]], Awaitable[list[Verdict]]]


class Proofs:
    """`prove` has the current code replay runs; `find_current` names its deployment."""

    def __init__(
        self,
        session: Session,
        *,
        prove: Prove,
        find_current: Callable[[], str | None],
        publish: Callable[[str, dict[str, Any]], object],
    ) -> None:
        self.findings: dict[str, Verdict] = {}
        """By workflow: the last run whose replay differed."""
        self._session = session
        self._prove = prove
        self._find_current = find_current
        self._publish = publish
        self._seen: dict[str, None] = {}
        self._news = asyncio.Event()

    def list_findings(self) -> dict[str, list[FindingView]]:
        """Give the findings as faces show them, by workflow."""
        return {
            workflow: [
                FindingView(
                    code=verdict.trouble.code,
                    message=verdict.trouble.message,
                    where=verdict.trouble.where,
                    run_id=verdict.run_id,
                )
            ]
            for workflow, verdict in self.findings.items()
            if verdict.trouble is not None
        }

    async def follow(self) -> None:
        """Prove runs as they end, for ever."""
        undo = await self._session.world.subscribe("runs", self._hear)
        try:
            while True:
                await self._news.wait()
                await asyncio.sleep(1.0)  # a burst's runs together, and never in the way of what ends now
                self._news.clear()
                ids = list(self._seen)[:A_SECOND]
                for run_id in ids:
                    del self._seen[run_id]
                if self._seen:
                    self._news.set()
                with suppress(WorkflowError):  # the world is away for a moment: the next runs are proved
                    await self._prove_ended(ids)
        finally:
            undo()

    def _hear(self, run_id: str) -> None:
        if run_id and len(self._seen) < WAITING:
            self._seen[run_id] = None
            self._news.set()

    async def _prove_ended(self, run_ids: list[str]) -> None:
        current = self._find_current()
        rows = [await self._session.world.get_run(run_id) for run_id in run_ids]
        ended = [
            row.run_id
            for row in rows
            if row and row.status in ENDED and row.deployment_id == current and row.origin is None
        ]
        if not ended:
            return
        try:
            verdicts = await self._prove(ended)
        except WorkerGone:
            return  # a reload or a crash came between; the next runs are proved
        if self._find_current() != current:
            return  # other code may have replayed them, and a finding would be shown as that code's
        for verdict in verdicts:
            if verdict.outcome == "diverges" and verdict.trouble and verdict.trouble.code == "NONDETERMINISM":
                self.findings[verdict.workflow] = verdict
                self._publish("nondeterminism", msgspec.to_builtins(verdict))
