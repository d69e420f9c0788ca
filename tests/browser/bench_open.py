"""Measures how the built studio opens on this machine, in headless Chromium: one JSON line a figure.

    python -m tests.browser.bench_open

`wf dev`, its page and the browser are real, and the browser has nothing of the page yet. What is measured and how is
said in bench_open.mjs; the budgets are a second, and 250 KB of packed scripts. Nothing is asserted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.browser.stage import developing
from tests.programs import WEB_UI, find_chromium, make_ready


def main() -> int:
    missing = make_ready()
    chromium = find_chromium()
    if missing or chromium is None:
        print(missing or "there is no Chromium", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory(prefix="wf-open-", ignore_cleanup_errors=True) as folder,
        developing(Path(folder)) as dev,
    ):
        launch_url = dev.make_launch_url()
        given = {
            "chromium": chromium,
            "url": launch_url.partition("/#")[0],
            "launchUrl": launch_url,
            "start": {"workflow": "demo", "args": ["ada"]},
        }
        return subprocess.run(["node", "e2e/bench_open.mjs", json.dumps(given)], cwd=WEB_UI).returncode


if __name__ == "__main__":
    sys.exit(main())
