"""A running `wf dev`: its lines, its API and its end."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.wfstudio.dev.stage import PATIENCE_SECONDS, Project


class Process:
    """A running `wf dev --json`, and the lines that it has printed. Without a target: what the project names."""

    def __init__(self, project: Project, *options: str, target: str | None = "flow.py") -> None:
        self.project = project
        environ = {name: value for name, value in os.environ.items() if not name.startswith("WF_")}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "wfstudio", "dev", *([target] if target else ()), "--json", "--no-open", *options],
            cwd=project.root,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.told: list[dict[str, Any]] = []

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, kind: str, fits: Callable[[dict[str, Any]], bool] = lambda facts: True) -> dict[str, Any]:
        """Give the next line of a kind that fits."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            line = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            assert line is not None, f"it ended: {self.popen.stderr.read() if self.popen.stderr else ''}"
            facts: dict[str, Any] = json.loads(line)
            self.told.append(facts)
            if facts["kind"] == kind and fits(facts):
                return facts

    @property
    def server(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.project.root / ".wf" / "studio.json").read_text())
        return found

    def call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.server["url"] + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.server['token']}",
                "Content-Type": "application/json",
                "X-WF": "1",
            },
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.loads(response.read() or b"null")

    def wait_for_run(self, run_id: str, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not fits(run := self.call("GET", f"/api/runs/{run_id}")):
            assert time.monotonic() < deadline, run
            time.sleep(0.01)
        return run  # type: ignore[no-any-return]

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(PATIENCE_SECONDS)


@contextmanager
def serving(project: Project, *options: str, target: str | None = "flow.py") -> Iterator[Process]:
    process = Process(project, "--port", "0", *options, target=target)
    try:
        yield process
    finally:
        if process.popen.poll() is None:
            process.popen.kill()
        process.popen.wait()
        process._reader.join(PATIENCE_SECONDS)
        for pipe in (process.popen.stdout, process.popen.stderr):
            assert pipe is not None
            pipe.close()
