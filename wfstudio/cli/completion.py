"""Completion: what the shell offers for runs, workflows and tokens.

1. It never prints and never fails: whatever goes wrong, there is nothing to offer.
2. It makes nothing: no world, no key.
3. It is bounded: the newest hundred, and a second at most.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import typer

from wfstudio.cli.connection import list_run_ids, open_client
from wfstudio.core.client import Client
from wfstudio.text.printable import printable

MOST: Final = 100
SECONDS: Final = 1.0


def complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    return _offer(ctx, incomplete, lambda client: list_run_ids(client, MOST))


def complete_workflow(ctx: typer.Context, incomplete: str) -> list[str]:
    async def names(client: Client) -> list[str]:
        return [name for entry in await client.list_workflows() for name in (entry.name, entry.id)]

    return _offer(ctx, incomplete, names)


def complete_token(ctx: typer.Context, incomplete: str) -> list[str]:
    async def tokens(client: Client) -> list[str]:
        return [hook.token for hook in await client.list_hooks() if hook.token is not None]

    return _offer(ctx, incomplete, tokens)


def _offer(ctx: typer.Context, incomplete: str, ask: Callable[[Client], Awaitable[list[str]]]) -> list[str]:
    async def ask_world() -> list[str]:
        async with asyncio.timeout(SECONDS), open_client(ctx.params.get("world")) as client:
            return await ask(client)

    logging.disable()
    try:
        found = asyncio.run(ask_world())
    except Exception:  # law 1
        return []
    finally:
        logging.disable(logging.NOTSET)
    return [text for text in dict.fromkeys(found) if text.startswith(incomplete) and text == printable(text)]
