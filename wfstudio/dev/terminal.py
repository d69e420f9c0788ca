"""The dev terminal: prints what happens, and turns keys into what the dev server does.

With `--json` every line of standard output is one JSON object with a `kind`, and no key is read.
"""

from __future__ import annotations

import json
import os
import sys
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Final

from wfstudio.dev.keyboard import listening
from wfstudio.text import dev_lines as lines
from wfstudio.text.dev_lines import Painter

_CLEAR: Final = "\x1b[2J\x1b[3J\x1b[H"


class Terminal:
    """Where the lines go. `actions` maps keys to what they do, and is filled by the dev server."""

    def __init__(self, *, is_json: bool) -> None:
        self.is_json = is_json
        self.actions: dict[str, Callable[[], object]] = {}
        is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self.painter = Painter(is_coloured=is_coloured, folder=os.getcwd())

    def say(self, text: str) -> None:
        """Print lines for people; nothing in JSON."""
        if not self.is_json:
            print(text, flush=True)

    def tell(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Print what happened."""
        if self.is_json:
            print(json.dumps({"kind": kind, **facts}, ensure_ascii=False, default=str), flush=True)
            return
        painter = self.painter
        if kind == "reload":
            print(lines.show_reload(painter, facts), flush=True)
        elif kind == "loading":
            print(lines.show_loading(painter, facts), flush=True)
        elif kind == "worker":
            print(lines.show_worker(painter, facts), flush=True)
        elif kind == "nondeterminism":
            print(lines.show_finding(painter, facts), flush=True)
        elif kind == "check":
            if facts["findings"] or facts["before"]:
                print(lines.show_check(painter, facts), flush=True)
        elif kind == "retention":
            print(lines.show_retention(painter, facts), flush=True)
        elif kind == "fault":
            print(lines.show_fault(painter, facts), flush=True)
        elif kind == "error":
            print(lines.show_error(painter, facts), flush=True)

    def clear(self) -> None:
        if sys.stdout.isatty():
            self.say(_CLEAR)

    def help(self) -> None:
        self.say(lines.show_help(self.painter))

    @contextmanager
    def keys(self) -> Iterator[None]:
        """Obey single keys while the block runs."""

        def on_key(key: str) -> None:
            action = self.actions.get(key)
            if action is not None:
                action()

        with nullcontext() if self.is_json else listening(on_key):
            yield


def open_browser(url: str) -> bool:
    """Open the studio where there is a desktop to open it on."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
