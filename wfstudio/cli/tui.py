"""`wf tui`: the terminal studio, attached to a running `wf dev`, else over the world itself."""

from __future__ import annotations

import os
import sys

from wf.settings import Settings
from wfstudio.cli import parameters
from wfstudio.cli.connection import carry_out, check_world, settle
from wfstudio.cli.misuse import Misuse


def tui(world: parameters.World = None) -> int:
    """Open the terminal studio: runs, hooks, workflows, SQL and the dev server, live. `?` in it lists the keys."""
    settings = settle(world)
    check_world(settings)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Misuse("wf tui needs a terminal", hint="`wf inspect --json` is for programs")
    return carry_out(_run(settings, world))


async def _run(settings: Settings, world: str | None) -> int:
    from wfstudio.tui.app import StudioApp  # nothing else of the command line needs textual
    from wfstudio.tui.attachment import attach
    from wfstudio.tui.preferences import load_preferences

    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)  # textual would believe them more than the terminal, which can be resized
    preferences = load_preferences(settings.root)
    async with attach(settings, named_world=world) as attachment:
        app = StudioApp(attachment, preferences, is_own_process=True)
        await app.run_async()
    return app.return_code or 0
