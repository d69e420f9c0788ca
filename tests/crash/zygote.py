"""The zygote: a process that has imported everything and forks one child per trial.

A trial runs a shape on a world file, or on the database that `world` names. With `kill_at` it kills itself (SIGKILL)
at that COMMIT of the world's, before it is executed or after. Without, it runs to the end and reports.
Requests and reports are JSON lines. The zygote itself never starts a thread, so forking is sound.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sqlite3
import sys
import tomllib  # noqa: F401
import traceback
from contextlib import suppress
from typing import Any

import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401

import wf
import wf.deployment
import wf.loading
import wf.worker.worker
from tests.crash.shapes import SHAPES
from wf import chain
from wf.events import STEP_COMPLETED, Event
from wf.histories import read_history, replay_recorded
from wf.keys import Keyring
from wf.records import read_fork
from wf.session import current_session
from wf.worlds.shared import SharedWorld  # noqa: F401

# Some of these nobody names here: what a trial would load lazily is loaded once, before the forks.

with suppress(ImportError):
    import wf.worlds.postgres

RUN_ID = "crash-run"
KEY = "a5" * 32
PATIENCE_SECONDS = 20.0


def main() -> None:
    gc.freeze()  # so that no child's collection copies all that was imported
    for line in sys.stdin:
        request = json.loads(line)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            status = 1
            try:
                report = Trial(**request).run()
                os.write(write, json.dumps(report).encode())
                status = 0
            except BaseException:
                os.write(write, json.dumps({"error": traceback.format_exc()}).encode())
            finally:
                os._exit(status)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            text = pipe.read()
        _, status = os.waitpid(pid, 0)
        was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        report = {"was_killed": was_killed, **(json.loads(text) if text else {})}
        print(json.dumps(report), flush=True)


class Killer:
    """Counts the COMMITs of this process, and dies at one of them."""

    def __init__(self, kill_at: int | None, phase: str) -> None:
        self.count = 0
        self._kill_at = kill_at
        self._phase = phase

    def install(self) -> None:
        killer = self

        class Cursor(sqlite3.Cursor):
            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                if sql != "COMMIT":
                    return super().execute(sql, *args)
                killer.count += 1
                killer.die("before")
                result = super().execute(sql, *args)
                killer.die("after")
                return result

        class Connection(sqlite3.Connection):
            def cursor(self, factory: Any = Cursor) -> Any:
                return super().cursor(factory)

            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                return self.cursor().execute(sql, *args)

        connect = sqlite3.connect
        sqlite3.connect = lambda *args, **kwargs: connect(*args, **{"factory": Connection, **kwargs})  # type: ignore[assignment]

    def install_in_postgres(self) -> None:
        from wf.worlds.postgres.core import Core

        killer, run = self, Core._run

        def run_to_commit(self: Any, connection: Any, operation: Any, is_crossing: bool) -> Any:
            def operate(tx: Any) -> Any:
                result = operation(tx)
                killer.count += 1
                killer.die("before")
                return result

            result = run(self, connection, operate, is_crossing)
            killer.die("after")
            return result

        Core._run = run_to_commit  # type: ignore[method-assign]

    def die(self, phase: str) -> None:
        if self.count == self._kill_at and phase == self._phase:
            os.kill(os.getpid(), signal.SIGKILL)


class Trial:
    """One run of a shape in this process, on a folder that may hold what an earlier one left."""

    def __init__(
        self, shape: str, folder: str, kill_at: int | None = None, phase: str = "before", world: str | None = None
    ) -> None:
        self.world = world
        self.shape = SHAPES[shape]
        self.folder = folder
        self.killer = Killer(kill_at, phase)

    def run(self) -> dict[str, Any]:
        os.environ.update(
            WF_WORLD=self.world or f"sqlite:///{self.folder}/world.db",
            WF_DURABILITY="process",
            WF_KEY=KEY,
            CRASH_EFFECTS=f"{self.folder}/effects",
        )
        self.records: list[str] = []
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: self.records.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger().addHandler(handler)
        if self.world is None:
            self.killer.install()
        else:
            os.chdir(self.folder)  # what belongs to the world on this machine lies in the project's folder
            self.killer.install_in_postgres()
        return asyncio.run(self._run())

    async def _run(self) -> dict[str, Any]:
        async with wf.worker(capture_logs=False) as worker:
            run = await wf.start(self.shape.workflow.with_options(id=RUN_ID))
            if self.shape.drive is not None:
                await self.shape.drive(run)
            outcome = await self._outcome(run)
            await worker.drain()
            histories = await self._histories()
            streams = {name: await self._chunks(run, name) for name in self.shape.streams}
            world = worker.world
            left = {
                "waits": len(await world.list_waits()),
                "hooks": len(await world.list_hooks()),
                "locks": len(await world.list_locks()),
            }
            commits = self.killer.count
        return {
            "outcome": outcome, "commits": commits, "histories": histories, "streams": streams, "left": left,
            "warnings": self.records,
        }  # fmt: skip

    async def _outcome(self, run: wf.Run[Any]) -> Any:
        try:
            return ["value", await run.return_value(timeout=PATIENCE_SECONDS)]
        except wf.WorkflowRunFailedError as error:
            return ["failed", error.error_code, repr(error.__cause__)]
        except wf.WorkflowRunCancelledError as error:
            return ["cancelled", error.reason]

    async def _chunks(self, run: wf.Run[Any], name: str) -> list[Any]:
        return [chunk async for chunk in wf.read_stream(run.run_id, name)]

    async def _histories(self) -> dict[str, Any]:
        """Read all runs of the world; verify their chains, and that today's code replays them."""
        session = current_session()
        found: dict[str, Any] = {}
        async for run in wf.list_runs():
            events = await session.world.read_events(run.run_id, 0, 10_000)
            row = await session.world.get_run(run.run_id)
            assert row is not None
            head = chain.verify(events, run.run_id)
            assert (head, len(events)) == (row.head, row.seq), f"the log of {run.run_id} and its row differ"
            assert Keyring.parse(KEY).run(run.run_id).check_mac(row.seq, row.head, row.mac)
            replay_recorded(await read_history(session, run.run_id))
            found[run.run_id] = {
                "status": row.status,
                "attributes": row.attributes,
                "inherited": [event.correlation_id for event in events[: _count_inherited(events)]],
                "events": [[event.type, event.correlation_id, event.attempt] for event in events],
            }
        return found


def _count_inherited(events: list[Event]) -> int:
    """Count the events that a fork copied, with the answer that it has in place of the last of them."""
    fork = read_fork(events[0])
    if fork is None:
        return 0
    answered = fork.edits[0].id
    return next(
        n for n, event in enumerate(events, 1) if event.correlation_id == answered and event.type == STEP_COMPLETED
    )


if __name__ == "__main__":
    main()
