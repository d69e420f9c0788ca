"""`wf mcp`: the studio's actions as tools for coding agents, over standard input and output."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from wfstudio.cli import parameters
from wfstudio.cli.connection import carry_out, open_client, settle
from wfstudio.cli.misuse import Misuse


def mcp(
    is_reading: Annotated[bool, typer.Option("--read-only", help="Offer only the tools that change nothing.")] = False,
    world: parameters.World = None,
) -> int:
    """Serve the Model Context Protocol on standard input and output, until the input ends.

    Example (how a client is told of it):

        {"mcpServers": {"wf": {"command": "wf", "args": ["mcp"]}}}
    """
    if find_spec("mcp") is None:
        raise Misuse("the SDK of the protocol is not installed", hint="pip install 'wfstudio[mcp]'")
    from wfstudio.mcp.server import serve  # half a second that no other command need pay
    from wfstudio.mcp.tools import Desk

    carry_out(serve(Desk(lambda: open_client(world), settle(world)), is_reading=is_reading))
    return 0
