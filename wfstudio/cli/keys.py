"""`wf keys`: which keys a world has, by the ids that blobs name them by. A key itself is never shown."""

from __future__ import annotations

import os
from typing import Annotated, Final

import msgspec
import typer

from wf.errors import WorldError
from wf.keys import Keyring
from wf.settings import Settings
from wf.worlds.lockfile import read_holder
from wfstudio.cli import parameters
from wfstudio.cli.connection import settle
from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.terminal import results, words
from wfstudio.text.printable import printable

ACTIONS: Final = ("list", "rotate")


class KeysView(msgspec.Struct, frozen=True):
    """`ids` in the order of use: the first seals, all open. `source` is `WF_KEY` or the key file's path."""

    source: str
    ids: list[str]
    is_off: bool


def keys(
    action: Annotated[
        str,
        typer.Argument(
            metavar="list|rotate",
            help="list: their ids; rotate: put a fresh one in front.",
            autocompletion=lambda: list(ACTIONS),
        ),
    ] = "list",
    is_json: parameters.Json = False,
    world: parameters.World = None,
) -> int:
    """List the keys of a world by their ids, or rotate them. The first seals, all of them open."""
    if action not in ACTIONS:
        raise Misuse(f"keys cannot {action!r:.80}", hint=suggest(action, ACTIONS) or "`list` or `rotate`")
    settings = settle(world)
    view = _rotate(settings) if action == "rotate" else _read(settings)
    terminal = results()
    if is_json:
        terminal.print_json(view)
        return 0
    words().print(
        f"keys from {printable(view.source)}" + (": off, payloads are stored in clear" if view.is_off else "")
    )
    terminal.print(*(f"{id}  {'seals' if place == 0 else 'opens'}" for place, id in enumerate(view.ids)))
    if action == "rotate":
        words().print("restart every process of this world now: one that runs cannot open what the fresh key seals")
        address = settings.address
        holder = None if address.path is None else read_holder(str(address.path))
        if holder is not None:
            words().print(f"  it is served by process {holder.pid}")
    return 0


def _read(settings: Settings) -> KeysView:
    path = settings.key_path
    if "WF_KEY" not in os.environ:
        if path is None:
            raise _refuse("a world in memory has a key of its own, which dies with it", None)
        if not path.exists():  # listing makes none
            raise _refuse(f"there is no key at {path}", "it is made with the world, by the first run")
        return _show(str(path), Keyring.load(path, {}))
    return _show("WF_KEY", Keyring.load(path or settings.root, os.environ))


def _rotate(settings: Settings) -> KeysView:
    if "WF_KEY" in os.environ:
        raise _refuse("the keys come from WF_KEY", "put a fresh key in front of those in WF_KEY, separated by a comma")
    path = settings.key_path
    if path is None:
        raise _refuse("a world in memory has a key of its own, which dies with it", None)
    return _show(str(path), Keyring.rotate_file(path))


def _show(source: str, ring: Keyring) -> KeysView:
    return KeysView(source, [id.hex() for id in ring.key_ids], ring.is_off)


def _refuse(message: str, hint: str | None) -> WorldError:
    error = WorldError(message)
    error.hint = hint
    return error
