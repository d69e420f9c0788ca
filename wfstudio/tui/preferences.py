"""Preferences: the theme and the keys of the terminal studio, as people write them down.

    [tool.wf.tui]                       in the project's pyproject.toml
    theme = "wf-light"

    [tool.wf.tui.keys]                  by the ids that `?` shows; several keys are separated by commas
    "runs.cancel" = "ctrl+x"
    "grid.down" = "down,n"

The same without `tool.wf.tui` in `~/.config/wf/tui.toml` ($XDG_CONFIG_HOME), which wins: keys are one's own.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import msgspec

from wf.errors import shorten
from wf.settings import SettingsError

SHARED: Final = frozenset({"studio", "grid", "sheet"})
"""Where actions are that can be met on every screen."""
_KEY: Final = re.compile(r"\S(\S*\S)?")


class Preferences(msgspec.Struct, frozen=True):
    theme: str | None = None
    keys: dict[str, str] = {}


def load_preferences(root: Path, environ: Mapping[str, str] = os.environ) -> Preferences:
    """Give what is preferred in a project by this user. Raises `SettingsError` for what cannot be read."""
    project = root / "pyproject.toml"
    table = _read(project)
    for name in ("tool", "wf", "tui"):
        table = table.get(name, {}) if isinstance(table, dict) else {}
    found = read_preferences(table, f"{project}: [tool.wf.tui]")
    own = user_file(environ)
    mine = read_preferences(_read(own), str(own))
    return Preferences(mine.theme or found.theme, {**found.keys, **mine.keys})


def user_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Give where a user's own preferences are."""
    base = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".config")
    return Path(base) / "wf" / "tui.toml"


def read_preferences(table: Any, place: str) -> Preferences:
    """Read a table of preferences; `place` is named in errors."""
    if not isinstance(table, dict):
        raise SettingsError(f"{place} is not a table")
    for name in table:
        if name not in ("theme", "keys"):
            raise SettingsError(f"{place} {name} is not a setting", "known are theme and keys")
    theme, keys = table.get("theme"), table.get("keys", {})
    if theme is not None and not isinstance(theme, str):
        raise SettingsError(f"{place} theme: {shorten(theme)} is not a text")
    if not isinstance(keys, dict):
        raise SettingsError(f"{place} keys is not a table")
    for action, key in keys.items():
        if not isinstance(key, str) or not all(_KEY.fullmatch(part.strip()) for part in key.split(",")):
            hint = 'write it like "ctrl+x", or "down,n" for several'
            raise SettingsError(f"{place} keys.{action}: {shorten(key)} is no key", hint)
    return Preferences(theme, dict(keys))


def explain_unknown(action: str, known: Iterable[str]) -> str:
    """Say that there is no such action, and which may have been meant."""
    close = get_close_matches(action, list(known), n=1, cutoff=0.5)
    meant = f"did you mean {close[0]!r}?" if close else "`?` shows their ids"
    return f"keys: there is no action {action!r:.60}; {meant}"


def find_clashes(keys: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    """Say which keys that were chosen mean something else, too, where both may be pressed.

    `known` has the keys of all actions by id. What comes before the dot says where an action is: on one screen, or
    wherever something is `SHARED`.
    """
    found = []
    for action, chosen in keys.items():
        for key in _split(chosen):
            for other, default in known.items():
                places = {action.partition(".")[0], other.partition(".")[0]}
                is_near = len(places) == 1 or not places.isdisjoint(SHARED)
                if other != action and is_near and key in _split(keys.get(other, default)):
                    found.append(f"keys: {key!r} is {action}, and {other}, too")
    return found


def _split(keys: str) -> list[str]:
    return [key.strip() for key in keys.split(",")]


def _read(path: Path) -> Any:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
