"""Options: what `wf dev` was asked for, from the command line to the dev server."""

from __future__ import annotations

import msgspec


class DevOptions(msgspec.Struct, frozen=True):
    """What a `wf dev` was asked for.

    `target` None means `[tool.wf] modules`, else discovery. `port` None means the settings' port, or
    the next free one unless `is_strict_port`. `allowed_hosts` are names besides the loopback ones
    under which the studio may be asked for. `world` None means as the settings say.
    """

    target: str | None = None
    port: int | None = None
    is_strict_port: bool = False
    host: str = "127.0.0.1"
    allowed_hosts: list[str] = []
    token: str | None = None
    is_opening: bool = True
    world: str | None = None
    workers: int = 1
    is_json: bool = False
