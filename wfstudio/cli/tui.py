"""`wf tui`: the terminal studio, attached to a running `wf dev`, else over the world itself."""

from __future__ import annotations

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
    carry_out(_run(settings, world))
    return 0


async def _run(settings: Settings, world: str | None) -> None:
    from wfstudio.tui.app import StudioApp  # nothing else of the command line needs textual
    from wfstudio.tui.attachment import attach
    from wfstudio.tui.preferences import load_preferences

    preferences = load_preferences(settings.root)
    async with attach(settings, named_world=world) as attachment:
        await StudioApp(attachment, preferences).run_async()
