"""What was given for the `$name`s of queries, so that it need not be typed again: by name, as it was typed.

    values = read_given(path)
    keep_given(path, {"tenant": "acme"})

The file lies beside the world and is private as that is: what is looked for may be what is in payloads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

KEPT: Final = 200
"""Names that are kept; those that were given last."""
_LARGEST: Final = 1 << 20


def given_path(world: Path) -> Path:
    return world.with_name(f"{world.name}.values")


def read_given(path: Path) -> dict[str, str]:
    """Give what was given last for each name; nothing where there is no file that can be read."""
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(_LARGEST), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return {}


def keep_given(path: Path, values: Mapping[str, str]) -> None:
    """Keep what is given now. Who may not write goes without."""
    known = {name: text for name, text in read_given(path).items() if name not in values}
    kept = dict([*known.items(), *values.items()][-KEPT:])
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(kept))
        os.replace(draft, path)
    except OSError:
        pass
