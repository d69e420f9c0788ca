"""Measures the studio's list of runs in headless Chromium, over a world of many runs: one JSON line a figure.

    python -m tests.browser.bench_runs [--runs 100000] [--shots DIRECTORY]

The world is written straight into its file; server, page and scrolling are real. What is measured and how is said in
bench_runs.mjs. Nothing is asserted but what must hold anywhere: that the rows are there, and all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.browser.stage import developing
from tests.programs import WEB_UI, find_chromium, make_ready
from wf import events as types
from wf.events import Event
from wf.keys import Keyring
from wf.worlds.sqlite.connection import Connection
from wf.worlds.sqlite.runs import INSERT_EVENT

STEP_US: Final = 800_000
_STATUSES: Final = ("completed",) * 16 + ("failed", "failed", "cancelled", "completed")
_ENDS: Final = {"completed": types.RUN_COMPLETED, "failed": types.RUN_FAILED, "cancelled": types.RUN_CANCELLED}
_RUN: Final = """
INSERT INTO runs (run_id, workflow, status, deployment_id, created_at, started_at, ended_at, seq, head, mac, result_seq,
  payload_bytes, attributes, error_code)
VALUES (?, ?, ?, 'dep_bench', ?, ?, ?, 3, ?, x'00', 3, 0, ?, ?)
"""


def write_runs(path: Path, count: int) -> None:
    """Write runs that have ended, the newest a moment ago. Nobody opens one, so they hold no payload and no chain."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Keyring.load(path.parent / "key", {})  # a world whose key is gone is refused
    made = Connection(path, "process")
    made.open()
    made.close()
    last_at = time.time_ns() // 1000 - 60_000_000
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("PRAGMA synchronous = OFF")
    file.execute("BEGIN")
    for number in range(count):
        run_id = f"wrun_{number:026}"
        status = _STATUSES[number * 7 % len(_STATUSES)]
        at = last_at - (count - number) * STEP_US
        ended_at = at + 2_000 + number * 7919 % 4_000_000
        link = os.urandom(32)
        attributes = json.dumps({"tenant": f"tenant-{number % 17}", "region": ("eu", "us", "asia")[number % 3]})
        code = "USER_ERROR" if status == "failed" else None
        workflow = f"shop.flows:order_{number % 5}"
        file.execute(_RUN, (run_id, workflow, status, at, at + 900, ended_at, link, attributes, code))
        for seq, (type, when) in enumerate(
            ((types.RUN_CREATED, at), (types.RUN_STARTED, at + 900), (_ENDS[status], ended_at)), 1
        ):
            meta = '{"error_type": "builtins.ValueError", "code": "USER_ERROR"}' if type == types.RUN_FAILED else None
            event = Event(run_id, seq, type, None, workflow if seq == 1 else None, None, when, meta, None, link)
            file.execute(INSERT_EVENT, [getattr(event, field) for field in Event.__struct_fields__])
    file.execute("COMMIT")
    file.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="measure the studio's list of runs")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--shots", default="")
    options = parser.parse_args()
    missing = make_ready()
    chromium = find_chromium()
    if missing or chromium is None:
        print(missing or "there is no Chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="wf-runs-", ignore_cleanup_errors=True) as folder:
        prepare = lambda project: write_runs(project / ".wf" / "world.db", options.runs)  # noqa: E731
        with developing(Path(folder), prepare) as dev:
            launch_url = dev.make_launch_url()
            given = {
                "chromium": chromium,
                "url": launch_url.partition("/#")[0],
                "launchUrl": launch_url,
                "runs": options.runs,
                "shots": options.shots,
            }
            return subprocess.run(["node", "e2e/bench_runs.mjs", json.dumps(given)], cwd=WEB_UI).returncode


if __name__ == "__main__":
    sys.exit(main())
