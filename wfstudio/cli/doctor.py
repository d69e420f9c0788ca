"""`wf doctor`: is everything as it must be, on this machine, in this project, in its world."""

from __future__ import annotations

from typing import Annotated

import typer

from wfstudio.cli import parameters
from wfstudio.cli.checkup import Check, examine
from wfstudio.cli.connection import carry_out
from wfstudio.cli.exits import FAILED
from wfstudio.cli.terminal import Terminal, results
from wfstudio.text.printable import printable

_LOOKS = {"ok": ("green", "✓", "ok"), "finding": ("red", "✗", "!!"), "note": ("dim", "·", "--")}


def doctor(
    is_verifying: Annotated[
        bool, typer.Option("--verify", help="Also verify every run's log: its hash chain and the head's signature.")
    ] = False,
    is_json: parameters.Json = False,
    world: parameters.World = None,
) -> int:
    """Check Python, the project, its world, its key and the disk. Changes nothing. Exit code 1: there are findings."""
    checks = carry_out(examine(world, is_verifying=is_verifying))
    is_healthy = all(check.status != "finding" for check in checks)
    terminal = results()
    if is_json:
        terminal.print_json({"is_healthy": is_healthy, "checks": checks})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            _show(terminal, check, width)
    return 0 if is_healthy else FAILED


def _show(terminal: Terminal, check: Check, width: int) -> None:
    style, sign, plain = _LOOKS[check.status]
    sign = terminal.paint(sign if terminal.is_unicode and terminal.is_tty else plain, style)
    terminal.print(f"{sign} {check.name.ljust(width)}  {printable(check.detail)}")
    if check.hint is not None:
        terminal.print(f"  fix: {printable(check.hint)}")
