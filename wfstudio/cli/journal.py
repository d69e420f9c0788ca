"""Journals: what a long-running command says, one line for each notable thing, as text or JSON."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from wfstudio.cli.terminal import Terminal
from wfstudio.text.printable import printable


class Journal:
    """Prints lines to a terminal. With JSON: `{at, event, …}`; the fields of an event stay."""

    def __init__(self, terminal: Terminal, *, is_json: bool) -> None:
        self._terminal = terminal
        self._is_json = is_json

    def tell(self, event: str, text: str, **fields: Any) -> None:
        """Say that something happened: `text` to a reader, `fields` to a program."""
        now = datetime.now(UTC)
        if self._is_json:
            at = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            self._terminal.print_jsonl([{"at": at, "event": event, **fields}])
        else:
            clock = now.astimezone().strftime("%H:%M:%S")
            self._terminal.print(f"{self._terminal.paint(clock, 'dim')} {printable(text)}")


class JournalHandler(logging.Handler):
    """Puts what the runtime logs into the journal."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            self._journal.tell("log", text, level=record.levelname.lower(), logger=record.name, message=text)
        except Exception:
            self.handleError(record)
