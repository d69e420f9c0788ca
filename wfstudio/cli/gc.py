"""`wf gc`: forget runs that ended long ago, and give the disk its space back."""

from __future__ import annotations

from typing import Annotated

import typer

from wf.settings import Keep
from wfstudio.cli import parameters
from wfstudio.cli.connection import carry_out, open_client
from wfstudio.cli.consent import ask, count_runs
from wfstudio.cli.misuse import Misuse
from wfstudio.cli.terminal import results, words
from wfstudio.core.retention import Forgotten, find_old, forget, parse_keep
from wfstudio.text.sizes import show_size


def gc(
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep",
            metavar="AGE|N",
            help="What stays: an age (30d) or a number of runs (default: [tool.wf] retention).",
        ),
    ] = None,
    is_imported: Annotated[
        bool, typer.Option("--imported", help="Only runs that were imported; without --keep all of them.")
    ] = False,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Only say how many runs would go.")] = False,
    is_sure: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    is_json: parameters.Json = False,
    world: parameters.World = None,
) -> int:
    """Delete ended and imported runs by age or number, with the code that no run has any more. Live runs always stay.

    Examples:

        wf gc --keep 30d

        wf gc --keep 1000 -y

        wf gc --imported
    """
    return carry_out(
        _collect(keep, is_imported=is_imported, is_dry=is_dry, is_sure=is_sure, is_json=is_json, world=world)
    )


async def _collect(
    keep: str | None, *, is_imported: bool, is_dry: bool, is_sure: bool, is_json: bool, world: str | None
) -> int:
    async with open_client(world) as client:
        chosen = client.session.settings.retention if keep is None else parse_keep(keep)
        if keep is None and is_imported:
            chosen = Keep(count=0)  # who names what was imported means all of it
        if chosen is None:
            raise Misuse("what is to stay?", hint="`--keep 30d`, `--keep 1000`, or `retention` in [tool.wf]")
        old = await find_old(client.session, chosen, is_imported=True if is_imported else None)
        if is_dry:
            if is_json:
                results().print_json({"runs": old})
            else:
                results().print(f"{count_runs(len(old))} would go")
            return 0
        if old and not is_sure:
            ask("delete", len(old))
        done = await forget(client.session, old)
    if is_json:
        results().print_json(done)
    else:
        words().print(_tell(done))
    return 0


def _tell(done: Forgotten) -> str:
    text = f"{count_runs(len(done.runs))} deleted"
    if done.kept:
        text += f", {done.kept} stay because a run in flight needs them"
    if done.deployments:
        text += f", and {done.deployments} deployment{'' if done.deployments == 1 else 's'}"
    if done.freed_bytes is not None:
        text += f"; {show_size(done.freed_bytes)} freed"
    return text
