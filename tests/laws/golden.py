"""Golden histories: what bodies did on some Python, kept for ever, to be replayed on every other.

`tests/laws/golden/python311.jsonl` holds a history a line: its shape, its seed, after how many turns it was
cancelled, and its events. Histories are only ever added:

    python -m tests.laws.golden python311

adds those that are missing from a file, as this Python makes them. Tracebacks are left out: they name files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.laws.bodies import Driver
from tests.laws.shapes import SHAPES
from tests.laws.stage import RUN_ID
from wf import codec, events
from wf.engine.replay import Opened
from wf.events import Event
from wf.registry import Workflow

FOLDER = Path(__file__).with_name("golden")
PLAYS = ((1, None), (2, None), (3, 3), (4, 7))

Row = list[Any]


class History(NamedTuple):
    shape: str
    seed: int
    cancel_after: int | None
    rows: list[Row]

    @property
    def id(self) -> str:
        return f"{self.shape}-{self.seed}"

    @property
    def log(self) -> list[Opened]:
        opened = []
        for seq, (type_, number, name, attempt, at, meta, data) in enumerate(self.rows, 1):
            event = Event(RUN_ID, seq, type_, number, name, attempt, at, meta, None, b"")
            opened.append((event, None if data is None else data.encode()))
        return opened


async def _run(program: str) -> Any:
    return await SHAPES[program]()


WORKFLOW: Workflow[..., Any] = Workflow(_run, "laws.golden")


class _Driver(Driver):
    def settle(self, number: int, state: Any) -> None:
        if state.name == "laws.keep":
            self.deliver(events.STEP_COMPLETED, number, state.name, state.attempt, None, codec.encode(None, "result"))
        else:
            super().settle(number, state)


def play(shape: str, seed: int, cancel_after: int | None) -> History:
    """Run a shape on the Python that is here."""
    driver = _Driver(shape, seed, workflow=WORKFLOW)  # type: ignore[arg-type]
    driver.run(cancel_after=cancel_after)
    driver.close()
    return History(shape, seed, cancel_after, [_as_row(event, data) for event, data in driver.log])


def _as_row(event: Event, data: bytes | None) -> Row:
    text = None if data is None else data.decode()
    if text is not None and '"traceback"' in text:
        text = json.dumps(_without_tracebacks(json.loads(text)), separators=(",", ":"), ensure_ascii=False)
    return [event.type, event.correlation_id, event.name, event.attempt, event.at, event.meta, text]


def _without_tracebacks(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_tracebacks(part) for key, part in value.items() if key != "traceback"}
        case list():
            return [_without_tracebacks(part) for part in value]
    return value


def read() -> list[History]:
    lines = [line for path in sorted(FOLDER.glob("*.jsonl")) for line in path.read_text().splitlines()]
    return [History(*json.loads(line)) for line in lines]


def find_missing() -> Iterator[History]:
    known = {(history.shape, history.seed) for history in read()}
    for shape in SHAPES:
        for seed, cancel_after in PLAYS:
            if (shape, seed) not in known:
                yield play(shape, seed, cancel_after)


def main(name: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    added = [json.dumps(history, separators=(",", ":")) + "\n" for history in find_missing()]
    with (FOLDER / f"{name}.jsonl").open("a") as file:
        file.writelines(added)
    print(f"{len(added)} added")


if __name__ == "__main__":
    main(sys.argv[1])
